"""Stretches of a trace in which nothing is known: merged per region and model, and the windows that they touch.

A window that lies in a gap even in part is unknown, as a window of a series is of which one part is unknown: half a
count would pass for a quiet one.
"""

from __future__ import annotations

import polars as pl

from workbench.tables import COUNT, INSTANT, TEXT

HOUR_US = 3_600_000_000
STRETCHES = {"region": TEXT, "model": TEXT, "since_us": COUNT, "until_us": COUNT}


def stretches(gaps: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Merge ``GAPS`` into stretches that do not overlap: ``region``, ``model``, ``since_us``, ``until_us`` since 1970.

    ``series`` names the regions and models of the trace, any number of rows each; a gap without a region or a model
    counts for each of them.
    """
    spans = gaps.select("region", "model", pl.col("since", "until").dt.timestamp("us")).rows()
    merged: list[tuple[str, str, int, int]] = []
    for region, model in series.select("region", "model").unique().sort("region", "model").rows():
        mine = sorted(span[2:] for span in spans if span[0] in (None, region) and span[1] in (None, model))
        for since, until in mine:
            if merged and merged[-1][:2] == (region, model) and since <= merged[-1][3]:
                merged[-1] = (region, model, merged[-1][2], max(until, merged[-1][3]))
            else:
                merged.append((region, model, since, until))
    return pl.DataFrame(merged, schema=STRETCHES, orient="row")


def touched(stretches: pl.DataFrame, window_us: int) -> pl.DataFrame:
    """Return the windows of ``window_us`` that stretches touch, and how much of each is unknown.

    One row per ``region``, ``model`` and ``window_start``, with ``unknown_us`` in microseconds.
    """
    first, last = pl.col("since_us") // window_us, (pl.col("until_us") - 1) // window_us
    start_us = pl.col("window") * window_us
    inside_us = pl.min_horizontal("until_us", start_us + window_us) - pl.max_horizontal("since_us", start_us)
    windows = stretches.with_columns(window=pl.int_ranges(first, last + 1)).explode("window")
    return (
        windows.group_by("region", "model", start_us.cast(INSTANT).alias("window_start"))
        .agg(unknown_us=inside_us.sum())
        .sort("region", "model", "window_start")
    )
