"""All forbidden URLs in a real browser, in a network namespace of the test's own."""

import json
import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from panoreel.reach.addresses import is_permitted
from tests.servers.needs import unmet

TESTS = Path(__file__).parent
UNSHARE = ["unshare", "--net", "--"]

ALL_OURS = """
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
exec "$@"
"""


@pytest.mark.parametrize("allowed", ["nothing", pytest.param("everything", marks=pytest.mark.soak)])
def test_no_forbidden_url_is_reached(allowed: str) -> None:
    """Where everything is allowed most of them are: so it is not the page that does not try."""
    if os.geteuid() != 0 or subprocess.run([*UNSHARE, "true"]).returncode != 0:
        unmet("only root may make network namespaces")
    recording = [sys.executable, str(TESTS / "corpus_near.py"), allowed]
    result = subprocess.run(
        [*UNSHARE, "sh", "-ec", ALL_OURS, "sh", *recording],
        env=os.environ | {"PYTHONPATH": str(TESTS.parents[2])},
        stdout=subprocess.PIPE,
        check=True,
    )
    reached = [ip_address(address) for address in json.loads(result.stdout)]
    assert ip_address("8.8.8.8") in reached
    forbidden = [address for address in reached if not is_permitted(address)]
    if allowed == "nothing":
        assert forbidden == []
    else:
        assert len(forbidden) > 40
