"""The commands that speak to a running stack: here, a dispatch with a key file."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from contracts.tests.examples import segment
from panoreel.contracts.identifiers import scoped
from panoreel.eventlog.log import open_log
from panoreel.eventlog.segments import announce
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

PAGE = "http://127.0.0.1:1/class?token=hunter2"
KEY, SECRET = "desk", "d" * 40


@dataclass(frozen=True)
class Terminal:
    """Runs `panoreel` with the key in its environment."""

    dispatch: Dispatch

    def run(
        self, *arguments: str | Path, stdin: str = "", secret: str = SECRET
    ) -> "subprocess.CompletedProcess[str]":
        environment = {"PANOREEL_APP_KEY": KEY, "PANOREEL_APP_SECRET": secret, "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-m", "panoreel.local", *arguments, "--server", self.dispatch.url],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def line(self, *arguments: str | Path) -> str:
        """The one line that a command prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def json(self, *arguments: str | Path, stdin: str = "") -> Any:
        """The object that a command prints with --json."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *arguments: str | Path, stdin: str = "") -> str:
        """What is said of a wrong option."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 2, done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def terminal(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    postgres_server.execute("CREATE DATABASE terminal")
    directory = tmp_path_factory.mktemp("dispatch")
    key_file = directory / "keys.json"
    key_file.write_text(json.dumps({"keys": [{"id": KEY, "secrets": [SECRET], "application": "terminal"}]}))
    key_file.chmod(0o600)
    dsn, sealing_key = postgres_server.dsn("terminal"), Fernet.generate_key().decode()
    running = run_dispatch(
        module_nats_server.url, dsn, directory, sealing_key, PANOREEL_KEY_FILE=str(key_file)
    )
    yield Terminal(running)
    running.process.terminate()
    assert running.process.wait(30) == 0


def test_a_recording_is_controlled_and_looked_at(terminal: Terminal) -> None:
    task_id = terminal.line("start", PAGE, "--width", "641", "--task-id", "lesson-1", "--page-title", "课")
    assert task_id == "lesson-1"
    assert terminal.line("pause", task_id) == "paused"
    resumed = terminal.json("resume", task_id)["Status"]
    assert resumed != "paused"
    assert terminal.line("refresh", task_id, "http://127.0.0.1:1/other") == resumed
    assert terminal.line("stop", task_id).endswith(f"`panoreel watch {task_id}` tells when it is there")
    assert terminal.json("describe", task_id)["StopTime"] > 1.7e9
    detail = terminal.line("describe", task_id, "--detail")
    for line in (r"Param.Width", "641", "Param.PageTitle", "课", "StopReason"):
        assert line in detail
    assert "hunter2" not in detail
    assert terminal.line("list", "--status", "running").startswith(task_id)
    assert terminal.json("list", "--until", "2020-01-01")["Total"] == 0
    assert "recording_stopped" in terminal.line("events", task_id)
    assert terminal.json("events", task_id)[0]["Type"] == "task_created"


def test_a_recording_with_options_and_files(terminal: Terminal, tmp_path: Path) -> None:
    netscape, playwright, state = (tmp_path / name for name in ("cookies.txt", "cookies.json", "state.json"))
    netscape.write_text(
        "# Netscape HTTP Cookie File\n#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t1999999999\tid\thunter2\n"
    )
    cookie = {"name": "id", "value": "hunter2", "domain": "127.0.0.1", "path": "/", "expires": -1}
    playwright.write_text(json.dumps([cookie | {"httpOnly": True, "sameSite": "Lax"}]))
    state.write_text(json.dumps({"cookies": [], "origins": []}))
    options = ("--header", "X-Token: hunter2", "--user-agent", "Desk/1", "--locale", "zh-CN")
    for cookies in (netscape, playwright):
        terminal.line("start", PAGE, *options, "--cookies", cookies)
    terminal.line("start", PAGE, "--storage-state", state, "--color-scheme", "dark", "--manual-start")


def test_raw_data_goes_below_the_options(terminal: Terminal) -> None:
    data = {"RecordURL": PAGE, "Width": 100, "Output": {"Cos": {"TargetDir": "kept", "TargetName": "lost"}}}
    command = (
        "start",
        "--data",
        "-",
        "--target-name",
        "won",
        "--height",
        "300",
        "--fps",
        "10",
        "--video-only",
    )
    task_id = terminal.json(*command, stdin=json.dumps(data))["TaskID"]
    param = terminal.json("describe", task_id, "--detail")["Param"]
    assert (param["Width"], param["Height"]) == (100, 300)
    assert (param["Output"]["Cos"]["TargetDir"], param["Output"]["Cos"]["TargetName"]) == ("kept", "won")
    assert (param["Output"]["Video"]["Fps"], param["Output"]["Video"]["VideoOnly"]) == (10, True)


async def test_a_clip_of_a_recording(terminal: Terminal, module_nats_server: NatsServer) -> None:
    source = terminal.line("start", PAGE, "--muxer", "both", "--thumbnails", "5")
    asked = terminal.json("describe", source, "--detail")["Param"]["Output"]
    assert (asked["Video"]["Muxers"], asked["Thumbnails"]["Interval"]) == (["mp4", "hls"], 5)
    cut = ("clip", source, "--range", "0.5-1", "--range", "2-2.75", "--target-name", "goals")
    nothing = terminal.run(*cut)
    assert nothing.returncode == 1
    assert "has recorded nothing yet" in nothing.stderr
    async with open_log(module_nats_server.url, "test") as log:
        await announce(log, segment(scoped("terminal", source), 1, 0))
    assert terminal.line(*cut, "--clip-id", "goals") == "goals"
    clip = terminal.json("describe", "goals", "--detail")
    assert clip["Clip"]["Ranges"] == [{"Start": 0.5, "End": 1}, {"Start": 2, "End": 2.75}]
    assert clip["Param"]["Output"]["Cos"]["TargetName"] == "goals"


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("start",), "", "give the page to record"),
        (("start", "--data", "-"), "[]", "must be a JSON object"),
        (("start", PAGE, "--data", "-"), '{"Widht": 5}', "Widht: Extra inputs"),
        (("start", PAGE, "--header", "none"), "", "NAME:VALUE"),
        (("start", PAGE, "--cookies", __file__), "", "neither a cookies.txt nor JSON"),
        (("start", PAGE, "--fps", "61"), "", "--fps"),
        (("start", PAGE, "--muxer", "flv"), "", "--muxer"),
        (("clip", "lesson"), "", "--range"),
        *(
            (("clip", "lesson", "--range", text), "", "must look like 1.5-3")
            for text in ("1.5", "1:30-2:00", "a-b")
        ),
        (("list", "--limit", "501"), "", "--limit"),
    ],
)
def test_what_makes_no_sense_is_refused(
    terminal: Terminal, arguments: tuple[str, ...], stdin: str, sentence: str
) -> None:
    told = " ".join(terminal.refused(*arguments, stdin=stdin).replace("│", " ").split())
    assert sentence in told
    assert "Traceback" not in told


def test_what_the_server_refuses_is_told(terminal: Terminal) -> None:
    unknown = terminal.run("stop", "none")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "task not found" in unknown.stderr
    error = terminal.run("stop", "none", "--json")
    assert json.loads(error.stdout)["error"]["code"] == "InvalidParam"
    stranger = terminal.run("list", secret="wrong")
    assert stranger.returncode == 1
    assert "does not match; see --app-key and --app-secret" in stranger.stderr


def test_without_a_stack_the_ways_out_are_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "panoreel.local", "describe", "x", "--data-dir", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert (
        f"no stack runs on {tmp_path}; start one with `panoreel up`, or name one with --server" in done.stderr
    )
