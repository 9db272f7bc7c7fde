"""Maps of backtests: where and when each forecast method fails, as cells that redden with the error.

Frames are the tables of a backtest; errors over several series are pooled by the load they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.charts import theme
from workbench.charts.backtests import ORACLE, POOLED
from workbench.units import span_in_words

if TYPE_CHECKING:
    import plotly.graph_objects as go

WORST_PERCENT = 60.0  # an error of that or more has the full colour
SERIES = ("region", "model", "tier")


def wape_by_series(
    scores: pl.DataFrame,
    *,
    source: str,
    horizon_s: float,
    measure: str = "input_tps",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw BACKTEST_SCORES of one horizon as a map of series and methods; the best of each series is framed by dots.

    The hardest series stand on top, the best method left.
    """
    chosen = (pl.col("measure") == measure) & (pl.col("horizon_s") == horizon_s) & (pl.col("method") != ORACLE)
    rows = scores.filter(chosen).with_columns(
        series=pl.concat_str(*(pl.col(name).replace(dict(labels or {})) for name in SERIES), separator=" · ")
    )
    fig = theme.figure(
        title=title or f"WAPE by series, {span_in_words(horizon_s)} ahead",
        source=source,
        x="",
        y="",
        height=150 + 24 * rows.get_column("series").n_unique(),
    )
    methods = _by_mean(rows, "method").get_column("method").to_list()
    series = _by_mean(rows, "series").get_column("series").to_list()
    values = {(row["series"], row["method"]): row["wape"] for row in rows.iter_rows(named=True)}
    table = [[_percent(values.get((one, method))) for method in methods] for one in series]
    best = [min((value for value in row if value is not None), default=None) for row in table]
    _heat(
        fig,
        x=[theme.label(method, labels) for method in methods],
        y=series,
        z=table,
        text=[[_told(value, is_best=value == low) for value in row] for row, low in zip(table, best, strict=True)],
    )
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(type="category", showgrid=False, tickformat="")
    fig.update_layout(margin={"t": 50}, hovermode="closest")
    return theme.or_said(fig, rows.get_column("wape"))


def wape_by_hour(
    hours: pl.DataFrame,
    *,
    source: str,
    horizon_s: float,
    method: str,
    measure: str = "input_tps",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw BACKTEST_HOURS of one method and horizon as a map of hour of day and day: when it fails."""
    chosen = (pl.col("measure") == measure) & (pl.col("horizon_s") == horizon_s) & (pl.col("method") == method)
    rows = hours.filter(chosen).group_by("hour_start").agg(POOLED.alias("wape"))
    fig = theme.figure(
        title=title or f"When {theme.label(method, labels)} is off, {span_in_words(horizon_s)} ahead",
        source=source,
        x="hour of the day (UTC)",
        y="",
        height=170 + 30 * rows.get_column("hour_start").dt.date().n_unique(),
    )
    days = rows.get_column("hour_start").dt.date().unique().sort().to_list()
    cells = {(at.date(), at.hour): wape for at, wape in rows.iter_rows()}
    _heat(
        fig,
        x=[f"{hour:02d}" for hour in range(24)],
        y=[f"{day:%a %d %b}" for day in days],
        z=[[cells.get((day, hour)) for hour in range(24)] for day in days],
        text=None,
    )
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(type="category", autorange="reversed", showgrid=False, tickformat="")
    fig.update_layout(margin={"t": 50}, hovermode="closest")
    return theme.or_said(fig, rows.get_column("wape"))


def _by_mean(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.group_by(name).agg(pl.col("wape").mean()).sort("wape", name)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else fraction * 100.0


def _told(percent: float | None, *, is_best: bool) -> str:
    if percent is None:
        return ""
    return f"<b>{percent:.0f} •</b>" if is_best else f"{percent:.0f}"


def _heat(fig: go.Figure, *, x: list[str], y: list[str], z: list[list[float | None]], text: Any) -> None:
    fig.add_heatmap(
        x=x,
        y=y,
        z=z,
        text=text,
        texttemplate="%{text}" if text else None,
        textfont={"size": 12, "color": theme.INK},
        zmin=0.0,
        zmax=WORST_PERCENT,
        colorscale=[[0.0, "#FFFFFF"], [1.0, theme.ORANGE]],
        colorbar={"title": {"text": "WAPE, %"}, "thickness": 12},
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{y}, %{x}: %{z:.0f} %<extra></extra>",
    )
