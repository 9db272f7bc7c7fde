"""Charts of whose load it is: what may wait, how uneven regions are and how they lag, and who sends most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.charts.thinning import thinned, with_gaps

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW_PX = 34
PLAIN_TOP_PX = 48  # a chart without a legend needs no room for one


def deferrable_over_time(share: pl.DataFrame, *, source: str, title: str | None = None) -> go.Figure:
    """Draw ``features.deferrable_share`` by window: the part of the requests and of the input tokens that may wait."""
    fig = theme.figure(
        title=title or "How much of the load may wait", source=source, x=theme.TIME_AXIS, y="share that may wait, %"
    )
    shown = (("requests", theme.GREEN, "solid"), ("input_tokens", theme.BLUE, "dot"))
    for measure, colour, dash in shown:
        column = f"{measure}_deferrable_fraction"
        line = thinned(with_gaps(share), y=column)
        fig.add_scatter(
            x=line.get_column("window_start").to_list(),
            y=(line.get_column(column) * 100).to_list(),
            name=f"of the {theme.label(measure)}",
            mode="lines",
            line={"color": colour, "width": 1.6, "dash": dash},
            hovertemplate="%{y:.1f} %",
        )
    fig.update_yaxes(range=[0, 100])
    return theme.or_said(fig, share.get_column("requests_deferrable_fraction"))


def regional_imbalance(
    imbalance: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.regional_imbalance`` by model: what the busiest region sends for each request of the quietest."""
    fig = theme.figure(
        title=title or "How uneven the regions are",
        source=source,
        x="requests of the busiest region / of the quietest (1 = even)",
        y="",
        height=PLAIN_TOP_PX + theme.BOTTOM_PX + ROW_PX * max(2, imbalance.height),
    )
    rows = imbalance.sort("busiest_to_quietest_ratio", nulls_last=False)
    fig.add_bar(
        x=rows.get_column("busiest_to_quietest_ratio").to_list(),
        y=[theme.label(str(model), labels) for model in rows.get_column("model")],
        orientation="h",
        marker_color=theme.BLUE,
        text=[_ends(row, labels) for row in rows.to_dicts()],
        textposition="auto",
        showlegend=False,
    )
    fig.update_layout(hovermode="closest", margin={"t": PLAIN_TOP_PX})
    return theme.or_said(fig, imbalance.get_column("busiest_to_quietest_ratio"))


def _ends(row: Mapping[str, object], labels: Mapping[str, str] | None) -> str:
    busiest, quietest = (theme.label(str(row[key]), labels) for key in ("busiest", "quietest"))
    return f"{busiest} over {quietest}"


def regional_lags(
    lags: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.regional_lags``: how many hours later than the busiest region each other one peaks."""
    others = lags.filter((pl.col("region") != pl.col("reference")) & pl.col("lag_h").is_not_null()).sort("lag_h")
    reference = theme.label(str(lags.get_column("reference")[0]), labels) if lags.height else ""
    fig = theme.figure(
        title=title or f"How far the regions run behind {reference}",
        source=source,
        x="hours later (negative: earlier)",
        y="",
        height=PLAIN_TOP_PX + theme.BOTTOM_PX + ROW_PX * max(2, others.height),
    )
    fig.add_bar(
        x=others.get_column("lag_h").to_list(),
        y=[theme.label(str(region), labels) for region in others.get_column("region")],
        orientation="h",
        marker_color=theme.ORANGE,
        text=[f"{row['lag_h']:g} h, correlation {row['correlation']:.2f}" for row in others.to_dicts()],
        textposition="auto",
        showlegend=False,
    )
    fig.update_xaxes(rangemode="tozero", dtick=1)
    fig.update_layout(hovermode="closest", margin={"t": PLAIN_TOP_PX})
    return fig if others.height else theme.say_empty(fig)


def top_senders(
    senders: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.top_senders``: the apps or tenants with the most requests and their share, largest on top."""
    of = "tenant" if "tenant" in senders.columns else "app"
    fig = theme.figure(
        title=title or f"Which {of}s send most",
        source=source,
        x=f"share of the requests that name their {of}, %",
        y="",
        height=PLAIN_TOP_PX + theme.BOTTOM_PX + ROW_PX * max(2, senders.height),
    )
    rows = senders.sort("place")
    shares = (rows.get_column("requests_fraction") * 100).to_list()
    fig.add_bar(
        x=shares,
        y=[theme.label(str(name), labels) for name in rows.get_column(of)],
        orientation="h",
        marker_color=theme.BLUE,
        text=[f"{share:.1f} %" for share in shares],
        textposition="auto",
        showlegend=False,
    )
    fig.update_layout(hovermode="closest", margin={"t": PLAIN_TOP_PX})
    fig.update_yaxes(autorange="reversed")
    return fig if rows.height else theme.say_empty(fig)
