"""One measured figure, with its aim and how it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`value` is what is held against `aim` (no more than it); `spread` is that of the `n` samples, where there are several."""

    name: str
    value: float
    unit: str
    aim: float
    n: int
    how: str
    spread: dict[str, float] | None = None

    @property
    def reached(self) -> bool:
        return self.value <= self.aim

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}

    def __str__(self) -> str:
        spread = f" (n={self.n}: " + ", ".join(f"{name} {value:g}" for name, value in (self.spread or {}).items()) + ")"
        missed = "" if self.reached else " MISSED"
        return f"{self.name}: {self.value:g} {self.unit}, aim {self.aim:g}{missed}{spread if self.spread else ''}"


def of_samples(name: str, samples: Sequence[float], *, by: str, unit: str, aim: float, how: str) -> Figure:
    """The figure of several samples; `by` (min, median, p95, max) is the one that counts."""
    spread = spread_of(samples)
    return Figure(name, spread[by], unit, aim, len(samples), f"{by} of {len(samples)}: {how}", spread)


def spread_of(samples: Sequence[float]) -> dict[str, float]:
    """p95 is the nearest sample at or above it."""
    ordered = sorted(samples)
    p95 = ordered[-(-95 * len(ordered) // 100) - 1]
    known = {"min": ordered[0], "median": median(ordered), "p95": p95, "max": ordered[-1]}
    return {name: round(value, 1) for name, value in known.items()}
