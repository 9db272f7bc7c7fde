"""Every look-ahead plan passes the check, and each way of spoiling one is found.

With workbench.planning.work_ahead and workbench.planning.checking_supply, which look after work, and GPUs and money.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import fleet, rates, requirement

from workbench.domain import Fleet, RiskPolicy
from workbench.errors import PlanError
from workbench.planning.checking import check
from workbench.planning.checking_ahead import check_ahead
from workbench.planning.lookahead import Energy, LookAhead, plan_ahead
from workbench.results import CapacityPlan

REGIONS = ("east", "west")
THETA = {("m", "a100"): 60.0, ("m", "h100"): 100.0}
GPUS = {"a100": 1, "h100": 2}
SPEEDS = rates(THETA, gpus=GPUS)
HOURS = 6


def world(stock: int = 12) -> Fleet:
    return fleet(
        stock={(region, gpu): stock for region in REGIONS for gpu in GPUS},
        gpus=GPUS,
        initial={("east", "m", "a100"): 1, ("west", "m", "h100"): 1},
        usd={(region, gpu): 1.0 + 0.2 * (region == "west") for region in REGIONS for gpu in GPUS},
    )


def work(scale: float = 1.0, batch: float = 40.0) -> pl.DataFrame:
    """Six hours: fast 200 to 450 in the east, half in the west, normal 60, deferrable only in the first two hours."""
    rows = []
    for hour in range(HOURS):
        fast = scale * (200.0 + 50.0 * hour)
        rows += [(hour, "east", "m", "fast", fast), (hour, "west", "m", "fast", fast / 2)]
        rows += [(hour, region, "m", "normal", scale * 60.0) for region in REGIONS]
        rows += [(hour, region, "m", "batch", scale * batch if hour < 2 else 0.0) for region in REGIONS]
    three_hours = pl.when("is_deferrable").then(3 * 3600.0)
    return requirement(rows).with_columns(serve_by_s=three_hours)


OPTIONS = LookAhead(
    local_fraction=0.6,
    floor_replicas=1,
    reserved_gpus={("east", "h100"): 4},
    reserved_usd_per_gpu_hour={("east", "h100"): 0.5},
    idle_usd_per_gpu_hour={("east", "h100"): 0.1},
    energy={"east": Energy(usd_per_kwh=(0.1,), carbon_kg_per_kwh=tuple(range(24)))},
    kw_per_gpu={"h100": 0.7},
)


@pytest.fixture(scope="module")
def plan() -> CapacityPlan:
    return plan_ahead(work(), fleet=world(), rates=SPEEDS, options=OPTIONS, gap_fraction=0.01)


def kinds(plan: CapacityPlan, *, options: LookAhead = OPTIONS, needed: pl.DataFrame | None = None) -> set[str]:
    found = check_ahead(
        plan, requirement=work() if needed is None else needed, fleet=world(), rates=SPEEDS, options=options
    )
    return set(found.get_column("check"))


@pytest.mark.parametrize(("quiet_tps", "replicas"), [(0.0, 3), (40.0, 3), (100.0, 2), (500.0, 2)])
def test_deferrable_work_has_the_room_below_the_interactive_peak(quiet_tps: float, replicas: int) -> None:
    """A peak of 200 and 100 that is due within the hour, 100 a replica: 3; with 100 free below the peak 2 will do.

    With 40 free 260 are needed. No more is free than the peak itself, so that 2 stay for it whatever is said.
    """
    needed = requirement([(0, "east", "m", "normal", 200.0), (0, "east", "m", "batch", 100.0)])
    needed = needed.with_columns(serve_by_s=pl.when("is_deferrable").then(3600.0))
    place = fleet(stock={("east", "h100"): 10}, gpus={"h100": 1}, initial={("east", "m", "h100"): 3})
    speeds = rates({("m", "h100"): 100.0})
    options = LookAhead(floor_replicas=0, local_fraction=0.0)
    quiet = needed.filter(~pl.col("is_deferrable")).select(
        "window_start", "region", "model", input_tps=pl.lit(quiet_tps)
    )
    made = plan_ahead(needed, fleet=place, rates=speeds, options=options, gap_fraction=0.0, quiet=quiet)
    assert made.allocation.get_column("replicas").sum() == replicas
    assert made.shortfall.is_empty()
    told = {"requirement": needed, "rates": speeds}
    assert check_ahead(made, fleet=place, options=options, quiet=quiet, **told).is_empty()
    without = check_ahead(made, fleet=place, options=options, **told).get_column("check").to_list()
    assert without == ([] if replicas == 3 else ["global_cover"])


def changed(frame: pl.DataFrame | None, column: str, value: pl.Expr, where: pl.Expr | None = None) -> pl.DataFrame:
    assert frame is not None
    at = pl.int_range(pl.len()) == 0 if where is None else where
    return frame.with_columns(
        pl.when(at).then(value).otherwise(pl.col(column)).cast(frame.schema[column]).alias(column)
    )


def test_a_plan_as_made_has_no_findings_by_either_door(plan: CapacityPlan) -> None:
    assert kinds(plan) == set()
    found = check(
        plan,
        requirement=work(),
        fleet=world(),
        rates=SPEEDS,
        risk=RiskPolicy(),
        epsilon_fraction=0.6,
        options=OPTIONS,
    )
    assert found.is_empty()


LAST = pl.col("window_start") == pl.col("window_start").max()
USED = pl.col("replicas") == pl.col("replicas").max()
SPOILT: dict[str, tuple[Callable[[CapacityPlan], dict[str, Any]], str]] = {
    "one replica less": (
        lambda p: {"allocation": changed(p.allocation, "replicas", pl.col("replicas") - 1, LAST & USED)},
        "supply",
    ),
    "a replica out of nowhere": (
        lambda p: {"allocation": changed(p.allocation, "replicas", pl.col("replicas") + 1, LAST & USED)},
        "starts",
    ),
    "a flow too large": (lambda p: {"flows": changed(p.flows, "input_tps", pl.col("input_tps") + 90)}, "flow_balance"),
    "more than a region can serve": (
        lambda p: {"flows": changed(p.flows, "input_tps", pl.col("input_tps") * 40, LAST)},
        "flow_capacity",
    ),
    "work that vanishes": (
        lambda p: {"deferred": changed(p.deferred, "backlog_input_tokens", pl.col("backlog_input_tokens") + 9e4)},
        "deferred",
    ),
    "served after its deadline": (
        lambda p: {
            "deferred": p.deferred.with_columns(  # type: ignore[union-attr]
                served_input_tps=pl.col("served_input_tps").reverse(),
                backlog_input_tokens=pl.lit(0.0),
            )
        },
        "deadline",
    ),
    "late and not told": (
        lambda p: {"deferred": changed(p.deferred, "late_input_tokens", pl.lit(5e4))},
        "late",
    ),
    "more GPUs than there are": (
        lambda p: {"supply": changed(p.supply, "gpus_on_demand", pl.lit(99.0))},
        "stock",
    ),
    "more than was reserved": (lambda p: {"supply": changed(p.supply, "gpus_reserved", pl.lit(6.0))}, "quota"),
    "a wrong cost": (lambda p: {"cost_usd": p.cost_usd * 0.9}, "cost"),
    "a missing hour": (lambda p: {"allocation": p.allocation.filter(~LAST)}, "hours"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_way_of_spoiling_a_plan_is_found(name: str, plan: CapacityPlan) -> None:
    spoil, expected = SPOILT[name]
    assert expected in kinds(dataclasses.replace(plan, **spoil(plan)))


def test_rules_that_the_plan_did_not_know_are_broken_by_it(plan: CapacityPlan) -> None:
    """The same plan under a pair that is closed, a budget, a carbon cap and a limit on change."""
    closed = dataclasses.replace(OPTIONS, pairs=frozenset())
    crossing = plan.flows is not None and plan.flows.filter(pl.col("origin_region") != pl.col("region")).height > 0
    assert ("flow_pair" in kinds(plan, options=closed)) == crossing
    assert "budget" in kinds(plan, options=dataclasses.replace(OPTIONS, budget_usd=1.0))
    assert "carbon" in kinds(plan, options=dataclasses.replace(OPTIONS, carbon_cap_kg=0.1))
    assert "change" in kinds(plan, options=dataclasses.replace(OPTIONS, starts_per_window=0))
    assert "local_cover" in kinds(plan, needed=work(2.0))


def test_an_hourly_plan_is_told_from_a_look_ahead_plan(plan: CapacityPlan) -> None:
    with pytest.raises(PlanError, match="the plan has no flows, supply"):
        kinds(dataclasses.replace(plan, flows=None, supply=None))


@settings(deadline=None, max_examples=10)
@given(
    scale=st.floats(0.1, 2.0),
    batch=st.floats(0.0, 300.0),
    stock=st.integers(4, 30),
    local=st.sampled_from([0.0, 0.5, 1.0]),
    floor=st.integers(0, 2),
    lead=st.sampled_from([600.0, 7200.0]),
    spot=st.booleans(),
    rolling=st.booleans(),
    reserve=st.sampled_from([0.0, 0.7]),
    at_home=st.booleans(),
    resident=st.booleans(),
)
def test_every_solved_plan_passes(
    scale: float,
    batch: float,
    stock: int,
    local: float,
    floor: int,
    lead: float,
    spot: bool,
    rolling: bool,
    reserve: float,
    at_home: bool,
    resident: bool,
) -> None:
    """Whatever the work, the stock and the rules; scarce stock gives shortfall, not findings."""
    keys = [(region, gpu) for region in REGIONS for gpu in GPUS]
    options = LookAhead(
        local_fraction=local,
        floor_replicas=floor,
        lead_s={"reclaim": 60.0, "swap": 600.0, "remote": lead},
        spot_gpus=dict.fromkeys(keys, 3) if spot else {},
        spot_usd_per_gpu_hour=dict.fromkeys(keys, 0.3) if spot else {},
        integer_hours=2.0 if rolling else None,
        lost_region_fraction=reserve,
        defer_at_home=at_home,
        residency={"west": frozenset({"west"})} if resident else {},
    )
    needed = work(scale, batch)
    made = plan_ahead(needed, fleet=world(stock), rates=SPEEDS, options=options, gap_fraction=0.02, time_limit_s=3.0)
    found = check_ahead(made, requirement=needed, fleet=world(stock), rates=SPEEDS, options=options)
    assert found.rows() == []
