"""A sound card of the recording's own: a PulseAudio server with one sink that leads nowhere but to us."""

from __future__ import annotations  # numpy is loaded when sound is read, not when the server starts

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from panoreel.contracts.media import AUDIO_SAMPLE_RATE
from panoreel.recorder.errors import ProgramFailed
from panoreel.recorder.privileges import ProgramUser, end, log_tail, spawn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PULSEAUDIO: Final = "/usr/bin/pulseaudio"
START_TIMEOUT_S: Final = 10.0
CHANNELS: Final = 2

BLOCK_SAMPLES: Final = 1920
"""Samples read at a time: few enough that a recording ends promptly, enough that silence costs nothing."""

BACKLOG_S: Final = 0.12
"""How old a sample must be before it is read. The sink renders ahead of its time, so that a fresh sample has
a negative age, which libpulse's simple interface reports as 0."""

LATENCY_MS: Final = 32
"""How long sound waits from the browser to where it is heard. A media element makes up for that, a script
does not: with `Refresh.sound_lead_s` both are in sync."""

BROWSER_SAMPLES: Final = AUDIO_SAMPLE_RATE * LATENCY_MS // 4000
"""What the browser plays at a time: as much as the sink takes at a time, a quarter of the latency. The sink
counts the time of what it takes in whole microseconds, rounded down, and so plays too fast by some hundredths
of a per mille, whoever follows it with pictures falling behind, unless that is whole milliseconds."""

BLOCK_BYTES: Final = BLOCK_SAMPLES * CHANNELS * 2


class SoundServer:
    """A PulseAudio daemon with a 48 kHz stereo null sink.

    Sound is stamped `lead_s` earlier than it is heard.
    """

    def __init__(self, user: ProgramUser, home: Path, lead_s: float = 0.0) -> None:
        self._user = user
        self._lead_s = lead_s
        self._home = home
        self._socket = home / "pulse.socket"
        self._log = home / "pulseaudio.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def env(self) -> dict[str, str]:
        """What a client of this server needs in its environment."""
        return {"PULSE_SERVER": f"unix:{self._socket}", "PULSE_COOKIE": str(self._home / "pulse.cookie")}

    @property
    def browser_env(self) -> dict[str, str]:
        """What a browser needs that plays sound on it."""
        return {**self.env, "PULSE_LATENCY_MSEC": str(LATENCY_MS)}

    async def start(self) -> None:
        """Start the server; raises `ProgramFailed` when it does not come up."""
        self._configure()
        # Without rewinds the sink renders at most 50 ms ahead, and not 2 s while nobody has asked for less.
        form = f"format=s16le rate={AUDIO_SAMPLE_RATE} channels={CHANNELS}"
        sink = f"module-null-sink sink_name=page {form} norewinds=1"
        # The socket lies in a directory that only the service user (and root) may enter.
        protocol = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        argv = [
            *(PULSEAUDIO, "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *(
                "--disallow-exit",
                "--realtime=no",
                "--high-priority=no",
                "--disable-shm",
                "--log-target=stderr",
            ),
            *("-L", sink, "-L", protocol),
        ]
        self._process = await spawn(self._user.command(argv), home=self._home, log=self._log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._socket.exists():
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise ProgramFailed(f"the sound server did not start: {log_tail(self._log)}")
            await asyncio.sleep(0.01)

    def _configure(self) -> None:
        """Make browsers play at the sink's rate: they ask for the server's own (pulse-daemon.conf(5))."""
        config = self._user.make_directory(self._home / ".config")
        file = self._user.make_directory(config / "pulse") / "daemon.conf"
        file.write_text(f"default-sample-rate = {AUDIO_SAMPLE_RATE}\n")
        self._user.own(file)

    async def stop(self) -> None:
        """End the server, however far its start has come."""
        if self._process is not None:
            await end(self._process)

    async def ended(self) -> None:
        """Wait for the server to end by itself; raises `ProgramFailed` then."""
        assert self._process is not None
        await self._process.wait()
        raise ProgramFailed("the sound server ended")

    def blocks(self) -> Iterator[tuple[NDArray[np.int16], float]]:
        """All that is played: blocks of samples (n, 2), and when their first was, on the monotonic clock.

        Blocks the calling thread; raises `ProgramFailed` when the server goes away.
        """
        import numpy as np
        from pasimple import PA_SAMPLE_S16LE, PA_STREAM_RECORD, PaSimple, PaSimpleError

        # Libpulse would otherwise look for a cookie in our home, or make one.
        os.environ.update(self.env)
        try:
            with PaSimple(
                PA_STREAM_RECORD,
                PA_SAMPLE_S16LE,
                CHANNELS,
                AUDIO_SAMPLE_RATE,
                app_name="panoreel",
                server_name=self.env["PULSE_SERVER"],
                device_name="page.monitor",
                fragsize=BLOCK_BYTES,
            ) as stream:
                while True:
                    while (age_s := stream.get_latency() / 1e6) < BACKLOG_S:
                        time.sleep(BACKLOG_S - age_s)
                    played_at = time.monotonic() - age_s - self._lead_s
                    block = np.frombuffer(stream.read(BLOCK_BYTES), np.int16).reshape(-1, CHANNELS)
                    yield block, played_at
        except PaSimpleError as error:
            raise ProgramFailed(f"the sound server failed: {error}") from error
