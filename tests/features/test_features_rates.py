"""Rates leave unknown windows out, and say how much they know."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from tests.traces.trace_cases import START
from workbench.features import rates

counts = st.lists(st.floats(0, 1e6), min_size=2, max_size=30)


def test_a_mean_is_the_sum_of_what_each_series_has_in_its_own_known_windows() -> None:
    """Fast has 1 and 2 requests/s, mean 1.5; slow 1, 1 and 2, mean 4/3. Both are known in hours 1 and 3: peak 4."""
    demand = load({"r m fast": [3600, None, 7200], "r m slow": [3600, 3600, 7200]})
    (row,) = rates.rates_by(demand, "model").to_dicts()
    assert (row["rps_mean"], row["rps_peak"], row["peak_to_mean_ratio"]) == pytest.approx((17 / 6, 4.0, 24 / 17))
    assert (row["input_tps_mean"], row["output_tps_peak"]) == pytest.approx((1700 / 6, 40.0))
    assert (row["together_fraction"], row["known_fraction"]) == pytest.approx((2 / 3, 5 / 6))
    by_tier = rates.rates_by(demand, "tier")
    assert by_tier.select("tier", "rps_mean").rows() == [("fast", 1.5), ("slow", 4 / 3)]
    assert rates.rates_by(demand).height == 1


def test_windows_that_the_span_cuts_are_left_out() -> None:
    """Seven hours, of which the span holds 10 minutes of the first and 58 of the last: the first one goes."""
    demand = load({"r m t": [600, 3600, 3600, 3600, 3600, 3600, 3600]})
    since, until = START + timedelta(minutes=50), START + timedelta(hours=6, minutes=58)
    whole = rates.whole_windows(demand, since=since, until=until)
    assert whole["window_start"].to_list() == [START + timedelta(hours=hour) for hour in range(1, 7)]
    assert rates.rates_by(whole)["rps_mean"].to_list() == [1.0]
    short = demand.head(3)
    assert rates.whole_windows(short, since=since, until=until).equals(short)


def test_a_measure_that_is_never_known_of_one_series_hides_nothing() -> None:
    """No output of model a is known: requests and input are those of both, output that of b alone."""
    demand = load({"r a t": [3600, 7200], "r b t": [3600, 3600]}).with_columns(
        output_tokens=pl.when(pl.col("model") == "b").then("output_tokens")
    )
    (row,) = rates.rates_by(demand).to_dicts()
    assert (row["rps_mean"], row["input_tps_mean"], row["output_tps_mean"]) == (2.5, 250.0, 10.0)
    assert (row["rps_peak"], row["output_tps_peak"], row["known_fraction"]) == (3.0, 10.0, 1.0)
    assert rates.rates_by(demand, "model")["output_tps_mean"].to_list() == [None, 10.0]
    assert rates.rates_over_time(demand)["output_tps"].to_list() == [10.0, 10.0]
    known = rates.known_by_series(demand)
    assert known["output_tokens_known_fraction"].to_list() == [0.0, 1.0]


def test_a_day_is_known_as_far_as_its_load_is() -> None:
    """A small series misses half of the day: of ten requests nine are of the large one, so 95 % is known."""
    half: list[float | None] = [None] * 12
    small = {"r big t": [9.0] * 48, "r small t": [1.0] * 24 + half + [1.0] * 12}
    days = rates.daily_totals(load(small, start=datetime(2026, 3, 2)))
    assert days["known_fraction"].to_list() == pytest.approx([1.0, 0.95])
    assert days["requests"].to_list() == [240.0, 228.0]
    large = {"r big t": [9.0] * 24 + half + [9.0] * 12, "r small t": [1.0] * 48}
    days = rates.daily_totals(load(large, start=datetime(2026, 3, 2)))
    assert days["known_fraction"].to_list() == pytest.approx([1.0, 0.55])
    assert days["requests"].to_list() == [240.0, None]


def test_a_load_that_never_comes_has_no_peak_to_mean() -> None:
    assert rates.rates_by(load({"r m t": [0, 0]}))["peak_to_mean_ratio"].to_list() == [None]


def test_rates_over_time_keep_what_is_unknown() -> None:
    demand = load({"r m fast": [3600, None], "r m slow": [7200, 3600]})
    assert rates.rates_over_time(demand, "model")["rps"].to_list() == [3.0, None]
    assert rates.rates_over_time(demand, "tier").filter(tier="slow")["rps"].to_list() == [2.0, 1.0]


def test_days_hold_what_is_known_of_them() -> None:
    demand = load({"r m t": [1.0] * 24 + [2.0] * 12}, start=datetime(2026, 3, 2))
    days = rates.daily_totals(demand)
    assert days.select("requests", "known_fraction").rows() == [(24.0, 1.0), (None, 0.5)]


def test_a_window_that_is_unknown_for_one_is_left_out_for_all() -> None:
    demand = load({"east m t": [6, None], "west m t": [2, 2], "west n t": [1, 1]})
    assert rates.known_rows(demand).height == 3
    assert rates.known_rows(demand, "model").height == 4
    assert rates.known_rows(demand, "window_start", "model").height == 4


@pytest.mark.parametrize(
    ("span_s", "native_s", "window_s"),
    [(604_800, None, 3600), (3600, None, 60), (50, None, 1), (604_800, 600, 3600), (7200, 600, 600), (7200, 7, 56)],
)
def test_the_window_follows_the_length_of_the_trace(span_s: float, native_s: float | None, window_s: float) -> None:
    assert rates.window_for(span_s, native_s=native_s) == window_s


@settings(deadline=None, max_examples=30)
@given(values=counts, share=st.floats(0.01, 0.99), scale=st.floats(0.1, 100))
def test_splitting_keeps_totals_and_scaling_scales_rates(values: list[float], share: float, scale: float) -> None:
    whole = rates.rates_by(load({"east m t": values})).row(0, named=True)
    parts = {"east m t": [share * v for v in values], "west m t": [(1 - share) * v for v in values]}
    split = rates.rates_by(load(parts)).row(0, named=True)
    scaled = rates.rates_by(load({"east m t": [scale * v for v in values]})).row(0, named=True)
    for name in ("rps_mean", "input_tps_peak"):
        assert split[name] == pytest.approx(whole[name], rel=1e-9, abs=1e-9)
        assert scaled[name] == pytest.approx(scale * whole[name], rel=1e-9, abs=1e-9)
