"""The fit of record: Prophet with flat growth on a log scale.

The only module that knows Prophet; it is imported when a Prophet forecast is first asked for. Choices by out-of-sample
WAPE over 24 hours on public series (SageServe week A and C, ServeGen m-large and m-mid, Azure 2024 code and
conversation; histories of 2 to 12 days that end at midnight):

- *flat growth, no changepoints*: with days of history a free trend follows the last days and runs away with them
  (methods.md section 1: 24 h WAPE .303 linear against .261 flat, and .858 when refitted every three days); a change of
  level is the correction's work (:mod:`workbench.forecasting.correction`);
- *log of rate + 1 % of its mean*: mean WAPE .41 against .42 (square root) and .44 (none) on ServeGen; peaks of 2-4
  times the level no longer pull the curve up;
- *hourly means*: a curve of order 6 moves over hours, and a fit costs by the point;
- *hours far from a first fit are left out* (:func:`workbench.forecasting.least_squares.usual`): an outage that reads
  as zero would else stand in every later day;
- the regressors are those of :mod:`workbench.forecasting.calendars`.

Its own intervals are not used: quantiles come from rehearsed errors (:mod:`workbench.forecasting.calibration`), which
know what the correction achieves and what Prophet's noise term does not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from prophet import Prophet

from workbench.forecasting.calendars import (
    DAILY_ORDER,
    WEEKLY_ORDER,
    Calendar,
    calendar_of,
    hourly,
    is_weekend,
)
from workbench.forecasting.curves import Curve, CurveFit, fit_of
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Series, Values, offset_of
from workbench.forecasting.least_squares import WEIGHT_PRIOR, usual
from workbench.units import seed_for

LARGEST_SEED = 2**31 - 1


def fit(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
    """Fit Prophet to a history; the forecast is its curve, corrected by the last hours."""
    return fit_of(series, curve_of(series, events=events, seed=seed))


def plain_fit(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
    """Fit Prophet to a history; the forecast is its curve as it stands."""
    return fit_of(series, curve_of(series, events=events, seed=seed), is_corrected=False)


def curve_of(series: Series, *, events: Sequence[Event], seed: int) -> Curve:
    """Return Prophet's curve of a history.

    Curve = (m + regressors x beta) x scale is what Prophet's own ``predict`` returns as ``yhat`` for this flat additive
    model, at a tenth of its time. Source: Taylor and Letham, "Forecasting at scale", The American Statistician 72(1),
    2018.
    """
    calendar = calendar_of(series, events=events)
    instants_s, means = hourly(series, logs=np.log(series.rates + offset_of(series)))
    model = model_of(calendar)
    seed = seed_for(seed, *series.key) % LARGEST_SEED
    kept = usual(calendar, instants_s, means)
    frame = frame_of(calendar, instants_s[kept]).assign(y=means[kept])
    model.fit(frame, require_converged=False, algorithm="LBFGS", seed=seed)
    level, weights = (np.asarray(model.params[name], dtype=float).ravel() for name in ("m", "beta"))
    scale = float(np.asarray(model.y_scale))
    width = calendar.regressors(instants_s[:1]).shape[1]
    return Curve(calendar=calendar, level=float(level[0]) * scale, weights=weights[:width] * scale)


def model_of(calendar: Calendar) -> Prophet:
    """Return an unfitted Prophet with the regressors of a calendar, in its order."""
    model = Prophet(
        growth="flat",
        daily_seasonality=False,
        weekly_seasonality=False,
        yearly_seasonality=False,
        seasonality_prior_scale=WEIGHT_PRIOR,
        uncertainty_samples=0,
    )
    if calendar.has_weekend:
        model.add_seasonality("weekday", period=1, fourier_order=DAILY_ORDER, condition_name="is_weekday")
        model.add_seasonality("weekend", period=1, fourier_order=DAILY_ORDER, condition_name="is_weekend")
    else:
        model.add_seasonality("daily", period=1, fourier_order=DAILY_ORDER)
    if calendar.has_week:
        model.add_seasonality("weekly", period=7, fourier_order=WEEKLY_ORDER)
    if calendar.has_weekend:
        model.add_regressor("weekend_level", standardize=False, prior_scale=WEIGHT_PRIOR)
    for name in calendar.event_names:
        model.add_regressor(f"event {name}", standardize=False, prior_scale=WEIGHT_PRIOR)
    return model


def frame_of(calendar: Calendar, instants_s: Values) -> pd.DataFrame:
    """Return the columns that such a Prophet asks for at these instants."""
    weekend = is_weekend(instants_s)
    columns = {
        "ds": pd.DatetimeIndex((instants_s * 1e6).round().astype("datetime64[us]")),
        "is_weekday": ~weekend,
        "is_weekend": weekend,
        "weekend_level": weekend.astype(float),
    }
    columns |= {f"event {name}": calendar.during(name, instants_s) for name in calendar.event_names}
    return pd.DataFrame(columns)


def _silence() -> None:
    """Keep cmdstanpy from logging two lines a fit; it resets its level unless it finds a handler."""
    stan = logging.getLogger("cmdstanpy")
    stan.addHandler(logging.NullHandler())
    stan.propagate = False
    stan.setLevel(logging.CRITICAL)
    logging.getLogger("prophet").setLevel(logging.ERROR)


_silence()
