"""What makes rows a series: windows of one length on one grid, each there once, and not lost in empty time.

A window that stands twice would be counted twice, in one file as in two. A single wrong time stamp would stretch the
grid over decades, so windows that are nearly all absent are refused with the first and the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench.errors import TableError, TraceError
from workbench.tables import window_s_of
from workbench.traces.spreading import KEY

# beyond both, a grid is no longer a series with gaps: a million windows are 11 days of seconds or two years of minutes
WINDOWS_AT_LEAST = 1_000_000
ABSENT_TIMES_PRESENT = 100


def window_s_in(frame: pl.DataFrame, source: str) -> float:
    """Return the window length of a series (``DEMAND``) in seconds; ``source`` is named in errors.

    Raises TraceError where fewer than two windows are there, one comes twice for a region, model and tier, one is off
    the grid, or nearly all windows between the first and the last are absent.
    """
    try:
        window_s = window_s_of(frame)
    except TableError as error:
        raise TraceError(f"{source}: {error}") from error
    repeated = frame.filter(pl.struct(KEY).is_duplicated())
    if repeated.height:
        raise TraceError(
            f"{source}: {repeated.height:,} windows come twice for one region, model and tier, first "
            f"{_named(repeated)}; they would be counted twice. Remove one of each, or give them different keys."
        )
    uneven = frame.filter(pl.col("window_start").dt.timestamp("us") % round(window_s * 1e6) != 0)
    if uneven.height:
        raise TraceError(
            f"{source}: {uneven.height:,} windows do not start at a whole multiple of {window_s:g} s, first "
            f"{uneven['window_start'][0]}; give a start on that grid, or windows of one length."
        )
    _refuse_lost(frame.get_column("window_start"), window_s, source)
    return window_s


def one_window_s(frames: Mapping[str, pl.DataFrame]) -> float:
    """Return the window length, in seconds, that all series of one trace share; the keys name their sources.

    Raises TraceError as :func:`window_s_in` does, and where the lengths differ.
    """
    lengths = {source: window_s_in(frame, source) for source, frame in frames.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{source} {window_s:g} s" for source, window_s in lengths.items())
        raise TraceError(f"the series of one trace must have one window length, found {listed}; ingest them apart.")
    return next(iter(lengths.values()))


def refuse_overlap(frame: pl.DataFrame, sources: list[str]) -> None:
    """Raise TraceError where files of one trace state the same window of one region, model and tier."""
    repeated = frame.filter(pl.struct(KEY).is_duplicated())
    if repeated.height:
        raise TraceError(
            f"{', '.join(sources)}: {repeated.height:,} windows come from more than one file for one region, model and "
            f"tier, first {_named(repeated)}; they would be counted twice. Leave out what is there twice, or give the "
            "files different models, regions or tiers (such as --model FILE=KEY,OTHER=KEY)."
        )


def _named(frame: pl.DataFrame) -> str:
    start, *labels = frame.select(KEY).sort(KEY).row(0)
    return f"{start} of {' '.join(labels)}"


def _refuse_lost(starts: pl.Series, window_s: float, source: str) -> None:
    present = starts.unique().sort()
    windows = round((present[-1] - present[0]).total_seconds() / window_s) + 1
    if windows < WINDOWS_AT_LEAST or windows <= ABSENT_TIMES_PRESENT * present.len():
        return
    raise TraceError(
        f"{source}: {present.len():,} windows of {window_s:g} s lie between {present[0]} and {present[-1]}, where "
        f"{windows:,} would fit; the first or the last time stamp is probably wrong. Remove it at the source."
    )
