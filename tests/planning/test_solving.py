"""Whole plans: hours in sequence, shortfall by tier, statuses, and the property that every plan passes its check."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import START, fleet, rates, requirement

from workbench.domain import RiskPolicy
from workbench.errors import PlanError
from workbench.planning import searching
from workbench.planning.checking import check
from workbench.planning.solving import counts_at, solve
from workbench.results import CapacityPlan

RISK = RiskPolicy()
ONE = fleet(stock={("east", "h100"): 10}, initial={("east", "m", "h100"): 5})
THETA = rates({("m", "h100"): 100.0})


def plan_of(rows: list[tuple[int, str, str, str, float]], **choices: object) -> CapacityPlan:
    """Plan rows hour by hour unless said, and check the plan."""
    given_choices = {
        "fleet": ONE,
        "rates": THETA,
        "risk": RISK,
        "epsilon_fraction": 1.0,
        "floor_replicas": 0,
        "model": "sageserve",
    }
    asked: dict[str, Any] = given_choices | choices
    made = solve(requirement(rows), **asked)
    rules = ("fleet", "rates", "risk", "epsilon_fraction", "floor_replicas", "last_hour_deferrable", "options")
    found = check(made, requirement=requirement(rows), **{name: asked[name] for name in rules if name in asked})
    assert found.is_empty(), found
    return made


def test_every_hour_starts_from_the_one_before() -> None:
    """Demand 250, 450, 100: 3, 5, 1 replicas; from five standing only the second hour starts two (at 1/6 hour)."""
    plan = plan_of([(0, "east", "m", "fast", 250.0), (1, "east", "m", "fast", 450.0), (2, "east", "m", "fast", 100.0)])
    assert plan.allocation.get_column("replicas").to_list() == [3, 5, 1]
    assert plan.allocation.get_column("acquired").unique().to_list() == ["on_demand"]
    assert plan.hours.get_column("cost_usd").to_list() == [3.0, 5.0, 1.0]
    assert plan.hours.get_column("start_cost_usd").to_list() == pytest.approx([0.0, 2 / 6, 0.0])
    assert plan.cost_usd == 9.0
    assert (plan.status, plan.solver, plan.programme) == ("optimal", "highs", "sageserve")
    assert plan.bound_usd == pytest.approx(9.0 + 2 / 6)
    assert plan.shortfall.is_empty()


def test_half_hour_windows_cost_half() -> None:
    rows = requirement([(0, "east", "m", "fast", 250.0), (1, "east", "m", "fast", 250.0)])
    half = rows.with_columns(window_start=START + (pl.col("window_start") - START) / 2)
    plan = solve(half, fleet=ONE, rates=THETA, risk=RISK, epsilon_fraction=1.0, floor_replicas=0, model="sageserve")
    assert plan.cost_usd == 3.0


def test_shortfall_is_borne_by_those_who_can_wait_and_then_by_the_last_served() -> None:
    """Stock 10 replicas = 1000. D = 700 + 500 + 0.1 x 400 = 1240: batch gives 40, normal 200, fast nothing."""
    plan = plan_of(
        [(0, "east", "m", "fast", 700.0), (0, "east", "m", "normal", 500.0), (0, "east", "m", "batch", 400.0)]
    )
    assert plan.shortfall.select("tier", "input_tps", "output_tps").sort("tier").rows() == [
        ("batch", pytest.approx(40.0), pytest.approx(4.0)),
        ("normal", pytest.approx(200.0), pytest.approx(20.0)),
    ]
    assert plan.status == "optimal"
    assert plan.hours.row(0, named=True)["local_gap_input_tps"] == pytest.approx(240.0)


def test_shortfall_falls_on_the_region_that_lacks_capacity() -> None:
    """East wants 800 with stock for 200, west 100 with stock for 300: west sends 200 over, east is short of 400."""
    two = fleet(stock={("east", "h100"): 2, ("west", "h100"): 3})
    plan = plan_of([(0, "east", "m", "fast", 800.0), (0, "west", "m", "fast", 100.0)], fleet=two, epsilon_fraction=0.25)
    assert plan.allocation.get_column("replicas").to_list() == [2, 3]
    assert plan.shortfall.select("region", "tier", "input_tps").rows() == [("east", "fast", pytest.approx(400.0))]


def test_contradictory_input_is_refused_in_one_message() -> None:
    with pytest.raises(PlanError, match=r"region 'eest'.*did you mean 'east'(.|\n)*no programme 'sage'"):
        plan_of([(0, "eest", "m", "fast", 1.0)], model="sage")
    with pytest.raises(PlanError, match="model m has no replica rate"):
        plan_of([(0, "east", "m", "fast", 1.0)], rates=rates({("other", "h100"): 1.0}))
    with pytest.raises(PlanError, match="has stock but no price"):
        plan_of([(0, "east", "m", "fast", 1.0)], fleet=fleet(stock={("east", "h100"): 1}, usd={("x", "y"): 1.0}))
    with pytest.raises(PlanError, match="no rows"):
        plan_of([])


def test_progress_counts_hours() -> None:
    seen: list[tuple[int, int]] = []
    plan_of(
        [(0, "east", "m", "fast", 1.0), (1, "east", "m", "fast", 1.0)],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_importing_the_package_does_not_import_the_solver() -> None:
    code = "import sys, workbench.planning; assert not {'pulp', 'highspy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


REGIONS, MODELS, GPUS = ("east", "west"), ("m", "l"), ("a100", "h100")
PER_REPLICA = {"a100": 4, "h100": 2}
SPEEDS = {("m", "a100"): 90.0, ("m", "h100"): 170.0, ("l", "h100"): 40.0}
CELLS = [
    (hour, region, model, tier)
    for hour in (0, 1)
    for region in REGIONS
    for model in MODELS
    for tier in ("fast", "batch")
]


@settings(deadline=None, max_examples=60)
@given(
    tps=st.lists(st.floats(0, 1500), min_size=len(CELLS), max_size=len(CELLS)),
    stock=st.lists(st.integers(8, 60), min_size=4, max_size=4),
    epsilon=st.sampled_from([0.0, 0.3, 1.0]),
    floor=st.sampled_from([0, 1, 2]),
)
def test_every_plan_passes_its_check(tps: list[float], stock: list[int], epsilon: float, floor: int) -> None:
    """Ample or scarce, a plan keeps every promise that its shortfall rows do not take back."""
    kinds = [(region, gpu) for region in REGIONS for gpu in GPUS]
    system = fleet(stock=dict(zip(kinds, stock, strict=True)), models=MODELS, gpus=PER_REPLICA)
    needed = requirement([(*cell, value) for cell, value in zip(CELLS, tps, strict=True)])
    speeds = rates(SPEEDS, gpus=PER_REPLICA)
    plan = solve(
        needed,
        fleet=system,
        rates=speeds,
        risk=RISK,
        epsilon_fraction=epsilon,
        floor_replicas=floor,
        gap_fraction=0.0,
        model="sageserve",
    )
    found = check(
        plan,
        requirement=needed,
        fleet=system,
        rates=speeds,
        risk=RISK,
        epsilon_fraction=epsilon,
        floor_replicas=floor,
    )
    assert found.is_empty(), found
    assert plan.hours.get_column("window_start").to_list() == [START, START + timedelta(hours=1)]


def test_yesterdays_counts_are_kept_where_they_are_within_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three replicas serve 250; four, of the day before, are kept where a gap of 40 % is asked for, not of 1 %."""
    rows = [(24, "east", "m", "fast", 250.0)]
    yesterday = plan_of([(0, "east", "m", "fast", 390.0)])
    assert counts_at(yesterday, START + timedelta(days=1)) == {("east", "m", "h100"): 4}
    assert counts_at(yesterday, START + timedelta(days=2)) is None
    assert replicas_of(plan_of(rows, yesterday=yesterday)) == [3]
    monkeypatch.setattr(searching, "LARGE_PLACES", 1)
    for gap, kept in ((0.01, 3), (0.4, 4)):
        plan = plan_of(rows, yesterday=yesterday, gap_fraction=gap)
        assert replicas_of(plan) == [kept]
        assert plan.status == "optimal"
        assert plan.bound_usd is not None
        assert plan.bound_usd <= 3.0 + 1e-9


def test_counts_that_no_longer_serve_the_hour_are_no_start() -> None:
    yesterday = plan_of([(0, "east", "m", "fast", 90.0)])
    assert replicas_of(plan_of([(24, "east", "m", "fast", 250.0)], yesterday=yesterday)) == [3]


def replicas_of(plan: CapacityPlan) -> list[int]:
    counts: list[int] = plan.allocation.get_column("replicas").to_list()
    return counts


def test_a_negative_price_and_a_model_that_fits_no_gpu_are_one_error() -> None:
    world = fleet(stock={("east", "h100"): 10}, models=("m", "n"), usd={("east", "h100"): -1.0})
    for programme in ("sageserve", "lookahead"):
        with pytest.raises(PlanError, match=r"(?s)model n has no replica rate.*negative"):
            plan_of([(0, "east", "m", "fast", 9.0)], fleet=world, model=programme)
