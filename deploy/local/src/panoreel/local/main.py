"""The `panoreel` command. What a subcommand needs is imported when it runs, so that help comes at once."""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from . import commands
from .clipping import clip
from .connection import AppKey, AppSecret, AsJson, DataDir, Server, stack_command
from .encoding import (
    EXTENSIONS,
    AudioBitrate,
    AudioOnly,
    Bitrate,
    Crf,
    Formats,
    Fps,
    KeyframeInterval,
    Muxer,
    VideoOnly,
    muxers,
)
from .errors import LocalError
from .starting import start

Value = TypeVar("Value")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Records a web page, as seen and heard, into a video file.",
)


@app.command()
def up(
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 chooses a free one.")] = 8100,
) -> None:
    """Run the whole stack on this machine until Ctrl-C. A second one kills what still runs."""
    import asyncio

    from rich.console import Console

    from . import prerequisites, stack
    from .datadir import DataDirectory, default_data_dir
    from .tables import endpoints_table

    errors = Console(stderr=True)
    try:
        prerequisites.check()
        asyncio.run(
            stack.run(
                DataDirectory.at(data_dir or default_data_dir()),
                port,
                report=lambda text: errors.print(text, markup=False, highlight=False, soft_wrap=True),
                ready=lambda endpoints: typer.echo(
                    f"Panoreel is ready; Ctrl-C stops it.\n{endpoints_table(endpoints)}"
                ),
            )
        )
    except LocalError as error:
        errors.print(error, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


@app.command()
def record(
    url: Annotated[
        str | None, typer.Argument(help="The page to record; the bundled demo page if left out.")
    ] = None,
    seconds: Annotated[
        int, typer.Option(min=1, max=36000, help="Seconds to record, from the first frame.")
    ] = 10,
    width: Annotated[int, typer.Option(min=1, max=2560, help="Pixels.")] = 1280,
    height: Annotated[int, typer.Option(min=1, max=2560, help="Pixels.")] = 720,
    muxer: Formats = None,
    fps: Fps = None,
    bitrate: Bitrate = None,
    crf: Crf = None,
    keyframe_interval: KeyframeInterval = None,
    audio_bitrate: AudioBitrate = None,
    audio_only: AudioOnly = False,
    video_only: VideoOnly = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write; an older one is replaced.",
            show_default="recording.mp4 or .m3u8",
            dir_okay=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    server: Server = None,
    app_key: AppKey = None,
    app_secret: AppSecret = None,
    json: AsJson = False,
) -> None:
    """Record a page into a video file. Ctrl-C ends the recording and keeps it; a second one gives it up."""
    from panoreel.client import VideoOutput
    from panoreel.client.downloads import check_target
    from panoreel.contracts.urls import check_http_url

    from .record import Stack, run
    from .recording import Recording

    if url:
        _check("url", check_http_url, url)
    if server is not None:
        _check("--server", check_http_url, server)
    formats = muxers(muxer)
    outs = _outs(out, formats)
    for target in outs:
        _check("--out", check_target, target)
    video = VideoOutput(
        muxers=formats,
        fps=fps,
        bitrate=bitrate,
        crf=crf,
        keyframe_interval_s=keyframe_interval,
        audio_bitrate=audio_bitrate,
        audio_only=audio_only or None,
        video_only=video_only or None,
    )
    recording = Recording(url or "", seconds, width, height, outs, video)
    raise typer.Exit(run(recording, Stack(server, data_dir, app_key, app_secret), as_json=json))


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "start": start,
    "pause": commands.pause,
    "resume": commands.resume,
    "refresh": commands.refresh,
    "stop": commands.stop,
    "clip": clip,
    "describe": commands.describe,
    "list": commands.list_,
    "events": commands.events,
    "watch": commands.watch,
}
for name, command in COMMANDS.items():
    app.command(name)(stack_command(command))
# Groups of commands that other distributions bring along, where they are installed.
for group in entry_points(group="panoreel.commands"):
    app.add_typer(group.load(), name=group.name)


def _outs(out: Path | None, formats: tuple[Muxer, ...]) -> tuple[Path, ...]:
    """A file for each format: the one that is named, or with several, one of each extension.

    Raises:
        BadParameter: the file is called after another format than its own.
    """
    if out and len(formats) == 1:
        [muxer] = formats
        right = EXTENSIONS[muxer]
        if out.suffix in EXTENSIONS.values() and out.suffix != right:
            message = f"{out.name} would be {muxer}: call it {out.stem}{right}, or use another --muxer"
            raise typer.BadParameter(message, param_hint="--out")
        return (out,)
    base = out or Path("recording")
    stem = base.stem if base.suffix in EXTENSIONS.values() else base.name
    return tuple(base.with_name(stem + EXTENSIONS[wanted]) for wanted in formats)


def _check(option: str, check: Callable[[Value], object], value: Value) -> None:
    """Refuse a wrong value by the name of its option, before anything is started."""
    try:
        check(value)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
