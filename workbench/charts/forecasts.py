"""Charts of forecasts: the fan of quantiles against what came, and how far off the methods are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.charts.load import RATES
from workbench.tables import window_s_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

MEDIAN = 0.5
#: How the rates of a decomposed forecast are drawn: name, colour, dash.
RATE_LINES: Mapping[str, tuple[str, str, str]] = {
    "realised": ("realised", theme.BLACK, "solid"),
    "curve": ("curve, as of its fit", theme.ORANGE, "dash"),
    "forecast": ("forecast, corrected by the last hours", theme.BLUE, "solid"),
}
FACTORS: Mapping[str, str] = {
    "daily": "time of day (and kind of day)",
    "weekly": "day of the week",
    "events": "holidays and special events",
    "correction": "correction by the last hours",
}
METRICS: Mapping[str, str] = {
    "wape": "sum of absolute errors / sum of realised, %",
    "bias": "sum of errors / sum of realised, %",
    "coverage_fraction": "windows at or below the value, %",
}


def forecast_fan(
    forecast: pl.DataFrame,
    demand: pl.DataFrame | None,
    *,
    source: str,
    window_s: float | None = None,
    measure: str = "input_tps",
    region: str | None = None,
    model: str | None = None,
    tier: str | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw a FORECAST as median and bands with the realised DEMAND over it.

    ``window_s`` is the length of a demand window (read off the frame where it is not given). Where region, model or
    tier are not named their series are added up; the quantile of a sum is drawn as the sum of the quantiles, which is
    on the wide side. A band is drawn for every pair of quantiles that lie symmetrically around the median.
    """
    chosen = {"region": region, "model": model, "tier": tier}
    named = [name for name in chosen.values() if name]
    column, axis = RATES[measure]
    rows = _only(forecast.filter(pl.col("measure") == measure), chosen)
    fan = (
        rows.group_by("window_start", pl.col("quantile").round(6))
        .agg(pl.col("value").sum())
        .pivot(on="quantile", index="window_start", values="value")
        .sort("window_start")
    )
    what = ", ".join(theme.label(name) for name in named) or "all series together"
    fig = theme.figure(title=title or f"Forecast and what came: {what}", source=source, x=theme.TIME_AXIS, y=axis)
    if fan.is_empty():
        return theme.say_empty(fig, "no forecast of these series")
    times = fan.get_column("window_start").to_list()
    summed = rows.select("region", "model", "tier").n_unique() > 1
    for low, high in _bands(fan.columns):
        _add_band(fig, times, fan, low, high, summed=summed)
    if str(MEDIAN) in fan.columns:
        median = fan.get_column(str(MEDIAN)).to_list()
        fig.add_scatter(x=times, y=median, name="median", mode="lines", line={"color": theme.BLUE, "width": 2})
    if demand is not None and demand.height:
        within = pl.col("window_start").is_between(times[0], times[-1])
        came = _realised(_only(demand, chosen).filter(within), column, window_s or window_s_of(demand))
        fig.add_scatter(
            x=came.get_column("window_start").to_list(),
            y=came.get_column("rate").to_list(),
            name="realised",
            mode="lines",
            line={"color": theme.BLACK, "width": 1.4},
        )
    return fig


def accuracy_bars(
    accuracy: pl.DataFrame,
    *,
    source: str,
    metric: str = "wape",
    measure: str = "input_tps",
    by: str = "tier",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw ``forecasting.accuracy`` at the median: one group of bars per model, one bar per tier or region.

    ``metric`` is wape, bias or coverage_fraction; a bar is the plain mean over the series it stands for.
    """
    rows = accuracy.filter((pl.col("measure") == measure) & ((pl.col("quantile") - MEDIAN).abs() < 1e-6))
    means = rows.group_by("model", by).agg(pl.col(metric).mean() * 100).sort("model", by)
    what = RATES[measure][1]
    fig = theme.figure(
        title=title or f"How far the median forecast was off: {what}", source=source, x="model", y=METRICS[metric]
    )
    for key, colour in theme.colours(means.get_column(by)).items():
        part = means.filter(pl.col(by) == key)
        fig.add_bar(
            x=[theme.label(name, labels) for name in part.get_column("model")],
            y=part.get_column(metric).to_list(),
            name=theme.label(key, labels),
            marker_color=colour,
        )
    fig.update_layout(barmode="group")
    fig.update_yaxes(rangemode="normal")
    return fig


def coverage(
    accuracy: pl.DataFrame, *, source: str, measure: str = "input_tps", by: str = "tier", title: str | None = None
) -> go.Figure:
    """Draw how often what came stayed at or below each quantile: on the diagonal the quantiles are honest."""
    rows = accuracy.filter(pl.col("measure") == measure)
    weight = pl.col("windows")
    means = rows.group_by(by, "quantile").agg((pl.col("coverage_fraction") * weight).sum() / weight.sum())
    fig = theme.figure(
        title=title or f"Are the quantiles honest? {RATES[measure][1].capitalize()}",
        source=source,
        x="quantile of the forecast, %",
        y="windows at or below it, %",
    )
    fig.add_scatter(
        x=[0, 100], y=[0, 100], name="honest", mode="lines", line={"color": theme.FAINT, "dash": "dot", "width": 1}
    )
    for key, colour in theme.colours(means.get_column(by)).items():
        part = means.filter(pl.col(by) == key).sort("quantile")
        fig.add_scatter(
            x=(part.get_column("quantile") * 100).to_list(),
            y=(part.get_column("coverage_fraction") * 100).to_list(),
            name=theme.label(key),
            mode="lines+markers",
            line={"color": colour},
        )
    fig.update_layout(hovermode="closest")
    return fig


def forecast_components(
    parts: pl.DataFrame, *, source: str, as_of: datetime, measure: str = "input_tps", title: str | None = None
) -> go.Figure:
    """Draw ``forecasting.components`` of one series: what came, the curve and the forecast, and below each factor.

    A factor of 1 changes nothing; a line at ``as_of`` parts what was known from what was forecast.
    """
    factors = parts.filter(~pl.col("component").is_in([*RATE_LINES, "level"])).get_column("component")
    names = factors.unique(maintain_order=True).to_list()
    fig = theme.stacked(
        title=title or "What the forecast is made of",
        source=source,
        titles=["", *(FACTORS.get(name, theme.label(name)) for name in names)],
        x=theme.TIME_AXIS,
        y=[RATES[measure][1], *("factor" for _ in names)],
        heights=[2.0, *(1.0 for _ in names)],
        height=300 + 150 * len(names),
    )
    for name, (told, colour, dash) in RATE_LINES.items():
        _add_component(fig, parts, name, told, {"color": colour, "dash": dash, "width": 1.6}, row=1)
    for row, name in enumerate(names, start=2):
        _add_component(fig, parts, name, FACTORS.get(name, name), {"color": theme.GREEN, "width": 1.6}, row=row)
        fig.add_hline(y=1.0, line={"color": theme.FAINT, "dash": "dot", "width": 1}, row=row, col=1)
        fig.update_yaxes(rangemode="normal", tickformat=".2~f", row=row, col=1)
    fig.add_vline(x=as_of, line={"color": theme.FAINT, "dash": "dot", "width": 1})
    return theme.or_said(fig, parts.get_column("value"))


def _add_component(
    fig: go.Figure, parts: pl.DataFrame, name: str, told: str, line: dict[str, object], *, row: int
) -> None:
    part = parts.filter(pl.col("component") == name).sort("window_start")
    fig.add_scatter(
        x=part.get_column("window_start").to_list(),
        y=part.get_column("value").to_list(),
        name=told,
        mode="lines",
        line=line,
        showlegend=row == 1,
        row=row,
        col=1,
    )


def _only(frame: pl.DataFrame, chosen: Mapping[str, str | None]) -> pl.DataFrame:
    return frame.filter(*(pl.col(name) == value for name, value in chosen.items() if value is not None))


def _realised(demand: pl.DataFrame, column: str, window_s: float) -> pl.DataFrame:
    rate = pl.when(pl.col(column).is_null().any()).then(None).otherwise(pl.col(column).sum() / window_s)
    return demand.group_by("window_start").agg(rate.alias("rate")).sort("window_start")


def _bands(columns: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of quantile columns that are symmetric around the median, the widest first."""
    known = {round(float(name), 6): name for name in columns if name != "window_start"}
    lows = sorted(value for value in known if value < MEDIAN and round(1 - value, 6) in known)
    return [(known[low], known[round(1 - low, 6)]) for low in lows]


def _add_band(fig: go.Figure, times: list[object], fan: pl.DataFrame, low: str, high: str, *, summed: bool) -> None:
    share = float(high) - float(low)
    edge = {"mode": "lines", "line": {"width": 0}}
    fig.add_scatter(x=times, y=fan.get_column(low).to_list(), showlegend=False, hoverinfo="skip", **edge)
    fig.add_scatter(
        x=times,
        y=fan.get_column(high).to_list(),
        name=f"{share:.0%} band" + (" if all series err together" if summed else ""),
        fill="tonexty",
        fillcolor=theme.faded(theme.SKY, 0.25 if share > 0.6 else 0.5),
        **edge,
    )
