"""Ports on loopback for what tests start."""

import os
import random
from itertools import islice

from panoreel.local.ports import is_free

RANGE = range(11_000, 20_000)
"""Below Linux's range for outgoing connections (ip_local_port_range in ip(7)), so none takes them, and below
those of `panoreel up`."""

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = 8


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that no other worker of pytest-xdist chooses."""
    own = RANGE[WORKER % WORKERS :: WORKERS]
    return list(islice(filter(is_free, random.sample(own, len(own))), count))
