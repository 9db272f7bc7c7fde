"""Stretches of a trace in which nothing is known: merged per model, and the windows and hours that they touch.

A window that lies in a gap even in part is unknown, as a window of a series is of which one part is unknown: half a
count would pass for a quiet one.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from workbench.tables import COUNT, INSTANT, TEXT

HOUR_US = 3_600_000_000
STRETCHES = {"model": TEXT, "since_us": COUNT, "until_us": COUNT}


def stretches(gaps: pl.DataFrame, models: Iterable[str]) -> pl.DataFrame:
    """Merge ``GAPS`` into stretches per model that do not overlap: ``model``, ``since_us``, ``until_us`` since 1970.

    A gap without a model counts for each of ``models``.
    """
    spans = gaps.select("model", pl.col("since", "until").dt.timestamp("us")).rows()
    merged: list[tuple[str, int, int]] = []
    for model in sorted(set(models)):
        for since, until in sorted((since, until) for key, since, until in spans if key in (None, model)):
            if merged and merged[-1][0] == model and since <= merged[-1][2]:
                merged[-1] = (model, merged[-1][1], max(until, merged[-1][2]))
            else:
                merged.append((model, since, until))
    return pl.DataFrame(merged, schema=STRETCHES, orient="row")


def touched(stretches: pl.DataFrame, window_us: int) -> pl.DataFrame:
    """Return the windows that stretches touch: ``model``, ``window_start`` and ``unknown_us``, how much of each."""
    first, last = pl.col("since_us") // window_us, (pl.col("until_us") - 1) // window_us
    start_us = pl.col("window") * window_us
    inside_us = pl.min_horizontal("until_us", start_us + window_us) - pl.max_horizontal("since_us", start_us)
    windows = stretches.with_columns(window=pl.int_ranges(first, last + 1)).explode("window")
    return (
        windows.group_by("model", start_us.cast(INSTANT).alias("window_start"))
        .agg(unknown_us=inside_us.sum())
        .sort("model", "window_start")
    )
