"""One look for every chart: a colour-blind-safe palette, units in axis titles, and where the numbers come from.

A strategy and a tier have the same colour in every chart of every notebook and report, so that a reader learns them
once; other groups take colours in the order of their names. The palette is that of Okabe and Ito ("Color Universal
Design", 2008). Every figure says in small print what it was drawn from. plotly is imported when the first figure is
made, which keeps this package quick to import.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

BLACK, GREY = "#000000", "#7F7F7F"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)

#: Strategies, tiers and kinds of start that keep their colour everywhere; a key that is not here takes a free one.
FIXED: Mapping[str, str] = {
    "siloed": GREY,
    "reactive": BLUE,
    "lt_i": ORANGE,
    "lt_u": SKY,
    "lt_ua": VERMILION,
    "chiron": PURPLE,
    "look_ahead": GREEN,
    "oracle": BLACK,
    "interactive_fast": VERMILION,
    "interactive_normal": BLUE,
    "non_interactive": GREEN,
}
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK, FAINT, RULE = "#222222", "#5F6368", "#E3E6EA"
BOTTOM_PX, TOP_PX = 92, 84
TIME_AXIS = "time (UTC)"
NOTHING = "nothing to show"
NOTHING_KNOWN = "nothing known"


def colours(keys: Iterable[str]) -> dict[str, str]:
    """Return a colour for each key: the fixed one, else the next of the palette that no fixed key of them holds."""
    ordered = sorted(set(keys))
    taken = {FIXED[key] for key in ordered if key in FIXED}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    rest = [key for key in ordered if key not in FIXED]
    given = {key: free[place % len(free)] for place, key in enumerate(rest)}
    return {key: FIXED.get(key) or given[key] for key in ordered}


def label(key: str, labels: Mapping[str, str] | None = None) -> str:
    """Return what a reader sees for a key: its label, else the key with spaces."""
    return (labels or {}).get(key) or key.replace("_", " ")


def faded(colour: str, opacity: float) -> str:
    """Return a colour of the palette with an opacity in 0-1."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def figure(*, title: str, source: str, x: str, y: str, height: int = 420) -> go.Figure:
    """Return an empty figure in the house look: title, axis titles with their units, and the source line below."""
    from plotly import graph_objects as go

    made = go.Figure()
    _dress(made, title=title, source=source, height=height)
    made.update_xaxes(title_text=x)
    made.update_yaxes(title_text=y)
    return made


def panels(
    *, title: str, source: str, titles: Sequence[str], x: Sequence[str], y: str = "", height: int = 420
) -> go.Figure:
    """Return an empty figure of panels side by side that share their vertical axis; ``x`` titles each panel's axis."""
    from plotly import subplots

    made = subplots.make_subplots(
        rows=1, cols=len(titles), shared_yaxes=True, subplot_titles=list(titles), horizontal_spacing=0.06
    )
    _dress(made, title=title, source=source, height=height)
    for column, name in enumerate(x, start=1):
        made.update_xaxes(title_text=name, tickformat=",", row=1, col=column)
    made.update_yaxes(title_text=y, row=1, col=1)
    return made


def stacked(
    *, title: str, source: str, titles: Sequence[str], x: str, y: Sequence[str], heights: Sequence[float], height: int
) -> go.Figure:
    """Return an empty figure of panels one below the other that share their horizontal axis; ``y`` titles each."""
    from plotly import subplots

    made = subplots.make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=True,
        subplot_titles=list(titles),
        row_heights=list(heights),
        vertical_spacing=0.09,
    )
    made.update_annotations(x=0.0, xanchor="left", font={"size": 12})
    _dress(made, title=title, source=source, height=height)
    for row, name in enumerate(y, start=1):
        made.update_yaxes(title_text=name, row=row, col=1)
    made.update_xaxes(title_text=x, row=len(titles), col=1)
    return made


def mark(made: go.Figure, text: str, *, x: float | None = None, y: float | None = None, log: bool = False) -> None:
    """Draw a dotted line at a value of one axis with its name at the line's end; ``log`` says the axis is one.

    plotly takes the place of a shape in units of the axis, but that of a text on a log axis as its logarithm.
    """
    line = {"color": FAINT, "dash": "dot", "width": 1}
    text_style = {"text": text, "showarrow": False, "font": {"size": 10, "color": FAINT}}
    if x is not None:
        made.add_vline(x=x, line=line)
        at = math.log10(x) if log else x
        made.add_annotation(x=at, y=1, yref="paper", xanchor="left", yanchor="top", xshift=3, **text_style)
    if y is not None:
        made.add_hline(y=y, line=line)
        at = math.log10(y) if log else y
        made.add_annotation(x=1, xref="paper", y=at, xanchor="right", yanchor="bottom", **text_style)


def say_empty(made: go.Figure, text: str = NOTHING) -> go.Figure:
    """Write into an empty figure why it is empty, so that an empty chart is never mistaken for a broken one."""
    note(made, text)
    made.update_xaxes(showticklabels=False, showgrid=False)
    made.update_yaxes(showticklabels=False, showgrid=False)
    return made


def or_said(made: go.Figure, values: pl.Series) -> go.Figure:
    """Return a figure, with a sentence in its middle where it has no row to draw, or no value that is known."""
    if values.is_empty():
        return say_empty(made)
    return made if values.drop_nulls().len() else say_empty(made, NOTHING_KNOWN)


def note(made: go.Figure, text: str) -> None:
    """Write a sentence into the middle of a figure."""
    made.add_annotation(
        text=text, xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False, font={"size": 15, "color": FAINT}
    )


def _dress(made: go.Figure, *, title: str, source: str, height: int) -> None:
    made.update_layout(template=template(), title_text=title, height=height)
    made.add_annotation(
        name="source",
        text=f"Source: {source}",
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xanchor="left",
        yanchor="bottom",
        yshift=-BOTTOM_PX + 6,
        showarrow=False,
        font={"size": 10, "color": FAINT},
    )


@cache
def template() -> Any:
    """Return the plotly template of the house; made once, never registered globally."""
    from plotly import graph_objects as go

    axis = {
        "gridcolor": RULE,
        "linecolor": "#9AA0A6",
        "showline": True,
        "ticks": "outside",
        "tickcolor": "#9AA0A6",
        "title": {"standoff": 10, "font": {"size": 12}},
        "zeroline": False,
        "automargin": True,
    }
    layout = {
        "font": {"family": FONT, "size": 12, "color": INK},
        "title": {"font": {"size": 16}, "x": 0.0, "xref": "paper", "xanchor": "left", "y": 0.97, "yanchor": "top"},
        "colorway": list(PALETTE),
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "separators": ".,",
        "hovermode": "x unified",
        "margin": {"l": 70, "r": 24, "t": TOP_PX, "b": BOTTOM_PX},
        "legend": {
            "orientation": "h",
            "x": 0.0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "xaxis": axis,
        "yaxis": axis | {"tickformat": ",", "rangemode": "tozero"},
        "bargap": 0.25,
    }
    return go.layout.Template(layout=layout)
