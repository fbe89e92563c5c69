"""Which stack a command speaks to, as whom, and how its failures are told."""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import GIVEN_UP, LocalError

if TYPE_CHECKING:
    from panoreel.client import Panoreel

Server = Annotated[str | None, typer.Option(help="The API of a stack that runs elsewhere.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Where the stack keeps its data.", show_default="~/.local/share/panoreel", file_okay=False
    ),
]
AppKey = Annotated[
    str | None,
    typer.Option(envvar="PANOREEL_APP_KEY", help="Signs requests; a stack of this machine needs none."),
]
AppSecret = Annotated[
    str | None,
    typer.Option(envvar="PANOREEL_APP_SECRET", help="The key's secret, which others may see in an option."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def connect(
    server: Server = None, data_dir: DataDir = None, app_key: AppKey = None, app_secret: AppSecret = None
) -> "Panoreel":
    """A client of the API at `server`, or of the stack that runs on `data_dir`, with that one's key.

    Raises:
        LocalError: no stack runs there.
        typer.BadParameter: a value makes no sense.
    """
    from panoreel.client import Panoreel

    from .datadir import DataDirectory, default_data_dir

    if server is None:
        directory = DataDirectory.at(data_dir or default_data_dir())
        endpoints = directory.endpoints()
        if endpoints is None:
            raise LocalError(
                f"no stack runs on {directory.path}; start one with `panoreel up`, or name one with --server"
            )
        server = endpoints.api
        if not app_key and not app_secret:
            app_key, app_secret = endpoints.app_key, endpoints.app_secret
    try:
        return Panoreel(server, app_key, app_secret)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server, --app-key, --app-secret") from None


def stack_command(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose first argument is a client, as one that takes the options of `connect` instead."""
    options = inspect.signature(connect).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        with _told(as_json=given.get("json", False)), connect(**chosen) as client:
            command(client, **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    # What Typer reads; the annotations of `run` itself say nothing.
    run.__dict__["__signature__"] = inspect.Signature([*own, *options.values()])
    run.__annotations__ = {}
    return run


@contextmanager
def _told(*, as_json: bool) -> Iterator[None]:
    """A failure becomes a sentence on standard error, in JSON an object on standard output, and status 1."""
    from panoreel.client import PanoreelError, Unauthorized

    try:
        yield
    except PanoreelError as error:
        hint = (
            "; see --app-key and --app-secret, or PANOREEL_APP_KEY and PANOREEL_APP_SECRET"
            if isinstance(error, Unauthorized)
            else ""
        )
        _tell(error.code, f"{error}{hint}", as_json=as_json)
    except LocalError as error:
        _tell(type(error).__name__, str(error), as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(GIVEN_UP) from None


def _tell(code: str, message: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False))
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(1)
