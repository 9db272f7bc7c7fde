"""A check is worth what it refuses: one broken plan per kind of finding."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest
from planning_cases import fleet, rates, requirement

from workbench.domain import RiskPolicy
from workbench.planning.checking import check
from workbench.planning.findings import FINDINGS, findings
from workbench.planning.solving import solve
from workbench.results import CapacityPlan

SYSTEM = fleet(stock={("east", "h100"): 10, ("west", "h100"): 10})
SPEEDS = rates({("m", "h100"): 100.0})
NEEDED = requirement([(0, "east", "m", "fast", 400.0), (0, "west", "m", "fast", 100.0)])
CHOICES: dict[str, Any] = {
    "requirement": NEEDED,
    "fleet": SYSTEM,
    "rates": SPEEDS,
    "risk": RiskPolicy(),
    "epsilon_fraction": 0.5,
    "floor_replicas": 1,
}

HOW_CHECKED: dict[str, Any] = {"epsilon_fraction": 0.5, "floor_replicas": 0}
HOW: dict[str, Any] = {**HOW_CHECKED, "model": "sageserve"}


@pytest.fixture(scope="module")
def plan() -> CapacityPlan:
    """Five replicas in all, two or more in east, one or more in west."""
    choices = {name: value for name, value in CHOICES.items() if name != "requirement"}
    return solve(NEEDED, model="sageserve", **choices)


def with_counts(plan: CapacityPlan, east: float, west: float, *, usd: float | None = None) -> CapacityPlan:
    kept = plan.allocation.sort("region").with_columns(replicas=pl.Series([east, west]))
    total = east + west if usd is None else usd
    hours = plan.hours.with_columns(cost_usd=pl.lit(float(total)))
    return dataclasses.replace(plan, allocation=kept, hours=hours, cost_usd=float(total))


def kinds(plan: CapacityPlan, **changes: Any) -> list[str]:
    return check(plan, **(CHOICES | changes)).get_column("check").to_list()


def test_a_plan_as_solved_has_no_findings(plan: CapacityPlan) -> None:
    assert kinds(plan) == []


@pytest.mark.parametrize(
    ("east", "west", "expected"),
    [
        (1, 4, ["local_cover"]),
        (3, 1, ["global_cover"]),
        (5, 0, ["local_cover", "floor"]),
        (11, 1, ["stock"]),
        (6, -1, ["integrality", "local_cover", "floor"]),
        (2.5, 3.0, ["integrality"]),
    ],
)
def test_each_broken_promise_is_named(plan: CapacityPlan, east: float, west: float, expected: list[str]) -> None:
    assert kinds(with_counts(plan, east, west)) == expected


def test_a_wrong_cost_is_found_in_the_hour_and_in_the_sum(plan: CapacityPlan) -> None:
    assert kinds(with_counts(plan, 3, 2, usd=4.0)) == ["cost", "cost"]


def test_a_missing_hour_is_found(plan: CapacityPlan) -> None:
    later = requirement(
        [(0, "east", "m", "fast", 400.0), (0, "west", "m", "fast", 100.0), (1, "west", "m", "fast", 0.0)]
    )
    assert kinds(plan, requirement=later) == ["hours"]


def test_shortfall_excuses_what_it_names(plan: CapacityPlan) -> None:
    short = pl.DataFrame(
        {
            "window_start": plan.hours.get_column("window_start"),
            "region": ["east"],
            "model": ["m"],
            "tier": ["fast"],
            "input_tps": [100.0],
            "output_tps": [10.0],
        }
    )
    assert kinds(dataclasses.replace(with_counts(plan, 3, 1), shortfall=short)) == []


@pytest.mark.parametrize(
    ("last_hour", "expected"), [(None, ["global_cover"]), (900.0, []), (1100.0, ["global_cover", "global_cover"])]
)
def test_a_tenth_of_the_deferrable_load_of_the_hour_before_must_be_servable(
    last_hour: float | None, expected: list[str]
) -> None:
    """Two replicas serve 200. Live 110 and a tenth of 900 do not need more, nor 100 and a tenth of 1,000 an hour later.

    Of 1,100 they do; and without a word of the hour before the first hour's own 1,000 stand for it. (Later: 1,010.)
    """
    later = 1000.0 if last_hour != 1100.0 else 1010.0
    rows = [(0, "east", "m", "fast", 110.0), (0, "east", "m", "batch", later), (1, "east", "m", "fast", 100.0)]
    world = {"fleet": fleet(stock={("east", "h100"): 10}), "rates": SPEEDS, "risk": RiskPolicy()}
    two = solve(requirement([(0, "east", "m", "fast", 200.0), (1, "east", "m", "fast", 200.0)]), **world, **HOW)
    known = None if last_hour is None else pl.DataFrame({"region": ["east"], "model": ["m"], "input_tps": [last_hour]})
    found = check(two, requirement=requirement(rows), last_hour_deferrable=known, **world, **HOW_CHECKED)
    assert found.get_column("check").to_list() == expected


def test_a_full_region_is_excused_from_its_local_share(plan: CapacityPlan) -> None:
    """East has stock for one replica and holds one, where two should stand; west serves the rest."""
    tight = fleet(stock={("east", "h100"): 1, ("west", "h100"): 10})
    assert kinds(with_counts(plan, 1, 4), fleet=tight) == []


@pytest.mark.parametrize(("lacking_tps", "expected"), [(0.09, []), (0.11, ["local_cover"])])
def test_a_local_share_that_lacks_less_than_a_thousandth_of_a_replica_is_left_open(
    plan: CapacityPlan, lacking_tps: float, expected: list[str]
) -> None:
    """A replica does 100; east serves none of its own 2 x 0.09 or 2 x 0.11, of which it should serve half."""
    tiny = requirement([(0, "east", "m", "fast", 2 * lacking_tps), (0, "west", "m", "fast", 100.0)])
    assert kinds(with_counts(plan, 0, 2), requirement=tiny, floor_replicas=0) == expected


def test_a_finding_has_every_key_and_null_where_it_is_about_none() -> None:
    frame = pl.DataFrame({"region": ["west", "east"], "used": [5, 4]})
    found = findings("stock", frame, found=pl.col("used"), allowed=pl.lit(3))
    assert found.schema == FINDINGS
    assert found.rows() == [
        ("stock", None, "east", None, None, 4.0, 3.0),
        ("stock", None, "west", None, None, 5.0, 3.0),
    ]
