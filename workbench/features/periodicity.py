"""How far a load repeats: what the other days of the same kind say about a day.

SageServe gives its scores (0.7-0.95 for fast interactive load, 0.3-0.8 for normal, 0-0.29 for batch) without saying how
they are computed (sageserve.md section 3.3), so only their order can be compared. The usual autocorrelation at 24 h
compares Friday with Saturday and Sunday with Monday, which marks down a load that repeats exactly within its working
days, and rewards one that merely stops. The score here asks what a planner asks: how much of the ups and downs of a
day could be read off the other days. Both are returned.
"""

from __future__ import annotations

import polars as pl

from workbench.features.demand import SERIES
from workbench.features.profiles import day_type
from workbench.features.rates import known_sums

HOURS_NEEDED = 36
PAIRS_NEEDED = 24


def periodicity_score(demand: pl.DataFrame, *by: str, measure: str = "requests") -> pl.DataFrame:
    """Return how far a load repeats from day to day, one row per value of ``by`` (none: region, model and tier).

    ``periodicity_fraction`` is the share of the variance of the hourly means that the other days explain: every hour
    is predicted by the mean of the same hour (UTC) on all other days of its kind, weekday or weekend, and the score is
    1 - sum of squared errors / sum of squared deviations from the mean, over the hours that have a prediction, clipped
    to 0-1. 1 repeats exactly; 0 is no better than the mean. A predicted hour is never part of its own prediction, so
    noise scores 0 on any length of history. Null with fewer than 36 such hours or a constant load.

    ``autocorrelation_24h`` is the correlation of hour t with hour t + 24 h over the hours in which both are known, in
    -1 to 1; null with fewer than 24 pairs. ``hours`` counts the hours that are known. Windows of an hour or less.
    """
    keys = list(by or SERIES)
    hourly = known_sums(demand, *keys, measure=measure).group_by(*keys, pl.col("window_start").dt.truncate("1h"))
    means = hourly.agg(value=pl.col(measure).mean()).sort(*keys, "window_start")
    return _explained(means, keys).join(_autocorrelation(means, keys), on=keys, how="left").sort(keys)


def _explained(means: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    slot = [*keys, day_type(), pl.col("window_start").dt.hour()]
    others = pl.len().over(slot) - 1
    predicted = pl.when(others > 0).then((pl.col("value").sum().over(slot) - pl.col("value")) / others)
    scored = means.with_columns(predicted=predicted)
    known = pl.col("value").filter(pl.col("predicted").is_not_null())
    error = ((pl.col("value") - pl.col("predicted")) ** 2).sum()
    spread = ((known - known.mean()) ** 2).sum()
    enough = (known.len() >= HOURS_NEEDED) & (spread > 1e-12 * (known**2).sum())
    fraction = pl.when(enough).then((1.0 - error / spread).clip(0.0, 1.0))
    return scored.group_by(keys).agg(periodicity_fraction=fraction, hours=pl.len())


def _autocorrelation(means: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    later = means.select(*keys, pl.col("window_start").dt.offset_by("-24h"), later="value")
    pairs = means.join(later, on=[*keys, "window_start"], how="inner")
    score = pl.when(pl.len() >= PAIRS_NEEDED).then(pl.corr("value", "later").fill_nan(None))
    return pairs.group_by(keys).agg(autocorrelation_24h=score)
