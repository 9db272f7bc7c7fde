"""workbench.studies.preparing: which span is simulated, which windows are used, and what lies outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from workbench import scenarios
from workbench.domain import Scenario
from workbench.errors import ScenarioError
from workbench.studies import preparing
from workbench.tables import DEMAND, REQUESTS
from workbench.traces import Store, ingest_frame, open_store


def scenario(trace: str, **content: object) -> Scenario:
    return scenarios.parse({"trace": trace} | content, source="test")


def series(start: datetime, windows: int, window_s: float) -> pl.DataFrame:
    starts = [start + timedelta(seconds=window_s * i) for i in range(windows)]
    return DEMAND.conform(
        pl.DataFrame(
            {
                "window_start": starts,
                "region": "us_east",
                "model": "llama31_8b",
                "tier": "interactive_fast",
                "requests": 60.0,
                "input_tokens": 60_000.0,
                "output_tokens": 6_000.0,
            },
            schema_overrides=DEMAND.schema,
        )
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with open_store(tmp_path / "t.duckdb") as opened:
        ingest_frame(series(datetime(2026, 3, 2), 5 * 144, 600.0), store=opened, name="days", source="test")
        ingest_frame(series(datetime(2026, 3, 2, 9), 60, 60.0), store=opened, name="hour", source="test")
        rows = {
            "arrived_at": [datetime(2026, 3, 2) + timedelta(minutes=i) for i in range(4 * 1440)],
            "region": "us_east",
            "model": "llama31_8b",
            "tier": "interactive_fast",
            "input_tokens": 100,
            "output_tokens": 10,
        }
        nothing = {name: pl.lit(None) for name in ("app", "tenant", "cached_tokens")}
        ingest_frame(
            REQUESTS.conform(pl.DataFrame(rows).with_columns(**nothing)), store=opened, name="rows", source="t"
        )
        yield opened


def test_the_last_day_of_a_long_trace_is_held_back(store: Store) -> None:
    span = preparing.span_of(scenario("days"), store)
    assert (span.as_of, span.hours, span.until) == (datetime(2026, 3, 6), 24.0, datetime(2026, 3, 7))
    assert (span.demand_window_s, span.forecast_window_s) == (600.0, 600.0)
    assert span.notes == ()


def test_the_last_day_is_one_that_all_models_of_a_series_know(store: Store) -> None:
    early = series(datetime(2026, 3, 2), 3 * 144, 600.0).with_columns(model=pl.lit("llama2_70b"))
    both = pl.concat([series(datetime(2026, 3, 2), 5 * 144, 600.0), early])
    ingest_frame(both, store=store, name="apart", source="test")
    span = preparing.span_of(scenario("apart"), store)
    assert (span.as_of, span.until) == (datetime(2026, 3, 4), datetime(2026, 3, 5))
    assert "llama2_70b is known until 2026-03-05 00:00:00 only, 48 h before the end" in span.notes[0]
    chosen = preparing.span_of(scenario("apart", models=["llama31_8b"]), store)
    assert (chosen.as_of, chosen.notes) == (datetime(2026, 3, 6), ())
    asked = preparing.span_of(scenario("apart", span={"as_of": "2026-03-06"}), store)
    assert asked.as_of == datetime(2026, 3, 6)


def test_as_many_hours_are_held_back_as_the_scenario_simulates(store: Store) -> None:
    span = preparing.span_of(scenario("days", span={"simulate_hours": 48}), store)
    assert (span.as_of, span.hours) == (datetime(2026, 3, 5), 48.0)


def test_five_sixths_of_a_short_trace_are_simulated_and_said_so(store: Store) -> None:
    span = preparing.span_of(scenario("hour"), store)
    assert span.as_of == datetime(2026, 3, 2, 9, 10)
    assert span.hours == pytest.approx(50 / 60)
    assert "first sixth" in span.notes[0]


def test_windows_of_a_sample_are_as_much_longer_as_the_sample_is_thinner(store: Store) -> None:
    assert preparing.span_of(scenario("rows"), store).demand_window_s == 60.0
    assert preparing.span_of(scenario("rows", demand={"scale": 10.0}), store).demand_window_s == 600.0
    assert preparing.span_of(scenario("rows", demand={"scale": 1000.0}), store).demand_window_s == 3600.0
    assert preparing.span_of(scenario("rows"), store).forecast_window_s == 900.0


def test_history_can_be_cut(store: Store) -> None:
    span = preparing.span_of(scenario("days", span={"history_days": 2}), store)
    assert span.since == datetime(2026, 3, 4)


@pytest.mark.parametrize("as_of", ["2026-03-01T00:00:00", "2026-03-02T00:00:00", "2026-03-09T00:00:00"])
def test_an_instant_outside_the_trace_is_refused(store: Store, as_of: str) -> None:
    with pytest.raises(ScenarioError, match="must lie inside the trace"):
        preparing.span_of(scenario("days", span={"as_of": as_of}), store)


def test_a_span_longer_than_the_trace_is_cut_and_said_so(store: Store) -> None:
    span = preparing.span_of(scenario("days", span={"as_of": "2026-03-06T12:00:00", "simulate_hours": 24}), store)
    assert span.hours == 12.0
    assert "ends 12.00 h after" in span.notes[0]


def test_windows_that_divide_no_hour_are_refused(store: Store) -> None:
    with pytest.raises(ScenarioError, match="divide an hour"):
        preparing.span_of(scenario("rows", demand={"window_s": 7000.0}), store)


def test_demand_is_scaled_and_filtered_and_a_missing_model_named(store: Store, tmp_path: Path) -> None:
    chosen = scenario("days", demand={"scale": 3.0}, models=["llama31_8b"])
    span = preparing.span_of(chosen, store)
    demand = preparing.demand_of(chosen, store, span, folder=tmp_path)
    assert demand.get_column("requests").unique().to_list() == [180.0]
    missing = scenario("days", models=["bloom_176b"])
    with pytest.raises(ScenarioError, match="bloom_176b is not in trace 'days', which has llama31_8b"):
        preparing.demand_of(missing, store, span, folder=tmp_path)
