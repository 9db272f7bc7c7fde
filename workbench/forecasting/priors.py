"""What is believed of errors before any is known, and how little the known ones say while they are few.

The spread by lead is that of public traces (Laplace, on a log scale). It is a ceiling: where the errors of a series are
smaller its own mean counts, weighed against twelve hours of the prior; larger ones need no prior to be seen. Errors of
one day move together, so H hours of rehearsals are fewer independent ones, and quantiles are widened by
sqrt(1 + .4 lead / H), as the next outcome of a mean known from H / (.4 lead). Errors halve their count in 36 hours.
"""

from __future__ import annotations

import numpy as np

from workbench.forecasting.history import Values

PRIOR_HOURS = 12.0
HALF_LIFE_HOURS = 36.0
SHARED_FRACTION = 0.4
PRIOR_LEADS_HOURS = (0.5, 2.0, 4.5, 9.0, 18.0, 48.0, 120.0)
PRIOR_SPREADS = (0.12, 0.20, 0.27, 0.32, 0.38, 0.42, 0.45)


def prior_spread(lead_hours: float) -> float:
    """Return the mean absolute log error that is expected of an unknown series at a lead."""
    return float(np.interp(lead_hours, PRIOR_LEADS_HOURS, PRIOR_SPREADS))


def shrunk(spread: float, *, hours: Values, sizes: Values) -> Values:
    """Return the prior's spread beside so many hours of errors with this sum of absolute values: never more than it."""
    return np.asarray(np.minimum(spread, (PRIOR_HOURS * spread + sizes) / (PRIOR_HOURS + hours)))


def widening(lead_hours: Values | float, hours: Values) -> Values:
    """Return the factor on quantiles read off so many hours of errors."""
    return np.asarray(np.sqrt(1.0 + SHARED_FRACTION * lead_hours / np.maximum(hours, PRIOR_HOURS)))
