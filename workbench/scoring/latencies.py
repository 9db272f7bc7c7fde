"""Percentiles of latency: those of the request-weighted mixture of every arrival, unfinished ones included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

LEVELS = {"ttft_p50_s": 0.50, "ttft_p75_s": 0.75, "ttft_p90_s": 0.90, "ttft_p95_s": 0.95, "ttft_p99_s": 0.99}


def percentiles(histogram: pl.DataFrame, levels: Sequence[float]) -> list[float | None]:
    """Return latency percentiles of a ``TTFT_HISTOGRAM`` of any rows, interpolated inside a bin; None when empty."""
    bins = (
        histogram.group_by("ttft_low_s", "ttft_high_s")
        .agg(pl.col("requests").sum())
        .filter(pl.col("requests") > 0)
        .sort("ttft_low_s")
    )
    if bins.is_empty():
        return [None for _ in levels]
    counts = bins.get_column("requests").to_numpy()
    low, high = bins.get_column("ttft_low_s").to_numpy(), bins.get_column("ttft_high_s").to_numpy()
    total = np.cumsum(counts)
    found: list[float | None] = []
    for level in levels:
        wanted = level * total[-1]
        i = min(int(np.searchsorted(total, wanted)), counts.size - 1)
        inside = (wanted - (total[i] - counts[i])) / counts[i]
        found.append(float(low[i] * (high[i] / low[i]) ** inside))
    return found
