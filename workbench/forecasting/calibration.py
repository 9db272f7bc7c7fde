"""Quantiles from rehearsed errors, for every method alike: conformal in spirit, and wider where little is known.

The same method is asked what it would have forecast at every hour of the last two weeks; the errors, on a log scale so
that they grow and shrink with the level, are pooled by lead with counts that halve every day and a half, and their
quantiles stand around the forecast. Six things make a 90 % interval hold its 90 % where plain pooling covers too much
after a bad start and too little at a day (a week of history holds few days):

- errors at the size of the middle of their bucket: ten minutes ahead they are little more than half of those an hour
  ahead, and pooled as they are a 90 % interval held 94 % of the first window and 89 % of the sixth (38 series);
- errors in units of what they are lately, as calm and unrest come in spells (:mod:`workbench.forecasting.swings`);
- a prior of twelve hours' worth of errors and the widening for few days (:mod:`workbench.forecasting.priors`);
- levels that move with the misses of the last rehearsals (:mod:`workbench.forecasting.tracking`);
- the window forgets, so the first bad days after a change of level widen what follows;
- a weekend that the fit has not seen may hold a tenth of the load, a first weekday four times as much: quantiles
  reach there, the median does not move. In turn, an error made on a kind of day that the fit had not seen says nothing
  of days whose kind it has, and is left out.

The median is the forecast itself. Source of the idea: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
World", 2005; methods.md section 1 for residuals by lead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.forecasting.history import Indices, Values
from workbench.forecasting.leads import Grid
from workbench.forecasting.priors import HALF_LIFE_HOURS, PRIOR_HOURS, growth, prior_spread, shrunk, widening
from workbench.forecasting.tracking import level_of

PRIOR_POINTS = 50
LARGEST_SHIFT = 5.0
FIRST_WEEKEND = float(np.log(0.1))
FIRST_WEEKDAY = float(np.log(4.0))
FIRST_HOURS = 6.0
NEAR_HOURS = 3.0


def spread(
    centre: Values,
    *,
    lead_hours: Values,
    quantiles: Sequence[float],
    errors: Values,
    ages_hours: Values,
    grid: Grid,
    offset: float,
    moves: Values,
    swings: Values,
    unseen: Values | None = None,
) -> Values:
    """Return windows x quantiles around a forecast ``centre`` by window, never negative, never crossing.

    ``errors`` holds origins x rehearsed leads of log (realised + offset) / (forecast + offset), evened by the swing at
    their origin and brought to the size at the middle of their bucket, NaN where not known; ``ages_hours`` is how long
    ago each origin was; ``moves`` by bucket how far levels are moved, and ``swings`` what errors are multiplied by now.
    Quantiles must ascend. ``unseen`` is -1 for windows of a first weekend, 1 for those of a first weekday, else 0.
    """
    wanted = np.asarray(quantiles)
    sides = np.sign(wanted - 0.5)[:, None]
    shifts = np.empty((wanted.size, grid.buckets))
    hours = np.empty(grid.buckets)
    for place in range(grid.buckets):
        found, counts = _pooled(errors[:, grid.bucket == place], ages_hours)
        counts = counts * grid.origin_hours / np.count_nonzero(grid.bucket == place)
        hours[place] = counts.sum()
        prior = prior_spread(float(grid.middles_hours[place]))
        scale = shrunk(prior, hours=np.asarray(hours[place]), sizes=np.asarray(np.sum(counts * np.abs(found))))
        weights = np.concatenate([counts, np.full(PRIOR_POINTS, PRIOR_HOURS / PRIOR_POINTS)])
        levels = _levels(wanted, moves[place])
        shifts[:, place] = _weighted_quantiles(np.concatenate([found, _laplace(float(scale))]), weights, levels)
    grown = grid.between(shifts * swings / growth(grid.middles_hours), lead_hours) * growth(lead_hours)
    moved = grown * widening(lead_hours, grid.between(hours, lead_hours))
    moved = np.clip(moved, -LARGEST_SHIFT, LARGEST_SHIFT)
    if unseen is not None:
        reach = np.where(unseen < 0, FIRST_WEEKEND, FIRST_WEEKDAY) * -np.expm1(-lead_hours / FIRST_HOURS)
        reach = reach[None, :] * np.abs(2.0 * wanted[:, None] - 1.0)
        moved = moved + np.where(unseen * sides > 0, reach, 0.0)
    moved = np.where(sides > 0, np.maximum(moved, 0.0), np.where(sides < 0, np.minimum(moved, 0.0), 0.0))
    made = np.where(moved == 0.0, centre, (centre + offset) * np.exp(moved) - offset)
    return np.asarray(np.maximum.accumulate(np.maximum(0.0, made), axis=0).T)


def _levels(quantiles: Values, move: float) -> Values:
    """Return the levels at which errors are read for these quantiles."""
    tails = level_of(np.minimum(quantiles, 1.0 - quantiles), move)
    return np.asarray(np.where(quantiles < 0.5, tails, 1.0 - tails))


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


def _weighted_quantiles(values: Values, weights: Values, quantiles: Values) -> Values:
    order: Indices = np.argsort(values, kind="stable")
    sums = np.cumsum(weights[order])
    return np.interp(quantiles, (sums - 0.5 * weights[order]) / sums[-1], values[order])
