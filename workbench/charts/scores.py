"""Charts of scorecards: effort, money, waste and what every tier got, strategy by strategy.

A saving is only ever drawn with the service it was had at: a strategy that serves worse than the baseline is hatched
and says so, in every chart that shows its cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.charts import theme
from workbench.domain import Tier
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import plotly.graph_objects as go

WORSE = "serves worse"


def gpu_hours_and_cost(
    totals: pl.DataFrame, *, source: str, baseline: str | None = None, title: str | None = None
) -> go.Figure:
    """Draw GPU-hours and cost of each strategy side by side, with the saving against the baseline on its bar.

    ``totals`` is that of a scorecard. A strategy under which some tier fares worse is hatched.
    """
    fig = theme.panels(
        title=title or "GPU-hours and cost of the simulated span",
        source=source,
        titles=("GPU-hours held", "Cost at the list price"),
        x=("GPU-hours", "USD"),
        height=150 + 58 * totals.height + theme.BOTTOM_PX,
    )
    names = _names(totals)
    notes = [_saving(row, baseline) for row in totals.iter_rows(named=True)]
    texts = (
        [f"{value:,.0f}" for value in totals.get_column("gpu_hours")],
        [f"{value:,.0f}  {note}" for value, note in zip(totals.get_column("cost_usd"), notes, strict=True)],
    )
    for column, (measure, text) in enumerate(zip(("gpu_hours", "cost_usd"), texts, strict=True), start=1):
        values = totals.get_column(measure).to_list()
        fig.add_bar(
            x=values,
            y=names,
            orientation="h",
            marker=_marker(totals),
            text=text,
            textposition="outside",
            name=measure,
            showlegend=False,
            row=1,
            col=column,
        )
        fig.update_xaxes(range=[0, _room(values, 1.55)], row=1, col=column)
    return _from_the_top(fig)


def attainment(
    frame: pl.DataFrame,
    *,
    source: str,
    tiers: Sequence[Tier] = (),
    labels: Mapping[str, str] | None = None,
    goal_fraction: float | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw the share of promises kept by tier, one bar per strategy, the promise written under each tier.

    ``frame`` is the ``tiers`` of a scorecard. A tier without any deadline or arrival in the span has no bar and says
    so. ``goal_fraction`` draws a line.
    """
    promises = {tier.key: f"{tier.label}<br>{_promise(tier)}" for tier in tiers}
    order = [tier.key for tier in tiers] or frame.get_column("tier").unique(maintain_order=True).to_list()
    unknown = frame.filter(pl.col("slo_attainment_fraction").is_null()).get_column("tier").unique().to_list()
    ticks = [
        promises.get(key, theme.label(key)) + ("<br><i>none due yet</i>" if key in unknown else "") for key in order
    ]
    fig = theme.figure(title=title or "Promises kept", source=source, x="", y="requests with the promise kept, %")
    shades = theme.colours(frame.get_column("strategy"))
    for key in frame.get_column("strategy").unique(maintain_order=True):
        kept = dict(frame.filter(pl.col("strategy") == key).select("tier", "slo_attainment_fraction").iter_rows())
        values = [None if kept.get(tier) is None else kept[tier] * 100 for tier in order]
        fig.add_bar(
            x=ticks,
            y=values,
            name=theme.label(key, labels),
            marker_color=shades[key],
            text=["" if value is None else f"{value:.1f}" for value in values],
            textposition="outside",
            cliponaxis=False,
        )
    if goal_fraction is not None:
        fig.add_hline(y=goal_fraction * 100, line={"color": theme.BLACK, "dash": "dot", "width": 1})
    fig.update_layout(barmode="group", hovermode="closest", height=460)
    fig.update_yaxes(range=[0, 108], tickvals=[0, 20, 40, 60, 80, 100])
    return fig


def ttft_percentiles(
    frame: pl.DataFrame,
    *,
    source: str,
    tier: Tier,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw P50, P95 and P99 of the time to first token of one tier by strategy, with the promise as a line."""
    rows = frame.filter((pl.col("tier") == tier.key) & pl.col("ttft_p50_s").is_not_null())
    fig = theme.figure(
        title=title or f"Time to first token: {tier.label}", source=source, x="time to first token, seconds", y=""
    )
    if rows.is_empty():
        return theme.say_empty(fig, "no request of this tier")
    names = [theme.label(key, labels) for key in rows.get_column("strategy")]
    for level, symbol in (("p50", "circle"), ("p95", "diamond"), ("p99", "square")):
        fig.add_scatter(
            x=rows.get_column(f"ttft_{level}_s").to_list(),
            y=names,
            name=level.upper(),
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": list(_shades(rows))},
        )
    if tier.ttft_slo_s is not None:
        theme.mark(fig, f"promise {tier.ttft_slo_s:g} s", x=tier.ttft_slo_s, log=True)
    fig.update_xaxes(type="log", tickformat="~g", dtick="D2")
    fig.update_yaxes(autorange="reversed")
    fig.update_layout(hovermode="closest")
    return fig


def waste(totals: pl.DataFrame, *, source: str, title: str | None = None) -> go.Figure:
    """Draw the GPU-hours held while starting (paid and not serving), and those lent to the spot pool, by strategy."""
    fig = theme.panels(
        title=title or "GPU-hours that served nobody, and those lent",
        source=source,
        titles=("Start-up waste", "Lent to the spot pool"),
        x=("GPU-hours", "GPU-hours"),
        height=150 + 58 * totals.height + theme.BOTTOM_PX,
    )
    names = totals.get_column("label").to_list()
    starts = totals.get_column("starts").to_list()
    wasted, lent = (totals.get_column(name).to_list() for name in ("waste_gpu_hours", "lent_gpu_hours"))
    texts = (
        [f"{value:,.1f} in {count:,.0f} starts" for value, count in zip(wasted, starts, strict=True)],
        [f"{value:,.0f}" for value in lent],
    )
    for column, (values, text) in enumerate(zip((wasted, lent), texts, strict=True), start=1):
        fig.add_bar(
            x=values,
            y=names,
            orientation="h",
            marker={"color": list(_shades(totals))},
            text=text,
            textposition="outside",
            showlegend=False,
            row=1,
            col=column,
        )
        fig.update_xaxes(range=[0, _room(values, 1.55)], row=1, col=column)
    return _from_the_top(fig)


def cost_per_month(
    projection: pl.DataFrame, *, source: str, month: str, baseline: str | None = None, title: str | None = None
) -> go.Figure:
    """Draw what a month would cost under each strategy; hatched where some tier would fare worse.

    ``projection`` has one row per strategy with ``label``, ``month_cost_usd``, ``keeps_service`` and
    ``month_cost_saved_usd`` against the baseline.
    """
    fig = theme.figure(
        title=title or f"Cost of {month} under each strategy", source=source, x="", y="USD for the month", height=440
    )
    costs = projection.get_column("month_cost_usd").to_list()
    notes = []
    for row in projection.iter_rows(named=True):
        saved = row["month_cost_saved_usd"]
        change = f"{abs(saved):,.0f} USD {'less' if saved > 0 else 'more'}"
        notes.append("baseline" if row["strategy"] == baseline else change if saved else "the same")
    fig.add_bar(
        x=_names(projection),
        y=costs,
        marker=_marker(projection),
        text=[f"{value:,.0f} USD<br>{note}" for value, note in zip(costs, notes, strict=True)],
        textposition="outside",
        cliponaxis=False,
        showlegend=False,
    )
    fig.update_yaxes(range=[0, _room(costs, 1.18)])
    fig.update_layout(hovermode="closest")
    return fig


def cost_by_group(
    frame: pl.DataFrame,
    *,
    source: str,
    by: str = "model",
    labels: Mapping[str, str] | None = None,
    month: str = "",
    title: str | None = None,
) -> go.Figure:
    """Draw the cost of each strategy as a bar made of models, regions or GPU kinds.

    ``frame`` has one row per strategy and group with ``month_cost_usd``; ``labels`` names strategies and groups.
    """
    order = frame.get_column("strategy").unique(maintain_order=True).to_list()
    fig = theme.figure(
        title=title or f"Cost by {theme.label(by)}", source=source, x="", y=f"USD for {month}" if month else "USD"
    )
    for key, colour in theme.colours(frame.get_column(by)).items():
        costs = dict(frame.filter(pl.col(by) == key).select("strategy", "month_cost_usd").iter_rows())
        fig.add_bar(
            x=[theme.label(strategy, labels) for strategy in order],
            y=[costs.get(strategy, 0.0) for strategy in order],
            name=theme.label(key, labels),
            marker_color=colour,
        )
    fig.update_layout(barmode="stack", hovermode="closest")
    return fig


def _promise(tier: Tier) -> str:
    if tier.deferrable:
        return f"done within {(tier.deadline_s or 0.0) / SECONDS_PER_HOUR:g} h"
    return f"first token within {tier.ttft_slo_s:g} s"


def _saving(row: Mapping[str, Any], baseline: str | None) -> str:
    saved = row["gpu_hours_saved_fraction"]
    if row["strategy"] == baseline:
        return "(baseline)"
    return f"({abs(saved):.1%} {'less' if saved > 0 else 'more'})" if saved is not None and saved else ""


def _shades(frame: pl.DataFrame) -> list[str]:
    shades = theme.colours(frame.get_column("strategy"))
    return [shades[key] for key in frame.get_column("strategy")]


def _marker(frame: pl.DataFrame) -> dict[str, Any]:
    keeps = frame.get_column("keeps_service").to_list()
    return {
        "color": _shades(frame),
        "pattern": {
            "shape": ["" if kept else "/" for kept in keeps],
            "bgcolor": _shades(frame),
            "fgcolor": ["#FFFFFF"] * frame.height,
            "size": 9,
        },
    }


def _names(frame: pl.DataFrame) -> list[str]:
    """Return the strategies' labels, with a word under those that serve worse than the baseline."""
    rows = frame.select("label", "keeps_service").iter_rows()
    return [name if kept else f"{name}<br><i>{WORSE}</i>" for name, kept in rows]


def _room(values: Sequence[float], factor: float) -> float:
    """Return where an axis ends so that a label fits beside the longest bar."""
    return max([*values, 0.0]) * factor or 1.0


def _from_the_top(fig: go.Figure) -> go.Figure:
    fig.update_traces(cliponaxis=False)
    fig.update_yaxes(autorange="reversed", tickformat="")
    fig.update_layout(hovermode="closest")
    return fig
