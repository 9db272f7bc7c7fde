"""Demand series in our own column names, and what every reader of series shares: the frame and its checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import DEMAND, NUMBER, TEXT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches, stem_of
from workbench.traces.readers.requests import EARLIEST, LABELS
from workbench.traces.readers.values import instants, numbers

MEASURES = ("requests", "input_tokens", "output_tokens")
COLUMNS = ("window_start", *MEASURES)

SERIES_CHECKS = {
    "window_start is missing or no instant": pl.col("window_start").is_null(),
    "window_start lies before 1970": pl.col("window_start") < EARLIEST,
    **{f"{name} is negative": pl.col(name) < 0 for name in MEASURES},
    **{f"{name} is empty": pl.col(name).is_null() | (pl.col(name) == "") for name in LABELS},
}


def series_frame(
    path: Path,
    raw: pl.DataFrame,
    *,
    window_start: pl.Series,
    requests: pl.Series,
    input_tokens: pl.Series,
    output_tokens: pl.Series,
) -> pl.DataFrame:
    """Build rows with the columns of DEMAND; a label column that the source lacks holds the file's stem."""
    stem = stem_of(path)
    values = {"requests": requests, "input_tokens": input_tokens, "output_tokens": output_tokens}
    labels = (
        (raw[name].cast(TEXT) if name in raw.columns else pl.lit(stem)).alias(name)
        for name in ("region", "model", "tier")
    )
    return pl.DataFrame({"window_start": window_start} | values).select(
        "window_start", *labels, *(pl.col(name).cast(NUMBER) for name in values)
    )


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the windows of a CSV or Parquet file with our column names; an empty value is a gap of the source."""
    for raw in raw_batches(path, DEMAND.columns):
        values = {name: numbers(raw.frame[name]) for name in MEASURES}
        frame = series_frame(path, raw.frame, window_start=instants(raw.frame["window_start"]), **values)
        unreadable = {
            f"{name} is no number": pl.lit(values[name].is_null() & raw.frame[name].is_not_null()) for name in MEASURES
        }
        yield judged(raw, frame, unreadable | SERIES_CHECKS, path=path)


FORMAT = Format(
    key="demand",
    label="demand per window in our column names (window_start, requests, input_tokens, ...), CSV or Parquet",
    kind="series",
    columns=COLUMNS,
    lacks=lambda columns: tuple(name for name in LABELS if name not in columns),
    read=read,
)
