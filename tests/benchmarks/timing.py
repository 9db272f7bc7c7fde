"""How a figure comes about: repeated runs after a warm-up, told as median, fastest and slowest.

Two ways of doing the same thing are only compared when they take turns in one run: what else the machine does then
falls on both, and the ratio means something where the seconds do not.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of several measurements with the lowest and the highest."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> Spread:
        """Return the spread in another unit: ``spread.times(1e3)`` turns seconds into milliseconds."""
        return Spread(median=self.median * factor, low=self.low * factor, high=self.high * factor)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure; ``ratio`` says how many times as long the first of two takes as the second."""

    metric: str
    unit: str
    spread: Spread
    ratio: float | None = None


def measure(
    function: Callable[[], object],
    *,
    runs: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Spread:
    """Return the seconds one call takes, over some runs after some that do not count."""
    for _ in range(warmup):
        function()
    return _spread([_seconds(function, clock) for _ in range(runs)])


def side_by_side(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    runs: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Spread, Spread, float]:
    """Return the seconds of two functions that take turns, and the median over the turns of a's seconds over b's."""
    for _ in range(warmup):
        a()
        b()
    turns = [(_seconds(a, clock), _seconds(b, clock)) for _ in range(runs)]
    return (
        _spread([seconds_a for seconds_a, _ in turns]),
        _spread([seconds_b for _, seconds_b in turns]),
        median(seconds_a / seconds_b for seconds_a, seconds_b in turns),
    )


def _seconds(function: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    function()
    return clock() - start


def _spread(seconds: Sequence[float]) -> Spread:
    return Spread(median=median(seconds), low=min(seconds), high=max(seconds))
