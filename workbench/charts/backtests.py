"""Lines of backtests: how errors grow, what was said and came, what residuals still know, what a method is worth.

A method keeps its colour and its dashes in every chart; the perfect forecast is black and dotted. Frames are the tables
of a backtest and of a decision value; errors over several series are pooled by the load they stand for. Maps of where
and when a method fails are in :mod:`workbench.charts.error_maps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.charts import theme
from workbench.charts.load import RATES
from workbench.charts.thinning import thinned
from workbench.units import SECONDS_PER_HOUR, span_in_words

if TYPE_CHECKING:
    import plotly.graph_objects as go

ORACLE = "oracle"
DASHES = ("solid", "dash", "dashdot", "longdash")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "pentagon", "star", "x", "hexagon")
CAME = pl.col("realised_mean") * pl.col("windows")
POOLED = (pl.col("wape") * CAME).sum() / CAME.sum() * 100.0


def looks(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour, dash and symbol for each method, the same for the same set of methods."""
    ordered = sorted(set(methods) - {ORACLE})
    shades = theme.colours([*ordered, ORACLE])
    made = {
        key: {
            "color": shades[key],
            "dash": DASHES[place // len(theme.PALETTE) % len(DASHES)],
            "symbol": SYMBOLS[place % len(SYMBOLS)],
        }
        for place, key in enumerate(ordered)
    }
    return made | {ORACLE: {"color": shades[ORACLE], "dash": "dot", "symbol": "circle-open"}}


def wape_by_lead(
    leads: pl.DataFrame,
    *,
    source: str,
    measure: str = "input_tps",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw BACKTEST_LEADS as one line per method: how the error grows with the hours ahead."""
    rows = leads.filter(pl.col("measure") == measure).group_by("method", "lead_s").agg(POOLED.alias("wape"))
    fig = theme.figure(
        title=title or "How the error grows with the hours ahead",
        source=source,
        x="hours from the forecast to what it says",
        y="WAPE of the median, %",
    )
    shown = looks(rows.get_column("method"))
    for (key,), part in rows.sort("method", "lead_s").group_by("method", maintain_order=True):
        look = shown[str(key)]
        fig.add_scatter(
            x=(part.get_column("lead_s") / SECONDS_PER_HOUR + 0.5).to_list(),
            y=part.get_column("wape").to_list(),
            name=theme.label(str(key), labels),
            mode="lines+markers" if part.height < 4 else "lines",
            line={"color": look["color"], "dash": look["dash"], "width": 2},
        )
    fig.update_xaxes(rangemode="tozero")
    return theme.or_said(fig, rows.get_column("wape"))


def said_and_came(
    windows: pl.DataFrame,
    *,
    source: str,
    method: str,
    measure: str = "input_tps",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw BACKTEST_WINDOWS of one method: what the last forecast before each window said, and what came.

    Several series are added up; the 90 % band of a sum is drawn as the sum of the bands, which is on the wide side.
    """
    rows = windows.filter((pl.col("measure") == measure) & (pl.col("method") == method))
    edges = [pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum()).alias(name) for name in ("low", "high")]
    sums = rows.group_by("window_start").agg(pl.col("realised", "value").sum(), *edges).sort("window_start")
    ahead = span_in_words(rows.get_column("lead_s").max() or 0.0) if rows.height else "nothing"  # type: ignore[arg-type]
    fig = theme.figure(
        title=title or f"{theme.label(method, labels)}: the last forecast before each window, up to {ahead} ahead",
        source=source,
        x=theme.TIME_AXIS,
        y=RATES[measure][1],
    )
    if sums.is_empty():
        return theme.say_empty(fig)
    line = thinned(sums, y="realised")
    times = line.get_column("window_start").to_list()
    edge = {"mode": "lines", "line": {"width": 0}}
    fig.add_scatter(x=times, y=line.get_column("low").to_list(), showlegend=False, hoverinfo="skip", **edge)
    fig.add_scatter(
        x=times,
        y=line.get_column("high").to_list(),
        name="90 % band",
        fill="tonexty",
        fillcolor=theme.faded(theme.SKY, 0.35),
        **edge,
    )
    for column, name, colour in (("value", "median", theme.BLUE), ("realised", "realised", theme.BLACK)):
        fig.add_scatter(
            x=times,
            y=line.get_column(column).to_list(),
            name=name,
            mode="lines",
            line={"color": colour, "width": 1.6},
        )
    return fig


def residual_acf(
    acf: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``forecasting.residual_acf`` as one line per method, the mean over series, and the band of white noise."""
    rows = (
        acf.drop_nulls("autocorrelation")
        .group_by("method", "lag_s")
        .agg(pl.col("autocorrelation", "noise").mean())
        .sort("method", "lag_s")
    )
    fig = theme.figure(
        title=title or "What the residuals still know",
        source=source,
        x="lag, hours",
        y="autocorrelation of the residuals",
    )
    if rows.is_empty():
        return theme.say_empty(fig, theme.NOTHING_KNOWN)
    noise = rows.group_by("lag_s").agg(pl.col("noise").max()).sort("lag_s")
    lags = (noise.get_column("lag_s") / SECONDS_PER_HOUR).to_list()
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    fig.add_scatter(x=lags, y=(-noise.get_column("noise")).to_list(), showlegend=False, **edge)
    fig.add_scatter(
        x=lags,
        y=noise.get_column("noise").to_list(),
        name="95 % of white noise",
        fill="tonexty",
        fillcolor=theme.faded(theme.GREY, 0.2),
        **edge,
    )
    shown = looks(rows.get_column("method"))
    for (key,), part in rows.group_by("method", maintain_order=True):
        look = shown[str(key)]
        fig.add_scatter(
            x=(part.get_column("lag_s") / SECONDS_PER_HOUR).to_list(),
            y=part.get_column("autocorrelation").to_list(),
            name=theme.label(str(key), labels),
            mode="lines",
            line={"color": look["color"], "dash": look["dash"], "width": 1.8},
        )
    fig.update_yaxes(rangemode="normal", tickformat=".1f")
    fig.add_hline(y=0.0, line={"color": theme.INK, "width": 1})
    return fig


def cost_of_service(
    totals: pl.DataFrame,
    *,
    source: str,
    strategy: str,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw DECISION_TOTALS of one strategy: cost against service, a line per method through the risks it was tried at.

    Further up serves better, further left costs less; of two lines the upper left decides better.
    """
    rows = totals.filter((pl.col("strategy") == strategy) & pl.col("slo_attainment_fraction").is_not_null())
    fig = theme.figure(
        title=title or f"What a better forecast is worth: {theme.label(strategy, labels)}",
        source=source,
        x="cost at the list price, USD",
        y="promises kept by tiers that cannot wait, %",
        height=460,
    )
    shown = looks(rows.get_column("method"))
    for (key,), part in rows.sort("method", "cost_usd").group_by("method", maintain_order=True):
        look = shown[str(key)]
        risks = [
            f"headroom {row['headroom_fraction']:.0%}" if key == ORACLE else f"quantile {row['quantile']:g}"
            for row in part.iter_rows(named=True)
        ]
        fig.add_scatter(
            x=part.get_column("cost_usd").to_list(),
            y=(part.get_column("slo_attainment_fraction") * 100).to_list(),
            name="perfect forecast" if key == ORACLE else theme.label(str(key), labels),
            mode="lines+markers",
            line={"color": look["color"], "dash": look["dash"], "width": 1.8},
            marker={"symbol": look["symbol"], "size": 9},
            customdata=risks,
            hovertemplate="%{customdata}: %{x:,.0f} USD, %{y:.1f} %",
        )
    fig.update_xaxes(tickformat=",", rangemode="normal")
    fig.update_yaxes(rangemode="normal", tickformat=".0f")
    fig.update_layout(hovermode="closest")
    return theme.or_said(fig, rows.get_column("cost_usd"))
