"""workbench.planning.lookahead.pricing: what a GPU, a kilogram and a dollar more are worth, solved by hand."""

from __future__ import annotations

import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import hourly, options, plan
from tests.planning.planning_cases import fleet, rates, requirement
from workbench.errors import PlanError
from workbench.planning.lookahead import PRICES, Energy, LookAhead, in_words, plan_ahead, prices

EAST, WEST = ("east", "a100"), ("west", "a100")
THETA = {("m", "a100"): 100.0}
USD = {EAST: 1.0, WEST: 3.0}


def priced(
    rows: list[tuple[int, str, str, str, float]], *, stock: dict[tuple[str, str], int], asked: LookAhead
) -> pl.DataFrame:
    world = fleet(stock=stock, usd={key: USD[key] for key in stock})
    made = plan_ahead(requirement(rows), fleet=world, rates=rates(THETA), options=asked, gap_fraction=0.0)
    return prices(made, requirement=requirement(rows), fleet=world, rates=rates(THETA), options=asked)


def limit(found: pl.DataFrame, name: str) -> dict[str, object]:
    return found.filter(pl.col("limit") == name).row(0, named=True)


def test_a_gpu_in_the_cheap_region_saves_the_difference_to_the_dear_one() -> None:
    rows = hourly([290.0]) + hourly([0.0], region="west")
    found = priced(rows, stock={EAST: 2, WEST: 5}, asked=options())
    stock = limit(found, "stock")
    assert (stock["region"], stock["gpu"], stock["unit"], stock["slack"]) == ("east", "a100", "GPU", 0.0)
    assert stock["usd_per_unit"] == pytest.approx(2.0, abs=1e-3)
    # a hundred a second, 0.36 million an hour, cost 3 USD in the west
    work = limit(found, "bound work")
    assert work["usd_per_unit"] == pytest.approx(3.0 / 0.36, rel=1e-3)
    assert work["unit"] == "million input tokens"


def test_a_gpu_where_work_goes_short_is_worth_the_shortfall() -> None:
    found = priced(hourly([290.0]), stock={EAST: 2}, asked=options())
    stock = limit(found, "stock")
    assert stock["usd_per_unit"] == pytest.approx(stock["usd_per_unit_fixed"])
    assert stock["usd_per_unit"] > 1000.0


def test_a_kilogram_of_carbon_is_worth_the_way_round_it() -> None:
    rows = hourly([200.0]) + hourly([0.0], region="west")
    asked = options(kw_per_gpu={"a100": 1.0}, energy={"east": Energy(carbon_kg_per_kwh=(1.0,))}, carbon_cap_kg=1.0)
    found = priced(rows, stock={EAST: 5, WEST: 5}, asked=asked)
    assert limit(found, "carbon")["usd_per_unit"] == pytest.approx(2.0, abs=1e-3)
    assert limit(found, "carbon")["window_start"] is None


def test_quota_and_budget_have_their_price() -> None:
    rows = hourly([290.0]) + hourly([0.0], region="west")
    found = priced(rows, stock={EAST: 5, WEST: 5}, asked=options(quota_gpus={EAST: 1}))
    assert limit(found, "quota")["usd_per_unit"] == pytest.approx(2.0, abs=1e-3)
    found = priced(hourly([290.0]), stock={EAST: 5}, asked=options(budget_usd=2.0))
    budget = limit(found, "budget")
    assert budget["unit"] == "USD"
    assert budget["usd_per_unit"] > 1000.0


def test_what_binds_is_said_in_words() -> None:
    rows = hourly([290.0, 290.0]) + hourly([0.0, 0.0], region="west")
    found = priced(rows, stock={EAST: 2, WEST: 5}, asked=options())
    assert in_words(found) == (
        "The stock of a100 in east binds in 2 windows, most at 01 Jul 00:00: one GPU more would save 2.00 USD if all "
        "were planned anew, 0.00 USD with the plan as it is.",
    )
    assert found.schema == PRICES


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("stock", [{"stock": {EAST: count, WEST: 5}} for count in (2, 3)]),
        ("quota", [{"quota_gpus": {EAST: count}} for count in (2, 3)]),
        (
            "carbon",
            [
                {
                    "kw_per_gpu": {"a100": 1.0},
                    "energy": {"east": Energy(carbon_kg_per_kwh=(1.0,))},
                    "carbon_cap_kg": cap,
                }
                for cap in (1.0, 2.0)
            ],
        ),
        ("starts_limit", [{"starts_per_window": count} for count in (2, 3)]),
    ],
)
def test_the_price_is_what_a_plan_with_one_unit_more_saves(name: str, limits: list[dict[str, object]]) -> None:
    """300 tokens/s are three replicas: 1 USD each in the east, 3 in the west where the limit keeps them out."""
    rows = hourly([300.0]) + hourly([0.0], region="west")
    usd = []
    for limits_are in limits:
        asked = dict(limits_are)
        stock = asked.pop("stock", {EAST: 5, WEST: 5})
        made = plan(rows, stock=stock, usd=USD, theta=THETA, **asked)
        usd.append(made.cost_usd)
        if len(usd) == 1:
            world = fleet(stock=stock, usd=USD)
            found = prices(
                made, requirement=requirement(rows), fleet=world, rates=rates(THETA), options=options(**asked)
            )
    assert usd[0] - usd[1] == pytest.approx(2.0)
    assert limit(found, name)["usd_per_unit"] == pytest.approx(2.0, abs=1e-3)


def test_with_its_counts_fixed_a_gpu_is_worth_the_work_of_one_replica_more() -> None:
    """Of 300 tokens/s 100 go short on two GPUs; a third serves them and costs its hour."""
    rows = hourly([300.0])
    objective = {
        count: plan(rows, stock={EAST: count}, usd=USD).hours.get_column("objective").sum() for count in (2, 3)
    }
    found = priced(rows, stock={EAST: 2}, asked=options())
    assert limit(found, "stock")["usd_per_unit_fixed"] == pytest.approx(objective[2] - objective[3], rel=1e-6)


def test_one_more_gpu_of_spot_saves_the_difference_to_buying_it() -> None:
    """Deferrable work may all stand on spot: of three replicas' work two find a GPU there at 0.3 instead of 1 USD."""
    rows = hourly([0.0]) + hourly([300.0], tier="batch")
    spot = {"spot_usd_per_gpu_hour": {EAST: 0.3}, "leftover_cost_ratio": 10.0}
    cost = {c: plan(rows, usd=USD, spot_gpus={EAST: c}, **spot).cost_usd for c in (2, 3)}
    found = priced(rows, stock={EAST: 10}, asked=options(spot_gpus={EAST: 2}, **spot))
    assert limit(found, "spot_stock")["usd_per_unit"] == pytest.approx(0.7, abs=1e-3) == cost[2] - cost[3]
    (told,) = in_words(found)
    assert told.startswith("What the spot market offers of a100 in east binds at 01 Jul 00:00: one GPU more would ")


def test_interactive_work_that_may_not_stand_on_spot_has_its_price() -> None:
    """400 tokens/s, half on spot: a hundred more, 0.36 million an hour, would save 1 - 0.3 USD."""
    rows = hourly([400.0], tier="normal")
    spot = {"spot_gpus": {EAST: 10}, "spot_usd_per_gpu_hour": {EAST: 0.3}}
    cost = {s: plan(rows, usd=USD, interactive_on_spot_fraction=s, **spot).cost_usd for s in (0.5, 0.75)}
    assert cost[0.5] - cost[0.75] == pytest.approx(0.7)
    found = priced(rows, stock={EAST: 10}, asked=options(interactive_on_spot_fraction=0.5, **spot))
    share = limit(found, "spot_share_all")
    assert share["unit"] == "million input tokens on spot"
    assert share["usd_per_unit"] == pytest.approx(0.7 / 0.36, rel=1e-3)
    assert "The share of all interactive work of m that may stand on spot binds" in "".join(in_words(found))


def test_nothing_binds_where_there_is_room() -> None:
    found = priced(hourly([250.0]), stock={EAST: 9}, asked=options())
    assert found.filter(pl.col("unit") == "GPU").is_empty()
    assert in_words(found) == ()


def test_counts_of_another_programme_are_refused() -> None:
    world = fleet(stock={EAST: 5})
    rows = requirement(hourly([290.0]))
    made = plan_ahead(rows, fleet=world, rates=rates(THETA), options=options())
    with pytest.raises(PlanError, match="its counts break the limits given here"):
        prices(made, requirement=rows, fleet=world, rates=rates(THETA), options=options(quota_gpus={EAST: 1}))
