"""What dispatch does: it answers the action API, and projects the event log into Postgres."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from panoreel.dispatch.actions import by_name
from panoreel.dispatch.actions.clipping import Clipping
from panoreel.dispatch.actions.controlling import Controlling
from panoreel.dispatch.actions.creating import Creating
from panoreel.dispatch.actions.reading import Reading
from panoreel.dispatch.actions.repetition import RequestDigests
from panoreel.dispatch.actions.starting import Starting
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.api import create_api
from panoreel.dispatch.authentication.keyfile import KeyFile
from panoreel.dispatch.authentication.middleware import AuthenticationMiddleware, AuthenticationOptions
from panoreel.dispatch.connections import PunctualProtocol
from panoreel.dispatch.database import connect, migrate
from panoreel.dispatch.health import Health
from panoreel.dispatch.limits import Limits
from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.ratelimit import RateLimitMiddleware
from panoreel.dispatch.readmodel import open_read_model
from panoreel.dispatch.settings import DispatchSettings
from panoreel.dispatch.sweeping import sweep
from panoreel.eventlog.log import open_log
from panoreel.eventlog.secrets import SecretStore

LAST_REQUESTS_S: Final = 5
"""How long requests under way may take at the end: one whose body never comes must not hold it up."""


async def work(settings: DispatchSettings, ready: Callable[[], None]) -> None:
    """Bring the schema up to date, then project and answer until cancelled."""
    key_file = KeyFile(settings.key_file) if settings.key_file else None
    dsn = settings.postgres_dsn.get_secret_value()
    async with (
        connect(dsn) as engine,
        open_read_model(dsn) as read_model,
        open_log(settings.nats_url.get_secret_value(), "dispatch") as log,
    ):
        await migrate(engine)
        projector = Projector(log, engine)
        projection = Projection(dsn)
        secret_keys = [key.get_secret_value() for key in settings.secret_keys]
        secrets = SecretStore(log, secret_keys)
        tasks = Tasks(log, read_model, projection, projector)
        reading = Reading(tasks)
        creating = Creating(tasks, secrets, RequestDigests(secret_keys))
        actions = by_name(
            Starting(creating, settings.deployment),
            Clipping(creating, tasks, settings.deployment),
            Controlling(tasks, secrets, settings.allowed_networks),
            reading,
        )
        health = Health(log, read_model, projection, projector)
        server = ApiServer(
            uvicorn.Config(
                _authenticated(create_api(actions, reading, health), key_file, settings),
                host=settings.host,
                port=settings.port,
                http=PunctualProtocol,
                limit_concurrency=settings.max_connections,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=LAST_REQUESTS_S,
            ),
            ready,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(projector.run())
            group.create_task(projection.listen())
            group.create_task(health.listen())
            group.create_task(Limits(log).enforce(settings.nats_url.get_secret_value()))
            group.create_task(sweep(secrets))
            group.create_task(server.serve_until_cancelled())


def _authenticated(api: ASGIApp, key_file: KeyFile | None, settings: DispatchSettings) -> ASGIApp:
    if key_file is None:
        return api
    options = AuthenticationOptions(
        settings.sign_strip_prefix, settings.key_pair_dates, settings.show_string_to_sign
    )
    limited = RateLimitMiddleware(api, settings.rate_limit)
    return AuthenticationMiddleware(limited, key_file, options)


class ApiServer(uvicorn.Server):
    """uvicorn inside a service that handles signals itself."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to the service."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def serve_until_cancelled(self) -> None:
        """Serve; when cancelled, finish the requests that are under way."""
        serving = asyncio.create_task(self.serve())
        try:
            await asyncio.shield(serving)
        finally:
            self.should_exit = True
            await serving
