"""Offsets from UTC as they stand in a file, counted, as they are lost once every stamp has become UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from workbench.tables import TEXT

# a time of day before the offset, or the dashes of a date would be taken for one
STAMP = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d"
OFFSET = r"\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?\s*([zZ]|[+-]\d\d:?\d\d|[+-]\d\d)?\s*$"

ZONED = r"(?:[zZ]|[+-]\d\d:?\d\d|:\d\d(?:[.,]\d+)?[+-]\d\d)\s*$"


def offsets_in(columns: Iterable[pl.Series]) -> Counter[str]:
    """Count the offsets (or the zone, where typed) of the first column of time stamps; "" counts stamps without one."""
    for column in columns:
        if isinstance(column.dtype, pl.Datetime):
            return Counter({column.dtype.time_zone or "": column.len() - column.null_count()})
        first = column.drop_nulls().head(1) if column.dtype == TEXT else pl.Series([], dtype=TEXT)
        if first.len() and first.str.contains(STAMP).item():
            return _counted(column.drop_nulls())
    return Counter()


def _counted(stamps: pl.Series) -> Counter[str]:
    first = stamps.head(1).str.extract(OFFSET, 1).item()
    # nearly every file has one offset throughout: looking at ends is far cheaper than taking them out
    if first and stamps.str.ends_with(first).all():
        return Counter({first.upper(): stamps.len()})
    zoned = stamps.filter(stamps.str.contains(ZONED))
    ends = zoned.str.extract(OFFSET, 1).drop_nulls().str.to_uppercase()
    counted: Counter[str] = Counter(dict(ends.value_counts().iter_rows()))
    plain = int(stamps.str.contains(STAMP).sum()) - ends.len()
    return counted + Counter({"": plain}) if plain > 0 else counted
