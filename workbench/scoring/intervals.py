"""How far a saving may be chance: days are drawn again, with their weekday kept together where there are weeks of them.

One span is one draw of the world, and its days are what can be drawn again (a block bootstrap: hours of a day hang
together, days much less so). Runs of several seeds of a trace count as further days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from workbench.errors import StudyError
from workbench.results import SimRun

DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A share saved: what was had over all days, and what 90 of 100 draws of those days would have given.

    ``low_fraction`` and ``high_fraction`` are null where there are fewer than two days to draw from.
    """

    saved_fraction: float
    low_fraction: float | None
    high_fraction: float | None
    days: int


def daily_effort(runs: Sequence[SimRun], since: datetime, *, measure: str = "gpu_hours") -> np.ndarray:
    """Return the sums of a column of ``SIM_POOLS`` by day, counted from ``since``, over runs that follow each other.

    Of several runs (seeds) the days are put one after the other. A day that is not whole at the end is left out, where
    there is another.
    """
    parts = []
    for run in runs:
        day = (pl.col("window_start") - since).dt.total_days()
        pools = run.pools.filter(pl.col("window_start") >= since)
        sums = pools.group_by(day.alias("day"), maintain_order=True).agg(pl.col(measure).sum()).sort("day")
        whole = int((run.end - since).total_seconds() // 86_400)
        parts.append(sums.head(max(whole, 1)).get_column(measure).to_numpy())
    return np.concatenate(parts) if parts else np.zeros(0)


def saving_interval(
    runs: Sequence[SimRun],
    baseline: Sequence[SimRun],
    *,
    since: datetime,
    measure: str = "gpu_hours",
    seed: int = 7,
    level: float = 0.9,
) -> Interval:
    """Return the share of a measure that a strategy saves against a baseline, with a bootstrapped interval over days.

    ``runs`` and ``baseline`` are of the same spans in the same order; each draw takes the same days of both, so what a
    hard day costs both does not widen the interval. Raises StudyError where their days differ or nothing was held.
    """
    own, other = (daily_effort(which, since, measure=measure) for which in (runs, baseline))
    if own.size != other.size or not own.size or not other.sum() > 0:
        raise StudyError(
            f"a saving in {measure} needs the same days of both: {own.size} of the strategy, {other.size} of the "
            f"baseline, which holds {other.sum():g}; simulate both over the same spans."
        )
    saved = 1.0 - own.sum() / other.sum()
    if own.size < 2:
        return Interval(saved_fraction=float(saved), low_fraction=None, high_fraction=None, days=own.size)
    drawn = np.random.default_rng(seed).integers(0, own.size, (DRAWS, own.size))
    draws = 1.0 - own[drawn].sum(axis=1) / other[drawn].sum(axis=1)
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(saved_fraction=float(saved), low_fraction=float(low), high_fraction=float(high), days=own.size)
