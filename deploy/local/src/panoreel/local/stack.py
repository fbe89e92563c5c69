"""The embedded stack: three servers and five services on loopback, as one thing to start and stop."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from . import keys, nats, postgres, seaweed, services
from .datadir import DataDirectory, Endpoints, Identity
from .errors import LocalError
from .logs import show_warnings
from .ports import LOOPBACK, free_api_port, kept_ports
from .process import Program, SupervisedProcess, adopt_orphans, end_orphans, reap_orphans

Report = Callable[[str], None]
ServicesOf = Callable[[DataDirectory, Identity, Mapping[str, int], int], dict[str, Program]]

PORTS: Final = ("nats", "postgres", *seaweed.PORTS)


async def run(
    directory: DataDirectory,
    port: int,
    report: Report,
    ready: Callable[[Endpoints], None],
    services_of: ServicesOf = services.programs,
) -> None:
    """Run a stack on `directory` until a signal asks it to stop; a second one kills what still runs.

    Calls `ready` once everything works. Raises a `LocalError` when the directory or the API's `port` is taken
    or a program does not start; nothing is left running then.
    """
    adopt_orphans()
    with directory.locked():
        await asyncio.to_thread(postgres.await_previous, directory)
        stack = Stack(directory, free_api_port(port), report, services_of)
        stop_asked = asyncio.Event()

        def on_signal() -> None:
            if stop_asked.is_set():
                stack.kill()
            stop_asked.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        reaping = asyncio.create_task(reap_orphans())
        try:
            if await _until(stop_asked, stack.start()):
                directory.publish(stack.endpoints)
                ready(stack.endpoints)
                await _until(stop_asked, show_warnings(directory.path / "logs", report))
        finally:
            await stack.stop()
            reaping.cancel()
            end_orphans()


class Stack:
    """The servers and services of one data directory, which the caller holds locked."""

    def __init__(
        self, directory: DataDirectory, api_port: int, report: Report, services_of: ServicesOf
    ) -> None:
        self._directory = directory
        self._report = report
        self._identity = identity = directory.identity()
        key = keys.shown_key(directory)
        self._ports = ports = kept_ports(directory.path / "ports.json", PORTS)
        self._service_programs = services_of(directory, identity, ports, api_port)
        self._servers: list[SupervisedProcess] = []
        self._services: list[SupervisedProcess] = []
        self.endpoints = Endpoints(
            api=f"http://{LOOPBACK}:{api_port}",
            app_key=key.id,
            app_secret=key.secret,
            nats=nats.url(identity, ports["nats"]),
            postgres=postgres.dsn(identity, ports["postgres"]),
            s3=seaweed.url(ports),
            s3_access_key=identity.s3_access_key,
            s3_secret_key=identity.s3_secret_key,
            s3_bucket=seaweed.BUCKET,
            s3_region=seaweed.REGION,
            pid=os.getpid(),
        )

    async def start(self) -> None:
        """Start the three servers at once, then the services, which need the log and the database.

        The object store takes longest, and nobody needs it before the first upload. Raises the first
        `LocalError` met; what runs by then is for `stop` to end.
        """
        await _all([self._start_object_store(), self._start_log_database_and_services()])

    async def stop(self) -> None:
        """Stop the services, then the servers that they lean on."""
        for group in (self._services, self._servers):
            await asyncio.gather(*(process.stop() for process in group))
        seaweed.remove_sockets(self._ports)

    def kill(self) -> None:
        """Do not wait any longer: kill everything. `stop` then returns at once."""
        for process in (*self._services, *self._servers):
            process.kill()

    async def _start_object_store(self) -> None:
        await self._start(self._servers, seaweed.program(self._directory, self._identity, self._ports))

    async def _start_log_database_and_services(self) -> None:
        await _all([self._start_log(), self._start_database()])
        await _all(self._start(self._services, program) for program in self._service_programs.values())

    async def _start_log(self) -> None:
        await self._start(self._servers, nats.program(self._directory, self._identity, self._ports["nats"]))
        # Loading the NATS client takes longer than starting the server: both happen at once.
        from panoreel.eventlog.topology import apply

        await apply(self.endpoints.nats)

    async def _start_database(self) -> None:
        await postgres.initialise(self._directory, self._identity)
        await self._start(self._servers, postgres.program(self._directory, self._ports["postgres"]))

    async def _start(self, group: list[SupervisedProcess], program: Program) -> None:
        process = SupervisedProcess(program, self._directory.log(program.name), self._report)
        group.append(process)
        await process.start()


async def _all(parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run `parts` at once; the first `LocalError` cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        told = errors.subgroup(LocalError)
        # Not by `except*`, which would wrap it in a group again.
        raise (_first(told) if told else errors) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _until(stop_asked: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`, unless a stop is asked for before it ends; says whether it was done."""
    working = asyncio.create_task(work)
    asking = asyncio.create_task(stop_asked.wait())
    await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, asking):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return done
