"""Whether this replica can do its work, and what is wrong if not."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.readmodel import ReadModel, ReadModelUnavailable
from panoreel.eventlog.deployment import WEBRTC_UDP, announced
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

    @property
    def failure(self) -> str | None:
        """What stopped the projection for good; only an operator can mend it."""
        return self._projector.failure

    async def webrtc_udp(self) -> str | None:
        """Whether recorded pages may use UDP: "filtered" or "off"; None while no recorder has said so."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await announced(self._log, WEBRTC_UDP)
        except (LogUnavailable, TimeoutError):
            return None

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
