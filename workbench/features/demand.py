"""From a trace to demand per window and to the shapes of its requests.

What is decided here is that an unknown window stays unknown, that a window without requests is a zero only where
requests were recorded one by one and the trace has no gap there, and that a span cuts windows at its edges.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from workbench.domain import TokenMix
from workbench.errors import TraceError
from workbench.tables import DEMAND, INSTANT, SHAPE
from workbench.traces.gaps import stretches, touched
from workbench.traces.store import Reading

SERIES = ("region", "model", "tier")
MEASURES = ("requests", "input_tokens", "output_tokens")
MICROSECOND = timedelta(microseconds=1)


def demand(
    store: Reading,
    trace: str,
    *,
    window_s: float,
    since: datetime | None = None,
    until: datetime | None = None,
    scale: float = 1.0,
) -> pl.DataFrame:
    """Sum a trace per window, region, model and tier on a complete grid (``DEMAND``).

    Windows start at whole multiples of ``window_s`` since 1970; the grid covers what [since, until) and the trace have
    in common, and a window at its edge holds only what lies inside. A window of a request trace without requests is
    zero; a window of a series that is absent, unknown in part or cut by the edge is null, and so is every window that
    touches a gap of its region and model (``Reading.gaps``), as a part of it is not known; a quiet night is no gap.
    ``scale`` multiplies everything, for traces that are samples. Raises TraceError where the trace is not there, has
    nothing in the span, or is a series of other windows.
    """
    info = store.describe(trace)
    first = max(since or info.first_at, info.first_at)
    last = min(until - MICROSECOND if until else info.last_at, info.last_at)
    if first > last:
        raise TraceError(
            f"trace '{trace}' has nothing between {since or 'its start'} and {until or 'its end'}; it lasts from "
            f"{info.first_at} to {info.last_at} UTC."
        )
    whole = store.sum_by_window(trace, window_s=window_s, since=since, until=until, grid=(first, last))
    if info.header.kind == "series":
        grid = store.series(trace).join(_windows(first, last, window_s), how="cross")
        whole = grid.join(whole, on=["window_start", *SERIES], how="left", maintain_order="left")
    known = _without_gaps(whole, store.gaps(trace), window_s)
    scaled = known.with_columns(pl.col(MEASURES) * scale)
    return DEMAND.conform(scaled)


def _without_gaps(demand: pl.DataFrame, gaps: pl.DataFrame, window_s: float) -> pl.DataFrame:
    """Make every window unknown that touches a gap of its region and model."""
    if gaps.is_empty():
        return demand
    unknown = touched(stretches(gaps, demand), round(window_s * 1e6)).with_columns(is_unknown=pl.lit(True))
    marked = demand.join(unknown, on=["region", "model", "window_start"], how="left", maintain_order="left")
    return marked.with_columns(pl.when(pl.col("is_unknown").is_null()).then(pl.col(MEASURES)))


def _windows(first: datetime, last: datetime, window_s: float) -> pl.DataFrame:
    window_us = round(window_s * 1e6)
    low, high = (pl.Series([first, last], dtype=INSTANT).dt.timestamp("us") // window_us).to_list()
    starts = pl.int_range(low, high + 1, eager=True) * window_us
    return pl.DataFrame({"window_start": starts.cast(INSTANT)})


def shape(store: Reading, trace: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
    """Return moments and quantiles of the lengths and dispersion of arrivals per hour and series (``SHAPE``).

    Only hours with requests; empty for a trace that is a series of sums. ``input_tokens_quantiles`` holds the prompt
    lengths at the shares (i + 0.5) / 24, interpolated between neighbouring requests. The index of dispersion is
    variance / mean of the counts in bins of 0.25, 1, 3 and 10 s over the part of the hour that lies inside the span and
    outside the gaps of the trace (simulation.md section 5).
    """
    return store.shape_by_hour(trace, since=since, until=until)


def token_mixes(
    demand: pl.DataFrame,
    shape: pl.DataFrame | None = None,
    *,
    input_square_ratio: float = 2.0,
    input_cube_ratio: float = 8.0,
    output_square_ratio: float = 2.0,
    cross_ratio: float = 1.0,
    dispersion: float = 1.0,
) -> dict[str, TokenMix]:
    """Describe the requests of each model over a history, all regions and tiers together.

    Means come from ``demand``, ratios and the dispersion at 1 s from ``shape``, weighted by requests. For a model that
    ``shape`` does not cover the ratios given stand: the defaults are those of lognormal lengths with a coefficient of
    variation of one, independent of each other (1 + CV^2 = 2 and (1 + CV^2)^3 = 8), and Poisson arrivals. Models
    without any known request are left out.
    """
    known = demand.drop_nulls(MEASURES).group_by("model", maintain_order=True).agg(pl.col(MEASURES).sum())
    measured = _moments(SHAPE.empty() if shape is None else shape)
    assumed: dict[str, Any] = {
        "input_square_ratio": input_square_ratio,
        "input_cube_ratio": input_cube_ratio,
        "output_square_ratio": output_square_ratio,
        "cross_ratio": cross_ratio,
        "dispersion": dispersion,
    }
    return {
        row["model"]: TokenMix(
            input_tokens=row["input_tokens"] / row["requests"],
            output_tokens=row["output_tokens"] / row["requests"],
            **measured.get(row["model"], assumed),
        )
        for row in known.sort("model").to_dicts()
        if row["requests"] > 0
    }


def _moments(shape: pl.DataFrame) -> dict[str, dict[str, Any]]:
    weight = pl.col("requests")
    names = [name for name in SHAPE.columns if name.endswith("_mean")] + ["dispersion_1s"]
    mean = shape.group_by("model").agg((pl.col(name) * weight).sum() / weight.sum() for name in names)
    ratios = mean.select(
        "model",
        input_square_ratio=pl.col("input_tokens_square_mean") / pl.col("input_tokens_mean") ** 2,
        input_cube_ratio=pl.col("input_tokens_cube_mean") / pl.col("input_tokens_mean") ** 3,
        output_square_ratio=pl.col("output_tokens_square_mean") / pl.col("output_tokens_mean") ** 2,
        cross_ratio=pl.col("input_output_mean") / (pl.col("input_tokens_mean") * pl.col("output_tokens_mean")),
        dispersion=pl.col("dispersion_1s"),
    )
    return {row.pop("model"): row for row in ratios.to_dicts()}
