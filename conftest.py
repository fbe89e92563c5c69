"""Fixtures that tests of every package may use."""

import sys
from pathlib import Path

# `tests.servers` lies beside this file, which no import mode but "prepend" would find.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["tests.servers.nats", "tests.servers.postgres", "tests.servers.seaweed"]
