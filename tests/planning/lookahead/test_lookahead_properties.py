"""workbench.planning.lookahead as a whole: what holds for every plan, re-computed from its frames (recomputing.py).

1. Stock, lineage of replicas, lead times, coverage, local share, deadlines and money are right.
2. The relaxation is no dearer than the best whole plan, which is no dearer than the rounded one.
3. More stock never costs more, more demand never costs less, and dropping a limit never costs more.
4. The same input gives the same plan; swapping two equal regions gives the same cost.
"""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.planning.lookahead.lookahead_worlds import World, world
from tests.planning.lookahead.recomputing import broken
from workbench.planning.lookahead import LookAhead, outlook, plan_ahead, solve_outlook
from workbench.results import CapacityPlan

SEEDS = st.integers(0, 10_000)
SMALL = 1e-6


def made(small: World, *, gap: float = 0.02, **options: object) -> CapacityPlan:
    """Plan a world."""
    return plan_ahead(
        small.requirement,
        fleet=small.fleet,
        rates=small.rates,
        options=LookAhead(**options),  # type: ignore[arg-type]
        gap_fraction=gap,
        time_limit_s=10.0,
    )


def objective(plan: CapacityPlan) -> float:
    return float(plan.hours.get_column("objective").sum())


def exactly(small: World, **options: object) -> float:
    """Return the least cost of a world within a ten-thousandth."""
    return objective(made(small, gap=1e-4, **options))


@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(2, 6)),
    size=st.sampled_from([0.7, 2.0, 5.0]),
    local=st.sampled_from([0.0, 0.5, 1.0]),
    stock=st.sampled_from([0.5, 1.0]),
)
def test_every_plan_is_what_it_says(
    seed: int, shape: tuple[int, int, int, int], size: float, local: float, stock: float
) -> None:
    small = scaled(world(*shape, seed=seed, replicas_per_pool=size), stock=stock)
    options = {"local_fraction": local, "floor_replicas": 1}
    plan = made(small, **options)
    assert (
        broken(
            plan,
            requirement=small.requirement,
            fleet=small.fleet,
            rates=small.rates,
            options=LookAhead(**options),  # type: ignore[arg-type]
        )
        == []
    )
    assert plan.bound_usd is not None
    assert plan.bound_usd <= objective(plan) + SMALL


def scaled(small: World, *, stock: float = 1.0, demand: float = 1.0) -> World:
    """Return a world with another stock and demand; what stands stays within the stock."""
    less = {key: max(int(count * stock), 48) for key, count in small.fleet.stock_gpus.items()}
    fewer = {place: min(count, 1) for place, count in small.fleet.initial_replicas.items()}
    requirement = small.requirement.with_columns(pl.col("input_tps", "output_tps") * demand)
    fleet = dataclasses.replace(
        small.fleet, stock_gpus=less, initial_replicas=fewer, initial_lent_replicas=dict.fromkeys(fewer, 1)
    )
    return dataclasses.replace(small, requirement=requirement, fleet=fleet)


@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_the_relaxation_bounds_the_best_plan_and_that_the_rounded_one(seed: int) -> None:
    small = world(2, 2, 2, 4, seed=seed, replicas_per_pool=2.0)
    ahead = outlook(small.requirement, fleet=small.fleet, rates=small.rates, options=LookAhead())
    rounded = solve_outlook(ahead, gap_fraction=1.0)
    best = solve_outlook(ahead, gap_fraction=1e-4, time_limit_s=10.0)
    assert rounded.bound_usd <= best.objective_usd + SMALL
    assert best.objective_usd <= rounded.objective_usd + SMALL
    assert best.bound_usd >= rounded.bound_usd - SMALL


@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_more_stock_and_fewer_limits_never_cost_more_and_more_demand_never_less(seed: int) -> None:
    small = scaled(world(1, 2, 2, 4, seed=seed, replicas_per_pool=3.0))
    usual = exactly(small)
    slack = 2e-4 * abs(usual) + SMALL
    assert exactly(scaled(small, stock=1.5)) <= usual + slack
    assert exactly(small, local_fraction=0.0) <= usual + slack
    assert exactly(small, starts_per_window=1) >= usual - slack
    assert exactly(small, lost_region_fraction=0.7) >= usual - slack
    assert exactly(scaled(small, demand=1.2)) >= usual - slack


def test_the_same_world_gives_the_same_plan() -> None:
    small = world(2, 2, 2, 6, replicas_per_pool=3.0)
    one, two = made(small), made(small)
    for name in ("allocation", "shortfall", "flows", "deferred", "supply", "starts"):
        assert_frame_equal(getattr(one, name), getattr(two, name))


def test_equal_regions_can_be_swapped() -> None:
    small = world(1, 2, 1, 4, replicas_per_pool=3.0)
    even = dataclasses.replace(small.fleet, usd_per_gpu_hour=dict.fromkeys(small.fleet.usd_per_gpu_hour, 2.0))
    fewer = dict.fromkeys(even.initial_replicas, 1)
    even = dataclasses.replace(even, initial_replicas=fewer)
    other = small.requirement.with_columns(
        region=pl.col("region").replace({"region0": "region1", "region1": "region0"})
    )
    costs = [
        exactly(dataclasses.replace(small, fleet=even, requirement=requirement))
        for requirement in (small.requirement, other)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=2e-4)
