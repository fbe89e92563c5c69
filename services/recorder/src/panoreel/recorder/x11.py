"""Connections to the recording's X server."""

import os
from collections.abc import Mapping
from typing import Any

import xcffib


def connect(env: Mapping[str, str]) -> Any:
    """An `xcffib.Connection` to the display that DISPLAY and XAUTHORITY in `env` name.

    Raises `xcffib.ConnectionException`.
    """
    os.environ.update(env)  # libxcb reads the file with the cookie from XAUTHORITY alone
    return xcffib.Connection(env["DISPLAY"])  # type: ignore[no-untyped-call]  # xcffib is not annotated
