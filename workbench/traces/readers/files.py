"""How a file becomes batches of raw columns: CSV and JSON lines as text with line numbers, Parquet by slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from workbench.traces.readers.batches import Raw
from workbench.traces.readers.csv_rows import csv_batches
from workbench.traces.readers.heads import Head, head_of, unreadable
from workbench.traces.readers.json_paths import path_batches
from workbench.traces.readers.parquet_rows import parquet_batches


def stem_of(path: Path) -> str:
    """Return the file's name up to the first dot: the label of a source that has no column for one."""
    return path.name.partition(".")[0]


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV or Parquet file, or the keys of the first objects of a JSON lines file.

    Raises TraceError where the file is missing, a folder, empty or not readable.
    """
    return head_of(path).columns


def raw_batches(path: Path, columns: Iterable[str]) -> Iterator[Raw]:
    """Yield rows batch by batch, with a ``line`` column; CSV has all columns as text, Parquet the named ones as stored.

    JSON lines have the named keys, or dotted paths to inner ones, as text; a key that an object lacks is null. Raises
    TraceError where the file breaks off or is damaged.
    """
    head = head_of(path)
    try:
        yield from _batches(path, head, list(columns))
    except (OSError, EOFError, ValueError, pl.exceptions.PolarsError) as error:
        raise unreadable(path, error) from error


def _batches(path: Path, head: Head, columns: list[str]) -> Iterator[Raw]:
    if head.layout == "parquet":
        return parquet_batches(path, columns)
    if head.layout == "jsonl":
        return path_batches(path, columns, top=head.columns)
    return csv_batches(path, head.columns, delimiter=head.delimiter)
