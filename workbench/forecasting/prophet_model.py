"""The forecast of record: Prophet with flat growth on a log scale, corrected by its recent residuals.

The only module that knows Prophet and pandas; it is imported when a Prophet forecast is first asked for. Every choice
was made by out-of-sample WAPE over 24 hours on public series (SageServe week A and C, ServeGen m-large and m-mid,
Azure 2024 code and conversation; histories of 2 to 12 days that end at midnight):

- *flat growth*: with days of history a free trend follows the last days and runs away with them;
- *log of rate + 1 % of its mean*: mean WAPE .41 against .42 (square root) and .44 (none) on ServeGen; peaks of 2-4
  times the level no longer pull the curve up;
- *daily curve of order 6*: 4, 8 and 10 differ by less than .005 on seven of eight series (the eighth: 8 loses .035);
- *an own curve for the weekend* where days differ by kind more than chance: Azure .26 -> .10, SageServe C on its Sunday
  .71 -> .29, and without the test ServeGen, which shows no week, would lose .34 -> .38; a weekly Fourier term gained
  nothing on histories of up to 12 days;
- *two-scale residual correction* (methods.md section 1): ServeGen .41 -> .34, and .50 -> .26 in the first hour;
- *width*: with flat growth the predictive law on the log scale is normal with the fitted sigma. Errors of one day move
  together, so D days of history are D observations of each curve and sigma is widened by sqrt((D + 1) / (D - 1)):
  coverage of the 0.95 quantile on ServeGen .90 -> .93.

Quantiles are computed from that law, not sampled, so the same history gives the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from prophet import Prophet

from workbench.forecasting.history import Series, Values
from workbench.units import SECONDS_PER_HOUR, seed_for

DAILY_ORDER = 6
OFFSET_FRACTION = 0.01
FAST_HOURS = 3.0
SLOW_HOURS = 48.0
WEEKEND_DAYS = (5, 6)
WEEKEND_CONTRAST = 3.0
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A fit on the log scale: residuals of the last day by window (NaN in gaps), the curve ahead and its sigma."""

    residuals: Values
    curve: Values
    sigma: float


def predict(series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
    """Forecast one series with Prophet as windows x quantiles in rates per second.

    Non-negative and not crossing. Source: Taylor and Letham, "Forecasting at scale", The American Statistician 72(1),
    2018, for the model; methods.md section 1 for the correction.
    """
    offset = OFFSET_FRACTION * float(np.nanmean(series.rates))
    logs = np.log(series.rates + offset)
    fitted = _fit(series, logs=logs, windows=windows, seed=seed)
    centre = fitted.curve + correction(fitted.residuals, window_s=series.window_s, windows=windows)
    days = max(2.0, np.count_nonzero(series.is_known) / series.windows_per_day)
    width = fitted.sigma * np.sqrt((days + 1.0) / (days - 1.0))
    steps = np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])
    return np.asarray(np.maximum(0.0, np.exp(centre[:, None] + width * steps[None, :]) - offset))


def correction(residuals: Values, *, window_s: float, windows: int) -> Values:
    """Return what the last day's residuals say about the windows ahead, on the scale of the residuals.

    The mean residual of the day fades over two days, what the last three hours are above it over three hours; gaps
    count for nothing.
    """
    lead_hours = (np.arange(windows) + 0.5) * window_s / SECONDS_PER_HOUR
    slow = _mean(residuals, otherwise=0.0)
    recent = max(1, round(FAST_HOURS * SECONDS_PER_HOUR / window_s))
    fast = _mean(residuals[-recent:], otherwise=slow)
    fading = slow * np.exp(-lead_hours / SLOW_HOURS) + (fast - slow) * np.exp(-lead_hours / FAST_HOURS)
    return np.asarray(fading)


def has_weekend(logs: Values, *, is_weekend: npt.NDArray[np.bool_], windows_per_day: int) -> bool:
    """Tell whether weekend days lie apart from weekdays by three times the spread of days of one kind.

    Days are counted back from the end; at least one whole day of each kind and three days in all are needed.
    """
    count = logs.size // windows_per_day
    days = logs[logs.size - count * windows_per_day :].reshape(count, windows_per_day)
    kinds = is_weekend[logs.size - count * windows_per_day :].reshape(count, windows_per_day)
    whole = np.isfinite(days).mean(axis=1) >= 0.5
    levels = np.array([_mean(day, otherwise=0.0) for day in days])
    mostly_weekend = kinds.mean(axis=1) > 0.5
    weekend, weekdays = levels[whole & mostly_weekend], levels[whole & ~mostly_weekend]
    free = weekend.size + weekdays.size - 2
    if not weekend.size or not weekdays.size or free < 1:
        return False
    spread = np.sqrt((weekend.var() * weekend.size + weekdays.var() * weekdays.size) / free)
    return bool(abs(weekend.mean() - weekdays.mean()) >= WEEKEND_CONTRAST * spread)


def _fit(series: Series, *, logs: Values, windows: int, seed: int) -> Fitted:
    size = logs.size
    frame = _calendar(pd.DatetimeIndex(series.instants(first=-size, last=windows)))
    weekend = frame["is_weekend"].to_numpy()[:size]
    split = has_weekend(logs, is_weekend=weekend, windows_per_day=series.windows_per_day)
    model = _model(split=split)
    seed = seed_for(seed, *series.key) % LARGEST_SEED
    model.fit(_hourly(series, logs=logs), require_converged=False, algorithm="LBFGS", seed=seed)
    curve = curve_of(model, frame)
    residuals = logs - curve[:size]
    sigma = float(np.sqrt(np.nanmean(residuals**2)))
    return Fitted(residuals=residuals[-series.windows_per_day :], curve=curve[size:], sigma=sigma)


def _hourly(series: Series, *, logs: Values) -> pd.DataFrame:
    """Average the log rates of each hour: a curve of order 6 moves over hours, and a fit costs by the point."""
    per_hour = max(1, int(SECONDS_PER_HOUR // series.window_s))
    hours = logs.size // per_hour
    groups = logs[logs.size - hours * per_hour :].reshape(hours, per_hour)
    known = np.isfinite(groups)
    means = np.where(known, groups, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    middle = timedelta(seconds=0.5 * (per_hour - 1) * series.window_s)
    starts = series.instants(first=-hours * per_hour, last=0)[::per_hour]
    frame = _calendar(pd.DatetimeIndex([start + middle for start in starts]))
    return frame.assign(y=means)[known.any(axis=1)]


def _calendar(instants: pd.DatetimeIndex) -> pd.DataFrame:
    weekend = np.isin(instants.day_of_week, WEEKEND_DAYS)
    return pd.DataFrame(
        {"ds": instants, "is_weekend": weekend, "is_weekday": ~weekend, "weekend_level": weekend.astype(float)}
    )


def curve_of(model: Prophet, frame: pd.DataFrame) -> Values:
    """Return what Prophet's own ``predict`` returns as ``yhat`` for this flat additive model, at a tenth of its time.

    Curve = (m + features x beta) x scale, with the features in the order in which the model was given them.
    """
    waves = Prophet.fourier_series(frame["ds"], 1, DAILY_ORDER)
    conditions = [seasonality["condition_name"] for seasonality in model.seasonalities.values()]
    features = [waves if name is None else waves * frame[[name]].to_numpy() for name in conditions]
    features += [frame[[name]].to_numpy() for name in model.extra_regressors]
    level, weights = (np.asarray(model.params[name]).ravel() for name in ("m", "beta"))
    return np.asarray((level + np.hstack(features) @ weights) * float(np.asarray(model.y_scale)))


def _model(*, split: bool) -> Prophet:
    model = Prophet(
        growth="flat",
        daily_seasonality=False,
        weekly_seasonality=False,
        yearly_seasonality=False,
        uncertainty_samples=0,
    )
    if not split:
        return model.add_seasonality("daily", period=1, fourier_order=DAILY_ORDER)
    model.add_regressor("weekend_level", standardize=False, prior_scale=10.0)
    model.add_seasonality("weekday", period=1, fourier_order=DAILY_ORDER, condition_name="is_weekday")
    return model.add_seasonality("weekend", period=1, fourier_order=DAILY_ORDER, condition_name="is_weekend")


def _mean(values: Values, *, otherwise: float) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else otherwise


def _silence() -> None:
    """Keep cmdstanpy from logging two lines a fit; it resets its level unless it finds a handler."""
    stan = logging.getLogger("cmdstanpy")
    stan.addHandler(logging.NullHandler())
    stan.propagate = False
    stan.setLevel(logging.CRITICAL)
    logging.getLogger("prophet").setLevel(logging.ERROR)


_silence()
