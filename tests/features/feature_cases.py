"""Loads small or lawful enough to be worked out by hand, for the tests of the features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from tests.traces.trace_cases import START, frame_of
from workbench.tables import DEMAND
from workbench.traces import Store, ingest_frame, open_store


def load(values: dict[str, list[float | None]], *, step_s: float = 3600, start: datetime = START) -> pl.DataFrame:
    """DEMAND from requests per window, by "region model tier"; 100 tokens in and 10 out per request."""
    parts = [
        pl.DataFrame({"requests": series}, schema={"requests": pl.Float64}).select(
            window_start=pl.Series([start + timedelta(seconds=step_s * i) for i in range(len(series))]),
            **{name: pl.lit(key) for name, key in zip(("region", "model", "tier"), keys.split(), strict=True)},
            requests="requests",
            input_tokens=pl.col("requests") * 100,
            output_tokens=pl.col("requests") * 10,
        )
        for keys, series in values.items()
    ]
    return DEMAND.conform(pl.concat(parts))


def arrivals(times_s: Iterable[float], *, model: str = "m") -> pl.DataFrame:
    """Requests of 100 tokens in and 10 out at these seconds after START."""
    return frame_of([(float(at), model, 100, 10) for at in times_s])


@contextmanager
def stored(folder: Path, traces: Mapping[str, pl.DataFrame]) -> Iterator[Store]:
    """A store that holds these frames under their names."""
    with open_store(folder / "t.duckdb") as store:
        for name, frame in traces.items():
            ingest_frame(frame, store=store, name=name, source="test")
        yield store
