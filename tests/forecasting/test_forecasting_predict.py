"""The forecast as a whole: what it may read, what it refuses, and when it falls back and says so.

Invariants: the future is never read (any change at or after ``as_of`` leaves the same bytes), quantiles do not cross,
values are not negative, the grid starts at ``as_of``.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from forecasting_cases import MONDAY, daily, demand
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting import METHODS, predict

DAY_S = 86_400.0
NOON = MONDAY + timedelta(days=3, hours=12)
QUANTILES = (0.05, 0.5, 0.95)


@pytest.mark.parametrize("method", METHODS)
def test_the_future_is_never_read(method: str) -> None:
    """NaN, nonsense, an unknown series or nothing at all after as_of: the same forecast to the last bit."""
    whole = demand(daily(5))
    is_future = pl.col("window_start") >= NOON
    nonsense = pl.col("requests", "input_tokens", "output_tokens")
    futures = [
        whole.with_columns(pl.when(is_future).then(float("nan")).otherwise(nonsense).name.keep()),
        whole.with_columns(pl.when(is_future).then(-1e12).otherwise(nonsense).name.keep()),
        whole.with_columns(pl.when(is_future).then(pl.lit("new")).otherwise(pl.col("tier")).alias("tier")),
        whole.filter(~is_future),
    ]
    made = [
        predict(frame, as_of=NOON, horizon_s=DAY_S, quantiles=QUANTILES, method=method, measures=("rps",))
        for frame in [whole, *futures]
    ]
    for other in made[1:]:
        assert_frame_equal(other.frame, made[0].frame, check_exact=True)
        assert_frame_equal(other.notes, made[0].notes)


@pytest.mark.parametrize("method", METHODS)
def test_the_grid_starts_at_as_of_and_the_frame_conforms(method: str) -> None:
    made = predict(demand(daily(5)), as_of=NOON, horizon_s=DAY_S, quantiles=QUANTILES, method=method)
    starts = made.frame.get_column("window_start").unique().sort()
    assert starts.to_list() == [NOON + timedelta(hours=hour) for hour in range(24)]
    assert made.frame.height == 24 * 3 * len(QUANTILES)
    assert_frame_equal(tables.FORECAST.conform(made.frame), made.frame)
    assert made.notes.get_column("method").unique().to_list() == [method]
    assert made.notes.get_column("note").unique().to_list() == [""]
    assert (made.window_s, made.as_of, made.method) == (3600.0, NOON, method)


def test_measures_are_rates_per_second() -> None:
    """3600 requests of 100 and 10 tokens an hour: 1, 100 and 10 per second."""
    made = predict(
        demand([3600.0, 3600.0, 3600.0]),
        as_of=MONDAY + timedelta(hours=3),
        horizon_s=3600.0,
        quantiles=(0.5,),
        method="last_value",
    )
    assert made.frame.select("measure", "value").rows() == [("input_tps", 100.0), ("output_tps", 10.0), ("rps", 1.0)]


def test_longer_windows_hold_means_and_end_at_as_of() -> None:
    """Hours 1 2 3 4 5 (x 3600) in 2-hour windows up to 05:00: (2, 3) and (4, 5); the last is 4.5."""
    values = [3600.0 * value for value in (1, 2, 3, 4, 5)]
    made = predict(
        demand(values),
        as_of=MONDAY + timedelta(hours=5),
        horizon_s=5 * 3600.0,
        window_s=7200.0,
        quantiles=(0.5,),
        method="last_value",
        measures=("rps",),
    )
    assert made.window_s == 7200.0
    assert made.frame.get_column("value").to_list() == [4.5, 4.5, 4.5]


@pytest.mark.parametrize(
    ("values", "method", "used", "note"),
    [
        (daily(2)[:40], "prophet", "seasonal_naive", "1.67 days of history"),
        (daily(1)[:20], "prophet", "last_value", "0.83 days of history"),
        (daily(1)[:20], "seasonal_naive", "last_value", "seasonal_naive needs 1"),
        ([0.0] * 72, "prophet", "last_value", "same rate, 0 per second"),
        ([7.2] * 72, "prophet", "last_value", "same rate, 0.002 per second"),
        ([None] * 72, "prophet", "last_value", "no window of the history is known"),
        ([None] * 60 + daily(1)[:12], "prophet", "last_value", "0.50 days of history"),
        (daily(1)[:2] + [None] * 58 + daily(1)[:12], "prophet", "seasonal_naive", "14 known windows"),
    ],
)
def test_a_series_that_the_method_cannot_take_falls_back_and_says_so(
    values: list[float | None], method: str, used: str, note: str
) -> None:
    as_of = MONDAY + timedelta(hours=len(values))
    made = predict(
        demand(values), as_of=as_of, horizon_s=7200.0, quantiles=(0.5, 0.9), method=method, measures=("rps",)
    )
    assert made.notes.get_column("method").to_list() == [used]
    assert note in made.notes.get_column("note").item()
    assert made.frame.get_column("value").is_finite().all()


def test_only_the_short_series_falls_back() -> None:
    young = demand(daily(1), start=MONDAY + timedelta(days=3), tier="slow")
    both = pl.concat([demand(daily(4)), young])
    as_of = MONDAY + timedelta(days=4)
    made = predict(both, as_of=as_of, horizon_s=3600.0, quantiles=(0.5,), measures=("rps",))
    assert made.notes.select("tier", "method").rows() == [("fast", "ensemble"), ("slow", "seasonal_naive")]


def test_mistakes_are_told_in_one_message() -> None:
    with pytest.raises(ForecastError, match=r"did you mean 'prophet'(.|\n)*horizon_s must be positive(.|\n)*'rp'"):
        predict(demand(daily(2)), as_of=NOON, horizon_s=0.0, quantiles=(0.5,), method="profet", measures=("rp",))
    with pytest.raises(ForecastError, match="quantiles must lie between 0 and 1"):
        predict(demand(daily(2)), as_of=NOON, horizon_s=1.0, quantiles=(1.0,))


@pytest.mark.parametrize("wrong", [{"horizon_s": float("inf")}, {"window_s": 0.0}, {"window_s": float("nan")}])
def test_endless_horizons_and_no_windows_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ForecastError, match="must be positive and finite"):
        predict(demand(daily(2)), as_of=NOON, quantiles=(0.5,), **({"horizon_s": 3600.0} | wrong))


def test_irregular_windows_are_refused() -> None:
    """Every fifth window begins 17 minutes late: no grid holds them."""
    late = pl.when(pl.int_range(pl.len()) % 5 == 3).then(timedelta(minutes=17)).otherwise(timedelta(0))
    irregular = demand(daily(3)).with_columns(pl.col("window_start") + late)
    with pytest.raises(ForecastError, match=r"irregular windows: .* 2024-11-04 \d\d:"):
        predict(irregular, as_of=MONDAY + timedelta(days=3), horizon_s=3600.0, quantiles=(0.5,))


def test_series_with_windows_of_unlike_length_are_refused() -> None:
    """Hours beside half hours: read as half hours their sums would be twice the rate, so nothing is made of them."""
    halves, hours = demand(daily(3, per_day=48), window_s=1800.0), demand(daily(3), tier="slow")
    ask = {"as_of": MONDAY + timedelta(days=2), "horizon_s": 3600.0, "quantiles": (0.5,), "method": "last_value"}
    with pytest.raises(
        ForecastError, match=r"unlike length: east, m, slow has one every 3600 s .1 of 2 .* 1800 s; bin"
    ):
        predict(pl.concat([halves, hours]), **ask)
    apart = hours.with_columns(pl.col("window_start") + timedelta(minutes=30), tier=pl.lit("late"))
    with pytest.raises(ForecastError, match=r"one every 3600 s .2 of 2 series"):
        predict(pl.concat([hours, apart]), **ask)
    holed = demand(daily(3, per_day=48), window_s=1800.0, tier="holed").filter(pl.int_range(pl.len()) % 3 < 2)
    made = predict(pl.concat([halves, holed]), measures=("rps",), **ask).frame.get_column("value")
    assert made.is_between(0.2, 3.0).all()


def test_a_history_that_cannot_be_used_is_refused() -> None:
    ask = {"horizon_s": 3600.0, "quantiles": (0.5,)}
    with pytest.raises(ForecastError, match="no demand before"):
        predict(demand(daily(2)), as_of=MONDAY, **ask)
    with pytest.raises(ForecastError, match="the demand is empty"):
        predict(tables.DEMAND.empty(), as_of=NOON, **ask)
    with pytest.raises(ForecastError, match="a single window"):
        predict(demand(daily(2)), as_of=MONDAY + timedelta(hours=1), **ask)
    with pytest.raises(ForecastError, match="cuts a demand window"):
        predict(demand(daily(2)), as_of=MONDAY + timedelta(hours=5, minutes=20), **ask)
    with pytest.raises(ForecastError, match="no whole multiple"):
        predict(demand(daily(2)), as_of=NOON, window_s=5000.0, **ask)
    with pytest.raises(ForecastError, match="shorter than one forecast window"):
        predict(demand(daily(2)), as_of=MONDAY + timedelta(hours=5), window_s=DAY_S, **ask)


def test_progress_counts_series() -> None:
    seen: list[tuple[int, int]] = []
    predict(
        demand(daily(2)),
        as_of=MONDAY + timedelta(days=2),
        horizon_s=3600.0,
        quantiles=(0.5,),
        method="last_value",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_importing_the_package_imports_neither_prophet_nor_statsmodels() -> None:
    code = "import sys, workbench.forecasting; assert not {'prophet', 'pandas', 'statsmodels'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.one_of(st.none(), st.just(0.0), st.floats(1e-3, 1e7)), min_size=2, max_size=60),
    method=st.sampled_from([name for name in METHODS if name not in ("prophet", "prophet_plain")]),
)
def test_quantiles_do_not_cross_and_are_not_negative(values: list[float | None], method: str) -> None:
    as_of = MONDAY + timedelta(hours=len(values))
    made = predict(
        demand(values), as_of=as_of, horizon_s=5 * 3600.0, quantiles=(0.9, 0.1, 0.5), method=method, measures=("rps",)
    )
    wide = made.frame.sort("window_start", "quantile").get_column("value").to_numpy().reshape(5, 3)
    assert (np.diff(wide, axis=1) >= 0).all()
    assert (wide >= 0).all()
