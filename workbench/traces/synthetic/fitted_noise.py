"""How much more than a Poisson process the arrivals of a series vary, at each scale from a second to ten minutes.

For a Poisson process whose rate is shaken by independent factors of mean one, the mean product of the counts of two
different seconds depends only on the shortest block that holds both: it is the squared rate times 1 + cv^2 of every
factor that lasts at least so long. Ratios of these means from one scale to the next are therefore 1 + cv^2 of one
factor alone, free of Poisson noise and of the rhythm (a factorial moment estimator; hand-solved in the tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from workbench.traces.store import Reading
from workbench.traces.synthetic.rhythms import DWELLS_S, Noise

Labels = tuple[str, str, str]

PAIRS_NEEDED = 400.0
SIGNIFICANT_TIMES = 2.0
LARGEST_CV = 30.0
SLICE = timedelta(days=1)


def noise_of(
    store: Reading, trace: str, *, since: datetime, until: datetime, slot_s: float
) -> Mapping[Labels, tuple[Noise, ...]]:
    """Return the noise of every series at the scales between the windows of the source and the slots of its rhythm.

    A series with too few pairs of arrivals takes the noise of its model and tier over all regions; what is not
    distinguishable from chance is no noise.
    """
    native_s = store.describe(trace).header.window_s
    scales = [dwell for dwell in DWELLS_S if dwell <= slot_s and (native_s is None or dwell >= native_s)]
    if len(scales) < 2 or (native_s is not None and scales[0] != native_s):
        return {}
    squares = _squares(store, trace, scales, since=since, until=until)
    if squares.is_empty():
        return {}
    sums = [f"q{scale:g}" for scale in scales]
    pooled = {
        (row["model"], row["tier"]): noise_of_squares(row, scales)
        for row in squares.group_by("model", "tier").agg(pl.col("requests", "bins", *sums).sum()).to_dicts()
    }
    found: dict[Labels, tuple[Noise, ...]] = {}
    for row in squares.to_dicts():
        shared = pooled[row["model"], row["tier"]]
        both = [own or other for own, other in zip(noise_of_squares(row, scales), shared, strict=True)]
        found[row["region"], row["model"], row["tier"]] = tuple(noise for noise in both if noise and noise.cv > 0)
    return found


def noise_of_squares(row: Mapping[str, float], scales: list[float]) -> tuple[Noise | None, ...]:
    """Return the noise at every scale but the last, from sums of squared counts; None where there are too few pairs.

    ``row`` holds ``requests``, the number ``bins`` of bins of the first scale, and ``q<scale>``, the sum of the squared
    counts in bins of each scale.
    """
    first, bins = scales[0], row["bins"]
    pairs = [row[f"q{first:g}"] - row["requests"]]
    partners = [1.0]
    for inner, outer in pairwise(scales):
        pairs.append(row[f"q{outer:g}"] - row[f"q{inner:g}"])
        partners.append((outer - inner) / first)
    means = [count / (bins * others) for count, others in zip(pairs, partners, strict=True)]
    return tuple(_noise(scale, means[i], means[i + 1], pairs[i], pairs[i + 1]) for i, scale in enumerate(scales[:-1]))


def _noise(scale: float, near: float, far: float, near_pairs: float, far_pairs: float) -> Noise | None:
    if min(near_pairs, far_pairs) < PAIRS_NEEDED or far <= 0:
        return None
    excess = near / far - 1.0
    error = (1.0 + max(excess, 0.0)) * np.sqrt(2.0 / near_pairs + 2.0 / far_pairs)
    cv = float(np.sqrt(excess)) if excess > SIGNIFICANT_TIMES * error else 0.0
    return Noise(dwell_s=scale, cv=min(cv, LARGEST_CV))


def _squares(store: Reading, trace: str, scales: list[float], *, since: datetime, until: datetime) -> pl.DataFrame:
    """Sum squared counts at every scale per series, a day at a time so that bins of a second pass."""
    parts = []
    first = since.replace(hour=0, minute=0, second=0, microsecond=0)
    while first < until:
        low, high = max(first, since), min(first + SLICE, until)
        sums = store.sum_by_window(trace, window_s=scales[0], since=low, until=high).drop_nulls("requests")
        parts.append(_squares_of(sums, scales))
        first += SLICE
    whole = pl.concat(parts).group_by("region", "model", "tier").sum().sort("region", "model", "tier")
    seconds = (until - since).total_seconds()
    return whole.with_columns(bins=pl.lit(seconds / scales[0]))


def _squares_of(sums: pl.DataFrame, scales: list[float]) -> pl.DataFrame:
    labels = ("region", "model", "tier")
    base = sums.select(*labels, "requests", at=pl.col("window_start").dt.timestamp("us"))
    total = base.group_by(labels).agg(pl.col("requests").sum())
    for scale in scales:
        base = base.group_by(*labels, at=pl.col("at") // round(scale * 1e6) * round(scale * 1e6)).agg(
            pl.col("requests").sum()
        )
        squares = base.group_by(labels).agg((pl.col("requests") ** 2).sum().alias(f"q{scale:g}"))
        total = total.join(squares, on=labels)
    return total
