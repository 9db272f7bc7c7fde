"""Which method each series gets: the one asked for, or a simpler one and the reason why.

Nothing falls back silently: the reason stands in the notes of the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.forecasting import siblings
from workbench.forecasting.fits import Expert
from workbench.forecasting.history import Series
from workbench.forecasting.methods import METHODS
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

BORROWED = "sibling"
ONE_DAY = METHODS["seasonal_naive"].least_days


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The method that a series gets, its experts, and why it is not the one asked for (empty when it is)."""

    method: str
    experts: tuple[Expert, ...]
    least_days: float
    note: str = ""


def choose(series: Series, others: Sequence[Series], *, method: str) -> Choice:
    """Return the method that a series gets among the ``others`` of the same demand.

    A constant or almost unknown series has nothing to fit: its last value is its forecast. A history shorter than the
    method needs gets ``seasonal_naive`` from one day on; below, the shape of a sibling series that is old enough, and
    ``last_value`` where there is none.
    """
    known = series.rates[series.is_known]
    needed = METHODS[method].least_days
    if known.size == 0:
        return _plain("last_value", "no window of the history is known; zero is forecast")
    if needed == 0.0:
        return _plain(method, _silence(series))
    if float(np.ptp(known)) == 0.0:
        return _plain("last_value", f"every known window has the same rate, {known[0]:g} per second")
    if min(series.days, 2.0 * series.known_days) >= needed and series.has_a_shape:
        return _plain(method, _silence(series))
    found = f"{series.days:.2f} days of history ({known.size:,} known windows), {method} needs {needed:g} days"
    if series.days >= needed and not series.has_a_shape:
        found = f"every window known by the last midnight has the same rate; {method} has nothing to fit"
    if method != "seasonal_naive" and min(series.days, 2.0 * series.known_days) >= ONE_DAY:
        return _plain("seasonal_naive", found)
    sibling = siblings.sibling_of(series, others, least_days=METHODS["prophet"].least_days)
    if sibling is None or method in ("seasonal_naive", "arima"):
        return _plain("last_value", found)
    lender = ", ".join(sibling.key[:3])
    return Choice(
        method=BORROWED,
        experts=siblings.borrowing(sibling),
        least_days=0.0,
        note=f"{found}; its daily shape is that of {lender}, its level its own",
    )


def _plain(method: str, note: str) -> Choice:
    return Choice(method=method, experts=METHODS[method].experts, least_days=METHODS[method].least_days, note=note)


def _silence(series: Series) -> str:
    """Say how long nothing has been known, where that is a day or more."""
    last = int(np.flatnonzero(series.is_known)[-1])
    silent_s = (series.rates.size - 1 - last) * series.window_s
    if silent_s < SECONDS_PER_DAY:
        return ""
    return (
        f"nothing is known of the last {silent_s / SECONDS_PER_HOUR:.0f} hours; it is forecast as if it went on, "
        "leave the series out if it was retired"
    )
