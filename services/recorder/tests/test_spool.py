"""The spool holds complete segments and nothing else, even after a crash."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from panoreel.contracts.media import SegmentMedia
from panoreel.recorder.segments import make_spool, seal, sealed

SEAL_FOREVER = """
import hashlib, itertools, os, sys
from datetime import UTC, datetime
from pathlib import Path
from panoreel.contracts.media import SegmentMedia
from panoreel.recorder.segments import seal

partial, spool = map(Path, sys.argv[1:])
for index in itertools.count():
    content = os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()
    media = SegmentMedia(
        epoch=1, index=index, bytes=len(content), sha256=digest, frames=1, wall_time=datetime.now(UTC),
        first_pts=index, end_pts=index + 1, first_sample=0, end_sample=0,
    )
    seal(content, media, partial=partial, spool=spool)
    print(index, flush=True)
"""


def test_a_killed_recorder_leaves_no_half_segment(tmp_path: Path) -> None:
    partial, spool = tmp_path / "partial", tmp_path / "spool"
    partial.mkdir()
    spool.mkdir()
    sealing = subprocess.Popen(
        [sys.executable, "-c", SEAL_FOREVER, str(partial), str(spool)], stdout=subprocess.PIPE
    )
    assert sealing.stdout is not None
    with sealing.stdout:
        for _ in range(4):
            assert sealing.stdout.readline()
        time.sleep(0.013)
        os.kill(sealing.pid, signal.SIGKILL)
        told = 4 + len(sealing.stdout.readlines())
    sealing.wait()

    found = sealed(spool)
    assert told <= len(found) <= told + 1
    assert [media.index for _, media in found] == list(range(len(found)))
    for path, media in found:
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (media.bytes, media.sha256)


def test_a_sidecar_alone_is_no_segment(tmp_path: Path) -> None:
    (tmp_path / "00000000.json").write_text("{}")
    assert sealed(tmp_path) == []


def test_a_damaged_sidecar_takes_no_other_segment_with_it(tmp_path: Path) -> None:
    partial, spool = tmp_path / "partial", tmp_path / "spool"
    partial.mkdir()
    make_spool(spool)
    make_spool(spool)
    for index in range(3):
        media = SegmentMedia(
            epoch=1,
            index=index,
            bytes=1,
            sha256=hashlib.sha256(b"x").hexdigest(),
            frames=1,
            wall_time=datetime.now(UTC),
            first_pts=index,
            end_pts=index + 1,
            first_sample=0,
            end_sample=0,
        )
        seal(b"x", media, partial=partial, spool=spool)
    (spool / "00000000.json").write_bytes(b"\0" * 200)
    (spool / "00000001.json").unlink()
    assert [media.index for _, media in sealed(spool)] == [2]
