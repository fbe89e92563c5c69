"""How well a recording went, in figures: of one recorder's run, and of a whole task."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from panoreel.contracts.media import Frozen


class Quality(Frozen):
    """What was measured while `recorded_s` seconds were recorded."""

    recorded_s: float = Field(ge=0)
    frames_captured: int = Field(default=0, ge=0, description="pictures that were taken of the screen")
    frames_encoded: int = Field(default=0, ge=0)
    frames_dropped: int = Field(
        default=0,
        ge=0,
        description="at most so many that the page drew were overdrawn before",
    )
    frames_repeated: int = Field(default=0, ge=0, description="taken although nothing had changed")
    skew_p50_ms: float = Field(default=0, description="sound against picture, as their clocks tell it")
    skew_p95_ms: float = Field(default=0, ge=0, description="of the absolute values, the worst run's")
    gaps: int = Field(default=0, ge=0)
    gap_s: float = Field(default=0, ge=0)
    cores: float = Field(default=0, ge=0, description="processor seconds a second, of all that records")
    preset_steps: int = Field(default=0, ge=0, description="how often the encoder's effort was changed")
    silence_s: float = Field(default=0, ge=0)
    black_s: float = Field(default=0, ge=0)

    @classmethod
    def of(cls, runs: Iterable[Self]) -> Self | None:
        """Of a whole recording, None without runs: sums, and means weighted by `recorded_s`.

        `skew_p95_ms` is the worst run's: the percentile of all cannot be told from those of its parts.
        """
        parts = list(runs)
        if not parts:
            return None
        total_s = sum(part.recorded_s for part in parts)

        def mean(name: str) -> float:
            weighted: float = sum(getattr(part, name) * part.recorded_s for part in parts)
            return round(weighted / total_s, 3) if total_s else 0.0

        means = ("skew_p50_ms", "cores")
        sums = [name for name in cls.model_fields if name not in (*means, "skew_p95_ms")]
        return cls(
            **{name: sum(getattr(part, name) for part in parts) for name in sums},
            **{name: mean(name) for name in means},
            skew_p95_ms=max(part.skew_p95_ms for part in parts),
        )
