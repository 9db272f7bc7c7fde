"""What is believed of errors before any is known, and how little the known ones say while they are few.

The spread by lead is that of public traces (Laplace, on a log scale). It is a ceiling: where the errors of a series are
smaller its own mean counts, weighed against twelve hours of the prior; larger ones need no prior to be seen. Errors of
one day move together, so H hours of rehearsals are fewer independent ones, and quantiles are widened by
sqrt(1 + .4 lead / H), as the next outcome of a mean known from H / (.4 lead). Errors halve their count in 36 hours.

Within a bucket of leads errors grow with the lead too, in the first two hours so fast that one width for all of them is
wrong for most. The shape of that growth is common to series whatever their level: the mean absolute log error of the
first window of ten minutes over that of the sixth is .50, .58 and .59 (medians of three sets of 16, 6 and 16 series).
"""

from __future__ import annotations

import numpy as np

from workbench.forecasting.correction import lead_hours
from workbench.forecasting.history import Values
from workbench.forecasting.leads import Grid

PRIOR_HOURS = 12.0
HALF_LIFE_HOURS = 36.0
SHARED_FRACTION = 0.4
PRIOR_LEADS_HOURS = (0.5, 2.0, 4.5, 9.0, 18.0, 48.0, 120.0)
PRIOR_SPREADS = (0.12, 0.20, 0.27, 0.32, 0.38, 0.42, 0.45)
GROWTH_LEADS_HOURS = (1 / 12, 11 / 12, 2.0)
GROWTH = (0.57, 1.0, 1.2)


def prior_spread(lead_hours: Values | float) -> Values:
    """Return the mean absolute log error that is expected of an unknown series at a lead."""
    return np.asarray(np.interp(lead_hours, PRIOR_LEADS_HOURS, PRIOR_SPREADS))


def growth(lead_hours: Values | float) -> Values:
    """Return how large errors usually are at a lead, beside those of an hour ahead."""
    return np.asarray(np.interp(lead_hours, GROWTH_LEADS_HOURS, GROWTH))


def to_middles(grid: Grid) -> Values:
    """Return by rehearsed lead what brings an error to the size that it would have at the middle of its bucket."""
    hours = lead_hours(grid.leads, window_s=grid.window_s)
    return np.asarray(growth(grid.middles_hours)[grid.bucket] / growth(hours))


def shrunk(spread: Values | float, *, hours: Values, sizes: Values) -> Values:
    """Return the prior's spread beside so many hours of errors with this sum of absolute values: never more than it."""
    return np.asarray(np.minimum(spread, (PRIOR_HOURS * spread + sizes) / (PRIOR_HOURS + hours)))


def widening(lead_hours: Values | float, hours: Values) -> Values:
    """Return the factor on quantiles read off so many hours of errors."""
    return np.asarray(np.sqrt(1.0 + SHARED_FRACTION * lead_hours / np.maximum(hours, PRIOR_HOURS)))
