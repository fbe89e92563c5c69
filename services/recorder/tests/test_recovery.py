"""What a starting recorder does about its spool."""

from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet
from pydantic import SecretStr

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import Cause
from panoreel.contracts.media import EncoderParameters
from panoreel.eventlog.log import open_log
from panoreel.eventlog.secrets import SecretStore
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.recovery import recover
from panoreel.recorder.settings import RecorderSettings
from tests.servers.nats import NatsServer


async def test_gives_back_what_is_its_own_and_leaves_the_rest_alone(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    key = Fernet.generate_key().decode()
    settings = RecorderSettings(
        nats_url=SecretStr(nats_server.url),
        recorder_id=f"recorder-{uuid4().hex}",
        secret_keys=(SecretStr(key),),
        blobs_dir=tmp_path / "blobs",
        spool_dir=tmp_path / "spool",
        run_dir=tmp_path / "run",
    )
    async with open_log(nats_server.url, "test") as log:
        recorder = Recorder(settings, log, DirectoryBlobs(tmp_path / "blobs"), SecretStore(log, [key]))
        created = events.TaskCreated(
            record_url="http://127.0.0.1/",
            secrets_key="none",
            encoder=EncoderParameters(width=1280, height=720),
            max_duration_s=60,
        )
        task_id = uuid4().hex
        offered = (await log.execute(task_id, commands.Create(created), Cause("test"))).appended[0]
        await log.execute(task_id, commands.Claim(recorder.id), offered.cause("test"))
        recorder.spool(offered).mkdir(parents=True)
        strangers = {settings.spool_dir / name for name in ("lost+found", ".snapshot", "notes")}
        for stranger in strangers:
            stranger.touch()

        await recover(recorder)

        task, _ = await log.load(task_id)
    assert task
    assert (task.recorder_id, task.retry_num) == (None, 1)
    assert set(settings.spool_dir.iterdir()) == strangers
