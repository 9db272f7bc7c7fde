"""workbench.planning.explaining.near_equal_ahead: two regions by hand, limits on small random worlds."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import Rows, hourly, options
from tests.planning.lookahead.lookahead_worlds import world
from tests.planning.planning_cases import fleet, rates, requirement
from workbench.errors import PlanError
from workbench.planning.checking_ahead import check_ahead
from workbench.planning.explaining import near_equal_by_region_and_gpu
from workbench.planning.explaining.near_equal_ahead import NearEqualAhead, near_equal_ahead
from workbench.planning.lookahead import LookAhead, outlook, plan_ahead, solve_outlook
from workbench.planning.lookahead.solving import money_usd

EAST, WEST = ("east", "a100"), ("west", "a100")


def near(rows: Rows, *, west_usd: float, stock: int = 10) -> tuple[NearEqualAhead, ...]:
    """Return near-equal plans of two regions, a GPU in the east for 1 USD an hour; every one of them is checked."""
    asked = {
        "fleet": fleet(stock={EAST: stock, WEST: stock}, usd={EAST: 1.0, WEST: west_usd}),
        "rates": rates({("m", "a100"): 100.0}),
        "options": options(start_cost_ratio=0.0),
    }
    found = near_equal_ahead(requirement(rows), **asked, gap_fraction=0.0).plans
    for other in found:
        rolling = dataclasses.replace(asked["options"], integer_hours=1.0)
        broken = check_ahead(other.plan, requirement=requirement(rows), **{**asked, "options": rolling})
        assert broken.is_empty(), (other.name, broken)
    return found


@pytest.mark.parametrize("hours", [1, 3])
def test_the_other_of_two_regions_of_equal_price_is_found(hours: int) -> None:
    """400 tokens/s that may be served anywhere are four GPUs, in either region: none is needed in the first one."""
    cheapest, other = near(hourly([200.0] * hours, tier="normal") + _west(hours), west_usd=1.0)
    assert sorted(cheapest.gpus.values()) == sorted(other.gpus.values()) == [0.0, 4.0]
    assert cheapest.gpus[EAST] == pytest.approx(other.gpus[WEST])
    assert (other.gpus_moved, other.gpus_there, other.least_gpus) == pytest.approx((4.0, 0.0, 0.0))
    assert other.plan.cost_usd == pytest.approx(cheapest.plan.cost_usd) == pytest.approx(4.0 * hours)


def test_a_region_dearer_by_more_than_the_slack_is_left_alone() -> None:
    """Four GPUs cost 4 USD, and each of them 0.10 more in the west: one percent, 0.04, pays for none."""
    (only,) = near(hourly([200.0], tier="normal") + _west(1), west_usd=1.1)
    assert only.gpus == {EAST: 4.0, WEST: 0.0}


def test_as_much_moves_as_the_slack_pays_for() -> None:
    """Four GPUs for four hours cost 16 USD, each hour in the west 0.05 more: 0.16 pay for 3.2 of 16 GPU-hours.

    That is 0.8 of four GPUs. No plan within the limit needs fewer than 3.2 GPUs in the east, and that is proven.
    """
    cheapest, other = near(hourly([200.0] * 4, tier="normal") + _west(4), west_usd=1.05)
    assert cheapest.gpus == {EAST: 4.0, WEST: 0.0}
    assert other.gpus == pytest.approx({EAST: 3.2, WEST: 0.8})
    assert other.least_gpus == pytest.approx(3.2)
    assert other.plan.cost_usd == pytest.approx(16.16)


def test_plans_that_fall_short_may_move_but_serve_no_less() -> None:
    """Of 700 tokens/s 300 find no GPU, in any plan: the stock of both regions is used up and nothing can move."""
    (only,) = near(hourly([500.0] * 2) + _west(2), west_usd=1.0, stock=2)
    assert only.gpus == {EAST: 2.0, WEST: 2.0}
    assert only.plan.shortfall.get_column("input_tps").sum() == pytest.approx(600.0)


@pytest.mark.parametrize(("seed", "demand"), [(1, 1.0), (4, 1.0), (2, 3.0)])
def test_every_plan_is_near_equal_no_worse_served_and_right(seed: int, demand: float) -> None:
    """Cost within 1 %, no window, region or tier worse off, no fewer GPUs than proven, and the check finds nothing."""
    small = world(2, 3, 2, 12, seed=seed, replicas_per_pool=3.0)
    needed = small.requirement.with_columns(pl.col("input_tps", "output_tps") * demand)
    asked = {
        "fleet": small.fleet,
        "rates": small.rates,
        "options": LookAhead(integer_hours=1, lost_region_fraction=0.2),
    }
    cheapest, *others = near_equal_ahead(needed, **asked).plans
    assert others
    assert cheapest.plan.shortfall.is_empty() == (demand == 1.0)
    key = ["window_start", "region", "model", "tier"]
    short = cheapest.plan.shortfall.select(*key, pl.col("input_tps").alias("allowed_tps"))
    best = solve_outlook(outlook(needed, **asked))
    most_usd = best.objective_usd + 0.01 * money_usd(best.programme, best.values)
    for other in (cheapest, *others):
        assert check_ahead(other.plan, requirement=needed, **asked).is_empty()
        assert other.plan.hours.get_column("objective").sum() <= most_usd * (1 + 1e-6)
        worse = other.plan.shortfall.join(short, on=key, how="left").filter(
            pl.col("input_tps") > pl.col("allowed_tps").fill_null(0.0) + 1e-3
        )
        assert worse.is_empty(), worse
        if other.least_gpus is not None:
            assert other.gpus_there is not None
            assert other.gpus_there >= other.least_gpus - 1e-6
    assert [plan.gpus_moved > 0 for plan in (cheapest, *others)] == [False] + [True] * len(others)


def test_directions_that_time_is_short_for_are_named() -> None:
    small = world(2, 3, 2, 12, seed=1, replicas_per_pool=3.0)
    asked = {"fleet": small.fleet, "rates": small.rates, "options": LookAhead(integer_hours=1)}
    hasty, patient = (near_equal_ahead(small.requirement, **asked, time_limit_s=limit_s) for limit_s in (1e-3, 60.0))
    assert [plan.name for plan in hasty.plans] == ["cheapest"]
    assert len(hasty.untried) == len({*hasty.untried}) == 8  # in and outside of three regions, and of either GPU kind
    assert len(patient.untried) < 8
    assert {plan.name for plan in patient.plans[1:]}.isdisjoint(patient.untried)


def test_plans_are_put_beside_the_plan_by_region_and_gpu() -> None:
    rows = hourly([200.0] * 2, tier="normal") + _west(2)
    made = plan_ahead(
        requirement(rows),
        fleet=fleet(stock={EAST: 10, WEST: 10}),
        rates=rates({("m", "a100"): 100.0}),
        options=options(),
    )
    table = near_equal_by_region_and_gpu(near(rows, west_usd=1.05), beside=made)
    assert table.get_column("plan").to_list() == ["as planned", "cheapest", "fewest in east"]
    assert table.columns[-2:] == ["a100 in east", "a100 in west"]
    assert (table.get_column("a100 in east") + table.get_column("a100 in west")).to_list() == pytest.approx([4.0] * 3)
    with pytest.raises(PlanError, match="only a look-ahead plan says"):
        near_equal_by_region_and_gpu((), beside=dataclasses.replace(made, supply=None))


def _west(hours: int) -> Rows:
    return hourly([200.0] * hours, region="west", tier="normal")
