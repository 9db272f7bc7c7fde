"""Charts of simulated strategies: replicas, load signals, latency, backlog and scaling, over time and side by side.

Where strategies are compared a chart takes a mapping of strategy to frame, or one frame with a ``strategy`` column.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.charts.plans import closed
from workbench.tables import window_s_of
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import plotly.graph_objects as go

Frames = Mapping[str, pl.DataFrame] | pl.DataFrame

SIGNALS: Mapping[str, tuple[str, str]] = {
    "kv_cache_used_fraction": ("KV cache", theme.BLUE),
    "batch_slots_used_fraction": ("batch slots", theme.ORANGE),
    "work_fraction": ("work", theme.GREEN),
}
KINDS: Mapping[str, tuple[str, str]] = {
    "reclaim": ("start, same model", theme.GREEN),
    "swap": ("start, other model", theme.ORANGE),
    "remote": ("start, weights from elsewhere", theme.VERMILION),
    "in": ("scale in", theme.SKY),
    "refused": ("refused, no GPU left", theme.BLACK),
}


def replicas_by_strategy(
    pools: Frames,
    *,
    source: str,
    plan: pl.DataFrame | None = None,
    labels: Mapping[str, str] | None = None,
    measure: str = "replicas",
    model: str | None = None,
    region: str | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw what each strategy holds over time from SIM_POOLS, and the plan (an ALLOCATION) as a black dotted line.

    ``measure`` is replicas (ready to serve) or gpus (held: ready, starting and draining). A plan counts replicas and
    is drawn with those only.
    """
    frame = _only(by_strategy(pools), model=model, region=region)
    hours = window_s_of(frame) / SECONDS_PER_HOUR
    value = pl.col("ready").sum() if measure == "replicas" else pl.col("gpu_hours").sum() / hours
    sums = frame.group_by("strategy", "window_start", maintain_order=True).agg(value.alias("value"))
    axis = "replicas ready to serve" if measure == "replicas" else "GPUs held"
    fig = theme.figure(
        title=title or f"{axis[0].upper()}{axis[1:]} under each strategy", source=source, x=theme.TIME_AXIS, y=axis
    )
    _add_lines(fig, sums, labels)
    if plan is not None and measure == "replicas":
        planned = _only(plan, model=model, region=region).group_by("window_start").agg(pl.col("replicas").sum())
        planned = closed(planned.sort("window_start"))
        fig.add_scatter(
            x=planned.get_column("window_start").to_list(),
            y=planned.get_column("replicas").to_list(),
            name="plan at the start",
            mode="lines",
            line={"color": theme.BLACK, "width": 2, "dash": "dot", "shape": "hv"},
        )
    return fig


def signals_over_time(
    pools: pl.DataFrame,
    *,
    source: str,
    model: str | None = None,
    region: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw the three load signals of one run's SIM_POOLS, each weighted by ready replicas.

    ``thresholds`` names levels in 0-1 that are drawn as lines, such as ``{"scale out": 0.7}``.
    """
    frame = _only(pools, model=model, region=region)
    ready = pl.col("ready")
    means = (
        frame.group_by("window_start")
        .agg(
            pl.when(ready.sum() > 0).then((pl.col(name) * ready).sum() / ready.sum()).alias(name) * 100
            for name in SIGNALS
        )
        .sort("window_start")
    )
    what = ", ".join(theme.label(name) for name in (model, region) if name) or "whole fleet"
    fig = theme.figure(
        title=title or f"How loaded the replicas are: {what}", source=source, x=theme.TIME_AXIS, y="used, %"
    )
    for column, (name, colour) in SIGNALS.items():
        fig.add_scatter(
            x=means.get_column("window_start").to_list(),
            y=means.get_column(column).to_list(),
            name=name,
            mode="lines",
            line={"color": colour, "width": 1.6},
        )
    for name, level in (thresholds or {}).items():
        theme.mark(fig, f"{name} {level:.0%}", y=level * 100)
    return fig


def ttft_over_time(
    windows: pl.DataFrame,
    *,
    source: str,
    by: str = "tier",
    tier: str | None = None,
    model: str | None = None,
    region: str | None = None,
    promise_s: float | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw the P95 of the time to first token by window from one run's SIM_WINDOWS, saturated windows as crosses.

    A line shows the slowest series of its group, as percentiles of several series cannot be averaged. While one of
    them is saturated its percentile is not known: the line has a gap and a cross stands at the mean. ``promise_s`` is
    drawn as a line.
    """
    frame = _only(windows, tier=tier, model=model, region=region).filter(pl.col("ttft_mean_s").is_not_null())
    slowest = (
        frame.group_by(by, "window_start")
        .agg(
            pl.when(pl.col("ttft_p95_s").is_null().any())
            .then(None)
            .otherwise(pl.col("ttft_p95_s").max())
            .alias("p95_s"),
            pl.col("ttft_mean_s").filter("is_saturated").max().alias("saturated_s"),
        )
        .sort(by, "window_start")
    )
    fig = theme.figure(
        title=title or "Time to first token, P95 of the slowest series", source=source, x=theme.TIME_AXIS, y="seconds"
    )
    if slowest.is_empty():
        return theme.say_empty(fig, "no request of these series")
    shades = theme.colours(slowest.get_column(by))
    for (key,), part in slowest.group_by(by, maintain_order=True):
        times, name = part.get_column("window_start").to_list(), theme.label(str(key), labels)
        line = {"color": shades[str(key)], "width": 1.6}
        fig.add_scatter(x=times, y=part.get_column("p95_s").to_list(), name=name, mode="lines", line=line)
        marks = part.filter(pl.col("saturated_s").is_not_null())
        if marks.height:
            fig.add_scatter(
                x=marks.get_column("window_start").to_list(),
                y=marks.get_column("saturated_s").to_list(),
                name=f"{name}, saturated (mean)",
                mode="markers",
                marker={"color": shades[str(key)], "symbol": "x", "size": 5},
            )
    if promise_s is not None:
        theme.mark(fig, f"promise {promise_s:g} s", y=promise_s, log=True)
    fig.update_yaxes(type="log", tickformat="~g", nticks=8)
    return fig


def backlog_over_time(
    windows: Frames,
    *,
    source: str,
    tiers: list[str],
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw how many requests of the named tiers, those that may wait, are queued or running at each window's end."""
    frame = by_strategy(windows).filter(pl.col("tier").is_in(tiers))
    sums = frame.group_by("strategy", "window_start", maintain_order=True).agg(pl.col("backlog").sum().alias("value"))
    what = ", ".join(theme.label(tier, labels) for tier in tiers)
    fig = theme.figure(
        title=title or f"Work that waits: {what}", source=source, x=theme.TIME_AXIS, y="requests queued or running"
    )
    if sums.is_empty():
        return theme.say_empty(fig, "no request may wait in this study")
    return _add_lines(fig, sums, labels)


def ttft_distribution(
    histograms: Frames,
    *,
    source: str,
    tier: str | None = None,
    model: str | None = None,
    promise_s: float | None = None,
    since: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw TTFT_HISTOGRAM as the share of requests whose first token came within a time, by strategy."""
    frame = _only(by_strategy(histograms), tier=tier, model=model)
    if since is not None:
        frame = frame.filter(pl.col("window_start") >= since)
    bins = frame.group_by("strategy", "ttft_high_s", maintain_order=True).agg(pl.col("requests").sum())
    shares = bins.sort("ttft_high_s").with_columns(
        share=pl.col("requests").cum_sum().over("strategy") / pl.col("requests").sum().over("strategy") * 100
    )
    what = ", ".join(theme.label(name, labels) for name in (tier, model) if name) or "all tiers that cannot wait"
    fig = theme.figure(
        title=title or f"Time to first token: {what}",
        source=source,
        x="time to first token, seconds",
        y="share of requests within it, %",
    )
    if shares.is_empty():
        return theme.say_empty(fig, "no request of these series")
    for key in frame.get_column("strategy").unique(maintain_order=True):
        part = shares.filter(pl.col("strategy") == key)
        fig.add_scatter(
            x=part.get_column("ttft_high_s").to_list(),
            y=part.get_column("share").to_list(),
            name=theme.label(key, labels),
            mode="lines",
            line={"color": theme.colours([key])[key], "width": 1.8},
        )
    if promise_s is not None:
        theme.mark(fig, f"promise {promise_s:g} s", x=promise_s, log=True)
    fig.update_xaxes(type="log", tickformat="~g", dtick="D2")
    fig.update_yaxes(range=[0, 101])
    return fig


def scaling_events(
    scaling: Frames, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw SCALING as bars per strategy, one bar per kind of event."""
    frame = by_strategy(scaling)
    order = frame.get_column("strategy").unique(maintain_order=True).to_list()
    fig = theme.figure(title=title or "Scaling events by kind", source=source, x="strategy", y="replicas")
    if not order:
        return theme.say_empty(fig, "nothing was scaled")
    counts = {row[:2]: row[2] for row in frame.group_by("strategy", "kind").agg(pl.col("replicas").sum()).iter_rows()}
    for kind, (name, colour) in KINDS.items():
        values = [counts.get((key, kind), 0.0) for key in order]
        if any(values):
            fig.add_bar(
                x=[theme.label(key, labels) for key in order],
                y=values,
                name=name,
                marker_color=colour,
                text=[f"{value:,.0f}" for value in values],
                textposition="outside",
                cliponaxis=False,
            )
    fig.update_layout(barmode="group", hovermode="closest")
    return fig


def by_strategy(frames: Frames) -> pl.DataFrame:
    """Return frames of several strategies as one with a ``strategy`` column, in the order given."""
    if isinstance(frames, pl.DataFrame):
        return frames if "strategy" in frames.columns else frames.with_columns(strategy=pl.lit("run"))
    if not frames:
        return pl.DataFrame(schema={"strategy": pl.String, "window_start": pl.Datetime("us")})
    return pl.concat([frame.with_columns(strategy=pl.lit(key)) for key, frame in frames.items()])


def _only(frame: pl.DataFrame, **chosen: str | None) -> pl.DataFrame:
    return frame.filter(*(pl.col(name) == value for name, value in chosen.items() if value is not None))


def _add_lines(fig: go.Figure, sums: pl.DataFrame, labels: Mapping[str, str] | None) -> go.Figure:
    shades = theme.colours(sums.get_column("strategy"))
    for (key,), part in sums.sort("window_start").group_by("strategy", maintain_order=True):
        fig.add_scatter(
            x=part.get_column("window_start").to_list(),
            y=part.get_column("value").to_list(),
            name=theme.label(str(key), labels),
            mode="lines",
            line={"color": shades[str(key)], "width": 1.6},
        )
    return fig
