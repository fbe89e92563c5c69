"""From stored JSON, of whatever version it was written in, to today's events."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from panoreel.contracts.events import EVENT_TYPES, Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""`(type, version)` → what turns that version's JSON into the next version's."""


class UndecodableEvent(ValueError):
    """A stored event cannot be read by this version of the software."""


def decode(event_type: str, version: int, data: dict[str, Any]) -> Event:
    """Read an event's JSON object as today's model, stepping it up version by version.

    Raises:
        UndecodableEvent: unknown type, a version from the future, or content that does not fit.
    """
    model = EVENT_TYPES.get(event_type)
    if model is None:
        raise UndecodableEvent(f"unknown event type {event_type!r}: a newer version wrote it")
    if not 1 <= version <= model.version:
        raise UndecodableEvent(
            f"{event_type} has version {version}; this software knows 1 to {model.version}"
        )
    for step in range(version, model.version):
        data = UPCASTERS[event_type, step](data)
    try:
        # Not even a nested value that gained a field may stop an older reader.
        return model.model_validate(data, extra="ignore")
    except ValidationError as error:
        raise UndecodableEvent(f"{event_type} version {version} does not fit: {error}") from error
