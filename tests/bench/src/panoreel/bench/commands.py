"""`panoreel bench`: what is measured, from the command line. Nothing heavy is imported before it runs."""

import asyncio
import json as json_format
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

if TYPE_CHECKING:
    from panoreel.bench.site import Site

Measure = Callable[["Site"], Coroutine[Any, Any, dict[str, Any]]]

SHORT_FILM_S = 12
"""A film that begins again and again, and what one that does not has in reserve."""

app = typer.Typer(no_args_is_help=True, help="Measure the recorder, side by side with other ways to record.")

Page = Annotated[str, Option(metavar="NAME|URL", help="A page that comes along, or any other.")]
Seconds = Annotated[int, Option(min=2, help="How long is recorded.")]
Docs = Annotated[Path, Option(help="The directory of benchmarks.md.", file_okay=False, exists=True)]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object.")]


@app.command()
def capture(
    page: Page = "busy",
    seconds: Seconds = 15,
    rounds: Annotated[int, Option(min=1, help="How often each way has its turn; medians are told.")] = 3,
    against: Annotated[
        str, Option(metavar="WAYS", help="gstreamer, ffmpeg, mediarecorder, headless: with commas.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Cores used, sound included, by whole process trees; frames a second, and frames that are missing."""
    from panoreel.bench import capture, machine, peers

    ways = ["ours", *(way.strip() for way in against.split(",") if way.strip())]
    for way in ways[1:]:
        if way not in peers.WAYS:
            raise typer.BadParameter(f"{way} is none of {', '.join(peers.WAYS)}", param_hint="--against")

    async def measure(site: "Site") -> dict[str, Any]:
        for way in ways[1:]:
            peers.require(way)
        figures = await capture.measure(site, page, seconds, ways, rounds)
        told = {"page": page, "seconds": seconds, "rounds": rounds}
        return told | figures | {"versions": machine.versions()}

    _tell("capture", _measured(measure, page), as_json=json)


@app.command()
def sync(page: Page = "sync", seconds: Seconds = 60, json: AsJson = False) -> None:
    """Picture minus sound, of a page that flashes and beeps: sync (a video), sync-script (a script)."""
    from panoreel.bench import sync

    _tell("sync", _measured(lambda site: sync.measure(site, page, seconds), page, seconds), as_json=json)


@app.command()
def smoothness(page: Page = "numbers", seconds: Seconds = 30, json: AsJson = False) -> None:
    """Which of the numbers that a page drew are there: numbers (by timer), raf (on animation frames)."""
    from panoreel.bench import smoothness

    _tell("smoothness", _measured(lambda site: smoothness.measure(site, page, seconds), page), as_json=json)


@app.command()
def start(
    page: Page = "slides",
    rounds: Annotated[int, Option(min=1, help="How many recordings are started, one after the other.")] = 10,
    seconds: Annotated[int, Option(min=2, help="After so long no other recording is started.")] = 600,
    json: AsJson = False,
) -> None:
    """From Start to the first frame, through a whole stack: with a browser kept ready, and without."""
    from panoreel.bench import start

    async def measure(site: "Site") -> dict[str, Any]:
        return await asyncio.to_thread(start.measure, site, page, rounds, seconds)

    _tell("start", _measured(measure, page), as_json=json)


@app.command()
def finish(
    minutes: Annotated[str, Option(metavar="NUMBERS", help="Lengths of recordings, with commas.")] = "1,60",
    muxer: Annotated[Literal["mp4", "hls", "both"], Option(help="The format of the result.")] = "both",
    rounds: Annotated[int, Option(min=1, help="How often each; medians are told.")] = 3,
    json: AsJson = False,
) -> None:
    """From Stop to finished, through a whole stack that is fed with media: a minute of it, and an hour."""
    from panoreel.bench import finish

    try:
        lengths = [int(length) for length in minutes.split(",")]
    except ValueError:
        lengths = [0]
    if min(lengths) < 1:
        raise typer.BadParameter(f"{minutes} is no list of numbers from 1 on", param_hint="--minutes")
    muxers = finish.MUXERS if muxer == "both" else (muxer,)

    async def measure(_: "Site") -> dict[str, Any]:
        return await asyncio.to_thread(finish.measure, lengths, muxers, rounds)

    _tell("finish", _measured(measure, ""), as_json=json)


@app.command()
def density(
    page: Page = "slides",
    seconds: Seconds = 30,
    recordings: Annotated[int, Option(min=1, help="How many at once.")] = 16,
    json: AsJson = False,
) -> None:
    """Many recordings at once: cores and memory together, and whether each of them is still whole."""
    from panoreel.bench import density

    _tell(
        "density",
        _measured(lambda site: density.measure(site, page, seconds, recordings), page),
        as_json=json,
    )


@app.command()
def memory(page: Page = "busy", seconds: Seconds = 1200, json: AsJson = False) -> None:
    """Memory of one recording's processes (PSS) in its course, and its growth."""
    from panoreel.bench import memory

    _tell("memory", _measured(lambda site: memory.measure(site, page, seconds), page), as_json=json)


@app.command()
def sound(page: Page = "sine", seconds: Seconds = 60, json: AsJson = False) -> None:
    """Gaps, clicks, phase jumps and mixed-up sides in a sine that pauses."""
    from panoreel.bench import sound

    _tell("sound", _measured(lambda site: sound.measure(site, page, seconds), page), as_json=json)


@app.command()
def picture(page: Page = "text", seconds: Seconds = 4, json: AsJson = False) -> None:
    """How like its own screenshot a page of text is, and how far colours are off."""
    from panoreel.bench import picture

    _tell("picture", _measured(lambda site: picture.measure(site, page, seconds), page), as_json=json)


@app.command(name="bytes")
def bytes_(page: Page = "busy", seconds: Seconds = 10, json: AsJson = False) -> None:
    """Bytes against x264's preset veryfast, CRF 23, at equal SSIM, with keyframes at the same pictures."""
    from panoreel.bench import size

    _tell("bytes", _measured(lambda site: size.measure(site, page, seconds), page), as_json=json)


@app.command(name="all")
def all_(
    docs: Docs = Path("docs"),
    only: Annotated[
        list[str] | None, Option(metavar="NAME", help="Of these alone, as in results.json: capture.busy, …")
    ] = None,
    long: Annotated[bool, Option("--long", help="An hour instead of less than half of one.")] = False,
) -> None:
    """Measure everything, and write benchmarks.md, its plots and its results.json."""
    from datetime import UTC, datetime

    from panoreel.bench import document, machine, plan

    seconds = plan.LONG_SECONDS if long else plan.SECONDS
    for name in only or ():
        if name not in plan.STEPS:
            raise typer.BadParameter(f"{name} is none of {', '.join(plan.STEPS)}", param_hint="--only")
    file = document.results_file(docs)
    file.parent.mkdir(parents=True, exist_ok=True)
    before = json_format.loads(file.read_text()) if file.exists() else {}
    here = {"machine": machine.machine(), "versions": machine.versions()}
    # One page tells of one machine and of the same programs.
    results = before if before.items() >= here.items() else here
    results["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    failed = False
    for name in only or plan.STEPS:
        typer.echo(name, err=True)
        try:
            figures = _measured(plan.bound(name, seconds), plan.page(name), seconds["sync"])
        except typer.Exit:
            failed = True  # it was said why; the others may do better
            continue
        results = document.merge(results, name, figures)
        # After each step: what was measured is kept, whatever happens to the next.
        file.write_text(json_format.dumps(results, indent=1) + "\n")
    typer.echo(document.write(docs))
    if failed:
        raise typer.Exit(1)


@app.command(name="document")
def document_(docs: Docs = Path("docs")) -> None:
    """Write benchmarks.md and its plots from results.json once more, without measuring."""
    from panoreel.bench import document

    typer.echo(document.write(docs))


def _measured(measure: Measure, page: str, film_s: int = SHORT_FILM_S) -> dict[str, Any]:
    """Measure against the pages' own server; what cannot be done is said, with exit code 1."""
    from panoreel.bench.errors import BenchError
    from panoreel.recorder.errors import CaptureError

    try:
        with _site(page, film_s) as site, _quiet():
            return asyncio.run(measure(site))
    except TimeoutError:
        typer.echo("a program did not answer in time: is the machine busy? Try again", err=True)
        raise typer.Exit(1) from None
    except (BenchError, CaptureError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@contextmanager
def _site(page: str, film_s: int) -> Iterator["Site"]:
    """The pages, and the film that this one plays, if any; it lasts `film_s` and some more."""
    import tempfile

    from panoreel.bench import films
    from panoreel.bench.site import serve

    with tempfile.TemporaryDirectory(prefix="panoreel-bench-") as directory:
        if page in films.OF_PAGES:
            name, film = films.OF_PAGES[page]
            films.write(film(), Path(directory) / name, film_s + SHORT_FILM_S)
        with serve(Path(directory)) as site:
            yield site


@contextmanager
def _quiet() -> Iterator[None]:
    """What the recorder logs is not for the terminal."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _tell(what: str, figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json_format.dumps(figures))
        return
    from rich.console import Console

    from panoreel.bench.tables import table

    Console().print(table(what, figures))
