"""How long ten million rows take from a file into the store, quality report included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from tests.benchmarks.timing import Figure, measure
from workbench.traces import ingest, open_store, synthetic

ROWS_IN_MILLIONS = 10


def run() -> list[Figure]:
    """Ingest the synthetic week ten times over as one CSV file; one run, as it takes long."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        week = synthetic.week(seed=7).drop("app", "tenant", "cached_tokens")
        with (folder / "rows.csv").open("wb") as file:
            for part in range(ROWS_IN_MILLIONS):
                shifted = week.with_columns(pl.col("arrived_at") + pl.duration(days=7 * part))
                shifted.write_csv(file, include_header=part == 0)

        def once() -> None:
            with open_store(folder / "traces.duckdb") as store:
                ingest(folder / "rows.csv", store=store, name="rows")
            (folder / "traces.duckdb").unlink()

        return [Figure(metric="rows_10m_s", unit="s", spread=measure(once, runs=1, warmup=0))]
