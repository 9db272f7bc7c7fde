"""Traces that fits are tested on: made ones with known laws, small ones in words, and the real files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from workbench.tables import DEMAND, REQUESTS
from workbench.traces import ingest_frame
from workbench.traces.store import Store

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def requests_at(seconds: list[float], start: str = "2025-01-06", **columns: object) -> pl.DataFrame:
    """Requests at some seconds after a Monday, all alike where ``columns`` does not say otherwise."""
    plain = {"region": "here", "model": "m", "tier": "t", "app": None, "tenant": None}
    plain |= {"input_tokens": 100, "output_tokens": 10, "cached_tokens": None} | columns
    since = pl.Series([round(second * 1e6) for second in seconds]).cast(pl.Duration("us"))
    frame = pl.DataFrame({"since": since}).with_columns(
        *(
            pl.lit(value).alias(name) if not isinstance(value, list) else pl.Series(name, value)
            for name, value in plain.items()
        ),
        arrived_at=pl.lit(start).str.to_datetime("%Y-%m-%d") + pl.col("since"),
    )
    return REQUESTS.conform(frame)


def series_of(requests: list[float | None], window_s: float, start: str = "2025-01-06") -> pl.DataFrame:
    """A series of windows with some numbers of requests, None where nothing is known; 100 and 10 tokens each."""
    known = pl.Series("requests", requests, dtype=pl.Float64)
    since = pl.Series([round(i * window_s * 1e6) for i in range(len(requests))]).cast(pl.Duration("us"))
    frame = pl.DataFrame({"requests": known, "since": since}).with_columns(
        window_start=pl.lit(start).str.to_datetime("%Y-%m-%d") + pl.col("since"),
        region=pl.lit("here"),
        model=pl.lit("m"),
        tier=pl.lit("t"),
        input_tokens=pl.col("requests") * 100,
        output_tokens=pl.col("requests") * 10,
    )
    return DEMAND.conform(frame)


def kept(store: Store, frame: pl.DataFrame, name: str = "trace") -> str:
    """Store a frame and return its name."""
    ingest_frame(frame, store=store, name=name, source=name)
    return name
