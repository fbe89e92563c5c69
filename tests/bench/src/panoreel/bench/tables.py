"""Figures on the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table


def table(title: str, figures: Mapping[str, Any]) -> Table:
    """A line for each figure, named by its path."""
    made = Table("figure", "value", title=title, title_justify="left")
    for name, value in flat(figures):
        made.add_row(name, str(value))
    return made


def flat(figures: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each figure under its path, as in `ours.cores`."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield from flat(dict(enumerate(value)), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
