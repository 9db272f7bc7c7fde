"""How far the levels of an interval are moved by how often it was missed: adaptive conformal inference.

Quantiles of past errors hold their share only as long as errors stay what they were. So at every rehearsed hour the
interval that would have been given then is held against what came: a miss moves its levels out, no miss moves them in
by a ninth of that, for each bucket of leads apart. A miss on one side moves both: moved apart the sides are noisier,
and over 22 traces the quantile loss of the first hour is 3 % higher for the same share, that of the first day 1 %. In a
short trace nothing forces the share (four days are four outcomes at a day ahead), so steps shrink with the lead, moves
fade as fast as errors are forgotten, and none is large: beyond the worst error of a day there is nothing to be read.

The level's logit is stretched, by exp(move): quantiles keep their order and their side of the median. Source: Gibbs and
Candes, "Adaptive conformal inference under distribution shift", NeurIPS 2021; several leads and the logit are ours.
Measured with and without: ``python -m tests.forecasting.accuracy_table``.
"""

from __future__ import annotations

import numpy as np

from workbench.forecasting.history import Indices, Values
from workbench.forecasting.leads import Grid
from workbench.forecasting.priors import HALF_LIFE_HOURS, PRIOR_HOURS, prior_spread, shrunk, widening

TAIL = 0.05
STEP = 0.3
SLOWING = 0.4  # power of the lead by which steps are smaller
LARGEST_MOVE = 0.3
EDGES = np.concatenate([-np.geomspace(0.002, 5.0, 48)[::-1], np.geomspace(0.002, 5.0, 48)])


def moves_of(errors: Values, *, grid: Grid, before: Values | None = None) -> Values:
    """Return times x buckets: the move at each rehearsed origin and, last, now.

    ``errors`` holds hourly origins x rehearsed leads, NaN where not known by now. ``before`` is what was returned for
    the first of these origins, and is gone on from; the result is the same to the last bit.
    """
    ends = -(-grid.ends // grid.windows_per_origin)
    since = np.zeros_like(ends) if before is None else np.maximum(before.shape[0] - ends, 0)
    ranks = _by_bucket(ranks_of(errors, grid=grid, since=since), grid)
    known = np.isfinite(ranks).sum(axis=2)
    steps = STEP / (ends * grid.origin_hours) ** SLOWING
    fade = 0.5 ** (grid.origin_hours / HALF_LIFE_HOURS)
    moves = np.zeros((errors.shape[0] + 1, grid.buckets))
    first = 1
    if before is not None:
        first = before.shape[0]
        moves[:first] = before
    places = np.arange(grid.buckets)
    for time in range(first, moves.shape[0]):
        origin = np.maximum(time - ends, 0)
        count = np.where(time >= ends, known[origin, places], 0)
        level = level_of(TAIL, moves[origin, places])[:, None]
        found = ranks[origin, places]
        missed = ((found < level) | (found > 1.0 - level)).sum(axis=1) / 2.0
        moved = np.where(count > 0, steps * (missed / np.maximum(count, 1) - TAIL), 0.0)
        moves[time] = np.clip(fade * moves[time - 1] + moved, -LARGEST_MOVE, LARGEST_MOVE)
    return moves


def level_of(level: Values | float, move: Values | float) -> Values:
    """Return a level whose logit is stretched by exp(move)."""
    return np.asarray(1.0 / (1.0 + ((1.0 - level) / level) ** np.exp(move)))


def ranks_of(errors: Values, *, grid: Grid, since: Indices | None = None) -> Values:
    """Return where each error fell, 0 to 1, among what was known at its origin: the errors by then and the prior.

    The widening counts. Errors are counted in bins, so that all origins are done at once. ``since`` is by bucket the
    first origin that is asked for (null: all); those before it are left NaN.
    """
    made = np.full(errors.shape, np.nan)
    for place in range(grid.buckets):
        mine, first = grid.bucket == place, 0 if since is None else int(since[place])
        delays = -(-(grid.leads[mine] + 1) // grid.windows_per_origin)
        lead_hours = float(grid.middles_hours[place])
        made[first:, mine] = _ranks(errors[:, mine], delays=delays, lead_hours=lead_hours, grid=grid, first=first)
    return made


def _ranks(errors: Values, *, delays: Indices, lead_hours: float, grid: Grid, first: int) -> Values:
    """Return the ranks of one bucket from an origin on; all errors before count."""
    origins, leads = errors.shape
    is_known = np.isfinite(errors)
    filled = np.where(is_known, errors, 0.0)
    ages = np.arange(origins + 1) * grid.origin_hours / HALF_LIFE_HOURS
    weights = np.where(is_known, np.exp2(ages[:-1])[:, None], 0.0) * grid.origin_hours / leads
    times = np.minimum(np.arange(origins)[:, None] + delays[None, :], origins + 1)
    slots = np.searchsorted(EDGES, filled)
    width = EDGES.size + 1
    counted = np.bincount((times * width + slots).ravel(), weights.ravel(), minlength=(origins + 2) * width)
    sizes = np.bincount(times.ravel(), (weights * np.abs(filled)).ravel(), minlength=origins + 2)
    fresh = np.exp2(-ages[first:-1])
    by_time = np.cumsum(np.asarray(counted, dtype=np.float64).reshape(-1, width)[:origins], axis=0)[first:]
    below: Values = np.cumsum(by_time, axis=1) * fresh[:, None]
    hours: Values = below[:, -1]
    known_sizes: Values = np.cumsum(np.asarray(sizes[:origins], dtype=np.float64))[first:] * fresh
    spread = shrunk(prior_spread(lead_hours), hours=hours, sizes=known_sizes)
    values = filled[first:] / widening(lead_hours, hours)[:, None]
    right = np.clip(np.searchsorted(EDGES, values), 1, EDGES.size - 1)
    share = np.clip((values - EDGES[right - 1]) / (EDGES[right] - EDGES[right - 1]), 0.0, 1.0)
    rows = np.arange(origins - first)[:, None]
    found = below[rows, right - 1] * (1.0 - share) + below[rows, right] * share
    tail = 0.5 * np.exp(-np.abs(values) / spread[:, None])
    expected = np.where(values < 0.0, tail, 1.0 - tail)
    ranks = (found + PRIOR_HOURS * expected) / (hours + PRIOR_HOURS)[:, None]
    return np.asarray(np.where(is_known[first:], ranks, np.nan))


def _by_bucket(ranks: Values, grid: Grid) -> Values:
    """Return origins x buckets x leads, NaN where a bucket has fewer leads than the largest."""
    sizes = np.bincount(grid.bucket, minlength=grid.buckets)
    made = np.full((ranks.shape[0], grid.buckets, int(sizes.max())), np.nan)
    for place in range(grid.buckets):
        made[:, place, : sizes[place]] = ranks[:, grid.bucket == place]
    return made
