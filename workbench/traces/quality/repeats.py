"""Rows that come twice, counted one stretch of time after another so that no more than a few million are held at once.

Equal rows have the same arrival, so they fall into the same stretch; where regions were made by shifting copies, the
rows are compared at the source's time, or the two of a pair that fell into different regions would be missed.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Look
from workbench.traces.store import quality_queries

ROWS_AT_ONCE = 1_500_000
NOTED_FRACTION = 1e-4


def repeats(look: Look) -> list[Finding]:
    """Count per model the rows that are equal to another in everything the source says."""
    if look.ask is None:
        return []
    ask = look.ask
    counts: Counter[str] = Counter()
    for low, high in stretches(look):
        # nearly every stretch has none, and sorting numbers is several times as fast as grouping rows
        marks = ask(quality_queries.marks(look.shifts, made_tiers=look.made_tiers, low=low, high=high))
        ordered = np.sort(marks.get_column("mark").to_numpy())
        if (ordered[1:] == ordered[:-1]).any():
            query = quality_queries.repeated(look.shifts, made_tiers=look.made_tiers, low=low, high=high)
            counts.update(dict(ask(query).rows()))
    rows = dict(look.load.frame.group_by("model").agg(pl.col("requests").sum()).iter_rows())
    return [
        finding(
            "repeated rows",
            model,
            count,
            f"{count / rows[model]:.2%} of its rows have the arrival, lengths and labels of another",
            level="warning" if count > NOTED_FRACTION * rows[model] else "note",
        )
        for model, count in sorted(counts.items())
        if count
    ]


def stretches(look: Look) -> list[tuple[datetime, datetime]]:
    """Part the trace into stretches of whole windows with some millions of rows each; one window may hold more."""
    per_window = look.load.frame.group_by("window_start").agg(pl.col("requests").sum()).sort("window_start")
    part = (per_window.get_column("requests").cum_sum() / ROWS_AT_ONCE).floor()
    starts = per_window.group_by(part.alias("part"), maintain_order=True).agg(pl.col("window_start").first())
    edges = starts.get_column("window_start").to_list()
    end = look.load.last + timedelta(seconds=look.load.window_s)
    return list(zip(edges, [*edges[1:], end], strict=True))
