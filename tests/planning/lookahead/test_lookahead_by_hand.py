"""workbench.planning.lookahead.constraints and .planning_ahead: cases solved by hand, one or two for each constraint.

The constraints lie in workbench.planning.lookahead.serving, workbench.planning.lookahead.standing and
workbench.planning.lookahead.supplying. A replica serves 100 input tokens a second and costs 1 USD an hour; starts take
no time unless a case is about them.
"""

from __future__ import annotations

import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import USUAL, hourly, options, plan, replicas
from tests.planning.planning_cases import fleet, rates, requirement
from workbench.planning.lookahead import Energy, plan_ahead
from workbench.planning.lookahead.working import WAITING

TWO = {("east", "a100"): 10, ("west", "a100"): 10}


def test_one_pool_two_hours() -> None:
    made = plan(hourly([250.0, 100.0]))
    assert replicas(made) == [3, 1]
    assert made.cost_usd == pytest.approx(4.0)
    assert (made.status, made.gap_fraction) == ("optimal", pytest.approx(0.0, abs=1e-9))
    assert made.shortfall.is_empty()


def test_a_stop_pays_when_the_way_back_is_short_and_leaves_enough() -> None:
    held = {("east", "m", "a100"): 3}
    # two of three are given back for an hour and reclaimed; the minute they lack leaves 300 - 2 x 100/60 = 296.7
    made = plan(hourly([290.0, 90.0, 290.0]), initial=held, lead_s=USUAL)
    assert replicas(made) == [3, 1, 3]
    assert made.starts is not None
    assert made.starts.select("kind", "replicas").rows() == [("reclaim", pytest.approx(2.0))]
    # 298 allows one reclaim (298.3 are left), 299 none
    assert replicas(plan(hourly([298.0, 90.0, 298.0]), initial=held, lead_s=USUAL)) == [3, 2, 3]
    assert replicas(plan(hourly([299.0, 90.0, 299.0]), initial=held, lead_s=USUAL)) == [3, 3, 3]


def test_a_machine_from_elsewhere_is_started_two_hours_ahead() -> None:
    standing = {("east", "m", "a100"): 1}
    made = plan(hourly([100.0, 100.0, 290.0]), initial=standing, lead_s=USUAL)
    assert replicas(made) == [3, 3, 3]
    # with two lent replicas of the same model a minute is enough
    made = plan(hourly([100.0, 100.0, 290.0]), initial=standing, lent={("east", "m", "a100"): 2}, lead_s=USUAL)
    assert replicas(made) == [1, 1, 3]


def test_a_swap_takes_what_another_model_lent() -> None:
    theta = {("m", "a100"): 100.0, ("other", "a100"): 100.0}
    lent = {("east", "other", "a100"): 1}
    rows = hourly([0.0, 80.0]) + hourly([0.0, 0.0], model="other")
    made = plan(rows, theta=theta, lent=lent, lead_s=USUAL)
    assert replicas(made, model="m") == [0, 1]  # ten minutes of a hundred tokens: 83 are left
    assert made.starts is not None
    assert made.starts.get_column("kind").to_list() == ["swap"]
    # where the weights are not, the start is remote: too late for the second hour
    made = plan(rows, theta=theta, lent=lent, lead_s=USUAL, weights_in=frozenset({("east", "other")}))
    assert made.shortfall.get_column("input_tps").to_list() == [pytest.approx(80.0)]


def test_a_valley_takes_deferrable_work_and_saves_a_replica() -> None:
    fast = hourly([100.0, 0.0, 100.0])
    batch = hourly([100.0, 0.0, 0.0], tier="batch")
    made = plan(fast + batch, floor_replicas=1, leftover_cost_ratio=10.0)
    assert replicas(made) == [1, 1, 1]
    assert made.deferred is not None
    assert made.deferred.get_column("served_input_tps").to_list() == pytest.approx([0.0, 100.0, 0.0])
    assert made.deferred.get_column("backlog_input_tokens").to_list() == pytest.approx([360_000.0, 0.0, 0.0])


def test_work_is_late_only_where_nothing_can_serve_it_before_its_deadline() -> None:
    waiting = pl.DataFrame([("east", "m", 150.0, 7200.0)], schema=WAITING, orient="row")
    made = plan(hourly([0.0, 0.0, 0.0]), stock={("east", "a100"): 1}, waiting=waiting)
    assert replicas(made)[:2] == [1, 1]
    made = plan(hourly([50.0, 50.0, 0.0]), stock={("east", "a100"): 1}, waiting=waiting)
    assert made.deferred is not None
    assert made.deferred.get_column("late_input_tokens").sum() == pytest.approx(50.0 * 3600.0)
    assert made.shortfall.select("tier", "input_tps").rows() == [("batch", pytest.approx(50.0))]


def test_spot_carries_no_more_interactive_work_than_its_share() -> None:
    spot = {"spot_gpus": {("east", "a100"): 10}, "spot_usd_per_gpu_hour": {("east", "a100"): 0.3}}
    made = plan(hourly([400.0]), interactive_on_spot_fraction=0.5, **spot)
    assert dict(made.allocation.select("acquired", "replicas").rows()) == {"on_demand": 2, "spot": 2}
    assert made.cost_usd == pytest.approx(2.6)
    made = plan(hourly([100.0]) + hourly([300.0], tier="batch"), leftover_cost_ratio=10.0, **spot)
    assert made.cost_usd == pytest.approx(1.0 + 3 * 0.3)  # deferrable work may all stand on spot
    made = plan(hourly([400.0]), interactive_on_spot_fraction=0.5, **(spot | {"spot_gpus": {("east", "a100"): 1}}))
    assert made.cost_usd == pytest.approx(3.3)


def test_the_reserve_holds_when_any_one_region_is_lost() -> None:
    rows = hourly([100.0]) + hourly([100.0], region="west")
    assert replicas(plan(rows, stock=TWO)) == [2]
    made = plan(rows, stock=TWO, lost_region_fraction=1.0)
    assert replicas(made, region="east") == replicas(made, region="west") == [2]
    assert replicas(plan(rows, stock=TWO, lost_region_fraction=0.5)) == [2]


@pytest.mark.parametrize("tier", ["fast", "normal", "batch"])
def test_work_stays_where_it_must(tier: str) -> None:
    rows = hourly([100.0], region="west", tier=tier) + hourly([0.0])
    usd = {("east", "a100"): 1.0, ("west", "a100"): 3.0}
    free = plan(rows, stock=TWO, usd=usd, leftover_cost_ratio=10.0)
    assert free.cost_usd == pytest.approx(1.0)
    bound = plan(rows, stock=TWO, usd=usd, leftover_cost_ratio=10.0, residency={"west": frozenset({"west"})})
    assert bound.cost_usd == pytest.approx(3.0)
    assert replicas(bound, region="west") == [1]


def test_deferrable_work_stays_at_home_where_it_must() -> None:
    """The west has half a replica to spare: it serves what waits in the east, unless work is deferred at home."""
    rows = hourly([50.0, 50.0], region="west") + hourly([50.0, 0.0], tier="batch")
    abroad = plan(rows, stock=TWO, leftover_cost_ratio=10.0)
    assert (replicas(abroad, region="east"), replicas(abroad, region="west")) == ([0, 0], [1, 1])
    at_home = plan(rows, stock=TWO, leftover_cost_ratio=10.0, local_fraction=1.0, defer_at_home=True)
    assert (sum(replicas(at_home, region="east")), replicas(at_home, region="west")) == (1, [1, 1])
    assert abroad.shortfall.is_empty()
    assert at_home.shortfall.is_empty()


def test_deferrable_work_at_home_goes_short_there() -> None:
    """The east holds one replica; of 300 that wait there 200 are late, and told in the east, whatever the west has."""
    rows = hourly([300.0], tier="batch") + hourly([10.0], region="west")
    waiting = requirement(rows).with_columns(serve_by_s=pl.when("is_deferrable").then(3600.0))
    stock = {("east", "a100"): 1, ("west", "a100"): 9}
    made = plan_ahead(
        waiting, fleet=fleet(stock=stock), rates=rates({("m", "a100"): 100.0}), options=options(defer_at_home=True)
    )
    lost = made.shortfall.select("region", "tier", "input_tps").rows()
    assert lost == [("east", "batch", pytest.approx(200.0))]


def test_flows_keep_the_local_share_and_the_allowed_pairs() -> None:
    rows = hourly([0.0]) + hourly([200.0], region="west")
    usd = {("east", "a100"): 1.0, ("west", "a100"): 3.0}
    made = plan(rows, stock=TWO, usd=usd, local_fraction=0.5)
    assert made.cost_usd == pytest.approx(4.0)
    assert made.flows is not None
    assert made.flows.select("origin_region", "region", "input_tps").rows() == [
        ("west", "east", pytest.approx(100.0)),
        ("west", "west", pytest.approx(100.0)),
    ]
    assert plan(rows, stock=TWO, usd=usd, pairs=frozenset()).cost_usd == pytest.approx(6.0)


def test_a_carbon_cap_moves_work_to_the_clean_region() -> None:
    rows = hourly([200.0]) + hourly([0.0], region="west")
    usd = {("east", "a100"): 1.0, ("west", "a100"): 2.0}
    dirty = {"kw_per_gpu": {"a100": 1.0}, "energy": {"east": Energy(carbon_kg_per_kwh=(1.0,))}}
    assert plan(rows, stock=TWO, usd=usd, **dirty).cost_usd == pytest.approx(2.0)
    made = plan(rows, stock=TWO, usd=usd, carbon_cap_kg=1.0, **dirty)
    assert made.cost_usd == pytest.approx(3.0)
    assert made.hours.get_column("carbon_kg").to_list() == pytest.approx([1.0])
    priced = plan(rows, stock=TWO, usd=usd, carbon_usd_per_kg=1.5, **dirty)
    assert replicas(priced, region="west") == [2]


def test_energy_is_bought_where_it_is_cheap_at_that_hour() -> None:
    rows = hourly([100.0, 100.0]) + hourly([0.0, 0.0], region="west")
    by_hour = tuple(5.0 if hour == 0 else 0.0 for hour in range(24))
    made = plan(rows, stock=TWO, kw_per_gpu={"a100": 1.0}, energy={"east": Energy(usd_per_kwh=by_hour)})
    assert replicas(made, region="west")[0] == 1
    assert made.cost_usd == pytest.approx(2.0)


def test_a_budget_leaves_open_what_it_cannot_pay() -> None:
    made = plan(hourly([300.0]), budget_usd=2.0)
    assert made.cost_usd == pytest.approx(2.0)
    assert made.shortfall.get_column("input_tps").to_list() == [pytest.approx(100.0)]


def test_the_tier_that_is_served_last_goes_short_first() -> None:
    rows = hourly([300.0]) + hourly([200.0], tier="normal")
    made = plan(rows, stock={("east", "a100"): 4})
    assert made.shortfall.select("tier", "input_tps").rows() == [("normal", pytest.approx(100.0))]
    made = plan(rows, stock={("east", "a100"): 2})
    assert made.shortfall.select("tier", "input_tps").rows() == [
        ("fast", pytest.approx(100.0)),
        ("normal", pytest.approx(200.0)),
    ]


def test_reservations_are_paid_and_what_they_do_not_serve_is_let() -> None:
    east = ("east", "a100")
    made = plan(
        hourly([100.0, 300.0]),
        reserved_gpus={east: 2},
        reserved_usd_per_gpu_hour={east: 0.5},
        idle_usd_per_gpu_hour={east: 0.2},
    )
    assert made.cost_usd == pytest.approx(2 * 2 * 0.5 - 0.2 + 1.0)
    assert made.supply is not None
    assert made.supply.select("gpus_reserved", "gpus_on_demand", "gpus_idle").rows() == [(1, 0, 1), (2, 1, 0)]
    held = made.allocation.filter(pl.col("replicas") > 0).select("acquired", "replicas").rows()
    assert held == [("reserved", 1), ("on_demand", 1), ("reserved", 2)]


def test_a_quota_sends_the_rest_elsewhere() -> None:
    rows = hourly([300.0]) + hourly([0.0], region="west")
    usd = {("east", "a100"): 1.0, ("west", "a100"): 3.0}
    made = plan(rows, stock=TWO, usd=usd, quota_gpus={("east", "a100"): 1})
    assert made.cost_usd == pytest.approx(1.0 + 6.0)


def test_changes_are_spread_over_the_windows_they_need() -> None:
    assert replicas(plan(hourly([0.0, 0.0, 300.0]), starts_per_window=1)) == [1, 2, 3]
    standing = {("east", "m", "a100"): 3}
    assert replicas(plan(hourly([0.0, 0.0, 0.0]), initial=standing, stops_per_window=1)) == [2, 1, 0]


def test_a_floor_is_kept_as_far_as_the_stock_goes() -> None:
    assert replicas(plan(hourly([10.0, 10.0]), floor_replicas=2)) == [2, 2]
    assert replicas(plan(hourly([10.0, 10.0]), stock={("east", "a100"): 1}, floor_replicas=2)) == [1, 1]


def test_the_kind_with_the_cheaper_token_is_taken_first() -> None:
    stock = {("east", "a100"): 10, ("east", "h100"): 2}
    theta = {("m", "a100"): 100.0, ("m", "h100"): 250.0}
    made = plan(hourly([600.0]), stock=stock, theta=theta, usd={("east", "a100"): 1.0, ("east", "h100"): 2.0})
    held = made.allocation.filter(pl.col("replicas") > 0).select("gpu", "replicas").rows()
    assert held == [("a100", 1), ("h100", 2)]
