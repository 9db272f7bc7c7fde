"""What real traces hold that a clean wave does not, each with a bound against seasonal naive.

A daily wave with 5 % noise in half hours is spoilt in one way each; the next day is forecast by the default method and
by seasonal naive, and the ratio of their WAPE must stay under the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from forecasting_cases import MONDAY, daily, demand

from workbench.forecasting import predict
from workbench.results import Forecast

HALF_HOURS = 48
Rates = np.ndarray


def wave(days: int = 9) -> Rates:
    return np.array(daily(days, per_day=HALF_HOURS, seed=4))


def errors(rates: Rates, *, day: int, hour: int = 0, lead_hours: int = 24, method: str = "ensemble") -> float:
    """Return the absolute error of the forecast made on that day and hour over what came in it."""
    made = forecast(rates, day=day, hour=hour, lead_hours=lead_hours, method=method)
    start = day * HALF_HOURS + 2 * hour
    came = rates[start : start + 2 * lead_hours] / 1800.0
    return float(np.nansum(np.abs(made.frame.get_column("value").to_numpy() - came)) / np.nansum(came))


def forecast(rates: Rates, *, day: int, hour: int, lead_hours: int, method: str) -> Forecast:
    values = [None if np.isnan(value) else float(value) for value in rates]
    return predict(
        demand(values, window_s=1800.0),
        as_of=MONDAY + timedelta(days=day, hours=hour),
        horizon_s=lead_hours * 3600.0,
        quantiles=(0.5,),
        method=method,
        measures=("rps",),
    )


def gaps(rates: Rates) -> Rates:
    """Every fifth window is lost, and ten hours on Wednesday."""
    rates[::5] = np.nan
    rates[2 * HALF_HOURS + 10 : 2 * HALF_HOURS + 30] = np.nan
    return rates


def outage(rates: Rates) -> Rates:
    """Nothing is known of the last three hours before the forecast."""
    rates[4 * HALF_HOURS - 6 : 4 * HALF_HOURS] = np.nan
    return rates


def stop(rates: Rates) -> Rates:
    """Demand itself stops for four hours on Thursday and comes back."""
    rates[3 * HALF_HOURS + 20 : 3 * HALF_HOURS + 28] = 0.0
    return rates


def doubling(rates: Rates) -> Rates:
    """The level doubles from day to day, from Wednesday to Friday."""
    rates[2 * HALF_HOURS :] *= 2.0
    rates[3 * HALF_HOURS :] *= 2.0
    rates[4 * HALF_HOURS :] *= 2.0
    return rates


def spikes(rates: Rates) -> Rates:
    """Four times the load for half an hour, three times on Thursday and once each day before."""
    for window in (20, 70, 120, 3 * HALF_HOURS + 5, 3 * HALF_HOURS + 25, 3 * HALF_HOURS + 40):
        rates[window] *= 4.0
    return rates


def noise(rates: Rates) -> Rates:
    """Days differ by 20 % each way at random and windows by 30 %."""
    rng = np.random.default_rng(8)
    levels = np.repeat(rng.lognormal(0.0, 0.2, rates.size // HALF_HOURS), HALF_HOURS)
    return rates * levels * rng.lognormal(0.0, 0.3, rates.size)


@pytest.mark.parametrize(
    ("spoil", "day", "hour", "bound"),
    [
        (gaps, 4, 0, 0.9),  # measured .047 against .062
        (outage, 4, 0, 1.0),  # .054 against .059
        (stop, 4, 0, 0.75),  # .127 against .194
        (doubling, 4, 6, 0.7),  # .171 against .327
        (spikes, 4, 0, 0.5),  # .064 against .208
        (noise, 6, 0, 0.95),  # .420 against .474
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_spoilt_wave_is_forecast_better_than_by_seasonal_naive(
    spoil: Callable[[Rates], Rates], day: int, hour: int, bound: float
) -> None:
    rates = spoil(wave())
    ours, naive = (errors(rates, day=day, hour=hour, method=method) for method in ("ensemble", "seasonal_naive"))
    assert ours <= bound * naive, (ours, naive)


def test_two_days_of_history_are_enough() -> None:
    """Bound 1.0: with one day to compare, it is no worse than repeating it."""
    rates = wave()
    assert errors(rates, day=2) <= errors(rates, day=2, method="seasonal_naive")


def test_zeros_at_the_weekend_are_learned_from_one_weekend() -> None:
    """Nothing comes on Saturday and Sunday: the second Saturday and the Monday after are told from the first."""
    rates = wave(16)
    weekend = (np.arange(rates.size) // HALF_HOURS) % 7 >= 5
    rates[weekend] = 0.0
    saturday = forecast(rates, day=12, hour=0, lead_hours=24, method="ensemble")
    usual = rates[~weekend].mean() / 1800.0
    assert saturday.frame.get_column("value").mean() < 0.15 * usual
    ours, naive, mean = (
        errors(rates, day=14, hour=6, lead_hours=18, method=method)
        for method in ("ensemble", "seasonal_naive", "moving_average")
    )
    assert ours <= 0.95 * naive, (
        ours,
        naive,
    )  # measured .037 against .046: it repeats the Monday before, noise and all
    assert ours <= 0.5 * mean


def test_a_model_retired_to_zero_is_followed_within_half_a_day() -> None:
    """Zero from Thursday on: by noon the forecast of the next day is under a tenth of the level that was."""
    rates = wave()
    rates[3 * HALF_HOURS :] = 0.0
    usual = rates[: 3 * HALF_HOURS].mean() / 1800.0
    made = forecast(rates, day=3, hour=12, lead_hours=6, method="ensemble").frame.get_column("value")
    assert made.mean() < 0.1 * usual
    naive = forecast(rates, day=3, hour=12, lead_hours=6, method="seasonal_naive").frame.get_column("value")
    assert made.mean() <= 0.1 * naive.mean()  # measured .012 of the level against .480
    settled = forecast(rates, day=4, hour=12, lead_hours=24, method="ensemble").frame.get_column("value")
    assert settled.mean() < 0.1 * usual


@pytest.mark.parametrize(
    ("hour", "bound"),
    [(3, 0.6), (6, 0.45), (12, 0.4)],  # measured 2.68 against 5.86, 1.57 against 4.26, .48 against 1.57
)
def test_a_doubling_that_is_over_is_left_sooner_than_by_seasonal_naive(hour: int, bound: float) -> None:
    """Eight times the level on Friday, the old one from Saturday on: forecasts of the next day from that morning."""
    rates = doubling(wave(12))
    rates[5 * HALF_HOURS :] /= 8.0
    ours, naive = (errors(rates, day=5, hour=hour, method=method) for method in ("ensemble", "seasonal_naive"))
    assert ours <= bound * naive, (ours, naive)


@pytest.mark.parametrize(
    ("day", "hour", "bound"),
    [(6, 0, 2.0), (6, 12, 1.1), (7, 0, 1.3)],  # measured .083 against .051, .046 against .048, .068 against .060
)
def test_a_day_after_a_doubling_is_over_little_of_it_is_left(day: int, hour: int, bound: float) -> None:
    """Saturday has its old level, seasonal naive its day again, and errs by the noise alone from Sunday on.

    On Sunday's midnight one day speaks for the level and five against it: Prophet keeps a part of the higher days
    (.143), yesterday's curve takes a part of the fall for a trend (.334); together they err by less than either, and by
    three points of WAPE more than a repetition. What that caution is worth on the Saturday stands in the test above.
    From noon on ours is as good.
    """
    rates = doubling(wave(12))
    rates[5 * HALF_HOURS :] /= 8.0
    ours, naive = (errors(rates, day=day, hour=hour, method=method) for method in ("ensemble", "seasonal_naive"))
    assert ours <= bound * naive, (ours, naive)


def test_a_model_launched_today_borrows_its_siblings_day() -> None:
    """Six hours old at a third of its sibling's load: the next day errs less than half as much as its last value.

    Seasonal naive has no day to repeat and says so: it is the last value too.
    """
    old = demand(daily(6, per_day=48, seed=4), window_s=1800.0)
    launch = MONDAY + timedelta(days=4)
    young = old.filter(pl.col("window_start") >= launch).with_columns(
        pl.col("requests", "input_tokens", "output_tokens") / 3.0, region=pl.lit("west")
    )
    as_of = launch + timedelta(hours=6)
    truth = young.filter(pl.col("window_start") >= as_of).head(48).get_column("requests").to_numpy() / 1800.0
    wape = {}
    for method in ("ensemble", "last_value", "seasonal_naive"):
        made = _west(pl.concat([old, young]), as_of=as_of, method=method)
        wape[method] = np.abs(made.frame.get_column("value").to_numpy() - truth[: made.frame.height]).sum()
    assert wape["ensemble"] <= 0.5 * wape["last_value"]
    assert wape["ensemble"] <= 0.5 * wape["seasonal_naive"]
    noted = _west(pl.concat([old, young]), as_of=as_of, method="ensemble").notes.row(0, named=True)
    assert noted["method"] == "sibling"
    assert "its daily shape is that of east, m, fast, its level its own" in noted["note"]


def test_a_constant_series_and_a_single_window() -> None:
    """The value itself and the reason; two windows are the least from which a window's length can be read."""
    made = forecast(np.full(200, 1800.0), day=4, hour=0, lead_hours=2, method="ensemble")
    assert made.frame.get_column("value").to_list() == [1.0] * 4
    assert "same rate, 1 per second" in made.notes.get_column("note").item()
    pair = forecast(np.array([900.0, 1800.0]), day=0, hour=1, lead_hours=1, method="ensemble")
    assert pair.frame.get_column("value").to_list() == [0.75, 0.75]
    assert "0.04 days of history (2 known windows)" in pair.notes.get_column("note").item()


def test_windows_missing_at_random_are_gaps_and_not_zeros() -> None:
    """Rows that are absent, as from an irregular trace, count like nulls."""
    rates = wave()
    whole = demand(rates.tolist(), window_s=1800.0)
    keep = np.random.default_rng(2).random(whole.height) > 0.3
    asked = {"as_of": MONDAY + timedelta(days=4), "horizon_s": 86_400.0, "quantiles": (0.5,), "measures": ("rps",)}
    thinned = predict(whole.filter(pl.Series(keep)), **asked).frame.get_column("value").to_numpy()
    full = predict(whole, **asked).frame.get_column("value").to_numpy()
    np.testing.assert_allclose(thinned, full, rtol=0.15)


def _west(frame: pl.DataFrame, *, as_of: datetime, method: str) -> Forecast:
    made = predict(frame, as_of=as_of, horizon_s=86_400.0, quantiles=(0.5,), method=method, measures=("rps",))
    west = pl.col("region") == "west"
    return Forecast(
        frame=made.frame.filter(west),
        notes=made.notes.filter(west),
        as_of=made.as_of,
        window_s=made.window_s,
        method=made.method,
    )
