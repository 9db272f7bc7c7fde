"""How large errors are lately beside what they are at large: calm and unrest come in spells of hours.

A band that keeps one width through both is missed in every hour of unrest and never in a calm one. So errors are
divided by the swing that was known at their origin before they are pooled, and the band is as much wider or narrower
as the swing is now: the mean size of the errors known in the last hours (for a lead of a day: the last day) over that
of the last days, drawn to 1 by a few hours' worth of belief. Source of the idea: locally weighted conformal prediction
(Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", JASA 2018,
section 5.2), with the size of the last errors in place of a fitted spread.
"""

from __future__ import annotations

import numpy as np

from workbench.forecasting.history import Indices, Values
from workbench.forecasting.leads import Grid
from workbench.forecasting.priors import HALF_LIFE_HOURS, PRIOR_HOURS, prior_spread, shrunk

RECENT_HOURS = 6.0
RECENT_PER_LEAD = 0.5
BELIEF_HOURS = 2.0
LARGEST_SWING = 4.0


def swings_of(errors: Values, *, grid: Grid) -> Values:
    """Return times x buckets: the swing at each rehearsed origin and, last, now.

    ``errors`` holds hourly origins x rehearsed leads, NaN where not known by now; at each time only those count that
    were known by then.
    """
    made = np.empty((errors.shape[0] + 1, grid.buckets))
    for place in range(grid.buckets):
        mine = grid.bucket == place
        made[:, place] = _swings(
            errors[:, mine], leads=grid.leads[mine], lead_hours=grid.middles_hours[place], grid=grid
        )
    return made


def evened(errors: Values, swings: Values, *, grid: Grid) -> Values:
    """Return errors in units of the swing at their origin."""
    return np.asarray(errors / swings[:-1, grid.bucket])


def _swings(errors: Values, *, leads: Indices, lead_hours: float, grid: Grid) -> Values:
    hours, sizes = _known_by(errors, leads=leads, half_life_hours=HALF_LIFE_HOURS, grid=grid)
    spread = shrunk(prior_spread(lead_hours), hours=hours, sizes=sizes)
    usual = (PRIOR_HOURS * spread + sizes) / (PRIOR_HOURS + hours)
    recent_hours = RECENT_HOURS + RECENT_PER_LEAD * lead_hours
    hours, sizes = _known_by(errors, leads=leads, half_life_hours=recent_hours, grid=grid)
    belief = BELIEF_HOURS * (1.0 + lead_hours)
    found = (sizes + belief * usual) / (hours + belief) / usual
    return np.asarray(np.clip(found, 1.0 / LARGEST_SWING, LARGEST_SWING))


def _known_by(errors: Values, *, leads: Indices, half_life_hours: float, grid: Grid) -> tuple[Values, Values]:
    """Return hours' worth and summed sizes of the errors known at each time, halved with every half-life of age."""
    origins = errors.shape[0]
    is_known = np.isfinite(errors)
    ages = np.arange(origins + 1) * grid.origin_hours / half_life_hours
    weights = np.where(is_known, np.exp2(ages[:-1])[:, None], 0.0) * grid.origin_hours / leads.size
    delays = -(-(leads + 1) // grid.windows_per_origin)
    times = np.minimum(np.arange(origins)[:, None] + delays[None, :], origins + 1)
    fresh = np.exp2(-ages)
    sizes = weights * np.where(is_known, np.abs(errors), 0.0)
    by_time = [np.bincount(times.ravel(), each.ravel(), minlength=origins + 2)[:-1] for each in (weights, sizes)]
    hours, summed = (np.asarray(np.cumsum(each) * fresh, dtype=np.float64) for each in by_time)
    return hours, summed
