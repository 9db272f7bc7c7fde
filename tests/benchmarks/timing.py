"""How a figure comes about: repeated runs after a warm-up, told as median, fastest and slowest.

Two ways of doing the same thing are only compared when they take turns in one run: what else the machine does then
falls on both, and the ratio means something where the seconds do not.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
SPENT = "\nimport time; print(time.process_time())"


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


def cold_start(program: str, *, runs: int = 5) -> Spread:
    """Return the CPU seconds of a fresh interpreter that runs a program, from its start to the program's end.

    The first run does not count: it compiles what is to be compiled and writes the bytecode of every module it imports,
    as an installation does; both are read by the others, the bytecode from a folder of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        setting = {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        taken = [
            subprocess.run(
                [sys.executable, "-c", program + SPENT], cwd=ROOT, env=os.environ | setting, check=True,
                capture_output=True, text=True,
            ).stdout.split()[-1]
            for _ in range(runs + 1)
        ]  # fmt: skip
    return _spread([float(seconds) for seconds in taken[1:]])


def _seconds(function: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    function()
    return clock() - start


def _spread(seconds: Sequence[float]) -> Spread:
    return Spread(median=median(seconds), low=min(seconds), high=max(seconds))
