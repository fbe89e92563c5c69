"""Ports on loopback, kept with the data directory: the URLs of finished recordings contain them."""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from .errors import PortInUse

LOOPBACK = "127.0.0.1"
RANGE = range(20000, 32000)
"""Below Linux's range for outgoing connections (ip_local_port_range in ip(7)), so none takes them."""


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_api_port(wanted: int) -> int:
    """`wanted` if it is free, any free port if it is 0; raises `PortInUse`."""
    if wanted == 0:
        return _pick(set())
    if not is_free(wanted):
        raise PortInUse(wanted)
    return wanted


def kept_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """A free port for each name: the one of the last start, unless somebody has taken it since."""
    last: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    ports: dict[str, int] = {}
    for name in names:
        known = last.get(name)
        ports[name] = known if known and is_free(known) else _pick({*ports.values(), *last.values()})
    if ports != last:
        file.write_text(json.dumps(ports, indent=2))
    return ports


def _pick(taken: set[int]) -> int:
    return next(port for port in random.sample(RANGE, len(RANGE)) if port not in taken and is_free(port))
