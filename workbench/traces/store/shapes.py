"""From sums over small bins to the index of dispersion of counts: what is decided is which bins count.

The index is variance / mean of the counts in the bins of an hour, with zeros for bins without arrivals. Bins count
where they lie between the first and the last arrival of the span that was asked for and outside the gaps of the trace:
a hole of the source is no burst after a lull.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from workbench.tables import SHAPE
from workbench.traces.gaps import HOUR_US, stretches, touched

#: Prompt lengths are told at the middles of 24 equal shares of the requests (simulation.md section 5).
PROMPT_QUANTILES = tuple((i + 0.5) / 24 for i in range(24))
BINS_US = {"250ms": 250_000, "1s": 1_000_000, "3s": 3_000_000, "10s": 10_000_000}


def with_dispersion(sums: pl.DataFrame, *, low: datetime, high: datetime, gaps: pl.DataFrame) -> pl.DataFrame:
    """Turn sums per hour into ``SHAPE``; ``low`` and ``high`` are the first and last arrival of the span."""
    unknown = touched(stretches(gaps, sums), HOUR_US)
    whole = sums.join(unknown, on=["region", "model", "window_start"], how="left", maintain_order="left")
    hour_us = pl.col("window_start").dt.timestamp("us")
    low_us, high_us = (pl.lit(edge).dt.timestamp("us") for edge in (low, high))
    columns = {}
    for scale, bin_us in BINS_US.items():
        first = pl.max_horizontal(low_us // bin_us, hour_us // bin_us)
        last = pl.min_horizontal(high_us // bin_us, (hour_us + HOUR_US) // bin_us - 1)
        bins = last - first + 1 - pl.col("unknown_us").fill_null(0) // bin_us
        mean = pl.col("requests") / bins.clip(lower_bound=1)
        columns[f"dispersion_{scale}"] = pl.col(f"square_sum_{scale}") / pl.col("requests") - mean
    return SHAPE.conform(whole.with_columns(**columns))
