"""Two solvers, limits, forms: workbench.planning.lookahead.solving, workbench.planning.lookahead.reading and
workbench.planning.lookahead.unserved.

A plan is believed for what it keeps, not for what a solver calls it; the same world by HiGHS and by CBC costs the same.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import hourly, options, plan, replicas
from tests.planning.lookahead.lookahead_worlds import world
from tests.planning.lookahead.recomputing import broken
from tests.planning.planning_cases import START, fleet, rates, requirement
from workbench import planning
from workbench.domain import RiskPolicy
from workbench.errors import PlanError
from workbench.planning.handover import to_pulp
from workbench.planning.lookahead import LookAhead, outlook, plan_ahead, solve_outlook
from workbench.planning.lookahead.building import build
from workbench.planning.lookahead.planning_ahead import counts_of, uncoupled
from workbench.planning.lookahead.rounding import dive
from workbench.planning.lookahead.sessions import Session, cost_of, is_acceptable

SMALL = world(2, 2, 2, 5, replicas_per_pool=6.0)


def small(**changes: object) -> object:
    return outlook(SMALL.requirement, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [1, 2])
def test_both_solvers_find_the_same_cost(seed: int) -> None:
    tiny = world(1, 2, 2, 3, seed=seed, replicas_per_pool=1.5)
    ahead = outlook(tiny.requirement, fleet=tiny.fleet, rates=tiny.rates, options=LookAhead(lost_region_fraction=0.5))
    by = {name: solve_outlook(ahead, solver=name, gap_fraction=1e-6, time_limit_s=30.0) for name in ("highs", "cbc")}
    assert by["highs"].status == by["cbc"].status == "optimal"
    assert by["highs"].objective_usd == pytest.approx(by["cbc"].objective_usd, rel=1e-5)


def test_a_dive_gives_a_whole_plan_above_the_relaxation() -> None:
    programme = build(small())  # type: ignore[arg-type]
    session = Session(programme.matrix, to_pulp(programme.matrix), whole=False, threads=1)
    relaxed = session.run(time_limit_s=10.0)
    assert relaxed is not None
    assert not is_acceptable(programme.matrix, relaxed.values)
    whole = dive(programme, session, relaxed, block_windows=5, deadline_s=math.inf)
    assert whole is not None
    assert is_acceptable(programme.matrix, whole.values)
    assert whole.objective >= relaxed.objective
    assert cost_of(programme.matrix, whole.values) == whole.objective


def test_values_that_break_a_row_or_a_bound_are_not_accepted() -> None:
    programme = build(small())  # type: ignore[arg-type]
    solved = solve_outlook(small(), gap_fraction=0.1)  # type: ignore[arg-type]
    assert is_acceptable(programme.matrix, solved.values)
    for column, value in ((programme.columns.replicas[0, 0], 0.5), (programme.columns.lent[0, 0], 99.0)):
        spoilt = solved.values.copy()
        spoilt[column] += value
        assert not is_acceptable(programme.matrix, spoilt)


def test_no_time_still_gives_a_plan_that_says_so() -> None:
    solved = solve_outlook(small(), gap_fraction=0.0, time_limit_s=1e-3)  # type: ignore[arg-type]
    assert solved.status in ("feasible", "heuristic")
    assert solved.bound_usd <= solved.objective_usd
    assert is_acceptable(solved.programme.matrix, solved.values)


def test_rolling_decides_the_first_hours_whole_and_bounds_the_rest() -> None:
    rolling = plan_ahead(
        SMALL.requirement, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead(integer_hours=2), gap_fraction=0.01
    )
    full = plan_ahead(SMALL.requirement, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead(), gap_fraction=0.01)
    assert (rolling.whole_windows, full.whole_windows) == (2, None)
    assert rolling.bound_usd is not None
    assert rolling.bound_usd <= full.hours.get_column("objective").sum() * (1 + 1e-9)
    used = (
        rolling.allocation.join(SMALL.rates, on=("model", "gpu"))
        .group_by("window_start", "region", "gpu")
        .agg((pl.col("replicas") * pl.col("gpus_per_replica")).sum())
    )
    assert all(gpus <= SMALL.fleet.stock_gpus[region, gpu] for _, region, gpu, gpus in used.iter_rows())
    assert rolling.supply is not None
    assert rolling.supply.get_column("gpus_on_demand").round(6).to_numpy()[:1].item() % 8 == 0


def test_yesterdays_plan_is_tried_first() -> None:
    first = plan_ahead(SMALL.requirement, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead(), gap_fraction=0.001)
    tomorrow = SMALL.requirement.with_columns(pl.col("window_start") + pl.duration(days=1))
    again = plan_ahead(
        tomorrow, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead(), gap_fraction=0.05, yesterday=first
    )
    assert again.allocation.get_column("replicas").to_list() == first.allocation.get_column("replicas").to_list()
    ahead = outlook(tomorrow, fleet=SMALL.fleet, rates=SMALL.rates, options=LookAhead())
    other = first.allocation.clear()
    known = counts_of(dataclasses.replace(first, allocation=other), ahead)
    assert np.array_equal(known, np.repeat(ahead.serving_now[:, None], ahead.windows, axis=1))


def test_models_on_kinds_of_their_own_are_planned_apart() -> None:
    stock = {("east", "a100"): 5, ("east", "h100"): 5}
    theta = {("m", "a100"): 100.0, ("other", "h100"): 100.0}
    rows = hourly([150.0, 90.0]) + hourly([700.0, 20.0], model="other") + hourly([30.0], model="m", tier="batch")
    world_of_two = fleet(stock=stock, models=("m", "other"))
    given = outlook(requirement(rows), fleet=world_of_two, rates=rates(theta), options=options())
    assert uncoupled(given) == [("m",), ("other",)]
    capped = outlook(requirement(rows), fleet=world_of_two, rates=rates(theta), options=options(budget_usd=99.0))
    assert uncoupled(capped) == [("m", "other")]
    apart = plan(rows, stock=stock, theta=theta)
    together = plan(rows, stock=stock, theta=theta, budget_usd=99.0)
    assert apart.cost_usd == pytest.approx(together.cost_usd)
    assert replicas(apart, model="other") == replicas(together, model="other") == [5, 1]
    assert apart.shortfall.get_column("input_tps").to_list() == [pytest.approx(200.0)]
    assert apart.bound_usd == pytest.approx(together.bound_usd)
    assert broken(apart, requirement=requirement(rows), fleet=world_of_two, rates=rates(theta), options=options()) == []


def test_one_hour_with_the_extras_off_is_sageserves_programme() -> None:
    rows = [(0, region, model, "fast", tps) for region, model, tps in CELLS]
    stock = {("east", "a100"): 9, ("west", "a100"): 9, ("west", "h100"): 3}
    theta = {(model, gpu): tps for model in ("m", "n") for gpu, tps in (("a100", 100.0), ("h100", 250.0))}
    held = fleet(
        stock=stock,
        models=("m", "n"),
        initial={("east", "m", "a100"): 2},
        usd={**dict.fromkeys(stock, 1.0), ("west", "h100"): 2.0},
    )
    common = {
        "fleet": held,
        "rates": rates(theta),
        "risk": RiskPolicy(deferrable_buffer_fraction=0.0),
        "epsilon_fraction": 0.6,
        "floor_replicas": 1,
        "gap_fraction": 0.0,
    }
    hourly_plan = planning.solve(requirement(rows), model="sageserve", **common)  # type: ignore[arg-type]
    same = LookAhead(lead_s={"reclaim": 600.0, "swap": 600.0, "remote": 600.0}, local_fraction=0.6, floor_replicas=1)
    no_loss = dataclasses.replace(same, lead_s=dict.fromkeys(same.lead_s, 1e-6), start_cost_ratio=600.0 / 1e-6)
    ahead = planning.solve(requirement(rows), options=no_loss, **common)  # type: ignore[arg-type]
    assert ahead.hours.get_column("objective").sum() == pytest.approx(
        hourly_plan.hours.get_column("objective").sum(), rel=1e-4
    )
    assert ahead.programme == "lookahead"


CELLS = (("east", "m", 420.0), ("west", "m", 130.0), ("east", "n", 90.0), ("west", "n", 310.0))


def test_flows_and_unmet_work_are_told_by_tier() -> None:
    """One replica for 120 fast and 60 normal sent alike: the normal tier gives way, and none of it flows."""
    rows = hourly([120.0, 80.0]) + hourly([60.0, 0.0], tier="normal") + hourly([90.0, 0.0], tier="batch")
    made = plan(rows, stock={("east", "a100"): 1}, bound_below_ttft_s=100.0)
    assert made.flows is not None
    first = made.flows.filter(pl.col("window_start") == START)
    assert first.select("tier", "input_tps").rows() == [("fast", pytest.approx(100.0))]
    short = {row[3]: row[4] for row in made.shortfall.filter(pl.col("window_start") == START).iter_rows()}
    assert short == {"fast": pytest.approx(20.0), "normal": pytest.approx(60.0)}
    outputs = made.shortfall.select(pl.col("output_tps") / pl.col("input_tps")).to_series().to_list()
    assert outputs == [pytest.approx(0.1)] * len(outputs)


def test_an_unknown_solver_is_refused() -> None:
    with pytest.raises(PlanError, match="there is no solver 'glpk'"):
        solve_outlook(small(), solver="glpk")  # type: ignore[arg-type]


def test_caps_that_nothing_can_keep_are_an_error() -> None:
    standing = {("east", "m", "a100"): 5}
    with pytest.raises(PlanError, match="nothing keeps all limits"):
        plan(hourly([100.0]), initial=standing, stops_per_window=1, budget_usd=2.0)
