"""Where the small samples lie, and the frames that several trace tests start from."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from workbench.tables import REQUESTS

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
START = datetime(2025, 7, 9)


def frame_of(rows: list[tuple[float, str, int, int]]) -> pl.DataFrame:
    """Requests of one tier in us_east from (seconds after START, model, input tokens, output tokens)."""
    columns = {"s": pl.Float64, "model": pl.String, "input_tokens": pl.Int64, "output_tokens": pl.Int64}
    return REQUESTS.conform(
        pl.DataFrame(rows, schema=columns, orient="row").select(
            arrived_at=pl.lit(START).dt.cast_time_unit("us")
            + pl.duration(microseconds=(pl.col("s") * 1e6).cast(pl.Int64)),
            region=pl.lit("us_east"),
            model="model",
            tier=pl.lit("fast"),
            app=pl.lit(None, dtype=pl.String),
            tenant=pl.lit(None, dtype=pl.String),
            input_tokens="input_tokens",
            output_tokens="output_tokens",
            cached_tokens=pl.lit(None, dtype=pl.Int64),
        )
    )


def after_s(seconds: float) -> datetime:
    """The instant some seconds after START."""
    return START + timedelta(seconds=seconds)
