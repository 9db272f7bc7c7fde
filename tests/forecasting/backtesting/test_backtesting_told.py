"""workbench.forecasting.backtesting.telling: the same numbers in percent, a table for each horizon."""

from __future__ import annotations

import pytest

from tests.forecasting.backtesting.backtest_cases import HOUR_S, at, hours
from workbench.forecasting import backtest, readable


def test_figures_are_told_in_percent_by_horizon() -> None:
    """2 2 4 8 2 from 02:00 and 03:00: the last value is off by 6 of 12 an hour ahead, 14 of 22 two hours ahead."""
    made = backtest(
        hours(2.0, 2.0, 4.0, 8.0, 2.0),
        origins=[at(2), at(3)],
        horizons_s=(HOUR_S, 2 * HOUR_S),
        methods=["last_value", "oracle"],
        measures=["rps"],
        quantiles=(0.5, 0.9),
        workers=1,
    )
    told = readable(made, by_series=True)
    assert [title.partition(",")[2] for title in told if title.startswith("How far off")] == [
        " 60 min ahead, 2 origins",
        " 2 h ahead, 2 origins",
    ]
    far = told["How far off, 2 h ahead, 2 origins"].filter(method="last_value").row(0, named=True)
    assert far["WAPE, mean of series, %"] == far["WAPE, all load, %"] == pytest.approx(63.6)
    assert (far["bias, %"], far["best on"], far["inside the 90 % band, %"]) == (pytest.approx(-45.5), 1, None)
    by_series = told["WAPE of every series in %, 2 h ahead, 2 origins"].row(0, named=True)
    assert (by_series["tier"], by_series["last_value"], by_series["oracle"]) == ("fast", pytest.approx(63.6), 0.0)
    quantiles = next(frame for title, frame in told.items() if title.startswith("Quantiles, 60 min"))
    assert quantiles.columns == ["method", "≤ q.5", "≤ q.9", "loss q.5", "loss q.9"]
    assert quantiles.filter(method="oracle").row(0)[1:] == (100.0, 100.0, 0.0, 0.0)
    assert len(readable(made)) == 4
