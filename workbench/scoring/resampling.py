"""How far any figure of a span may be chance: the days it was made from are drawn again.

What holds of savings (:mod:`workbench.scoring.intervals`) holds of ratios, shares and percentiles too: one span is one
draw of the world, and its days are what can be drawn again. A figure is therefore handed over as a function of how
often each day counts; days of several runs (seeds of a trace) are put one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.scoring.latencies import at_level
from workbench.units import SECONDS_PER_DAY

Floats = NDArray[np.float64]
DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Range:
    """A figure over all days, and what 90 of 100 draws of those days would have given; null below two days."""

    value: float | None
    low: float | None
    high: float | None
    days: int


def over_days(figure: Callable[[Floats], float | None], days: int, *, seed: int = 7, level: float = 0.9) -> Range:
    """Return a figure and its range. ``figure`` takes how often each day counts, and gives None where it has none."""
    value = figure(np.ones(days)) if days else None
    if days < 2 or value is None:
        return Range(value=value, low=None, high=None, days=days)
    counts = np.random.default_rng(seed).multinomial(days, np.full(days, 1.0 / days), size=DRAWS)
    found = [one for one in (figure(count.astype(float)) for count in counts) if one is not None]
    low, high = np.quantile(found, [0.5 - level / 2, 0.5 + level / 2])
    return Range(value=value, low=float(low), high=float(high), days=days)


def daily(frame: pl.DataFrame, values: Sequence[pl.Expr], *, since: datetime, end: datetime) -> Floats:
    """Return sums by day [day, value] of a frame of windows, counted from ``since``.

    A day that is not whole at the end is left out, where there is another; a day without any row counts nothing.
    """
    days = _days(since, end)
    place = (pl.col("window_start") - since).dt.total_days().alias("day")
    inside = frame.filter((pl.col("window_start") >= since) & (place < days))
    named = [value.alias(str(i)) for i, value in enumerate(values)]
    sums = inside.select(place, *named).group_by("day", maintain_order=True).agg(pl.all().sum())
    found = np.zeros((days, len(values)))
    found[sums.get_column("day").to_numpy()] = sums.drop("day").to_numpy()
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class DailyLatency:
    """Histograms of a latency by day: ``counts`` [day, bin] over bins from ``low_s`` to ``high_s``."""

    counts: Floats
    low_s: Floats
    high_s: Floats

    def at(self, level: float, count: Floats) -> float | None:
        """Return a percentile (in 0-1) where each day counts so often; None where there is no request."""
        requests = count @ self.counts
        seen = requests > 0
        return at_level(requests[seen], self.low_s[seen], self.high_s[seen], level) if seen.any() else None


def daily_latency(
    histograms: Sequence[pl.DataFrame], *, since: Sequence[datetime], end: Sequence[datetime], measure: str = "ttft"
) -> DailyLatency:
    """Return the histograms of a measure (ttft or e2e) by day, those of several runs one after the other."""
    names = [f"{measure}_low_s", f"{measure}_high_s"]
    bins = pl.concat([frame.select(names) for frame in histograms]).unique().sort(names).with_row_index("bin")
    parts = []
    for frame, first, last in zip(histograms, since, end, strict=True):
        placed = frame.join(bins, on=names)
        days = _days(first, last)
        day = (pl.col("window_start") - first).dt.total_days().alias("day")
        sums = placed.group_by(day, "bin", maintain_order=True).agg(pl.col("requests").sum())
        sums = sums.filter(pl.col("day").is_between(0, days - 1))
        counts = np.zeros((days, bins.height))
        counts[sums.get_column("day").to_numpy(), sums.get_column("bin").to_numpy()] = sums.get_column("requests")
        parts.append(counts)
    return DailyLatency(
        counts=np.concatenate(parts),
        low_s=bins.get_column(names[0]).to_numpy(),
        high_s=bins.get_column(names[1]).to_numpy(),
    )


def _days(since: datetime, end: datetime) -> int:
    """Return the whole days of a span, at least the one that it begins."""
    return max(int((end - since).total_seconds() // SECONDS_PER_DAY), 1)
