"""Reading instants, counts and numbers from text or from typed columns; what cannot be read is null."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import polars as pl

from workbench.tables import COUNT, INSTANT, NUMBER, TEXT

EPOCH = datetime(1970, 1, 1)
# an offset or Z after the time of day; the dashes of the date stand before it
ZONE = r"(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)$"
# hours and minutes, then the end or an offset
SHORT = r"^(\d{4}-\d\d-\d\d \d\d:\d\d)(\s*(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)?)$"
# farther than this no calendar goes: the year 9999 is 2.5e11 s after 1970
FARTHEST_S = 2.4e11
# seconds from 1970 to 1980 and to 2100; a thousand times more is no instant of these, so the units cannot be confused
EPOCH_LIKE_S = (3.156e8, 4.1024e9)
UNITS_PER_S = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def instants(values: pl.Series) -> pl.Series:
    """Read instants from text (ISO, with T or a space, with or without an offset) or a time column, as UTC.

    Seconds may have any digits and may be left out. The forms may be mixed in one column. A date in another order than
    year, month, day is not guessed: what cannot be read is null.
    """
    if isinstance(values.dtype, pl.Datetime):
        return (
            values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(INSTANT)
            if (values.dtype.time_zone)
            else values.cast(INSTANT)
        )
    text = values.cast(TEXT, strict=False).str.strip_chars().str.replace("T", " ", literal=True)
    known = text.drop_nulls().head(1).str.contains(ZONE)
    forms = (_zoned, _plain) if known.len() and known.item() else (_plain, _zoned)
    return _first_that_reads(text, *forms, _to_the_minute)


def offsets(values: pl.Series, *, since: datetime, unit_s: float) -> pl.Series:
    """Read numbers of seconds, milliseconds, ... after ``since`` as instants; ``unit_s`` is one of them in seconds.

    What is no number, or lies farther than an instant can, is null.
    """
    if values.dtype.is_integer() or (values.dtype == TEXT and unit_s < 1e-3):
        # whole numbers keep every digit; a float of nanoseconds since 1970 would not
        whole = counts(values)
        whole = whole.set(whole.abs() > FARTHEST_S / unit_s, None)
        us = whole * round(unit_s * 1e6) if unit_s >= 1e-6 else whole // round(1e-6 / unit_s)
    else:
        seconds = numbers(values) * unit_s
        us = (seconds.set(seconds.abs() > FARTHEST_S, None) * 1e6).round().cast(COUNT)
    return pl.select(pl.lit(since, dtype=INSTANT) + pl.duration(microseconds=pl.lit(us))).to_series()


def instants_written(values: pl.Series, form: str) -> pl.Series:
    """Read instants from text of one form (``%d/%m/%Y %H:%M``, the signs of strptime) as UTC; others are null."""
    text = values.cast(TEXT, strict=False).str.strip_chars()
    # polars has the dot of a fraction inside of the sign
    read = text.str.to_datetime(form.replace(".%f", "%.f"), strict=False, time_unit="us")
    if isinstance(read.dtype, pl.Datetime) and read.dtype.time_zone:
        return read.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return read


def epoch_units(values: pl.Series) -> pl.Series:
    """Say in which unit each number would be an instant after 1970 of our days (1980 to 2100): s, ms, us, ns, or null.

    >>> epoch_units(pl.Series([1740988800, 1740988800403, 5])).to_list()
    ['s', 'ms', None]
    """
    number = pl.lit(numbers(values))
    looks = pl.coalesce(
        *(pl.when((number / unit).is_between(*EPOCH_LIKE_S)).then(pl.lit(name)) for name, unit in UNITS_PER_S.items()),
        pl.lit(None, dtype=TEXT),
    )
    return pl.select(looks).to_series()


def counts(values: pl.Series) -> pl.Series:
    """Read whole numbers; what is no whole number is null."""
    if values.dtype.is_integer():
        return values.cast(COUNT, strict=False)
    if values.dtype == TEXT:
        whole = values.cast(COUNT, strict=False)
        if whole.null_count() == values.null_count():
            return whole
        return whole.zip_with(whole.is_not_null(), _whole(values.str.strip_chars().cast(NUMBER, strict=False)))
    return _whole(values.cast(NUMBER, strict=False))


def numbers(values: pl.Series) -> pl.Series:
    """Read numbers; what is none, or is not finite, is null."""
    number = values.cast(NUMBER, strict=False)
    if values.dtype == TEXT and number.null_count() > values.null_count():
        number = values.str.strip_chars().cast(NUMBER, strict=False)
    return number.set(number.is_nan() | number.is_infinite(), None)


def _whole(number: pl.Series) -> pl.Series:
    return number.set(number.is_nan() | (number != number.round()), None).cast(COUNT, strict=False)


def _first_that_reads(text: pl.Series, *forms: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Read with the first form, and with each further one what is left."""
    read = forms[0](text)
    for form in forms[1:]:
        left = read.is_null() & text.is_not_null()
        if left.any():
            read = read.zip_with(~left, form(text.set(~left, None)))
    return read


def _plain(text: pl.Series) -> pl.Series:
    return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")


def _to_the_minute(text: pl.Series) -> pl.Series:
    """Read instants without seconds, as spreadsheets and series of minutes write them."""
    is_short = text.str.contains(SHORT)
    whole = text.set(~is_short.fill_null(value=False), None).str.replace(SHORT, "$1:00$2")
    return _first_that_reads(whole, _plain, _zoned)


def _zoned(text: pl.Series) -> pl.Series:
    read = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    if isinstance(read.dtype, pl.Datetime) and read.dtype.time_zone:
        return read.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return read
