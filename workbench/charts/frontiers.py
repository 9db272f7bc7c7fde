"""The frontier: cost over service, a curve per strategy through the settings worth having, the others as faint points.

A single point says how a strategy was tuned; the curve says what it can do. Of two curves the upper left is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

SERVICE = "attainment_fraction"
FAINT = 0.35


def frontier(
    points: pl.DataFrame,
    edges: pl.DataFrame,
    *,
    source: str,
    labels: Mapping[str, str] | None = None,
    measure: str = "gpu_hours",
    title: str | None = None,
) -> go.Figure:
    """Draw service over what it takes: every tried setting as a point, those worth having joined by strategy.

    ``points`` and ``edges`` hold strategy, attainment_fraction, gpu_hours and cost_usd; ``measure`` is one of the last
    two. Points without a known attainment are left out.
    """
    known = points.drop_nulls([SERVICE, measure])
    fig = theme.figure(
        title=title or "What a better service takes",
        source=source,
        x="GPU-hours held" if measure == "gpu_hours" else "cost at the list price, USD",
        y="promises kept by tiers that cannot wait, %",
        height=460,
    )
    for key, shade in theme.colours(known.get_column("strategy")).items():
        name = theme.label(key, labels)
        tried, kept = (frame.filter(pl.col("strategy") == key).sort(measure) for frame in (known, edges))
        fig.add_scatter(
            x=tried.get_column(measure).to_list(),
            y=(tried.get_column(SERVICE) * 100).to_list(),
            name=name,
            legendgroup=key,
            showlegend=False,
            mode="markers",
            marker={"color": theme.faded(shade, FAINT), "size": 7},
        )
        fig.add_scatter(
            x=kept.get_column(measure).to_list(),
            y=(kept.get_column(SERVICE) * 100).to_list(),
            name=name,
            legendgroup=key,
            mode="lines+markers",
            line={"color": shade, "width": 2},
            marker={"size": 9},
            hovertemplate="%{x:,.0f}, %{y:.2f} %",
        )
    fig.update_xaxes(tickformat=",", rangemode="normal")
    fig.update_yaxes(rangemode="normal", tickformat=".1f")
    fig.update_layout(hovermode="closest")
    return theme.or_said(fig, known.get_column(measure))
