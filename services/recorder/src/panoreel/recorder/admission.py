"""Whether a recorder may take another task: what was measured must leave room for it (ADR 0009)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

YOUNG_S: Final = 15.0
"""How long it takes until a recording's load shows in full in what is measured."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator allows."""

    max_recordings: int | None
    """At once; None: as many as there is room for."""
    max_load: float
    """The share of the processors up to which another recording is begun."""
    cores_per_recording: float
    memory_per_recording_mib: float


@dataclass(frozen=True, slots=True)
class Processors:
    """How many cores there are, here or in a control group, and how many of them are at work."""

    cores: float
    used: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured: the processors of the machine, and of each control group that limits them."""

    processors: tuple[Processors, ...]
    free_mib: float


def refusal(limits: Limits, machine: Machine, ages_s: Collection[float]) -> str | None:
    """Why there is no room for another recording beside those that began `ages_s` ago; None if there is.

    Room is kept for those whose own load does not show yet, the less the older they are. Whoever records
    nothing takes a task in any case: it would otherwise wait for ever on a machine that others keep busy.
    """
    if limits.max_recordings is not None and len(ages_s) >= limits.max_recordings:
        return f"MAX_RECORDINGS, {limits.max_recordings}, is reached"
    if not ages_s:
        return None
    beginning = 1 + sum(max(0.0, 1 - age_s / YOUNG_S) for age_s in ages_s)
    cores = beginning * limits.cores_per_recording
    for processors in machine.processors:
        allowed = limits.max_load * processors.cores
        if processors.used + cores > allowed:
            return (
                f"{processors.used:.2f} of {processors.cores:g} cores are at work and {cores:.2f} kept free, "
                f"which leaves no room below MAX_LOAD, {limits.max_load:g}"
            )
    memory_mib = beginning * limits.memory_per_recording_mib
    if machine.free_mib < memory_mib:
        return f"{machine.free_mib:.0f} MiB of memory are free and {memory_mib:.0f} MiB kept free"
    return None
