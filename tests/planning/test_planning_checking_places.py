"""workbench.planning.checking_places: work has where to go, and what is left without a region is owned up to."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import fleet, rates, requirement

from workbench.domain import Fleet
from workbench.planning.checking_ahead import check_ahead
from workbench.planning.checking_places import sent_most
from workbench.planning.lookahead import LookAhead, plan_ahead
from workbench.results import CapacityPlan

REGIONS = ("east", "north", "west")
THETA = rates({("m", "a100"): 100.0})
AT_ONCE = {"reclaim": 0.0, "swap": 0.0, "remote": 0.0}
Amounts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9).map(float), min_size=3)


def test_work_gives_way_to_work_that_can_go_nowhere_else() -> None:
    """a goes to x or y, b to x alone: a, sent to x first, gives way to b and moves on to y."""
    assert sent_most({"a": 5.0, "b": 5.0}, {"x": 5.0, "y": 5.0}, {"a": ["x", "y"], "b": ["x"]}) == {"a": 5.0, "b": 5.0}
    assert sent_most({"a": 5.0, "b": 5.0}, {"x": 7.0}, {"a": ["x", "y"], "b": ["x"]}) == {"a": 5.0, "b": 2.0}
    assert sent_most({"a": 5.0}, {"x": -1.0}, {"a": ["x"]}) == {"a": 0.0}


@settings(deadline=None, max_examples=50)
@given(asked=Amounts, rooms=Amounts, allowed=st.lists(st.sets(st.sampled_from("abc")), min_size=3, max_size=3))
def test_what_is_sent_is_the_most_that_any_set_of_origins_lets_through(
    asked: dict[str, float], rooms: dict[str, float], allowed: list[set[str]]
) -> None:
    """The theorem of Gale and Hoffman: the most is the least, over sets, of others' work plus the set's room."""
    may_go = {origin: sorted(sets) for origin, sets in zip("abc", allowed, strict=True)}
    sent = sent_most(asked, rooms, may_go)
    sets = [some for size in range(4) for some in combinations("abc", size)]
    most = min(
        sum(asked[o] for o in "abc" if o not in some) + sum(rooms[r] for r in {r for o in some for r in may_go[o]})
        for some in sets
    )
    assert sum(sent.values()) == pytest.approx(most)


def world(stock: int, west_usd: float = 1.0) -> Fleet:
    usd = {(region, "a100"): west_usd if region == "west" else 1.0 for region in REGIONS}
    return fleet(stock={(region, "a100"): stock for region in REGIONS}, usd=usd)


def planned(
    options: LookAhead, stock: int = 9, west_usd: float = 1.0, normal: float = 150.0
) -> tuple[CapacityPlan, pl.DataFrame]:
    rows = [(hour, region, "m", "fast", 120.0) for hour in range(3) for region in REGIONS]
    rows += [(hour, "east", "m", "normal", normal) for hour in range(3)]
    rows += [(hour, "west", "m", "batch", 80.0) for hour in range(3)]
    needed = requirement(rows)
    return plan_ahead(needed, fleet=world(stock, west_usd), rates=THETA, options=options, gap_fraction=0.0), needed


def broken(
    plan: CapacityPlan, needed: pl.DataFrame, options: LookAhead, stock: int = 9, west_usd: float = 1.0
) -> set[str]:
    found = check_ahead(plan, requirement=needed, fleet=world(stock, west_usd), rates=THETA, options=options)
    return set(found.get_column("check"))


def moved(plan: CapacityPlan, away: str, to: str) -> CapacityPlan:
    """Return the plan with what stands in one region, its starts included, standing in another."""
    names = pl.col("region").replace({away: to, to: away})
    frames = {
        name: getattr(plan, name).with_columns(names.cast(getattr(plan, name).schema["region"]))
        for name in ("allocation", "starts", "supply")
    }
    return dataclasses.replace(plan, **frames)


def test_a_plan_that_holds_pooled_work_elsewhere_is_found() -> None:
    """The west is cheap: without a rule it serves the east's 350 that may be pooled; the rule keeps them out of it."""
    free = LookAhead(lead_s=AT_ONCE, floor_replicas=0, local_fraction=1.0)
    ruled = dataclasses.replace(free, residency={"east": frozenset({"east", "north"})})
    plan, needed = planned(free, west_usd=0.5, normal=350.0)
    assert broken(plan, needed, free, west_usd=0.5) == set()
    assert broken(plan, needed, ruled, west_usd=0.5) == {"residency"}
    kept, _ = planned(ruled, west_usd=0.5, normal=350.0)
    assert broken(kept, needed, ruled, west_usd=0.5) == set()


def test_work_deferred_at_home_is_served_there() -> None:
    options = LookAhead(lead_s=AT_ONCE, floor_replicas=0, local_fraction=1.0, defer_at_home=True)
    plan, needed = planned(options)
    assert broken(plan, needed, options) == set()
    assert "residency" in broken(moved(plan, "west", "none"), needed, options)


def test_a_reserve_that_is_missing_is_found_unless_the_plan_owns_up_to_it() -> None:
    options = LookAhead(lead_s=AT_ONCE, floor_replicas=0, local_fraction=0.0, lost_region_fraction=1.0)
    none = dataclasses.replace(options, lost_region_fraction=0.0)
    plan, needed = planned(options)
    assert broken(plan, needed, options) == set()
    bare, _ = planned(none)
    assert broken(bare, needed, none) == set()
    assert broken(bare, needed, options) == {"reserve"}
    scarce, _ = planned(options, stock=2)
    told = scarce.hours.get_column("reserve_gap_input_tps")
    assert told.to_list() == pytest.approx([110.0] * 3)  # 510 asked for, four replicas left of six
    assert broken(scarce, needed, options, stock=2) == set()
    silent = dataclasses.replace(scarce, hours=scarce.hours.with_columns(reserve_gap_input_tps=pl.lit(0.0)))
    assert broken(silent, needed, options, stock=2) == {"reserve"}


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), less=st.integers(1, 3))
def test_replicas_that_vanish_are_always_found(seed: int, less: int) -> None:
    """Whatever place and hour they are taken from: what they held is missing from one sum or another."""
    plan, needed = PLANNED
    held = plan.allocation.with_row_index("row").filter(pl.col("replicas") >= less)
    row = held.get_column("row")[seed % held.height]
    fewer = plan.allocation.with_row_index("row").with_columns(
        replicas=pl.when(pl.col("row") == row).then(pl.col("replicas") - less).otherwise("replicas")
    )
    spoilt = dataclasses.replace(plan, allocation=fewer.drop("row"))
    assert broken(spoilt, needed, SAFE)


SAFE = LookAhead(
    lead_s=AT_ONCE,
    floor_replicas=1,
    local_fraction=0.5,
    lost_region_fraction=0.8,
    residency={"east": frozenset({"east", "north"})},
)
PLANNED = planned(SAFE)
