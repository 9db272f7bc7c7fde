"""Percentiles of latency: those of the request-weighted mixture of every arrival, unfinished ones included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

SHARES = {"p50": 0.50, "p75": 0.75, "p90": 0.90, "p95": 0.95, "p99": 0.99}
LEVELS = {f"ttft_{name}_s": share for name, share in SHARES.items()}
E2E_LEVELS = {f"e2e_{name}_s": share for name, share in SHARES.items()}
ITL_LEVELS = {f"itl_{name}_s": share for name, share in SHARES.items()}


def percentiles(histogram: pl.DataFrame, levels: Sequence[float], *, measure: str = "ttft") -> list[float | None]:
    """Return percentiles of a ``TTFT_HISTOGRAM`` or, with the measure e2e, an ``E2E_HISTOGRAM``; None when empty.

    Any rows of it are taken together; inside a bin it is interpolated.
    """
    low_s, high_s = f"{measure}_low_s", f"{measure}_high_s"
    sums = histogram.group_by(low_s, high_s, maintain_order=True).agg(pl.col("requests").sum())  # one order: same bytes
    bins = sums.filter(pl.col("requests") > 0).sort(low_s)
    if bins.is_empty():
        return [None for _ in levels]
    counts = bins.get_column("requests").to_numpy()
    low, high = bins.get_column(low_s).to_numpy(), bins.get_column(high_s).to_numpy()
    return [at_level(counts, low, high, level) for level in levels]


def at_level(
    counts: NDArray[np.float64], low_s: NDArray[np.float64], high_s: NDArray[np.float64], level: float
) -> float:
    """Return a percentile of a histogram whose bins are sorted and hold something; inside a bin it is interpolated."""
    total = np.cumsum(counts)
    wanted = level * total[-1]
    i = min(int(np.searchsorted(total, wanted)), counts.size - 1)
    inside = (wanted - (total[i] - counts[i])) / counts[i]
    return float(low_s[i] * (high_s[i] / low_s[i]) ** inside)


def weighted_percentiles(windows: pl.DataFrame, column: str, levels: Sequence[float]) -> list[float | None]:
    """Return percentiles of a column of windows, each row counted by its arrivals: the least value that covers them.

    Rows without a value or without arrivals count nothing; None where none is left.
    """
    known = windows.drop_nulls(column).filter(pl.col("arrived") > 0).sort(column, maintain_order=True)
    if known.is_empty():
        return [None for _ in levels]
    total = np.cumsum(known.get_column("arrived").to_numpy())
    places = np.minimum(np.searchsorted(total, np.asarray(levels) * total[-1] * (1.0 - 1e-12)), total.size - 1)
    return [float(value) for value in known.get_column(column).to_numpy()[places]]
