"""What was just seen stays servable, against hours worked out by hand."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest
from planning_cases import START, TIERS

from workbench import tables
from workbench.domain import RiskPolicy
from workbench.errors import PlanError, ScenarioError
from workbench.planning.recent_peaks import recently_seen
from workbench.planning.requirement import require
from workbench.results import Forecast

HALF_H = timedelta(minutes=30)
KEEP = RiskPolicy(quantile=0.5, recent_peak_hours=2.0, recent_peak_fraction=0.5)
Rows = list[tuple[int, str, float | None]]


def foreseen(values: dict[str, list[float]]) -> Forecast:
    """Return medians of input tokens/s by tier for half hours from START on; output is a tenth of them."""
    rows = [
        (START + HALF_H * index, "east", "m", tier, measure, 0.5, tps * share)
        for tier, rates in values.items()
        for index, tps in enumerate(rates)
        for measure, share in (("input_tps", 1.0), ("output_tps", 0.1), ("rps", 0.001))
    ]
    frame = tables.FORECAST.conform(pl.DataFrame(rows, schema=tables.FORECAST.schema, orient="row"))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=START, window_s=1800.0, method="test")


def seen(rows: Rows, *, window_s: float = 1800.0) -> pl.DataFrame:
    """Return DEMAND of tokens/s by (window counted from START, tier); output is a tenth of the input."""
    full = [
        (
            START + timedelta(seconds=index * window_s),
            "east",
            "m",
            tier,
            None if tps is None else tps * window_s / 1000.0,
            None if tps is None else tps * window_s,
            None if tps is None else tps * window_s / 10.0,
        )
        for index, tier, tps in rows
    ]
    return tables.DEMAND.conform(pl.DataFrame(full, schema=tables.DEMAND.schema, orient="row"))


def needed(forecast: Forecast, observed: pl.DataFrame | None, risk: RiskPolicy = KEEP) -> list[tuple[str, float]]:
    frame = require(forecast, risk=risk, tiers=TIERS, observed=observed)
    return [(tier, tps) for tier, tps in frame.select("tier", "input_tps").iter_rows()]


def test_a_pause_that_ends_is_covered() -> None:
    """Half of the 100 of an hour ago is 50, above the 20 that are foreseen; of the pause itself only 5 would be."""
    observed = seen([(-3, "fast", 100.0), (-2, "fast", 10.0), (-1, "fast", 10.0)])
    assert needed(foreseen({"fast": [20.0, 15.0]}), observed) == [("fast", 50.0)]


def test_a_forecast_above_what_was_seen_counts_alone() -> None:
    observed = seen([(-2, "fast", 100.0), (-1, "fast", 10.0)])
    assert needed(foreseen({"fast": [60.0, 15.0]}), observed) == [("fast", 60.0)]


def test_what_was_seen_is_forgotten_hour_by_hour() -> None:
    """Two hours before 0 h, 1 h and 2 h: windows from -4, -2 and 0 on: half of 100, half of 40, forecast."""
    observed = seen([(-4, "fast", 100.0), (-3, "fast", 0.0), (-2, "fast", 40.0), (-1, "fast", 0.0)])
    assert needed(foreseen({"fast": [5.0] * 6}), observed) == [("fast", 50.0), ("fast", 20.0), ("fast", 5.0)]


def test_tiers_are_kept_as_they_stood_in_the_highest_window_together() -> None:
    """60 + 80 = 140 beats 100 + 0: half of each, 30 and 40, and their headroom of a quarter: 37.5 and 50."""
    observed = seen([(-2, "fast", 60.0), (-2, "normal", 80.0), (-1, "fast", 100.0)])
    forecast = foreseen({"fast": [10.0, 10.0], "normal": [10.0, 10.0]})
    assert needed(forecast, observed, dataclasses.replace(KEEP, headroom_fraction=0.25)) == [
        ("fast", 37.5),
        ("normal", 50.0),
    ]
    # without the 80 the window of fast alone is highest: its tier keeps 50, the other 0
    alone = observed.filter(pl.col("tier") != "normal")
    assert needed(forecast, alone) == [("fast", 50.0), ("normal", 0.0)]


def test_short_windows_are_gathered_to_those_of_the_forecast() -> None:
    """Ten-minute windows of 0, 0 and 90 tokens/s are half an hour of 30, of which half stays: 15."""
    observed = seen([(-3, "fast", 0.0), (-2, "fast", 0.0), (-1, "fast", 90.0)], window_s=600.0)
    assert needed(foreseen({"fast": [1.0, 1.0]}), observed) == [("fast", 15.0)]


def test_nothing_is_read_that_was_not_over() -> None:
    observed = seen([(-2, "fast", 10.0), (-1, "fast", 10.0), (0, "fast", 9000.0), (1, "fast", 9000.0)])
    assert needed(foreseen({"fast": [2.0, 2.0]}), observed) == [("fast", 5.0)]


def test_gaps_of_the_source_and_deferrable_work_are_left_out() -> None:
    observed = seen([(-2, "fast", None), (-2, "normal", 500.0), (-1, "fast", 40.0), (-1, "batch", 900.0)])
    forecast = foreseen({"fast": [2.0, 2.0], "normal": [0.0, 0.0], "batch": [7.0, 9.0]})
    assert needed(forecast, observed) == [("batch", 8.0), ("fast", 20.0), ("normal", 0.0)]


def test_windows_that_were_seen_are_rows_beside_those_foreseen() -> None:
    observed = seen([(-2, "fast", 60.0), (-1, "fast", 40.0)])
    series = pl.DataFrame(
        {"plan_window": [START], "region": ["east"], "model": ["m"], "tier": ["fast"]},
        schema_overrides={"plan_window": tables.INSTANT},
    )
    rows = recently_seen(observed, series, hours=2.0, as_of=START, window_s=1800.0)
    assert rows.select("window_start", "input_tps", "output_tps").rows() == [
        (START - 2 * HALF_H, 60.0, pytest.approx(6.0)),
        (START - HALF_H, 40.0, pytest.approx(4.0)),
    ]


def test_what_is_to_be_kept_has_to_be_given() -> None:
    with pytest.raises(PlanError, match=r"keeps the last 2 h servable .* pass the demand as observed="):
        needed(foreseen({"fast": [2.0, 2.0]}), None)
    with pytest.raises(ScenarioError, match="recent_peak_hours must be 0 or more"):
        RiskPolicy(recent_peak_hours=-1.0)
    with pytest.raises(ScenarioError, match="recent_peak_fraction must be 0 or more"):
        RiskPolicy(recent_peak_fraction=-0.1)


def test_without_hours_to_keep_nothing_changes() -> None:
    forecast, observed = foreseen({"fast": [2.0, 3.0]}), seen([(-2, "fast", 60.0), (-1, "fast", 40.0)])
    plain = RiskPolicy(quantile=0.5)
    assert needed(forecast, observed, plain) == needed(forecast, None, plain) == [("fast", 3.0)]
