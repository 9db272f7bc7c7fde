"""workbench.planning.lookahead.pricing: what a GPU, a kilogram and a dollar more are worth, solved by hand."""

from __future__ import annotations

import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import hourly, options
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
        "Stock of a100 in east binds in 2 windows, most at 01 Jul 00:00: one GPU more would save 2.00 USD if all were "
        "planned anew, 0.00 USD with the plan as it is.",
    )
    assert found.schema == PRICES


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
