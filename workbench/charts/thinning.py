"""Long lines made short enough for a page, without losing what a reader can see.

A screen is some thousand pixels wide, so of 600,000 points all but the lowest and highest of each pixel are drawn over
each other. Only those two are kept, so peaks and troughs stay at their height and their place; a gap stays a gap.
"""

from __future__ import annotations

import polars as pl

#: Pixel columns of a wide chart, with room to zoom in once.
BUCKETS = 2000


def thinned(frame: pl.DataFrame, *, y: str, buckets: int = BUCKETS) -> pl.DataFrame:
    """Return the rows of one line, in order, that its picture needs: at most three for each of ``buckets`` stretches.

    Of every stretch of equally many rows the row with the lowest ``y``, the one with the highest and the first without
    a value are kept, of the whole line also the first and the last. A line of fewer rows than that stays as it is.
    """
    if frame.height <= 3 * buckets:
        return frame
    rows = frame.with_row_index("place").with_columns(stretch=pl.col("place") * buckets // frame.height)
    unknown = pl.col(y).is_null()
    kept = rows.group_by("stretch").agg(
        low=pl.col("place").filter(~unknown).sort_by(pl.col(y).filter(~unknown), maintain_order=True).first(),
        high=pl.col("place").filter(~unknown).sort_by(pl.col(y).filter(~unknown), maintain_order=True).last(),
        gap=pl.col("place").filter(unknown).first(),
    )
    ends = pl.Series([0, frame.height - 1], dtype=rows.schema["place"])
    places = pl.concat([kept["low"], kept["high"], kept["gap"], ends]).drop_nulls().unique().sort()
    return frame[places]


def with_gaps(frame: pl.DataFrame, *, x: str = "window_start") -> pl.DataFrame:
    """Return the rows of one line in order, with an empty row after each stretch in which windows are missing.

    A line without it would run straight across what is not known.
    """
    ordered = frame.sort(x)
    if frame.height < 3:
        return ordered  # two rows have no step that a hole could be longer than
    step = pl.col(x).diff().drop_nulls().min()
    missing = ordered.filter(pl.col(x).diff() > step).select(pl.col(x) - ordered.select(step).item())
    return pl.concat([ordered, missing], how="diagonal").sort(x) if missing.height else ordered
