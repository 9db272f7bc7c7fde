"""What the store keeps about a trace beside its rows: the catalogue, findings, refused rows and gaps, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from workbench.tables import COUNT, INSTANT, NUMBER, TEXT, Column, Table

Kind = Literal["requests", "series"]
LEVELS = ("spoilt", "warning", "note")
# the format of a trace that the workbench generated
MADE = "synthetic"


@dataclass(frozen=True, kw_only=True)
class TraceHeader:
    """What is known of a trace before its rows are read; ``window_s`` is the native window of a series.

    ``fingerprint`` is equal for equal source files read with equal options. ``source`` holds names of files, no paths.
    """

    name: str
    kind: Kind
    format: str
    source: str
    fingerprint: str
    window_s: float | None = None

    @property
    def is_made(self) -> bool:
        """Tell whether the trace was generated, so that everything about it is known."""
        return self.format == MADE


@dataclass(frozen=True, kw_only=True)
class TraceInfo:
    """One row of the catalogue: the header, its rows and the span between its first and last row.

    ``rows_kept`` counts rows of the source; ``rows`` those in the store, which are more where regions are spread.
    """

    header: TraceHeader
    rows_read: int
    rows_kept: int
    rows: int
    rejected: int
    first_at: datetime
    last_at: datetime
    version: str


def _text(meaning: str) -> Column:
    return Column(dtype=TEXT, unit="", meaning=meaning)


def _count(meaning: str) -> Column:
    return Column(dtype=COUNT, unit="rows", meaning=meaning)


CATALOGUE = Table(
    name="CATALOGUE",
    one_row_per="trace in the store",
    columns={
        "name": _text("name of the trace"),
        "kind": _text("requests or series"),
        "format": _text("format it was read as"),
        "source": _text("names of the source files"),
        "fingerprint": _text("hash of the source files and the options"),
        "window_s": Column(dtype=NUMBER, unit="s", meaning="native window of a series", nullable=True),
        "rows_read": _count("rows in the sources"),
        "rows_kept": _count("rows of the sources that were used"),
        "rows": _count("rows in the store"),
        "rejected": _count("rows refused"),
        "first_at": Column(dtype=INSTANT, unit="UTC", meaning="first arrival or window"),
        "last_at": Column(dtype=INSTANT, unit="UTC", meaning="last arrival or window"),
        "version": _text("version of the workbench that read it"),
    },
    key=("name",),
)

FINDINGS = Table(
    name="FINDINGS",
    one_row_per="finding about a trace",
    columns={
        "finding": _text("what was found"),
        "level": _text("note, warning or spoilt: nothing to do, look before use, do not use as it is"),
        "where": _text("file, model or series it concerns"),
        "count": Column(
            dtype=COUNT, unit="1", meaning="how many rows or stretches; null where none are counted", nullable=True
        ),
        "detail": _text("the finding in words, with its evidence"),
        "advice": _text("what to do about it; empty for a note"),
    },
    rules={"level is known": pl.col("level").is_in(LEVELS)},
)

REJECTED = Table(
    name="REJECTED",
    one_row_per="row of a source that was refused",
    columns={
        "source": _text("name of the file"),
        "line": Column(
            dtype=COUNT, unit="lines", meaning="line of a CSV (the header is 1) or row of a Parquet, from 1"
        ),
        "reason": _text("why the row was refused"),
        "raw": _text("the row as found"),
    },
)

GAPS = Table(
    name="GAPS",
    one_row_per="stretch of a trace in which nothing is known",
    columns={
        "region": Column(dtype=TEXT, unit="key", meaning="region it concerns; null for all of them", nullable=True),
        "model": Column(dtype=TEXT, unit="key", meaning="model it concerns; null for all of them", nullable=True),
        "since": Column(dtype=INSTANT, unit="UTC", meaning="first instant that is not known"),
        "until": Column(dtype=INSTANT, unit="UTC", meaning="first instant that is known again"),
        "reason": _text("why nothing is known"),
    },
    rules={"since < until": pl.col("since") < pl.col("until")},
)
