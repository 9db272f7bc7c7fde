"""The figure of the what-if page: GPUs held and the time to first token over one time axis, a line for each case.

One figure with two panels and not two figures, so that a moment is seen in both and a redraw costs one message.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.tables import window_s_of
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: How each case looks, whichever others are drawn; the chosen one is what the eye is led to.
LOOKS: Mapping[str, Mapping[str, object]] = {
    "chosen": {"color": theme.VERMILION, "width": 2.4},
    "study": {"color": theme.BLACK, "width": 1.5, "dash": "dot"},
    "baseline": {"color": theme.BLUE, "width": 1.2},
}
UPPER, LOWER = (0.55, 1.0), (0.0, 0.43)
HEIGHT_PX = 520


def what_if(
    pools: Mapping[str, pl.DataFrame],
    ttft: Mapping[str, pl.DataFrame],
    *,
    labels: Mapping[str, str],
    source: str,
    promise_s: float | None,
    tier: str,
) -> go.Figure:
    """Draw the cases chosen, study and baseline: GPUs held from SIM_POOLS above, P95 of the time to first token below.

    A case that is not in ``pools`` is not drawn. ``ttft`` has ``window_start`` and ``ttft_p95_s`` per hour of the tier
    named ``tier``, whose promise is drawn.
    """
    fig = theme.figure(
        title="GPUs held, and how long a first token takes",
        source=source,
        x=theme.TIME_AXIS,
        y="GPUs held",
        height=HEIGHT_PX,
    )
    for case, frame in pools.items():
        look, name = LOOKS[case], labels[case]
        held = frame.group_by("window_start").agg(pl.col("gpu_hours").sum()).sort("window_start")
        gpus = held.get_column("gpu_hours") * (SECONDS_PER_HOUR / window_s_of(frame))
        times = held.get_column("window_start").to_numpy()
        fig.add_scatter(x=times, y=gpus.to_numpy(), name=name, legendgroup=name, mode="lines", line=dict(look))
        late = _to_the_end(ttft[case])
        fig.add_scatter(
            x=late.get_column("window_start").to_numpy(),
            y=late.get_column("ttft_p95_s").to_numpy(),
            name=name,
            legendgroup=name,
            showlegend=False,
            mode="lines",
            line=dict(look) | {"shape": "hv"},
            yaxis="y2",
        )
    fig.update_layout(
        yaxis={"domain": list(UPPER)},
        yaxis2={"domain": list(LOWER), "type": "log", "tickformat": "~g", "title": {"text": f"P95, s: {tier}"}},
        xaxis={"anchor": "y2"},
        hovermode="x",
    )
    if promise_s is not None:
        _draw_promise(fig, promise_s)
    return fig


def _to_the_end(hours: pl.DataFrame) -> pl.DataFrame:
    """Repeat the last hour at its end, as a step is drawn up to the next point."""
    return pl.concat([hours, hours.tail(1).with_columns(pl.col("window_start").dt.offset_by("1h"))])


def _draw_promise(fig: go.Figure, promise_s: float) -> None:
    fig.add_shape(
        type="line",
        xref="paper",
        yref="y2",
        x0=0,
        x1=1,
        y0=promise_s,
        y1=promise_s,
        line={"color": theme.FAINT, "dash": "dash", "width": 1},
    )
    fig.add_annotation(
        text=f"promise {promise_s:g} s",
        xref="paper",
        yref="y2",
        x=1,
        y=log10(promise_s),  # an annotation of a logarithmic axis is placed by its exponent
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        font={"size": 10, "color": theme.FAINT},
    )
