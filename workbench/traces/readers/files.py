"""How a file becomes batches of raw columns: CSV (plain, .gz, .zst) as text with line numbers, Parquet by slices."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from workbench.errors import TraceError
from workbench.traces.readers.batches import Raw
from workbench.traces.readers.csv_rows import csv_batches
from workbench.traces.readers.parquet_rows import parquet_batches
from workbench.traces.readers.streams import text_stream

HEADER_BYTES = 1 << 16


def stem_of(path: Path) -> str:
    """Return the file's name up to the first dot: the label of a source that has no column for one."""
    return path.name.partition(".")[0]


def is_parquet(path: Path) -> bool:
    """Tell whether the file is read as Parquet, by the end of its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV or Parquet file.

    Raises TraceError where the file is missing, a folder, empty or not readable as its name says.
    """
    if not path.exists():
        raise TraceError(f"{path}: no such file; check the path.")
    if path.is_dir():
        raise TraceError(f"{path} is a folder; name the file or files to ingest.")
    try:
        if is_parquet(path):
            return tuple(pl.read_parquet_schema(path))
        with text_stream(path) as stream:
            header: str = stream.read(HEADER_BYTES).partition(b"\n")[0].decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error
    if not header.strip():
        raise TraceError(f"{path} is empty; expected a CSV with a header line, or a Parquet file.")
    return tuple(name.strip() for name in next(csv.reader([header.rstrip("\r")])))


def raw_batches(path: Path, columns: Iterable[str]) -> Iterator[Raw]:
    """Yield rows batch by batch, with a ``line`` column; CSV has all columns as text, Parquet the named ones as stored.

    Raises TraceError where the file breaks off or is damaged.
    """
    wanted = list(columns)
    try:
        yield from parquet_batches(path, wanted) if is_parquet(path) else csv_batches(path, columns_of(path))
    except (OSError, EOFError, ValueError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TraceError:
    found = " ".join(str(error).split())[:300]
    return TraceError(
        f"{path.name} cannot be read as {'Parquet' if is_parquet(path) else 'UTF-8 CSV'}: {found}. "
        "The file may be cut off or be of another kind than its name says; fetch it again or rename it."
    )
