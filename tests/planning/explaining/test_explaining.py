"""Explanations that can be told by hand: two kinds, two regions, a few hours."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.planning.planning_cases import START, fleet, problem, rates, requirement
from workbench import catalog, tables
from workbench.domain import RiskPolicy
from workbench.errors import PlanError
from workbench.planning import explaining
from workbench.planning.checking import check
from workbench.planning.explaining.binding import binding
from workbench.planning.explaining.differences import differences, differences_told
from workbench.planning.explaining.near_equal import near_equal
from workbench.planning.explaining.rejected import rejected
from workbench.planning.explaining.wishes import Wish, wish_costs, wishes, without_region
from workbench.planning.lookahead import LookAhead
from workbench.planning.programme import objective_usd
from workbench.planning.requirement import peak_demand
from workbench.planning.solving import solve
from workbench.results import CapacityPlan, Forecast

REGIONS = ("east", "west")
SPEEDS = rates({("m", "a100"): 40.0, ("m", "h100"): 100.0})
HOW: dict[str, Any] = {"epsilon_fraction": 0.5, "floor_replicas": 0, "gap_fraction": 0.0, "model": "sageserve"}
RISK = RiskPolicy(quantile=0.5)


def world(stock: int = 20) -> Any:
    """An a100 costs 1 USD an hour for 40 tokens/s, an h100 2 for 100: 25 and 20 USD per (1000 tokens/s)."""
    return fleet(
        stock={(region, gpu): stock for region in REGIONS for gpu in ("a100", "h100")},
        usd={(region, gpu): 1.0 + (gpu == "h100") for region in REGIONS for gpu in ("a100", "h100")},
    )


def made(east: float, west: float, *, stock: int = 20, hours: int = 2) -> tuple[CapacityPlan, pl.DataFrame]:
    rows = [
        (hour, region, "m", "fast", tps) for hour in range(hours) for region, tps in (("east", east), ("west", west))
    ]
    needed = requirement(rows)
    plan = solve(needed, fleet=world(stock), rates=SPEEDS, risk=RISK, **HOW)
    rules = {name: HOW[name] for name in ("epsilon_fraction", "floor_replicas")}
    assert check(plan, requirement=needed, fleet=world(stock), rates=SPEEDS, risk=RISK, **rules).is_empty()
    return plan, needed


def forecast(medians: dict[str, float], *, ratio: float = 1.5) -> Forecast:
    rows = [
        (START + timedelta(hours=hour), region, "m", "fast", measure, quantile, tps * scale * share)
        for hour in range(2)
        for region, tps in medians.items()
        for measure, share in (("input_tps", 1.0), ("output_tps", 0.1), ("rps", 0.001))
        for quantile, scale in ((0.25, 1 / ratio), (0.5, 1.0), (0.9, ratio))
    ]
    frame = tables.FORECAST.conform(pl.DataFrame(rows, schema=tables.FORECAST.schema, orient="row"))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=START, window_s=3600.0, method="test")


def test_a_dearer_kind_is_told_with_its_price() -> None:
    """400 tokens/s: four h100 at 2 are 8 USD, ten a100 would be 10: 6.94 against 5.56 USD per million tokens."""
    plan, _ = made(200.0, 200.0)
    (row,) = rejected(plan, fleet=world(), rates=SPEEDS).to_dicts()
    assert (row["model"], row["gpu"], row["reason"]) == ("m", "a100", "dearer")
    assert row["usd_per_mtoken"] == pytest.approx(1 / (40 * 3600) * 1e6)
    assert row["cheapest_usd_per_mtoken"] == pytest.approx(2 / (100 * 3600) * 1e6)
    assert "25% above the cheapest" in row["told"]


def test_a_kind_without_profile_stock_or_rate_is_told_apart() -> None:
    plan, _ = made(200.0, 200.0)
    bare = dataclasses.replace(
        world(), replicas=tuple(one for one in world().replicas if one.gpu == "h100"), initial_replicas={}
    )
    only_h100 = SPEEDS.filter(pl.col("gpu") == "h100")
    assert rejected(plan, fleet=bare, rates=only_h100).get_column("reason").to_list() == ["no_profile"]
    assert rejected(plan, fleet=world(), rates=only_h100).get_column("reason").to_list() == ["no_rate"]
    none = dataclasses.replace(world(), stock_gpus={**world().stock_gpus, **{(r, "a100"): 0 for r in REGIONS}})
    assert rejected(plan, fleet=none, rates=only_h100).get_column("reason").to_list() == ["no_stock"]


def test_with_a_catalog_every_kind_it_knows_gets_a_reason() -> None:
    known = catalog.load()
    model = known.model("llama31_8b")
    plan, _ = made(200.0, 200.0)
    real = dataclasses.replace(
        world(),
        models=(model,),
        mixes={model.key: world().mixes["m"]},
        replicas=tuple(dataclasses.replace(one, model=model.key) for one in world().replicas),
    )
    reasons = rejected(plan, fleet=real, rates=SPEEDS, catalog=known)
    assert set(known.gpus) <= set(reasons.get_column("gpu"))
    assert "no_profile" in reasons.get_column("reason").to_list()


def test_the_rules_that_bind_are_said_in_words() -> None:
    """D = (300, 100), epsilon 0.5: four h100, and one less breaks the cover of all."""
    plan, needed = made(300.0, 100.0)
    found = binding(
        plan, demand=peak_demand(needed, RISK), fleet=world(), rates=SPEEDS, epsilon_fraction=0.5, floor_replicas=0
    )
    everywhere = found.filter(pl.col("rule") == "global_cover").row(0, named=True)
    assert everywhere["windows"] == 2
    assert everywhere["share_fraction"] == 1.0
    assert everywhere["told"] == "all regions together just cover m in 2 of 2 windows"
    assert "stock" not in found.get_column("rule")


def test_a_full_region_binds_by_its_stock() -> None:
    plan, needed = made(300.0, 100.0, stock=2)
    found = binding(
        plan, demand=peak_demand(needed, RISK), fleet=world(2), rates=SPEEDS, epsilon_fraction=0.5, floor_replicas=2
    )
    stock = found.filter(pl.col("rule") == "stock")
    assert {"east", "west"} == set(stock.get_column("region"))
    assert "east has no h100 left for another replica in 2 of 2 windows" in stock.get_column("told").to_list()


def test_each_wish_has_its_price() -> None:
    """Median (150, 50): two h100 for two hours, 8 USD. At the 0.9 quantile (225, 75): three, 12 USD. Each region for
    itself: two and one (or two a100 in the west): 12 USD. Without west: all 200 in the east, 8 USD."""
    ahead = forecast({"east": 150.0, "west": 50.0})
    asked = (
        Wish(label="safer", risk={"quantile": 0.9}),
        Wish(label="apart", plan={"epsilon_fraction": 1.0}),
        Wish(label="without west", without_region="west"),
    )
    seen: list[tuple[int, int]] = []
    costs = wish_costs(
        ahead, asked, fleet=world(), rates=SPEEDS, risk=RISK, progress=lambda *done: seen.append(done), **HOW
    )
    assert costs.get_column("wish").to_list() == ["as planned", "safer", "apart", "without west"]
    assert costs.get_column("cost_usd").to_list() == [8.0, 12.0, 12.0, 8.0]
    assert costs.get_column("difference_fraction").to_list() == [0.0, 0.5, 0.5, 0.0]
    assert seen[-1] == (4, 4)


def test_the_usual_wishes_follow_the_forecast_and_the_plan() -> None:
    usual = wishes(forecast({"east": 1.0}), fleet=world(), risk=RISK, epsilon_fraction=0.5)
    assert [wish.label for wish in usual] == [
        "less risk: quantile 0.9",
        "more risk: quantile 0.25",
        "every region for itself",
        "work may go to any region",
        "no floor of replicas",
        "without east",
        "without west",
    ]


def test_a_look_ahead_plan_takes_wishes_in_its_options() -> None:
    """As hour by hour: (150, 50) together two h100 at 2 USD for two hours; apart two and one, 6 USD an hour."""
    ahead = forecast({"east": 150.0, "west": 50.0})
    at_once = {"reclaim": 0.0, "swap": 0.0, "remote": 0.0}
    options = LookAhead(local_fraction=0.0, floor_replicas=0, lead_s=at_once)
    how = {**HOW, "model": "lookahead", "options": options}
    costs = wish_costs(
        ahead, [Wish(label="apart", plan={"epsilon_fraction": 1.0})], fleet=world(), rates=SPEEDS, risk=RISK, **how
    )
    assert costs.get_column("cost_usd").to_list() == pytest.approx([8.0, 12.0])
    assert costs.get_column("difference_usd").to_list() == pytest.approx([0.0, 4.0])


def test_the_way_to_another_region_has_its_price() -> None:
    """100 tokens/s of the east, 0.36 million an hour: an h100 costs 3 USD there and 2 in the west.

    At a latency of 2 s and 5 USD a million tokens and second the way west costs 3.60 USD an hour, so they stay at home.
    """
    ahead = forecast({"east": 100.0, "west": 0.0})
    far = {("east", "west"): 2.0, ("west", "east"): 2.0}
    usd = {("east", "h100"): 3.0, ("west", "h100"): 2.0}
    there = dataclasses.replace(fleet(stock=dict.fromkeys(usd, 5), usd=usd), network_latency_s=far)
    at_once = {"reclaim": 0.0, "swap": 0.0, "remote": 0.0}
    options = LookAhead(local_fraction=0.0, floor_replicas=0, lead_s=at_once, latency_usd_per_mtoken_s=5.0)
    usual = wishes(ahead, fleet=there, risk=RISK, epsilon_fraction=0.0, options=options)
    (free,) = [wish for wish in usual if wish.label == "no price on the way to other regions"]
    how = {**HOW, "model": "lookahead", "options": options}
    only_h100 = SPEEDS.filter(pl.col("gpu") == "h100")
    costs = wish_costs(ahead, [free], fleet=there, rates=only_h100, risk=RISK, **how)
    assert costs.get_column("cost_usd").to_list() == pytest.approx([6.0, 4.0])


def test_a_lost_region_leaves_its_customers() -> None:
    """East 30, west 10 and north 20: without north its 20 go 15 to the east and 5 to the west."""
    needed = requirement(
        [(0, "east", "m", "fast", 30.0), (0, "west", "m", "fast", 10.0), (0, "north", "m", "fast", 20.0)]
    )
    three = fleet(stock={(region, "h100"): 8 for region in ("east", "west", "north")})
    spread, fewer = without_region(needed, three, "north")
    assert spread.select("region", "input_tps").rows() == [("east", 45.0), ("west", 15.0)]
    assert [region.key for region in fewer.regions] == ["east", "west"]
    assert set(fewer.stock_gpus) == {("east", "h100"), ("west", "h100")}
    with pytest.raises(PlanError, match="no region 'south'"):
        without_region(needed, three, "south")


def test_plans_of_equal_cost_are_found_as_far_apart_as_can_be() -> None:
    """Two regions of equal price, all work free to move: both may hold all four replicas; 1 % buys no fifth."""
    east, west = ("east", "m", "h100"), ("west", "m", "h100")
    hour = problem(
        now={east: 0, west: 0},
        demand={("east", "m"): 200.0, ("west", "m"): 200.0},
        theta={("m", "h100"): 100.0},
        epsilon=0.0,
    )
    best, *others = near_equal(hour, most=3)
    assert best.gpus_moved == 0
    assert all(sum(plan.replicas.values()) == 4 for plan in (best, *others))
    assert max(plan.gpus_moved for plan in others) >= 2
    assert all(plan.objective_usd == pytest.approx(objective_usd(hour, plan.replicas)) for plan in others)
    assert all(plan.objective_usd <= best.objective_usd * 1.01 + 1e-6 for plan in others)


def test_as_many_replicas_move_as_the_slack_pays_for() -> None:
    """Four in the east cost 4 x (6 to hold + 1 to start) = 28 USD, each in the west 0.10 more.

    One percent is 0.28, which pays for two in the west and not for three: 28.20 with two GPUs elsewhere. Two percent,
    0.56, pay for all four: 28.40.
    """
    east, west = ("east", "m", "h100"), ("west", "m", "h100")
    hour = problem(
        now={east: 0, west: 0},
        demand={("east", "m"): 200.0, ("west", "m"): 200.0},
        theta={("m", "h100"): 100.0},
        hold={east: 6.0, west: 6.1},
        epsilon=0.0,
    )
    for slack, replicas, usd in ((0.01, {east: 2, west: 2}, 28.2), (0.02, {east: 0, west: 4}, 28.4)):
        best, other = near_equal(hour, slack_fraction=slack, most=1)
        assert (best.replicas, best.objective_usd) == ({east: 4, west: 0}, pytest.approx(28.0))
        assert (other.replicas, other.objective_usd) == (replicas, pytest.approx(usd))
        assert other.gpus_moved == replicas[west]


def test_an_hour_that_falls_short_has_no_near_equal_plans() -> None:
    east = ("east", "m", "h100")
    hour = problem(
        now={east: 0}, demand={("east", "m"): 900.0}, theta={("m", "h100"): 100.0}, stock={("east", "h100"): 2}
    )
    (only,) = near_equal(hour)
    assert only.gpus_moved == 0


def test_two_plans_are_put_beside_each_other() -> None:
    """400 against 200 tokens/s for two hours: two h100 more, 4 GPU-hours, 8 USD."""
    small, large = made(100.0, 100.0)[0], made(200.0, 200.0)[0]
    found = differences(small, large, fleet=world(), rates=SPEEDS)
    assert found.get_column("gpu_hours").sum() == pytest.approx(4.0)
    assert found.get_column("list_usd").sum() == pytest.approx(large.cost_usd - small.cost_usd) == pytest.approx(8.0)
    told = explaining.differences_told(small, large, found)
    assert told.startswith("The second plan costs +8 USD (+100.0%)")
    assert told.endswith("Both leave as much unserved.")
    same = differences(small, small, fleet=world(), rates=SPEEDS)
    assert same.is_empty()
    assert differences_told(small, small, same) == "The plans hold the same replicas in every window."
