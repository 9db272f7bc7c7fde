"""Quantiles from rehearsed errors, for every method alike: conformal in spirit, and wider where little is known.

The same method is asked what it would have forecast at every hour of the last two weeks; the errors, on a log scale so
that they grow and shrink with the level, are pooled by lead with counts that halve every two days, and their
quantiles stand around the forecast. Four things make a 90 % interval hold its 90 % on the public traces (plain pooling
covers 91 % at one hour and 76 % at a day, as a week of history holds few days):

- a prior of six hours' worth of errors with the spread seen on the traces (Laplace; picked with all of them in view);
- errors of one day move together, so H hours of rehearsals are H / lead independent ones: quantiles are widened by
  sqrt(1 + lead / H);
- the window forgets, so the first bad days after a change of level widen what follows;
- a weekend that the history has not seen may hold a tenth of the load, a first weekday four times as much: quantiles
  reach there, the median does not move. In turn, an error made on a kind of day that had not been seen by then says
  nothing of days whose kind has been, and is left out.

The median is the forecast itself. Source of the idea: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
World", 2005; methods.md section 1 for residuals by lead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.forecasting.history import Indices, Values
from workbench.forecasting.leads import Grid
from workbench.units import SECONDS_PER_HOUR

HALF_LIFE_HOURS = 48.0
PRIOR_HOURS = 6.0
PRIOR_LEADS_HOURS = (0.5, 2.0, 4.5, 9.0, 18.0, 48.0, 120.0)
PRIOR_SPREADS = (0.12, 0.20, 0.27, 0.32, 0.38, 0.42, 0.45)
PRIOR_POINTS = 50
WIDENING = 1.0
LARGEST_SHIFT = 5.0
FIRST_WEEKEND = float(np.log(0.1))
FIRST_WEEKDAY = float(np.log(4.0))
FIRST_HOURS = 6.0


def spread(
    centre: Values,
    *,
    lead_hours: Values,
    quantiles: Sequence[float],
    errors: Values,
    ages_hours: Values,
    grid: Grid,
    offset: float,
    unseen: Values | None = None,
) -> Values:
    """Return windows x quantiles around a forecast ``centre`` by window, never negative, never crossing.

    ``errors`` holds origins x rehearsed leads of log (realised + offset) / (forecast + offset), NaN where not known;
    ``ages_hours`` is how long ago each origin was. Quantiles must be ascending. ``unseen`` is -1 for windows of a first
    weekend, 1 for those of a first weekday, else 0.
    """
    shifts = np.empty((len(quantiles), grid.buckets))
    hours = np.empty(grid.buckets)
    for place in range(grid.buckets):
        found, counts = _pooled(errors[:, grid.bucket == place], ages_hours)
        per_origin = np.count_nonzero(grid.bucket == place)
        counts = counts / per_origin * max(1.0, grid.window_s / SECONDS_PER_HOUR)
        hours[place] = counts.sum()
        prior = _laplace(float(np.interp(grid.middles_hours[place], PRIOR_LEADS_HOURS, PRIOR_SPREADS)))
        weights = np.concatenate([counts, np.full(PRIOR_POINTS, PRIOR_HOURS / PRIOR_POINTS)])
        shifts[:, place] = _weighted_quantiles(np.concatenate([found, prior]), weights, quantiles)
    known_hours = np.maximum(grid.between(hours, lead_hours), PRIOR_HOURS)
    wide = np.sqrt(1.0 + WIDENING * lead_hours / known_hours)
    moved = np.clip(grid.between(shifts, lead_hours) * wide, -LARGEST_SHIFT, LARGEST_SHIFT)
    sides = np.sign(np.asarray(quantiles) - 0.5)[:, None]
    if unseen is not None:
        reach = np.where(unseen < 0, FIRST_WEEKEND, FIRST_WEEKDAY) * -np.expm1(-lead_hours / FIRST_HOURS)
        reach = reach[None, :] * np.abs(2.0 * np.asarray(quantiles)[:, None] - 1.0)
        moved = moved + np.where(unseen * sides > 0, reach, 0.0)
    moved = np.where(sides > 0, np.maximum(moved, 0.0), np.where(sides < 0, np.minimum(moved, 0.0), 0.0))
    made = np.where(moved == 0.0, centre, (centre + offset) * np.exp(moved) - offset)
    return np.asarray(np.maximum.accumulate(np.maximum(0.0, made), axis=0).T)


def log_errors(points: Values, realised: Values, *, offset: float) -> Values:
    """Return log (realised + offset) / (forecast + offset)."""
    return np.asarray(np.log((realised + offset) / (points + offset)))


def _pooled(errors: Values, ages_hours: Values) -> tuple[Values, Values]:
    counts = np.broadcast_to((0.5 ** (ages_hours / HALF_LIFE_HOURS))[:, None], errors.shape)
    known = np.isfinite(errors)
    return errors[known], counts[known]


def _laplace(scale: float) -> Values:
    places = (np.arange(PRIOR_POINTS) + 0.5) / PRIOR_POINTS - 0.5
    return np.asarray(-scale * np.sign(places) * np.log(1.0 - 2.0 * np.abs(places)))


def _weighted_quantiles(values: Values, weights: Values, quantiles: Sequence[float]) -> Values:
    order: Indices = np.argsort(values, kind="stable")
    sums = np.cumsum(weights[order])
    return np.interp(quantiles, (sums - 0.5 * weights[order]) / sums[-1], values[order])
