"""How long the fluid simulator takes for twelve pools at ten-second steps, reactive, compiled code cached.

A slider moves the same load again and again, so it is laid out once, and it shows hours. From the frame of a trace and
with windows of five minutes a run also lays out, and writes twelve times the rows. The curves show how cost grows with
days and with pools; the start is a process of its own, Python's included, that runs a week of hourly demand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tests.benchmarks.timing import Figure, Spread, cold_start, measure
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, demand, fleet
from workbench import simulation
from workbench.domain import Policy

REACTIVE = Policy(key="reactive", label="Reactive")
SHARES = {FAST: 10.0, NORMAL: 6.0, BATCH: 5.0}
REGIONS = ("east", "central", "west")
COLD = "from tests.benchmarks import fluid; fluid.week_by_the_hour()"


def run() -> list[Figure]:
    """Simulate three tiers with a daily wave, in CPU time of one thread; and the growth over days and pools."""
    week, month = _mover(days=7, models=4), _mover(days=30, models=4)
    figures = {
        "days1_ms": _mover(days=1, models=4),
        "days7_ms": week,
        "days30_ms": month,
        "days7_5min_frames_ms": _mover(days=7, models=4, window_s=300.0, is_laid_out=False),
        "pools48_days7_ms": _mover(days=7, models=16),
        "pools402_days1_ms": _mover(days=1, models=134),
    }
    return [
        *(Figure(metric=name, unit="ms", spread=_cpu_ms(job)) for name, job in figures.items()),
        Figure(metric="cached_start_s", unit="s", spread=cold_start(COLD)),
    ]


def week_by_the_hour() -> object:
    """Simulate a week of hourly demand on twelve pools once, as a process does that was started for it."""
    wave = [1.0 + 0.8 * math.sin(2.0 * math.pi * hour / 24.0) for hour in range(168)]
    cells = [(r, m, tier) for r in REGIONS for m in "abcd" for tier in SHARES]
    load = demand({cell: [SHARES[cell[2]] * x for x in wave] for cell in cells}, window_s=3600.0)
    world = fleet(regions=REGIONS, models=tuple("abcd"), ready=10, lent=10)
    return simulation.run(load, fleet=world, policy=REACTIVE, start=START, hours=168.0)


def _cpu_ms(job: Callable[[], object]) -> Spread:
    return measure(job, runs=9, warmup=2, clock=time.process_time).times(1000.0)


def _mover(*, days: int, models: int, window_s: float = 3600.0, is_laid_out: bool = True) -> Callable[[], object]:
    """Return what a move of a slider simulates."""
    wave = [1.0 + 0.8 * math.sin(2.0 * math.pi * minute / 1440.0) for minute in range(days * 1440)]
    names = tuple(f"m{i}" for i in range(models))
    frame = demand(
        {(r, m, tier): [rate * x for x in wave] for r in REGIONS for m in names for tier, rate in SHARES.items()}
    )
    world, hours = fleet(regions=REGIONS, models=names, ready=10, lent=10), 24.0 * days
    load = simulation.lay_out(frame, fleet=world, start=START, hours=hours) if is_laid_out else frame

    def move() -> object:
        return simulation.run(load, fleet=world, policy=REACTIVE, start=START, hours=hours, window_s=window_s)

    return move
