"""A month by hand: hours, factors, shares and tokens of a study whose numbers are replaced by small ones."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest

from workbench.errors import ReportError
from workbench.reporting import monthly
from workbench.results import Scorecard, SimRun, Study

#: Reactive: 240 GPU-hours and 2,400 USD a day; LT-I a quarter less, and one tier worse.
TOTALS = pl.DataFrame(
    {
        "strategy": ["reactive", "lt_i"],
        "label": ["Reactive", "LT-I"],
        "gpu_hours": [240.0, 180.0],
        "cost_usd": [2400.0, 1800.0],
        "waste_gpu_hours": [2.4, 0.9],
        "lent_gpu_hours": [60.0, 120.0],
        "cost_saved_usd": [0.0, 600.0],
        "keeps_service": [True, False],
    }
)


@pytest.fixture
def study(small_study: Study) -> Study:
    """The small study with one day, two strategies, and 2 million tokens served under each."""
    fast, normal, later = (tier.key for tier in small_study.fleet.tiers)
    start = small_study.as_of
    demand = pl.DataFrame(
        {
            "window_start": [start - timedelta(days=1), start],
            "region": "us_east",
            "model": "llama31_8b",
            "tier": fast,
            "requests": [500.0, 1000.0],
            "input_tokens": [900_000.0, 1_800_000.0],
            "output_tokens": [100_000.0, 200_000.0],
        }
    )
    windows = pl.DataFrame({"window_start": [start], "model": ["llama31_8b"], "tier": [fast], "served": [1000.0]})
    pools = pl.DataFrame(
        {
            "window_start": [start, start, start - timedelta(hours=1)],
            "region": ["us_east", "us_west", "us_west"],
            "model": ["a", "b", "b"],
            "gpu_hours": [10.0, 30.0, 99.0],
            "cost_usd": [100.0, 300.0, 999.0],
        }
    )
    tiers = pl.DataFrame(
        {
            "strategy": ["reactive"] * 3 + ["lt_i"] * 3,
            "tier": [fast, normal, later] * 2,
            "slo_attainment_fraction": [0.99, 1.0, None, 0.90, 0.997, None],
            "missed_deadlines": [0.0, 0.0, 0.0, 0.0, 0.0, 5.0],
            "arrived": [1000.0] * 6,
            "backlog": [1.0, 2.0, 3.0, 0.0, 0.0, 40.0],
        }
    )
    runs = {key: _run(small_study.runs[key], windows=windows, pools=pools) for key in ("reactive", "lt_i")}
    card = Scorecard(totals=TOTALS, tiers=tiers, baseline="reactive")
    return dataclasses.replace(small_study, hours=24.0, demand=demand, runs=runs, scorecard=card)


def _run(run: SimRun, **frames: pl.DataFrame) -> SimRun:
    return dataclasses.replace(run, **frames)


@pytest.mark.parametrize(
    ("month", "hours"), [("2025-07", 744.0), ("2025-02", 672.0), ("2024-02", 696.0), ("2025-04", 720.0)]
)
def test_hours_of_a_month(month: str, hours: float) -> None:
    assert monthly.month_hours(month) == hours


@pytest.mark.parametrize("month", ["2025-13", "2025-00", "2025-7", "25-07", "July", "2025-07-01", "", "0000-01"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(ReportError, match="YYYY-MM such as 2025-07"):
        monthly.checked_month(month)


def test_a_month_has_a_name() -> None:
    assert monthly.month_name("2025-07") == "July 2025"


def test_a_day_stands_for_a_month_by_hours_over_hours(study: Study) -> None:
    assert monthly.month_factor(study, "2025-07") == 31.0
    base, cheap = monthly.month_projection(study, "2025-07").to_dicts()
    assert base == {
        "strategy": "reactive",
        "label": "Reactive",
        "month_gpu_hours": 240.0 * 31,
        "month_cost_usd": 2400.0 * 31,
        "month_cost_saved_usd": 0.0,
        "cost_saved_fraction": 0.0,
        "keeps_service": True,
        "month_waste_gpu_hours": pytest.approx(2.4 * 31),
        "waste_fraction": pytest.approx(0.01),
        "month_lent_gpu_hours": 60.0 * 31,
        "lent_fraction": 0.2,
        "usd_per_million_tokens": 1200.0,
        "waiting": 6.0,
    }
    assert (cheap["month_cost_saved_usd"], cheap["cost_saved_fraction"]) == (600.0 * 31, 0.25)
    assert (cheap["usd_per_million_tokens"], cheap["waiting"]) == (900.0, 40.0)


def test_warm_up_shortens_what_stands_for_the_month(study: Study) -> None:
    warm = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, warmup_hours=12.0))
    assert monthly.month_factor(warm, "2025-07") == 62.0
    assert monthly.scored_from(warm) == study.as_of + timedelta(hours=12)
    assert monthly.served_tokens(warm, "reactive") == 0.0


def test_cost_is_split_over_what_was_scored(study: Study) -> None:
    split = monthly.month_cost_by(study, "2025-07", "region").filter(pl.col("strategy") == "lt_i")
    assert split.select("region", "month_gpu_hours", "month_cost_usd", "cost_fraction").rows() == [
        ("us_east", 310.0, 3100.0, 0.25),
        ("us_west", 930.0, 9300.0, 0.75),
    ]


def test_tokens_are_those_of_completed_requests(study: Study) -> None:
    assert monthly.served_tokens(study, "reactive") == 2_000_000.0


def test_the_span_is_compared_with_all_days(study: Study) -> None:
    assert monthly.load_ratio(study) == pytest.approx(2.0 / 1.5)
    silent = study.demand.with_columns(pl.lit(None, dtype=pl.Float64).alias("input_tokens"))
    assert monthly.load_ratio(dataclasses.replace(study, demand=silent)) is None


def test_tiers_that_fare_worse_are_named_and_small_changes_are_not(study: Study) -> None:
    fast, _, later = study.fleet.tiers
    assert monthly.worse_tiers(study, "lt_i") == [(fast, 0.90, 0.99), (later, None, None)]
    assert monthly.worse_tiers(study, "reactive") == []


def test_the_strictest_tier_has_the_shortest_promise(study: Study) -> None:
    fast, normal, later = study.fleet.tiers
    assert monthly.strictest_tier([later, normal, fast]) == fast
    assert monthly.strictest_tier([later]) == later
