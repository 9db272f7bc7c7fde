"""Charts of the two engines side by side: single requests in the fluid's band, pools over time, and where they differ.

The fluid engine is blue and the replay orange in every one of them, as in the charts that compare strategies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.charts import theme
from workbench.charts.plans import closed
from workbench.charts.simulations import by_strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

FLUID, REPLAY = theme.BLUE, theme.ORANGE
MOST_POINTS = 6000  # more points than that only cover each other
WIDEST_PERCENT = 30.0  # an error of that or more has the full colour
MARK = "✕"
ERROR_COLOURS: Mapping[str, Any] = {
    "colorscale": [[0.0, theme.SKY], [0.5, "#FFFFFF"], [1.0, theme.ORANGE]],
    "cmin": -WIDEST_PERCENT,
    "cmax": WIDEST_PERCENT,
    "colorbar": {"title": {"text": "error, %"}, "thickness": 12, "ticksuffix": ""},
}

#: What a chart of pools can show: the column, the title of its axis and its scale.
POOL_MEASURES: Mapping[str, tuple[str, float]] = {
    "running": ("requests running", 1.0),
    "waiting": ("requests waiting for a slot", 1.0),
    "ready": ("replicas ready to serve", 1.0),
    "kv_cache_used_fraction": ("KV cache used, %", 100.0),
    "work_fraction": ("work, % of the replicas' time", 100.0),
}
#: How a measure is called in a chart of errors.
MEASURES: Mapping[str, str] = {
    "kv_cache_used_fraction": "KV cache used",
    "running": "requests running",
    "gpu_hours": "GPU-hours",
    "ttft_mean_s": "TTFT, mean",
    "ttft_p50_s": "TTFT, P50",
    "ttft_p95_s": "TTFT, P95",
    "ttft_p99_s": "TTFT, P99",
    "itl_mean_s": "gap between tokens",
    "deferrable_served": "deferrable work done",
    "shed": "requests refused",
}


def requests_in_band(
    requests: pl.DataFrame,
    windows: pl.DataFrame,
    *,
    source: str,
    promise_s: float | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw single requests of the replay (SIM_REQUESTS) by arrival, and the fluid's P50-P95 (SIM_WINDOWS) as a band.

    Requests without a first token are left out, and of many only every so manieth is drawn. Where the fluid is
    saturated it has no percentiles: the band has a gap, and crosses stand at the mean. Both frames are of one series.
    """
    fig = theme.figure(
        title=title or "Time to first token, request by request",
        source=source,
        x=theme.TIME_AXIS,
        y="time to first token, seconds",
    )
    points = requests.filter(pl.col("ttft_s").is_not_null()).sort("arrived_at")
    if points.is_empty():
        return theme.say_empty(fig, "no request of this series")
    points = points.gather_every(max(1, -(-points.height // MOST_POINTS)))
    fig.add_scattergl(
        x=points.get_column("arrived_at").to_list(),
        y=points.get_column("ttft_s").to_list(),
        name="replay, one request",
        mode="markers",
        marker={"color": theme.faded(REPLAY, 0.45), "size": 3},
    )
    known = windows.sort("window_start").with_columns(stretch=pl.col("ttft_p95_s").is_null().rle_id())
    stretches = known.filter(pl.col("ttft_p95_s").is_not_null()).partition_by("stretch", maintain_order=True)
    for place, part in enumerate(stretches):
        _add_band(fig, closed(part), is_first=place == 0)
    saturated = windows.filter(pl.col("is_saturated") & pl.col("ttft_mean_s").is_not_null())
    if saturated.height:
        fig.add_scatter(
            x=_middles(saturated, known),
            y=saturated.get_column("ttft_mean_s").to_list(),
            name="fluid, saturated (mean)",
            mode="markers",
            marker={"color": FLUID, "symbol": "x", "size": 8},
        )
    if promise_s is not None:
        theme.mark(fig, f"promise {promise_s:g} s", y=promise_s, log=True)
    fig.update_yaxes(type="log", tickformat="~g", nticks=8)
    fig.update_layout(hovermode="closest", legend={"itemsizing": "constant"})
    return fig


def _middles(part: pl.DataFrame, windows: pl.DataFrame) -> list[Any]:
    """Return the middles of some of the windows, each as long as the shortest step between two."""
    step = windows.select(pl.col("window_start").diff().min() / 2).item()
    return part.select(pl.col("window_start") + step).to_series().to_list()


def _add_band(fig: go.Figure, part: pl.DataFrame, *, is_first: bool) -> None:
    """Add one stretch of windows with percentiles: the median, and P95 with the band down to it."""
    for column, name, dash in (("ttft_p50_s", "fluid, P50", "solid"), ("ttft_p95_s", "fluid, P95", "dash")):
        fig.add_scatter(
            x=part.get_column("window_start").to_list(),
            y=part.get_column(column).to_list(),
            name=name,
            legendgroup=name,
            showlegend=is_first,
            mode="lines",
            line={"color": FLUID, "width": 2.2, "dash": dash, "shape": "hv"},
            fill="tonexty" if column == "ttft_p95_s" else None,
            fillcolor=theme.faded(FLUID, 0.15),
        )


def pools_by_engine(
    pools: Mapping[str, pl.DataFrame] | pl.DataFrame,
    *,
    source: str,
    measure: str = "running",
    thresholds: Mapping[str, float] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw one measure of SIM_POOLS over time, a line per engine (or strategy) in the order given.

    Counts are summed over pools, shares weighted by ready replicas. ``thresholds`` names levels in the measure's own
    unit that are drawn as lines.
    """
    axis, scale = POOL_MEASURES[measure]
    frame = by_strategy(pools)
    value = pl.col(measure).sum()
    if measure.endswith("_fraction"):
        value = (pl.col(measure) * pl.col("ready")).sum() / pl.col("ready").sum()
    lines = frame.group_by("strategy", "window_start", maintain_order=True).agg((value * scale).alias("value"))
    fig = theme.figure(title=title or f"{axis[0].upper()}{axis[1:]}", source=source, x=theme.TIME_AXIS, y=axis)
    shades = theme.colours(lines.get_column("strategy"))
    for (key,), part in lines.group_by("strategy", maintain_order=True):
        ordered = part.sort("window_start")
        fig.add_scatter(
            x=ordered.get_column("window_start").to_list(),
            y=ordered.get_column("value").to_list(),
            name=theme.label(str(key)),
            mode="lines",
            line={"color": shades[str(key)], "width": 1.8, "dash": "dot" if key == "fluid" else "solid"},
        )
    for name, level in (thresholds or {}).items():
        theme.mark(fig, f"{name} {level * scale:g}", y=level * scale)
    return theme.or_said(fig, lines.get_column("value"))


def errors_by_measure(
    compared: Mapping[str, pl.DataFrame], *, source: str, tolerance: float = 0.10, title: str | None = None
) -> go.Figure:
    """Draw the relative errors of one or more comparisons as dots, a row per measure, within lines at the tolerance.

    The frames are those of ``agreement.compare``, by the name under which their dots are shown.
    """
    fig = theme.figure(
        title=title or "How far the fluid engine is off the replay, measure by measure",
        source=source,
        x="error of the fluid engine, % of the replay",
        y="",
    )
    known = {name: frame.filter(pl.col("relative_error").is_not_null()) for name, frame in compared.items()}
    if not any(frame.height for frame in known.values()):
        return theme.say_empty(fig)
    for (name, frame), (colour, symbol) in zip(known.items(), _looks(len(known)), strict=True):
        fig.add_scatter(
            x=(frame.get_column("relative_error") * 100.0).to_list(),
            y=[MEASURES.get(measure, theme.label(measure)) for measure in frame.get_column("measure")],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol},
            hovertemplate="%{y}: %{x:+.1f} %",
        )
    for level in (-tolerance, tolerance):
        theme.mark(fig, f"{level:+.0%}", x=level * 100.0)
    fig.add_vline(x=0.0, line={"color": theme.INK, "width": 1})
    fig.update_xaxes(rangemode="normal")
    fig.update_yaxes(autorange="reversed", type="category")
    fig.update_layout(hovermode="closest")
    return fig


def _looks(count: int) -> list[tuple[str, str]]:
    symbols = ("circle", "diamond", "square", "cross")
    return [(theme.PALETTE[i % len(theme.PALETTE)], symbols[i % len(symbols)]) for i in range(count)]


def error_heat(
    maps: Mapping[str, pl.DataFrame],
    *,
    source: str,
    measure: str = "ttft_p95_s",
    tolerance: float = 0.10,
    title: str | None = None,
) -> go.Figure:
    """Draw error maps (``agreement.error_map``) over load and size of the pool, one panel each by the name given.

    Blue is too low, orange too high, white right. A cell beyond the tolerance bears a cross; in a cell that is marked
    as saturated, where the fluid's latencies are not made for it, the number stands in brackets. Every map must hold
    one row per load and size.
    """
    fig = theme.panels(
        title=title or f"Error of the fluid engine over load and size: {MEASURES[measure]}",
        source=source,
        titles=list(maps),
        x=["load, of the most that the pool can take"] * len(maps),
        y="replicas in the pool",
        height=430,
    )
    for column, frame in enumerate(maps.values(), start=1):
        _add_heat(fig, frame, measure=measure, tolerance=tolerance, column=column)
    fig.update_xaxes(type="category", showgrid=False)
    fig.update_yaxes(type="category", showgrid=False)
    fig.update_layout(hovermode="closest", coloraxis=ERROR_COLOURS)
    return fig


def _add_heat(fig: go.Figure, frame: pl.DataFrame, *, measure: str, tolerance: float, column: int) -> None:
    """Add one error map to its panel: a row of cells for each size, a column for each load."""
    cells = frame.sort("replicas", "load_fraction").with_columns(percent=pl.col(f"{measure}_error") * 100.0)
    rows = cells.partition_by("replicas", maintain_order=True)
    fig.add_heatmap(
        x=[f"{load:.0%}" for load in cells.get_column("load_fraction").unique().sort()],
        y=[f"{row.item(0, 'replicas')} " for row in rows],  # with a space no axis takes it for a number
        z=[row.get_column("percent").to_list() for row in rows],
        text=[
            [
                _cell(percent, tolerance, is_saturated=held)
                for percent, held in row.select("percent", "is_saturated").rows()
            ]
            for row in rows
        ],
        texttemplate="%{text}",
        textfont={"size": 12, "color": theme.INK},
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
        hovertemplate="%{y}replicas at %{x} load: %{z:+.1f} %<extra></extra>",
        row=1,
        col=column,
    )


def _cell(percent: float | None, tolerance: float, *, is_saturated: bool) -> str:
    """Return what stands in a cell: the error in percent, with its marks."""
    if percent is None:
        return "none"
    number = f"{percent:+.0f}" if abs(percent) >= 0.5 else "0"
    number = f"({number})" if is_saturated else number
    return f"{MARK} {number}" if abs(percent) > tolerance * 100.0 else number
