"""How long demand takes from ten million stored requests: a week of twelve series in windows of ten seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from tests.benchmarks.timing import Figure, measure
from workbench import features
from workbench.traces import open_store, synthetic
from workbench.traces.catalogue import TraceHeader

REQUESTS = 10_000_000
BATCH_ROWS = 250_000


def run() -> list[Figure]:
    """Sum the week in the store; its tiers are one, so that four models in three regions make twelve series."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "traces.duckdb"
        header = TraceHeader(name="week", kind="requests", format="synthetic", source="a week", fingerprint="week")
        with open_store(file) as store, store.writing(header) as writing:
            week = synthetic.week(seed=7, requests=REQUESTS).with_columns(tier=pl.lit("all"))
            for part in week.iter_slices(BATCH_ROWS):
                writing.add(part)
            del week
        with open_store(file, read_only=True) as opened:
            windows = measure(lambda: features.demand(opened, "week", window_s=10), runs=3)
            shape = measure(lambda: features.shape(opened, "week"), runs=1, warmup=0)
    return [
        Figure(metric="windows_10s_s", unit="s", spread=windows),
        Figure(metric="shape_s", unit="s", spread=shape),
    ]
