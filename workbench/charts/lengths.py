"""Charts of single requests' lengths: distribution, drift, output by prompt, and what a prefix cache held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.charts.thinning import thinned, with_gaps

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Measure of a length -> what its axis says.
LENGTHS: Mapping[str, str] = {"input_tokens": "input tokens per request", "output_tokens": "output tokens per request"}


def length_distribution(
    distribution: pl.DataFrame,
    *,
    source: str,
    measure: str = "input_tokens",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw ``features.length_distribution`` by model: the share of requests shorter than a length, on a log axis.

    ``measure`` is input_tokens or output_tokens. A dotted line marks the half.
    """
    fig = theme.figure(
        title=title or f"How long requests are: {measure.replace('_', ' ')}",
        source=source,
        x=LENGTHS[measure],
        y="share of requests that are shorter, %",
    )
    mine = distribution.filter(pl.col("measure") == measure).sort("model", "tokens_high")
    shades = theme.colours(mine.get_column("model"))
    for (model,), part in mine.group_by("model", maintain_order=True):
        edges = [part["tokens_low"][0], *part["tokens_high"]]
        fig.add_scatter(
            x=edges,
            y=[0.0, *(part["below_fraction"] * 100)],
            name=theme.label(str(model), labels),
            mode="lines",
            line={"color": shades[str(model)], "width": 2},
            hovertemplate="%{y:.1f} % shorter than %{x:,.0f}",
        )
    fig.update_xaxes(type="log", tickformat=",", dtick="D2")
    fig.update_yaxes(range=[0, 100])
    fig.update_layout(hovermode="closest")
    theme.mark(fig, "half", y=50)
    return fig if mine.height else theme.say_empty(fig)


def length_drift(
    drift: pl.DataFrame,
    *,
    source: str,
    measure: str = "input_tokens",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw ``features.length_drift`` by model: median (solid) and 95th percentile (dotted) of each window."""
    fig = theme.figure(
        title=title or f"Do lengths drift? {measure.replace('_', ' ').capitalize()}: median solid, P95 dotted",
        source=source,
        x=theme.TIME_AXIS,
        y=LENGTHS[measure],
    )
    mine = drift.filter(pl.col("measure") == measure).sort("model", "window_start")
    shades = theme.colours(mine.get_column("model"))
    for (model,), part in mine.group_by("model", maintain_order=True):
        name = theme.label(str(model), labels)
        for column, dash, told in (("tokens_p50", "solid", "median"), ("tokens_p95", "dot", "P95")):
            fig.add_scatter(
                x=part.get_column("window_start").to_list(),
                y=part.get_column(column).to_list(),
                name=name,
                legendgroup=name,
                showlegend=dash == "solid",
                mode="lines+markers",
                marker={"size": 5},
                line={"color": shades[str(model)], "dash": dash, "width": 1.8},
                hovertemplate=f"{name}, {told}: %{{y:,.0f}}<extra></extra>",
            )
    fig.update_yaxes(type="log", tickformat=",", dtick="D2", rangemode="normal")
    return fig if mine.height else theme.say_empty(fig)


def output_by_prompt(
    lengths: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.output_by_prompt`` by model: median output (solid) and P90 (dotted) over the prompt's length.

    Octaves with fewer than 30 requests are left out: their percentiles are chance.
    """
    fig = theme.figure(
        title=title or "Do long prompts have long outputs? Median solid, P90 dotted",
        source=source,
        x="input tokens per request (octave from)",
        y="output tokens per request",
    )
    sure = lengths.filter(pl.col("requests") >= 30).sort("model", "input_tokens_low")
    shades = theme.colours(sure.get_column("model"))
    for (model,), part in sure.group_by("model", maintain_order=True):
        name = theme.label(str(model), labels)
        for column, dash, told in (("output_tokens_p50", "solid", "median"), ("output_tokens_p90", "dot", "P90")):
            fig.add_scatter(
                x=part.get_column("input_tokens_low").to_list(),
                y=part.get_column(column).to_list(),
                name=name,
                legendgroup=name,
                showlegend=dash == "solid",
                mode="lines+markers",
                marker={"size": 5},
                line={"color": shades[str(model)], "dash": dash, "width": 1.8},
                hovertemplate=f"{name}, {told}: %{{y:,.0f}}<extra></extra>",
            )
    ticks = sorted(set(sure.get_column("input_tokens_low").to_list()))
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    fig.update_yaxes(type="log", tickformat=",", dtick="D2", rangemode="normal")
    return fig if sure.height else theme.say_empty(fig)


def cache_hits(
    hits: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.cache_hits`` over time: the share of prompt tokens that a prefix cache held, by model."""
    fig = theme.figure(
        title=title or "How much of the prompts a prefix cache held",
        source=source,
        x=theme.TIME_AXIS,
        y="cached share of input tokens, %",
    )
    shades = theme.colours(hits.get_column("model"))
    for (model,), part in hits.sort("model").group_by("model", maintain_order=True):
        line = thinned(with_gaps(part), y="cached_fraction")
        fig.add_scatter(
            x=line.get_column("window_start").to_list(),
            y=(line.get_column("cached_fraction") * 100).to_list(),
            name=theme.label(str(model), labels),
            mode="lines",
            line={"color": shades[str(model)], "width": 1.6},
        )
    fig.update_yaxes(range=[0, 100])
    return theme.or_said(fig, hits.get_column("cached_fraction"))
