"""Fixtures that tests of every package may use."""

import sys
from pathlib import Path

import pytest

# `tests.servers` lies beside this file, which no import mode but "prepend" would find.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["tests.servers.nats", "tests.servers.postgres", "tests.servers.seaweed"]


@pytest.fixture(
    params=[pytest.param(5.0, id="roughly"), pytest.param(1.0, id="exactly", marks=pytest.mark.soak)]
)
def slack(request: pytest.FixtureRequest) -> float:
    """How many times what is promised a machine with other work to do may take; `make soak` allows none."""
    factor: float = request.param
    return factor
