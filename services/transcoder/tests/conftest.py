"""Segments of real encoder runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from panoreel.contracts.media import Segment, SegmentMedia

SCRIPT = Path(__file__).with_name("encode_epoch.py")

Encode = Callable[..., list[Segment]]


@pytest.fixture(scope="session")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Encode one epoch in a process of its own; see `encode_epoch.py` for the options."""

    def run(epoch: int, steps: list[int], *, parameters: dict[str, object] | None = None, **options: object):
        directory = tmp_path_factory.mktemp("epoch")
        options |= {"directory": str(directory), "epoch": epoch, "steps": steps}
        order = json.dumps(options | {"parameters": parameters or {}})
        done = subprocess.run([sys.executable, str(SCRIPT), order], stdout=subprocess.PIPE, check=True)
        media = [SegmentMedia.model_validate_json(line) for line in done.stdout.splitlines()]
        return [
            Segment(**one.model_dump(), task_id="task", blob_key=str(directory / f"{one.index:08d}.mp4"))
            for one in media
        ]

    return run
