"""How long one hour of SageServe's programme takes: four models, three regions, one GPU kind (published: 1.4 s)."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from tests.benchmarks.timing import Figure, measure
from tests.simulation.simulation_cases import MIX, fleet
from workbench import performance, planning
from workbench.domain import RiskPolicy
from workbench.tables import REQUIREMENT


def run() -> list[Figure]:
    """Solve one hour to a gap of 0.1 %, current counts far from what is needed."""
    models, regions = ("a", "b", "c", "d"), ("east", "central", "west")
    world = fleet(regions=regions, models=models, ready=20, lent=20)
    needed = [
        (datetime(2026, 3, 2), region, model, "interactive_fast", 7_000.0 * (i + 1) * (j + 2), 900.0, False, None)
        for i, region in enumerate(regions)
        for j, model in enumerate(models)
    ]
    requirement = REQUIREMENT.conform(pl.DataFrame(needed, schema=REQUIREMENT.schema, orient="row"))
    rates = performance.rates(world.replicas, dict.fromkeys(models, MIX), signal_fraction=0.6, signal="largest")

    def once() -> None:
        planning.solve(requirement, fleet=world, rates=rates, risk=RiskPolicy(), epsilon_fraction=0.5)

    return [Figure(metric="size_4x3x1_s", unit="s", spread=measure(once))]
