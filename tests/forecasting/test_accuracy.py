"""The accuracy figures against two windows worked out by hand, and against the public series when they are there."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from forecasting_cases import MONDAY, demand

from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting import accuracy, predict
from workbench.results import Forecast

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def forecast(value: float, *, quantile: float = 0.9, window_s: float = 3600.0) -> Forecast:
    rows = [
        (MONDAY + timedelta(seconds=window_s * index), "east", "m", "fast", "rps", quantile, value)
        for index in range(2)
    ]
    frame = tables.FORECAST.conform(pl.DataFrame(rows, schema=tables.FORECAST.schema, orient="row"))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=MONDAY, window_s=window_s, method="test")


def test_figures_by_hand() -> None:
    """3 against 2 and 4 per second: errors 1 and -1; WAPE 2/6, bias 0, pinball (0.1 + 0.9)/2, half covered."""
    scored = accuracy(forecast(3.0), demand([7200.0, 14_400.0]))
    assert scored.row(0, named=True) == {
        "region": "east",
        "model": "m",
        "tier": "fast",
        "measure": "rps",
        "quantile": 0.9,
        "windows": 2,
        "wape": pytest.approx(1 / 3),
        "bias": pytest.approx(0.0),
        "pinball": pytest.approx(0.5),
        "coverage_fraction": 0.5,
    }


def test_gaps_do_not_count_and_short_windows_are_averaged() -> None:
    """Half-hours of 1, 3 and a gap, 5 per second: hours of 2 and 5 against 3."""
    scored = accuracy(forecast(3.0), demand([1800.0, 5400.0, None, 9000.0], window_s=1800.0)).row(0, named=True)
    assert (scored["windows"], scored["wape"]) == (2, pytest.approx(3 / 7))
    gone = accuracy(forecast(3.0), demand([7200.0, None])).row(0, named=True)
    assert gone["windows"] == 1


def test_nothing_realised_has_no_relative_error() -> None:
    scored = accuracy(forecast(3.0), demand([0.0, 0.0])).row(0, named=True)
    assert (scored["wape"], scored["pinball"]) == (None, pytest.approx(0.3))


def test_a_forecast_of_another_time_is_refused() -> None:
    with pytest.raises(ForecastError, match="shares no known window"):
        accuracy(forecast(3.0), demand([1.0, 2.0], start=MONDAY + timedelta(days=9)))


def real(model: str) -> tuple[pl.DataFrame, datetime]:
    """Return the SageServe week of one model (interactive, 15-minute windows) and its Friday."""
    path = DATA / "sageserve" / "week_prompt_tokens_per_min.parquet"
    if not path.exists():
        pytest.skip("the SageServe week is not at hand")
    week = pl.read_parquet(path).filter((pl.col("model") == model) & (pl.col("tier") == "interactive")).sort("minute")
    quarters = week.group_by(pl.col("minute") // 15, maintain_order=True).agg(pl.col("prompt_tokens").sum())
    return demand(quarters.get_column("prompt_tokens").to_list(), window_s=900.0), MONDAY + timedelta(days=4)


@pytest.mark.parametrize("model", ["A", "C"])
def test_prophet_beats_the_naive_methods_on_friday_of_a_real_week(model: str) -> None:
    """Monday to Thursday given; measured WAPE .16 / .23 (A / C), seasonal naive .23 / .25, last value .42 / .70."""
    history, friday = real(model)
    wape = {}
    for method in ("prophet", "seasonal_naive", "last_value"):
        made = predict(
            history, as_of=friday, horizon_s=86_400.0, quantiles=(0.5, 0.95), method=method, measures=("rps",)
        )
        scored = accuracy(made, history)
        wape[method] = scored.filter(pl.col("quantile") == 0.5).get_column("wape").item()
        if method == "prophet":
            assert scored.filter(pl.col("quantile") == 0.95).get_column("coverage_fraction").item() > 0.9
    assert wape["prophet"] < wape["seasonal_naive"] < wape["last_value"]
