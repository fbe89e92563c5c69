"""Runs the embedded stack without Panoreel's services: `python servers_only.py DATA_DIR`."""

import asyncio
import sys
from pathlib import Path

from panoreel.local import stack
from panoreel.local.datadir import DataDirectory
from panoreel.local.errors import LocalError

try:
    asyncio.run(
        stack.run(
            DataDirectory.at(Path(sys.argv[1])),
            0,
            report=lambda text: print(text, flush=True),
            ready=lambda endpoints: print("ready", flush=True),
            services_of=lambda directory, identity, ports, api_port: {},
        )
    )
except LocalError as error:
    sys.exit(str(error))
