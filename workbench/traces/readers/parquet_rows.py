"""Parquet files as batches of the columns that a format asks for, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import TEXT
from workbench.traces.catalogue import REJECTED
from workbench.traces.readers.batches import LINE, ROWS_PER_BATCH, Raw


def parquet_batches(path: Path, columns: list[str]) -> Iterator[Raw]:
    """Yield the named columns batch by batch, with the number of the row."""
    scan = pl.scan_parquet(path)
    rows = int(scan.select(pl.len()).collect().item())
    present = [name for name in columns if name in scan.collect_schema().names()]
    for offset in range(0, rows, ROWS_PER_BATCH):
        part = scan.select(present).slice(offset, ROWS_PER_BATCH).collect()
        # dictionary types of another writer compare and map as plain text
        part = part.with_columns(pl.col(pl.Categorical, pl.Enum).cast(TEXT))
        yield Raw(
            frame=part.with_row_index(LINE, offset=offset + 1),
            malformed=REJECTED.empty(),
            done_fraction=min(1.0, (offset + part.height) / rows),
        )
