"""workbench.studies.starting: the common start of all strategies, sized from history alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from workbench import catalog, scenarios
from workbench.domain import Fleet, Scenario
from workbench.errors import CatalogError, ScenarioError
from workbench.studies import starting
from workbench.tables import DEMAND, SHAPE

AS_OF = datetime(2026, 3, 3)


def scenario(**content: object) -> Scenario:
    return scenarios.parse({"trace": "t"} | content, source="test")


def demand(
    rates_rps: list[float], *, model: str = "llama2_70b", tier: str = "interactive_fast", region: str = "us_east"
) -> pl.DataFrame:
    """One rate per hour up to AS_OF and on, 1000 tokens in and 100 out."""
    first = AS_OF - timedelta(hours=len(rates_rps) - 1)
    rows = [
        {
            "window_start": first + timedelta(hours=i, minutes=10 * j),
            "region": region,
            "model": model,
            "tier": tier,
            "requests": rate * 600,
            "input_tokens": rate * 600_000,
            "output_tokens": rate * 60_000,
        }
        for i, rate in enumerate(rates_rps)
        for j in range(6)
    ]
    return DEMAND.conform(pl.DataFrame(rows, schema_overrides=DEMAND.schema))


def fleet(frame: pl.DataFrame, **content: object) -> Fleet:
    return starting.fleet_of(scenario(**content), catalog.load(), frame, SHAPE.empty(), AS_OF)


def test_the_start_serves_the_last_hour_and_lends_up_to_a_quarter_over_the_peak() -> None:
    world = fleet(demand([40.0, 10.0, 0.0]))
    key = ("us_east", "llama2_70b", "h100_80gb")
    now, lent = world.initial_replicas[key], world.initial_lent_replicas[key]
    assert now * 4 == pytest.approx((now + lent) / 1.25, abs=4)  # 10 rps now, 40 rps at the peak
    assert world.stock_gpus["us_east", "h100_80gb"] >= 8 * (now + lent)


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 20, 30, 60])
def test_the_length_of_the_demand_windows_does_not_change_the_size(minutes: int) -> None:
    starts = [AS_OF - timedelta(minutes=minutes * i) for i in range(int(6 * 60 / minutes), -1, -1)]
    frame = DEMAND.conform(
        pl.DataFrame(
            {
                "window_start": starts,
                "region": "us_east",
                "model": "llama2_70b",
                "tier": "interactive_fast",
                "requests": 720.0 * minutes,
                "input_tokens": 720_000.0 * minutes,
                "output_tokens": 72_000.0 * minutes,
            },
            schema_overrides=DEMAND.schema,
        )
    )
    assert set(fleet(frame).initial_replicas.values()) == set(fleet(demand([12.0] * 6)).initial_replicas.values())


def test_unknown_windows_are_not_taken_for_silence() -> None:
    frame = demand([40.0, 40.0, 0.0]).with_columns(
        pl.when(pl.col("window_start") >= AS_OF - timedelta(minutes=40)).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("requests", "input_tokens", "output_tokens")
    )
    known = fleet(demand([40.0, 40.0, 0.0]))
    assert fleet(frame).initial_replicas == known.initial_replicas


def test_a_model_without_traffic_in_a_region_stands_there_at_the_floor() -> None:
    frame = pl.concat([demand([5.0, 5.0, 0.0]), demand([5.0, 5.0, 0.0], model="llama31_8b", region="us_west")])
    world = fleet(frame)
    assert world.initial_replicas["us_west", "llama2_70b", "h100_80gb"] == 2
    assert world.initial_replicas["us_east", "llama31_8b", "h100_80gb"] == 2


def test_nothing_after_as_of_changes_the_start() -> None:
    assert fleet(demand([40.0, 10.0, 0.0])) == fleet(demand([40.0, 10.0, 500.0]))


def test_small_loads_stand_at_the_floor_with_room_for_both_silos() -> None:
    world = fleet(demand([0.01, 0.01, 0.01]))
    key = ("us_east", "llama2_70b", "h100_80gb")
    assert (world.initial_replicas[key], world.initial_lent_replicas[key]) == (2, 2)


def test_a_given_start_and_stock_are_taken() -> None:
    world = fleet(
        demand([40.0, 10.0, 0.0]), fleet={"initial_replicas_per_pool": 20, "stock_gpus_per_region": 20 * 8 + 16}
    )
    key = ("us_east", "llama2_70b", "h100_80gb")
    assert (world.initial_replicas[key], world.initial_lent_replicas[key]) == (20, 2)
    assert world.stock_gpus["us_east", "h100_80gb"] == 176
    with pytest.raises(ScenarioError, match="its stock is 100"):
        fleet(demand([1.0, 1.0]), fleet={"initial_replicas_per_pool": 20, "stock_gpus_per_region": 100})


def test_prices_come_from_the_catalog_or_from_the_scenario() -> None:
    listed = fleet(demand([1.0, 1.0]))
    assert listed.usd_per_gpu_hour["us_east", "h100_80gb"] == pytest.approx(98.32 / 8)
    own = fleet(demand([1.0, 1.0]), fleet={"usd_per_vm_hour": {"azure_nd96isr_h100_v5": 48.0}})
    assert own.usd_per_gpu_hour["us_east", "h100_80gb"] == pytest.approx(6.0)
    assert "as the scenario says" in own.price_note
    with pytest.raises(CatalogError, match="azure_nd96isr_h100_v5"):
        fleet(demand([1.0, 1.0]), fleet={"usd_per_vm_hour": {"azure_nd96isr_h100": 48.0}})


def test_a_model_missing_from_the_catalog_is_named() -> None:
    with pytest.raises(CatalogError, match="llama2_70"):
        fleet(demand([1.0, 1.0], model="llama2_7b"))


def test_a_model_without_history_is_refused() -> None:
    with pytest.raises(ScenarioError, match="has no request before"):
        fleet(demand([0.0, 0.0, 5.0]))


def test_with_two_kinds_of_gpu_the_cheaper_one_serves_at_the_start() -> None:
    world = fleet(demand([40.0, 10.0, 0.0]), gpus=["a100_80gb", "h100_80gb"])
    kinds = {gpu for _, _, gpu in world.initial_replicas}
    assert len(kinds) == 1
    assert {replica.gpu for replica in world.replicas} == {"a100_80gb", "h100_80gb"}
