"""`panoreel clip`: a file that is cut from a recording."""

import json as json_format
import re
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer import Option

from .connection import AsJson

if TYPE_CHECKING:
    from panoreel.client import Panoreel, Range

_RANGE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)-([0-9]+(?:\.[0-9]+)?)")


def clip(
    client: "Panoreel",
    task_id: Annotated[str, typer.Argument(help="The recording, which may still run.")],
    ranges: Annotated[
        list[str],
        Option("--range", metavar="START-END", help="Seconds of its file; may be repeated, and is joined."),
    ],
    target_dir: Annotated[str | None, Option(help="The directory of the file in its bucket.")] = None,
    target_name: Annotated[str | None, Option(help="The file's name.")] = None,
    callback_url: Annotated[str | None, Option(help="Where the result is posted.")] = None,
    clip_id: Annotated[
        str | None, Option(help="Of your own, for the new task: asking for it again does not cut twice.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Cut a file from a recording, exactly, and print the id of the new task."""
    from panoreel.client import ClipRequest, CosOutput, Output

    request = ClipRequest(
        task_id=task_id,
        ranges=[_range(text) for text in ranges],
        clip_id=clip_id,
        callback_url=callback_url,
        output=Output(cos=CosOutput(target_dir=target_dir, target_name=target_name)),
    )
    answer = client.clip(request)
    typer.echo(json_format.dumps({"TaskID": answer}) if json else answer)


def _range(text: str) -> "Range":
    from panoreel.client import Range

    found = _RANGE.fullmatch(text)
    if not found:
        raise typer.BadParameter("must look like 1.5-3: seconds of the file", param_hint="--range")
    return Range(start_s=float(found[1]), end_s=float(found[2]))
