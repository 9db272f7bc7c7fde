"""How long the fluid simulator takes for a week of twelve pools at ten-second steps, reactive, compiled code cached."""

from __future__ import annotations

import math

from tests.benchmarks.timing import Figure, measure
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, demand, fleet
from workbench import simulation
from workbench.domain import Policy


def run() -> list[Figure]:
    """Simulate seven days of three tiers with a daily wave, frames in and frames out."""
    models, regions = ("a", "b", "c", "d"), ("east", "central", "west")
    wave = [1.0 + 0.8 * math.sin(2.0 * math.pi * minute / 1440.0) for minute in range(7 * 1440)]
    shares = {FAST: 10.0, NORMAL: 6.0, BATCH: 5.0}
    load = demand(
        {(r, m, tier): [rate * x for x in wave] for r in regions for m in models for tier, rate in shares.items()}
    )
    world = fleet(regions=regions, models=models, ready=10, lent=10)
    policy = Policy(key="reactive", label="Reactive")

    def once() -> None:
        simulation.run(load, fleet=world, policy=policy, start=START, hours=168.0)

    return [Figure(metric="days7_ms", unit="ms", spread=measure(once).times(1000.0))]
