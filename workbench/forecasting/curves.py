"""A daily curve on a log scale, and the forecast it gives: the curve ahead plus what the last hours were above it.

Whoever fits the curve (Prophet, the closed solution, MSTL, a sibling series), the forecast from it is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.forecasting.calendars import Calendar
from workbench.forecasting.correction import corrected
from workbench.forecasting.history import Indices, Series, Values, offset_of

Shape = Callable[[Values], Values]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A level and the weights of a calendar's regressors: log rates at any instant."""

    calendar: Calendar
    level: float
    weights: Values

    def __call__(self, instants_s: Values) -> Values:
        """Return the curve at these instants (seconds since 1970)."""
        return np.asarray(self.level + self.calendar.regressors(instants_s) @ self.weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveFit:
    """A curve with the place of a series on the clock; ``is_corrected`` says whether the last hours move it.

    A curve that ``settles`` draws the forecast back to its own level; a sibling's only lends its shape.
    """

    shape: Shape
    offset: float
    first_s: float
    window_s: float
    windows_per_day: int
    is_corrected: bool = True
    settles: bool = True

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second."""
        last = int(origins.max())
        low = max(0, int(origins.min()) - self.windows_per_day) if self.settles else 0
        times = np.arange(low, last + int(leads.max()) + 1)
        curve = self.shape(np.asarray(self.first_s + (times + 0.5) * self.window_s))
        centre = curve[origins[:, None] + leads[None, :] - low]
        if self.is_corrected:
            residuals = np.log(rates[low:last] + self.offset) - curve[: last - low]
            centre = centre + corrected(
                residuals, origins=origins - low, leads=leads, window_s=self.window_s, settles=self.settles
            )
        return np.asarray(np.maximum(0.0, np.exp(centre) - self.offset))


def fit_of(series: Series, shape: Shape, *, is_corrected: bool = True, settles: bool = True) -> CurveFit:
    """Set a curve beside a series."""
    return CurveFit(
        shape=shape,
        offset=offset_of(series),
        first_s=float(series.middles_s(np.zeros(1, dtype=np.int64))[0]) - 0.5 * series.window_s,
        window_s=series.window_s,
        windows_per_day=series.windows_per_day,
        is_corrected=is_corrected,
        settles=settles,
    )
