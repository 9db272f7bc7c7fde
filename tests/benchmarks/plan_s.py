"""How long one hour of SageServe's programme takes.

Published: 1.4 s for four models, three regions, one GPU kind; 33 s for twenty, twenty and five. The large hour is
coupled: what the cheapest kinds together would need is more than the stock, so no model can be solved by itself.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from tests.benchmarks.timing import Figure, measure
from tests.simulation.simulation_cases import MIX, fleet
from workbench import performance, planning
from workbench.domain import RiskPolicy
from workbench.planning.problem import Problem
from workbench.tables import REQUIREMENT

REPLICA_GPUS = (1, 2, 4, 8)
FREE_OF_STOCK = 1.25


def run() -> list[Figure]:
    """Solve one hour of each size; the large one to gaps of 1 % and of 0.1 %."""
    large = coupled_hour()

    def to_gap(gap_fraction: float) -> None:
        planning.solve_hour(large, gap_fraction=gap_fraction, time_limit_s=120.0)

    return [
        Figure(metric="size_4x3x1_s", unit="s", spread=measure(_small_hour)),
        Figure(metric="size_20x20x5_s", unit="s", spread=measure(lambda: to_gap(0.01), runs=3)),
        Figure(metric="size_20x20x5_tight_s", unit="s", spread=measure(lambda: to_gap(0.001), runs=3, warmup=0)),
    ]


def coupled_hour(*, models: int = 20, regions: int = 20, kinds: int = 5, seed: int = 0) -> Problem:
    """Return an hour whose pools need about a dozen replicas each of kinds that differ in speed and price."""
    draw = np.random.default_rng(seed)
    gpus, speed = [f"kind {k}" for k in range(kinds)], draw.uniform(1, 4, kinds)
    names, places_in = [f"model {i}" for i in range(models)], [f"region {j}" for j in range(regions)]
    price = 3.0 * speed**0.9 * draw.uniform(0.9, 1.1, kinds)
    sizes = draw.choice(REPLICA_GPUS, models)
    dearer = draw.uniform(0.85, 1.2, regions)
    theta = {
        (model, gpu): float(1000 * sizes[i] * speed[k] * draw.uniform(0.7, 1.3) / (i % 4 + 1))
        for i, model in enumerate(names)
        for k, gpu in enumerate(gpus)
    }
    need = {
        (region, model): float(theta[model, gpus[0]] * draw.lognormal(np.log(12) - 0.5, 1))
        for region in places_in
        for model in names
    }
    places = [(region, model, gpu) for region in places_in for model in names for gpu in gpus]
    now = {place: int(draw.poisson(need[place[:2]] / theta[place[1:]] / kinds)) for place in places}
    per_replica = {(model, gpu): int(sizes[i]) for i, model in enumerate(names) for gpu in gpus}
    used: dict[tuple[str, str], int] = {}
    for (region, model, gpu), count in now.items():
        used[region, gpu] = used.get((region, gpu), 0) + count * per_replica[model, gpu]
    hold = {
        place: float(per_replica[place[1:]] * price[gpus.index(place[2])] * dearer[places_in.index(place[0])])
        for place in places
    }
    return Problem(
        replicas_now=now,
        demand_input_tps=need,
        theta_input_tps=theta,
        gpus_per_replica=per_replica,
        stock_gpus={key: max(8, int(FREE_OF_STOCK * gpus_used)) for key, gpus_used in used.items()},
        hold_usd=hold,
        start_usd={place: usd / 6 for place, usd in hold.items()},
        epsilon_fraction=0.8,
        floor_replicas=2,
    )


def _small_hour() -> None:
    """Plan an hour of four models, three regions and one kind to a gap of 0.1 %, counts far from what is needed."""
    models, regions = ("a", "b", "c", "d"), ("east", "central", "west")
    world = fleet(regions=regions, models=models, ready=20, lent=20)
    needed = [
        (datetime(2026, 3, 2), region, model, "interactive_fast", 7_000.0 * (i + 1) * (j + 2), 900.0, False, None)
        for i, region in enumerate(regions)
        for j, model in enumerate(models)
    ]
    requirement = REQUIREMENT.conform(pl.DataFrame(needed, schema=REQUIREMENT.schema, orient="row"))
    rates = performance.rates(world.replicas, dict.fromkeys(models, MIX), signal_fraction=0.6, signal="largest")
    planning.solve(requirement, fleet=world, rates=rates, risk=RiskPolicy(), epsilon_fraction=0.5, model="sageserve")
