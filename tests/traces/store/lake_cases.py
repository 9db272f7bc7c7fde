"""Traces that the tests of lakes start from, and every answer that must not change on the way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from tests.traces.trace_cases import START, after_s, frame_of
from workbench import features
from workbench.tables import DEMAND
from workbench.traces.catalogue import FINDINGS, GAPS, REJECTED, TraceHeader
from workbench.traces.store import Reading, Store

DAY_S = 86_400
THREE_DAYS = frame_of(
    [(hour * 3600 + i, model, 100 + i, 10 + hour) for hour in range(72) for i in range(3) for model in ("a", "b/1 ä")]
).with_columns(
    region=pl.when(pl.col("input_tokens") % 2 == 0).then(pl.lit("us_east")).otherwise(pl.lit("us_west")),
    app=pl.when(pl.col("model") == "a").then(pl.lit("chat")),
)
HOLE = pl.DataFrame(
    {
        "region": ["us_east"],
        "model": [None],
        "since": [after_s(5000)],
        "until": [after_s(6000)],
        "reason": ["silent"],
    },
    schema=GAPS.schema,
)
SAID = pl.DataFrame(
    {"finding": ["rows"], "level": ["note"], "where": ["trace"], "count": [432], "detail": ["all"], "advice": [""]},
    schema=FINDINGS.schema,
)
REFUSED = pl.DataFrame(
    {"source": ["a.csv"], "line": [7], "reason": ["no tokens"], "raw": ["x,,y"]}, schema=REJECTED.schema
)


def write(store: Store, frame: pl.DataFrame = THREE_DAYS, *, name: str = "days", **changes: Any) -> None:
    """Write rows with everything that can lie beside them."""
    values = {"kind": "requests", "format": "frame", "source": "s.csv", "fingerprint": f"of {name}"} | changes
    with store.writing(TraceHeader(name=name, **values)) as writing:
        writing.rows_read, writing.rows_kept, writing.version = frame.height + 1, frame.height, "0.0.7"
        for part in frame.iter_slices(100):
            writing.add(part)
        writing.find(SAID)
        writing.reject(REFUSED)
        writing.mark_gaps(HOLE)


def series(values: Sequence[float | None], *, step_s: float = 3600) -> pl.DataFrame:
    """DEMAND of two models, 10 tokens in and one out per request."""
    parts = [
        pl.DataFrame({"requests": values}, schema={"requests": pl.Float64}).select(
            window_start=pl.Series([START + timedelta(seconds=step_s * i) for i in range(len(values))]),
            region=pl.lit("us_east"),
            model=pl.lit(model),
            tier=pl.lit("fast"),
            requests="requests",
            input_tokens=pl.col("requests") * 10.3,
            output_tokens="requests",
        )
        for model in ("a", "b")
    ]
    return DEMAND.conform(pl.concat(parts))


SPANS: tuple[dict[str, datetime], ...] = ({}, {"since": after_s(DAY_S - 3700), "until": after_s(DAY_S + 8000)})


def answers(store: Reading, name: str, *, spans: Sequence[dict[str, datetime]] = SPANS) -> dict[str, Any]:
    """Everything that can be asked of a trace, as values that compare."""
    info = store.describe(name)
    window_s = 3600 if info.header.kind == "requests" else 2 * float(info.header.window_s or 0)
    said: dict[str, Any] = {
        "info": info,
        "series": store.series(name).rows(),
        "findings": store.findings(name).rows(),
        "rejected": store.rejected(name).rows(),
        "gaps": store.gaps(name).rows(),
        "batches": pl.concat(store.batches(name)).rows(),
    }
    for i, span in enumerate(spans):
        said[f"demand {i}"] = features.demand(store, name, window_s=window_s, **span).rows()
        said[f"shape {i}"] = features.shape(store, name, **span).rows()
        if info.header.kind == "requests":
            said[f"requests {i}"] = store.requests(name, **span).rows()
            said[f"quantiles {i}"] = store.token_quantiles(name, quantiles=(0.1, 0.5), **span).rows()
    return said
