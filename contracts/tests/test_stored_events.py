"""What was stored once stays readable: golden payloads of every version there ever was only get more."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from contracts.tests.examples import EXAMPLES
from panoreel.contracts import upcasters
from panoreel.contracts.envelope import Cause, Envelope
from panoreel.contracts.events import EVENT_TYPES, Event, Failure, TaskCreated
from panoreel.contracts.upcasters import UndecodableEvent, decode

GOLDEN = Path(__file__).with_name("golden")
BY_TYPE = {example.type: example for example in EXAMPLES}
ENVELOPE = Envelope(
    id=UUID("01942d6e-8c3f-7abc-8def-0123456789ab"),
    type="task_created",
    version=1,
    time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    cause=Cause(
        actor="dispatch",
        correlation="request-1",
        causation="01942d6e-8c3f-7abc-8def-0123456789aa",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
)


def test_every_event_type_has_an_example() -> None:
    assert set(BY_TYPE) == set(EVENT_TYPES)
    assert len(EXAMPLES) == len(EVENT_TYPES)


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_current_version_has_a_golden_payload(event_type: str) -> None:
    model = EVENT_TYPES[event_type]
    assert (GOLDEN / f"{event_type}.v{model.version}.json").is_file()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_payload_is_read_as_the_example(path: Path) -> None:
    event_type, _, version = path.stem.rpartition(".v")
    assert decode(event_type, int(version), json.loads(path.read_text())) == BY_TYPE[event_type]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.type)
def test_event_survives_storage(example: Event) -> None:
    assert decode(example.type, example.version, json.loads(example.model_dump_json())) == example


def test_a_sentence_from_anywhere_can_be_stored() -> None:
    failure = Failure(code="InternalErr", message="页 said \0 and \ud800")
    assert failure.message == "页 said ? and ?"
    assert Failure.model_validate_json(failure.model_dump_json()) == failure


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.type)
def test_fields_of_a_newer_writer_are_ignored(example: Event) -> None:
    def grown(value: Any) -> Any:
        if isinstance(value, dict) and not any(name.isdigit() for name in value):
            return {name: grown(inner) for name, inner in value.items()} | {"news": 1}
        return [grown(inner) for inner in value] if isinstance(value, list) else value

    assert decode(example.type, example.version, grown(json.loads(example.model_dump_json()))) == example


@pytest.mark.parametrize(
    ("event_type", "version", "data"),
    [
        ("task_exploded", 1, {}),
        ("pause_requested", 2, {}),
        ("pause_requested", 0, {}),
        ("stop_requested", 1, {"reason": "boredom"}),
        ("stop_requested", 1, {}),
        ("recording_claimed", 1, {"epoch": "many", "recorder_id": "r"}),
        ("pause_requested", 1, []),
    ],
)
def test_unreadable_event_is_refused(event_type: str, version: int, data: Any) -> None:
    with pytest.raises(UndecodableEvent):
        decode(event_type, version, data)


def test_old_versions_are_stepped_up_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {
        ("task_created", 1): lambda data: data | {"max_duration_s": data["limit"]},
        ("task_created", 2): lambda data: data | {"max_duration_s": data["max_duration_s"] * 60},
    }
    monkeypatch.setattr(upcasters, "UPCASTERS", steps)
    monkeypatch.setattr(TaskCreated, "version", 3)
    data = json.loads(BY_TYPE["task_created"].model_dump_json())
    del data["max_duration_s"]
    event = decode("task_created", 1, data | {"limit": 7})
    assert isinstance(event, TaskCreated)
    assert event.max_duration_s == 420


def test_envelope_survives_the_headers() -> None:
    assert Envelope.from_headers(ENVELOPE.headers()) == ENVELOPE
    bare = replace(ENVELOPE, cause=Cause(actor="recorder"), time=ENVELOPE.time + timedelta(days=1))
    assert set(bare.headers()) == {
        "Nats-Msg-Id",
        "Panoreel-Type",
        "Panoreel-Version",
        "Panoreel-Time",
        "Panoreel-Actor",
    }
    assert Envelope.from_headers(bare.headers()) == bare


@pytest.mark.parametrize(
    "change",
    [
        {"Nats-Msg-Id": "1"},
        {"Nats-Msg-Id": None},
        {"Panoreel-Type": None},
        {"Panoreel-Version": "one"},
        {"Panoreel-Time": "yesterday"},
        {"Panoreel-Actor": None},
    ],
    ids=str,
)
def test_malformed_header_is_refused(change: dict[str, str | None]) -> None:
    headers = {name: value for name, value in (ENVELOPE.headers() | change).items() if value is not None}
    with pytest.raises(UndecodableEvent):
        Envelope.from_headers(headers)


def test_message_without_headers_is_refused() -> None:
    with pytest.raises(UndecodableEvent):
        Envelope.from_headers(None)
