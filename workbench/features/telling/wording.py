"""What every sentence about a load needs: the two ends of a column, the keys of a row, the length of a bin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.units import SECONDS_PER_HOUR, span_in_words

Row = dict[str, Any]


def extremes(frame: pl.DataFrame, column: str) -> tuple[Row, Row] | None:
    """Return the rows with the lowest and the highest known value of a column; None where there is none."""
    known = frame.filter(pl.col(column).is_not_null()).sort(column, maintain_order=True)
    return (known.row(0, named=True), known.row(-1, named=True)) if known.height else None


def named(row: Mapping[str, Any], *keys: str) -> str:
    """Return the keys that a row has, one after the other."""
    return ", ".join(str(row[key]) for key in keys if key in row)


def bin_length(scale_s: float) -> str:
    """Return the length of a bin as people say it."""
    if scale_s == SECONDS_PER_HOUR:
        return "1 h"
    return f"{scale_s:g} s" if scale_s < 120 else span_in_words(scale_s)
