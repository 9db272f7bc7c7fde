"""Reading instants, counts and numbers from text or from typed columns; what cannot be read is null."""

from __future__ import annotations

import polars as pl

from workbench.tables import COUNT, INSTANT, NUMBER, TEXT


def instants(values: pl.Series) -> pl.Series:
    """Read instants from text (ISO, with T or a space, any digits, with or without an offset) or a time column, as UTC.

    What cannot be read is null.
    """
    if isinstance(values.dtype, pl.Datetime):
        return (
            values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(INSTANT)
            if (values.dtype.time_zone)
            else values.cast(INSTANT)
        )
    text = values.cast(TEXT, strict=False).str.strip_chars().str.replace("T", " ", literal=True)
    plain = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    if plain.null_count() == text.null_count():
        return plain
    zoned = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    if isinstance(zoned.dtype, pl.Datetime) and zoned.dtype.time_zone:
        zoned = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return plain.zip_with(plain.is_not_null(), zoned)


def counts(values: pl.Series) -> pl.Series:
    """Read whole numbers; what is no whole number is null."""
    if values.dtype.is_integer():
        return values.cast(COUNT)
    if values.dtype == TEXT:
        whole = values.cast(COUNT, strict=False)
        if whole.null_count() == values.null_count():
            return whole
    number = values.cast(NUMBER, strict=False)
    return number.set(number.is_nan() | (number != number.round()), None).cast(COUNT, strict=False)


def numbers(values: pl.Series) -> pl.Series:
    """Read numbers; what is none, or is not finite, is null."""
    number = values.cast(NUMBER, strict=False)
    return number.set(number.is_nan() | number.is_infinite(), None)
