"""Whether this replica can do its work, and what is wrong if not."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Final

from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.readmodel import ReadModel, ReadModelUnavailable
from panoreel.eventlog.deployment import WEBRTC_UDP, announcements
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog

PROBE_TIMEOUT_S: Final = 2.0


class Health:
    """What the probes of an orchestrator ask."""

    def __init__(
        self, log: EventLog, read_model: ReadModel, projection: Projection, projector: Projector
    ) -> None:
        self._log = log
        self._read_model = read_model
        self._projection = projection
        self._projector = projector
        self._udp: dict[str, str] = {}

    @property
    def failure(self) -> str | None:
        """What stopped the projection for good; only an operator can mend it."""
        return self._projector.failure

    @property
    def webrtc_udp(self) -> str | None:
        """Whether pages may use UDP: "filtered", or "off" with some recorder; None while none has said so."""
        said = self._udp.values()
        return next((mode for mode in ("off", "filtered") if mode in said), None)

    async def listen(self) -> None:
        """Hear what recorders announce, until cancelled: a probe that asked for it would wait for the log."""
        async with aclosing(announcements(self._log, WEBRTC_UDP)) as announced:
            async for recorder, value in announced:
                self._udp[recorder] = value

    async def problems(self) -> dict[str, str]:
        """What keeps requests from being answered: part → what is wrong with it; empty when all is well."""
        nats, postgres = await asyncio.gather(_answers(self._log.extent()), _answers(self._read_model.ping()))
        problems: dict[str, str] = {}
        if not nats:
            problems["nats"] = "JetStream does not answer"
        if not postgres:
            problems["postgres"] = "the database does not answer"
        if self._projector.failure:
            problems["projection"] = self._projector.failure
        elif self._projection.lagging:
            problems["projection"] = "it lags behind the event log"
        return problems


async def _answers(question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await question
    except (LogUnavailable, ReadModelUnavailable, TimeoutError):
        return False
    return True
