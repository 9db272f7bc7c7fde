"""Charts of burstiness: gaps between arrivals, dispersion of counts and peaks, each against what chance would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: The line at 1, where random arrivals (a Poisson process) lie.
BORDER = {"color": theme.INK, "dash": "dot", "width": 1}
#: Bin lengths that an axis names.
TICKS: Mapping[float, str] = {
    0.25: "0.25 s",
    1.0: "1 s",
    3.0: "3 s",
    10.0: "10 s",
    60.0: "1 min",
    600.0: "10 min",
    3600.0: "1 h",
    86_400.0: "1 d",
}


def gap_cv(
    gaps: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.gap_cv`` by model and tier: how unevenly requests follow each other within an hour."""
    fig = theme.figure(
        title=title or "How unevenly requests follow each other (1 = random arrivals)",
        source=source,
        x="model",
        y="CV of the gaps within an hour",
    )
    for tier, colour in theme.colours(gaps.get_column("tier")).items():
        part = gaps.filter(pl.col("tier") == tier).sort("model")
        fig.add_bar(
            x=[theme.label(str(model), labels) for model in part.get_column("model")],
            y=part.get_column("gap_cv").to_list(),
            name=theme.label(tier, labels),
            marker_color=colour,
            hovertemplate="%{x}: %{y:.2f}",
        )
    fig.update_layout(barmode="group", hovermode="closest")
    fig.update_yaxes(range=[0, 1.15 * max(1.1, _largest(gaps, "gap_cv"))])
    fig.add_hline(y=1.0, line=BORDER)
    return theme.or_said(fig, gaps.get_column("gap_cv"))


def dispersion(
    counts: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.dispersion`` by scale: variance / mean of the counts, a panel per tier and a line per model."""
    fig = _by_scale(
        counts,
        "dispersion",
        source=source,
        labels=labels,
        title=title or "How far counts spread, by length of the bin (1 = random arrivals)",
        y="variance / mean of counts",
    )
    if fig.data:
        fig.add_hline(y=1.0, line=BORDER, row="all", col="all")
    return fig


def peak_to_mean(
    counts: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.peak_to_mean`` by scale: the fullest bin over the mean, a panel per tier and a line per model."""
    return _by_scale(
        counts,
        "peak_to_mean_ratio",
        source=source,
        labels=labels,
        title=title or "How high peaks are, by the time they are averaged over",
        y="fullest bin / mean",
    )


def _by_scale(
    counts: pl.DataFrame, column: str, *, source: str, labels: Mapping[str, str] | None, title: str, y: str
) -> go.Figure:
    known = counts.filter(pl.col(column) > 0).sort("tier", "model", "scale_s")
    tiers = known.get_column("tier").unique().sort().to_list()
    if not tiers:
        return theme.say_empty(theme.figure(title=title, source=source, x="length of the bin", y=y))
    fig = theme.panels(
        title=title,
        source=source,
        titles=[theme.label(tier, labels) for tier in tiers],
        x=["length of the bin"] * len(tiers),
        y=y,
    )
    shades = theme.colours(known.get_column("model"))
    seen: set[str] = set()
    for (tier, model), part in known.group_by("tier", "model", maintain_order=True):
        name = theme.label(str(model), labels)
        fig.add_scatter(
            x=part.get_column("scale_s").to_list(),
            y=part.get_column(column).to_list(),
            name=name,
            legendgroup=name,
            showlegend=name not in seen,
            mode="lines+markers",
            marker={"size": 5},
            line={"color": shades[str(model)], "width": 1.8},
            hovertemplate="%{y:.3~g}",
            row=1,
            col=tiers.index(tier) + 1,
        )
        seen.add(name)
    # the panels' titles stand where the legend of a single chart does
    fig.update_layout(legend={"y": 1.1})
    fig.for_each_annotation(lambda note: note.update(font={"size": 12}) if note.name != "source" else None)
    scales = known.get_column("scale_s").unique().sort().to_list()
    fig.update_xaxes(type="log", tickvals=scales, ticktext=[TICKS.get(scale, f"{scale:g} s") for scale in scales])
    fig.update_yaxes(type="log", dtick="D2", tickformat=",", rangemode="normal")
    return fig


def _largest(frame: pl.DataFrame, column: str) -> float:
    largest = frame.get_column(column).max()
    return float(largest) if isinstance(largest, int | float) else 0.0
