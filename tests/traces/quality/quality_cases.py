"""Hand-made loads for the tests of the quality report: keys that the catalog knows, arrivals as numbers of seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tests.traces.trace_cases import START
from workbench.results import QualityReport
from workbench.tables import DEMAND, REQUESTS
from workbench.traces import ingest_frame, open_store
from workbench.traces.quality.levels import Look, load_of_series

MODEL, OTHER, REGION, TIER = "llama31_8b", "llama2_70b", "us_east", "interactive_fast"
DAY_S = 86_400.0
Numbers = Sequence[float] | npt.NDArray[np.float64]


def requests_at(seconds: Numbers, *, model: str = MODEL, seed: int = 1, **columns: Any) -> pl.DataFrame:
    """Requests at so many seconds after START, with lengths drawn from a law that has no top; columns replace ours."""
    random = np.random.default_rng(seed)
    at = np.round(np.asarray(seconds, dtype=float) * 1e6).astype(np.int64)
    frame = pl.DataFrame({"us": at}).select(
        arrived_at=pl.lit(START).dt.cast_time_unit("us") + pl.duration(microseconds="us"),
        region=pl.lit(REGION),
        model=pl.lit(model),
        tier=pl.lit(TIER),
        app=pl.lit(None, dtype=pl.String),
        tenant=pl.lit(None, dtype=pl.String),
        input_tokens=pl.Series(random.lognormal(6, 0.8, at.size).astype(np.int64) + 1),
        output_tokens=pl.Series(random.lognormal(4, 0.8, at.size).astype(np.int64) + 1),
        cached_tokens=pl.lit(None, dtype=pl.Int64),
    )
    return REQUESTS.conform(frame.with_columns(**columns))


def poisson(rps: float, *, days: float, seed: int = 1, swing: float = 0.0) -> npt.NDArray[np.float64]:
    """Arrivals of a Poisson stream whose rate swings over the day by that fraction; sorted seconds."""
    random = np.random.default_rng(seed)
    span_s = days * DAY_S
    at = random.uniform(0.0, span_s, random.poisson(rps * (1 + swing) * span_s))
    rate = 1 + swing * np.sin(2 * np.pi * at / DAY_S)
    return np.sort(at[random.random(at.size) * (1 + swing) < rate])


def series_of(values: Sequence[float | None], *, window_s: float = 600.0, model: str = MODEL) -> pl.DataFrame:
    """A series (``DEMAND``) with so many requests per window, ten input tokens each; None is unknown."""
    starts = [START + timedelta(seconds=window_s * i) for i in range(len(values))]
    return DEMAND.conform(
        pl.DataFrame({"window_start": starts, "requests": values}, schema_overrides={"requests": pl.Float64}).select(
            "window_start",
            region=pl.lit(REGION),
            model=pl.lit(model),
            tier=pl.lit(TIER),
            requests="requests",
            input_tokens=pl.col("requests") * 10,
            output_tokens=pl.col("requests"),
        )
    )


def look_of(frame: pl.DataFrame, *, window_s: float = 600.0) -> Look:
    """What the checks of a series look at."""
    return Look(load=load_of_series(frame, window_s=window_s))


def report_on(frame: pl.DataFrame) -> QualityReport:
    """The report of an ingest of this frame into a store of its own."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "t.duckdb") as store:
        return ingest_frame(frame, store=store, name="x", source="rows")


def gaps_on(frame: pl.DataFrame) -> pl.DataFrame:
    """The gaps that an ingest of this frame marks."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        return store.gaps("x")


def rows_of(report: QualityReport, what: str) -> list[dict[str, Any]]:
    """The findings of one kind."""
    return report.findings.filter(pl.col("finding") == what).to_dicts()


def alarming(report: QualityReport) -> list[tuple[str, str, str]]:
    """The findings that are no notes."""
    return report.findings.filter(pl.col("level") != "note").select("finding", "where", "detail").rows()
