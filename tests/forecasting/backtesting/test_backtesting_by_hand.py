"""Every figure of a backtest worked out by hand on a few hours.

Modules workbench.forecasting.backtesting, workbench.forecasting.backtesting.scoring and
workbench.forecasting.backtesting.running.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.forecasting.backtesting.backtest_cases import HOUR_S, at, hours
from workbench.forecasting import accuracy, backtest, predict
from workbench.forecasting.backtesting import scoring
from workbench.forecasting.backtesting.origins import Stretch
from workbench.results import Backtest


def made(*rates: float | None, **changes: Any) -> Backtest:
    """A backtest of the last value, in one process, of requests per second."""
    given = {"methods": ["last_value"], "measures": ["rps"], "quantiles": (0.5, 0.9), "workers": 1}
    return backtest(hours(*rates), **(given | changes))


def test_two_origins_and_two_horizons_by_hand() -> None:
    """Hours of 2 2 4 8 2: from 02:00 and 03:00 the last value says 2 and 4, as few errors are known and none added.

    One hour ahead: 4 and 8 came, errors -2 and -4. Two hours ahead both origins have both hours: 4 8 and 8 2 came,
    errors -2 -6 and -4 2. The day before does not exist, so nothing scales them.
    """
    result = made(2.0, 2.0, 4.0, 8.0, 2.0, origins=[at(3), at(2)], horizons_s=(HOUR_S, 2 * HOUR_S))
    near, far = result.scores.to_dicts()
    assert (near["horizon_s"], near["origins"], near["windows"], near["realised_mean"]) == (HOUR_S, 2, 2, 6.0)
    assert (near["wape"], near["bias"], near["mase"]) == (pytest.approx(6 / 12), pytest.approx(-6 / 12), None)
    assert (far["origins"], far["windows"]) == (2, 4)
    assert (far["wape"], far["bias"]) == (pytest.approx(14 / 22), pytest.approx(-10 / 22))
    assert near["interval_coverage_fraction"] is None
    assert result.leads.select("lead_s", "windows", "wape").rows() == [
        (0.0, 2, pytest.approx(6 / 12)),
        (HOUR_S, 2, pytest.approx(8 / 10)),
    ]
    assert result.quantiles.filter(horizon_s=2 * HOUR_S, quantile=0.5).select(
        "pinball", "coverage_fraction"
    ).rows() == [(pytest.approx(0.5 * 14 / 4), 0.25)]
    assert result.hours.filter(horizon_s=2 * HOUR_S).select("hour_start", "windows", "wape").rows() == [
        (at(2), 1, pytest.approx(2 / 4)),
        (at(3), 2, pytest.approx((6 + 4) / 16)),
        (at(4), 1, pytest.approx(2 / 2)),
    ]
    assert result.windows.select("window_start", "lead_s", "realised", "value").rows() == [
        (at(2), 0.0, 4.0, 2.0),
        (at(3), 0.0, 8.0, 4.0),
        (at(4), HOUR_S, 2.0, 4.0),
    ]


def test_quantiles_by_hand() -> None:
    """Said 3 at 0.05, 5 at 0.9 and 4 at the median of two hours with 4 and 8: the second lies 3 above the 0.9.

    Pinball 0.9: (0.1 x 1 + 0.9 x 3) / 2, at 0.05: 0.05 x (1 + 5) / 2; of the two hours one is at or below 5, none at
    or below 3.
    """
    known = scoring.Known(key=("e", "m", "t", "rps"), rates=np.array([9.0, 4.0, 8.0]), end=at(3), window_s=HOUR_S)
    values = np.array([[[3.0, 4.0, 5.0], [3.0, 4.0, 5.0]]])
    stretch = Stretch(origins=(at(1),), horizon_s=2 * HOUR_S, ahead_s=2 * HOUR_S)
    rows = scoring.laid_out(known, values, quantiles=(0.05, 0.5, 0.9), stretch=stretch)
    assert rows.select("place", "lead", "realised").rows() == [(1, 0, 4.0), (1, 1, 8.0)]
    told = scoring.by_quantile(rows.with_columns(horizon_s=pl.lit(2 * HOUR_S)), quantiles=(0.05, 0.5, 0.9))
    assert told.select("quantile", "pinball", "coverage_fraction").rows() == [
        (0.05, pytest.approx(0.05 * 6 / 2), 0.0),
        (0.5, pytest.approx(0.5 * 4 / 2), 0.5),
        (0.9, pytest.approx((0.1 * 1 + 0.9 * 3) / 2), 0.5),
    ]


def test_an_origin_counts_only_for_horizons_that_the_demand_covers() -> None:
    result = made(2.0, 2.0, 4.0, 8.0, origins=[at(2), at(3)], horizons_s=(HOUR_S, 2 * HOUR_S))
    assert result.scores.select("horizon_s", "origins", "windows").rows() == [(HOUR_S, 2, 2), (2 * HOUR_S, 1, 2)]
    assert result.leads.get_column("windows").to_list() == [2, 1]


def test_windows_between_far_origins_come_from_the_last_origin_before_them() -> None:
    """Origins two hours apart, judged an hour ahead: the hour between is forecast too, but in no horizon."""
    result = made(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, origins=[at(2), at(4)], horizons_s=(HOUR_S, 4 * HOUR_S))
    assert result.windows.select("window_start", "lead_s", "value").rows() == [
        (at(2), 0.0, 2.0),
        (at(3), HOUR_S, 2.0),
        (at(4), 0.0, 8.0),
        (at(5), HOUR_S, 8.0),
    ]
    assert result.scores.select("horizon_s", "origins", "windows").rows() == [(HOUR_S, 2, 2), (4 * HOUR_S, 1, 4)]


def test_the_error_is_scaled_by_that_of_the_day_before() -> None:
    """Before the origin the second day is 3 above the first in every hour but one that is a gap: MASE = |e| / 3."""
    first, second = [5.0] * 24, [8.0] * 24
    second[3] = None  # type: ignore[call-overload]
    result = made(*first, *second, 2.0, origins=[at(48)], horizons_s=(HOUR_S,))
    row = result.scores.row(0, named=True)
    assert row["mase"] == pytest.approx(2 * row["wape"] / 3)
    assert row["wape"] == pytest.approx((8 - 2) / 2)


def test_the_interval_is_counted_where_it_was_asked_for() -> None:
    """A day of noise gives the last value a band; one hour lies inside it, the next far above."""
    rates = [4.0 + (hour % 3) for hour in range(24)] + [5.0, 500.0]
    asked = {"origins": [at(24)], "quantiles": (0.05, 0.95)}
    inside = made(*rates, horizons_s=(HOUR_S,), **asked)
    both = made(*rates, horizons_s=(2 * HOUR_S,), **asked)
    assert inside.scores.get_column("interval_coverage_fraction").to_list() == [1.0]
    assert both.scores.get_column("interval_coverage_fraction").to_list() == [0.5]
    first = both.windows.row(0, named=True)
    assert first["low"] < first["realised"] < first["high"]


def test_gaps_count_for_nothing() -> None:
    result = made(2.0, 2.0, None, 8.0, origins=[at(2)], horizons_s=(2 * HOUR_S,))
    assert result.scores.select("windows", "wape").rows() == [(1, pytest.approx(6 / 8))]
    assert result.windows.get_column("window_start").to_list() == [at(3)]


def test_one_origin_is_what_accuracy_says_of_one_forecast() -> None:
    rates = [3.0 + (hour % 24) / 6 + (hour % 5) for hour in range(72)]
    result = made(*rates, origins=[at(48)], horizons_s=(24 * HOUR_S,), methods=["seasonal_naive"])
    one = predict(
        hours(*rates), as_of=at(48), horizon_s=24 * HOUR_S, quantiles=(0.5, 0.9), method="seasonal_naive",
        measures=("rps",),
    )  # fmt: skip
    same = ("windows", "pinball", "coverage_fraction")
    scored = accuracy(one, hours(*rates)).sort("quantile")
    assert result.quantiles.select(same).equals(scored.select(same))
    assert result.scores.select("wape", "bias").equals(scored.filter(quantile=0.5).select("wape", "bias"))


def test_windows_of_the_backtest_may_be_longer_than_the_demands() -> None:
    """Half-hour origins on two-hour windows: means of 2 4 | 6 8 against the mean before, 3."""
    result = made(
        3.0, 3.0, 2.0, 4.0, 6.0, 8.0, origins=[at(2)], window_s=2 * HOUR_S, horizons_s=(4 * HOUR_S,)
    )  # fmt: skip
    assert result.windows.select("window_start", "realised", "value").rows() == [(at(2), 3.0, 3.0), (at(4), 7.0, 3.0)]
    assert result.window_s == 2 * HOUR_S


def test_the_day_before_needs_a_day() -> None:
    assert str(scoring.day_before_error(hours(1.0).get_column("requests").to_numpy(), per_day=24)) == "nan"


def test_fit_seconds_and_notes_are_told_for_each_series() -> None:
    result = made(2.0, 3.0, 4.0, 8.0, origins=[at(2), at(3)], horizons_s=(HOUR_S,), methods=["seasonal_naive"])
    assert result.fits.get_column("fit_s").item() > 0
    (note,) = result.notes.to_dicts()
    assert (note["method"], note["used"], note["origins"]) == ("seasonal_naive", "last_value", 2)
    assert "seasonal_naive needs 1 days" in note["note"]
    assert result.origins == (at(2), at(2) + timedelta(hours=1))
