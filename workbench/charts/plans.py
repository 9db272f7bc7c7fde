"""Charts of capacity plans: what stands when, what it must serve, what stays uncovered, and how well it is solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATUS_COLOURS: Mapping[str, str] = {
    "optimal": theme.GREEN,
    "feasible": theme.ORANGE,
    "heuristic": theme.VERMILION,
}


def replicas_over_time(
    allocation: pl.DataFrame,
    *,
    source: str,
    by: str = "model",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw an ALLOCATION as stacked steps, one layer per model, region, GPU kind or way of acquiring."""
    sums = _summed(allocation, by, "replicas")
    fig = theme.figure(
        title=title or f"Planned replicas by {theme.label(by)}", source=source, x=theme.TIME_AXIS, y="replicas"
    )
    shades = theme.colours(sums.get_column(by))
    for (key,), rows in sums.group_by(by, maintain_order=True):
        colour, part = shades[str(key)], closed(rows)
        fig.add_scatter(
            x=part.get_column("window_start").to_list(),
            y=part.get_column("replicas").to_list(),
            name=theme.label(str(key), labels),
            mode="lines",
            stackgroup="replicas",
            line={"color": colour, "width": 1, "shape": "hv"},
            fillcolor=theme.faded(colour, 0.55),
        )
    return fig


def plan_against_demand(
    requirement: pl.DataFrame,
    allocation: pl.DataFrame,
    rates: pl.DataFrame,
    *,
    source: str,
    model: str | None = None,
    region: str | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw what the planned replicas can serve over what must be served, in input tokens per second.

    ``requirement`` is REQUIREMENT, ``rates`` REPLICA_RATES. The load that cannot wait and the load that can are
    stacked; capacity is replicas times the rate one of them sustains at the planning signal.
    """
    chosen = [pl.col(name) == value for name, value in (("model", model), ("region", region)) if value]
    need = requirement.filter(*chosen).group_by("window_start", "is_deferrable").agg(pl.col("input_tps").sum())
    able = (
        allocation.filter(*chosen)
        .join(rates.select("model", "gpu", "input_tps"), on=["model", "gpu"])
        .group_by("window_start")
        .agg((pl.col("replicas") * pl.col("input_tps")).sum().alias("input_tps"))
        .sort("window_start")
    )
    able = closed(able)
    what = ", ".join(theme.label(name) for name in (model, region) if name) or "whole fleet"
    fig = theme.figure(
        title=title or f"What the plan can serve, and what it must: {what}",
        source=source,
        x=theme.TIME_AXIS,
        y="input tokens per second",
    )
    layers = ((False, "required at once", theme.BLUE), (True, "may wait", theme.GREEN))
    for may_wait, name, colour in layers:
        part = closed(need.filter(pl.col("is_deferrable") == may_wait).sort("window_start"))
        if part.height:
            fig.add_scatter(
                x=part.get_column("window_start").to_list(),
                y=part.get_column("input_tps").to_list(),
                name=name,
                mode="lines",
                stackgroup="need",
                line={"color": colour, "width": 0, "shape": "hv"},
                fillcolor=theme.faded(colour, 0.45),
            )
    fig.add_scatter(
        x=able.get_column("window_start").to_list(),
        y=able.get_column("input_tps").to_list(),
        name="planned capacity",
        mode="lines",
        line={"color": theme.BLACK, "width": 2, "shape": "hv"},
    )
    return fig


def shortfall(
    frame: pl.DataFrame,
    *,
    source: str,
    by: str = "model",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw a SHORTFALL as stacked bars per hour; an empty one says that everything required is covered."""
    fig = theme.figure(
        title=title or "Required and not covered by the plan",
        source=source,
        x=theme.TIME_AXIS,
        y="input tokens per second",
    )
    if frame.is_empty():
        return theme.say_empty(fig, "No shortfall: the plan covers every requirement.")
    sums = _summed(frame, by, "input_tps")
    for key, colour in theme.colours(sums.get_column(by)).items():
        part = sums.filter(pl.col(by) == key)
        fig.add_bar(
            x=part.get_column("window_start").to_list(),
            y=part.get_column("input_tps").to_list(),
            name=theme.label(key, labels),
            marker_color=colour,
        )
    fig.update_layout(barmode="stack")
    return fig


def solver_gap(hours: pl.DataFrame, *, source: str, title: str | None = None) -> go.Figure:
    """Draw how far each hour's plan may be from the best one: the gap between cost and bound, by solver status."""
    fig = theme.figure(
        title=title or "Distance from the proven bound, hour by hour",
        source=source,
        x=theme.TIME_AXIS,
        y="gap between objective and bound, %",
    )
    for (status,), part in hours.sort("window_start").group_by("status", maintain_order=True):
        gaps = part.get_column("gap_fraction")
        fig.add_bar(
            x=part.get_column("window_start").to_list(),
            y=(gaps * 100).to_list(),
            name=str(status),
            marker_color=STATUS_COLOURS.get(str(status), theme.GREY),
        )
    largest = hours.get_column("gap_fraction").max()
    if not isinstance(largest, float) or largest < 1e-4:
        fig.update_yaxes(range=[0, 1])
        theme.note(fig, "Every hour is solved to the bound: the gap is below 0.01 %.")
    fig.update_layout(showlegend=True)
    return fig


def commitment_curve(
    choices: pl.DataFrame,
    curve: pl.DataFrame,
    *,
    region: str,
    gpu: str,
    source: str,
    year: int = 1,
    title: str | None = None,
) -> go.Figure:
    """Draw the load-duration curve of a region and kind (DURATION) with what COMMITMENTS reserves of it in a year.

    A machine is a bar as high as the share of hours that need it; the dotted lines are the shares from which a
    reservation pays.
    """
    here = (pl.col("region") == region, pl.col("gpu") == gpu, pl.col("year") == year)
    fig = theme.figure(
        title=title or f"Machines of {theme.label(gpu)} in {theme.label(region)} by use, year {year}",
        source=source,
        x="machines, the most used first",
        y="share of the hours that need it, %",
    )
    used, chosen = curve.filter(*here).sort("vm_rank"), choices.filter(*here)
    if used.is_empty() or chosen.is_empty():
        return theme.say_empty(fig, "No machine is needed.")
    row = chosen.row(0, named=True)
    long, both = row["reserved_3y_vms"], row["reserved_3y_vms"] + row["reserved_1y_vms"]
    layers = (
        ("3-year reservation", (pl.col("vm_rank") <= long), theme.GREEN),
        ("1-year reservation", (pl.col("vm_rank") > long) & (pl.col("vm_rank") <= both), theme.SKY),
        ("by the hour", (pl.col("vm_rank") > both), theme.ORANGE),
    )
    for name, holds, colour in layers:
        part = used.filter(holds)
        fig.add_bar(
            x=part.get_column("vm_rank").to_list(),
            y=(part.get_column("used_fraction") * 100).to_list(),
            name=f"{name}: {part.height:,}",
            marker_color=colour,
        )
    for name, fraction in (
        ("3 years pay", row["break_even_3y_fraction"]),
        ("1 year pays", row["break_even_1y_fraction"]),
    ):
        if fraction is not None:
            theme.mark(fig, f"{name} from {fraction:.0%} of hours", y=fraction * 100)
    fig.update_layout(barmode="overlay", bargap=0.05)
    fig.update_yaxes(range=[0, 105])
    return fig


def closed(steps: pl.DataFrame) -> pl.DataFrame:
    """Repeat the last row of an hourly (or finer) course at the end of its window, so that its last step is drawn."""
    if steps.height < 2:
        return steps
    length = steps.get_column("window_start").diff().min()
    return pl.concat([steps, steps.tail(1).with_columns(pl.col("window_start") + length)])


def _summed(frame: pl.DataFrame, by: str, column: str) -> pl.DataFrame:
    """Sum a column per window and group, with a zero where a group has no row, so that layers stack."""
    grid = frame.select("window_start").unique().join(frame.select(by).unique(), how="cross")
    sums = frame.group_by("window_start", by).agg(pl.col(column).sum())
    return grid.join(sums, on=["window_start", by], how="left").fill_null(0).sort(by, "window_start")
