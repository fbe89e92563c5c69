"""What the stack's services are started with."""

from pathlib import Path

import pytest

from panoreel.local.datadir import DataDirectory, Identity
from panoreel.local.services import programs

PORTS = {"nats": 1, "postgres": 2, "s3": 3}
CHOSEN = {
    "PANOREEL_HLS_KEY_MODE": ("dispatch", "legacy"),
    "PANOREEL_MAX_LOAD": ("recorder", "0.5"),
    "PANOREEL_MEDIA_RETENTION_H": ("uploader", "72"),
    "PANOREEL_FAILED_RETENTION_DAYS": ("uploader", "3"),
}


def test_what_whoever_starts_the_stack_chooses_reaches_its_service_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, (_, value) in CHOSEN.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PANOREEL_S3_BUCKET", "another")
    services = programs(DataDirectory.at(tmp_path), Identity.generate(), PORTS, 4)
    for variable, (chosen, value) in CHOSEN.items():
        assert {name for name, program in services.items() if variable in program.env} == {chosen}
        assert services[chosen].env[variable] == value
    assert services["uploader"].env["PANOREEL_S3_BUCKET"] == "panoreel"
