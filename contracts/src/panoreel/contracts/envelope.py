"""What is known about an event besides its content; it travels in message headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from panoreel.contracts.events import Event
from panoreel.contracts.upcasters import UndecodableEvent

_ID = "Nats-Msg-Id"
_TYPE = "Panoreel-Type"
_VERSION = "Panoreel-Version"
_TIME = "Panoreel-Time"
_ACTOR = "Panoreel-Actor"
_CORRELATION = "Panoreel-Correlation"
_CAUSATION = "Panoreel-Causation"
_TRACEPARENT = "traceparent"


@dataclass(frozen=True, slots=True)
class Cause:
    """Who decided, and upon what.

    `correlation` is the id of the request that everything goes back to; `causation` the id of the event
    that was reacted to; `traceparent` a W3C Trace Context header.
    """

    actor: str
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """`id` is a UUIDv7 (RFC 9562 §5.7): ordered by time, and the key by which the log drops repeats."""

    id: UUID
    type: str
    version: int
    time: datetime
    cause: Cause

    def headers(self) -> dict[str, str]:
        """The envelope as message headers."""
        optional = {
            _CORRELATION: self.cause.correlation,
            _CAUSATION: self.cause.causation,
            _TRACEPARENT: self.cause.traceparent,
        }
        return {
            _ID: str(self.id),
            _TYPE: self.type,
            _VERSION: str(self.version),
            _TIME: self.time.isoformat(),
            _ACTOR: self.cause.actor,
        } | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> Self:
        """Read an envelope back.

        Raises:
            UndecodableEvent: a header is missing or malformed.
        """
        try:
            found = dict(headers or {})
            return cls(
                id=UUID(found[_ID]),
                type=found[_TYPE],
                version=int(found[_VERSION]),
                time=datetime.fromisoformat(found[_TIME]),
                cause=Cause(
                    actor=found[_ACTOR],
                    correlation=found.get(_CORRELATION),
                    causation=found.get(_CAUSATION),
                    traceparent=found.get(_TRACEPARENT),
                ),
            )
        except (KeyError, ValueError) as error:
            raise UndecodableEvent(f"malformed event header: {error}") from error


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the log holds it, at position `seq`; `payload` is its JSON as it was written."""

    seq: int
    task_id: str
    envelope: Envelope
    event: Event
    payload: bytes

    def cause(self, actor: str) -> Cause:
        """This event as what `actor` acts upon."""
        known = self.envelope.cause
        return Cause(actor, known.correlation, str(self.envelope.id), known.traceparent)
