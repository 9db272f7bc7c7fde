"""Charts of the load: how much arrives when, in which shape, where from, in which tier, and how regularly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from workbench.charts import theme
from workbench.charts.thinning import thinned
from workbench.tables import window_s_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Rate -> the column of DEMAND it is made of, and what its axis says.
RATES: Mapping[str, tuple[str, str]] = {
    "rps": ("requests", "requests per second"),
    "input_tps": ("input_tokens", "input tokens per second"),
    "output_tps": ("output_tokens", "output tokens per second"),
}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
PROFILE_COLUMNS = ("day_type", "weekday", "hour", "rps_mean", "relative_to_mean_ratio")
SCORE_COLUMNS = ("periodicity_fraction", "autocorrelation_24h", "hours")
NARROW = 4.0
RELATIVE = "request rate relative to the mean of all hours"


def rates_over_time(
    demand: pl.DataFrame,
    *,
    source: str,
    by: str = "model",
    measure: str = "rps",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw the rate of a DEMAND over time, one line per model, region or tier.

    ``measure`` is rps, input_tps or output_tps. A window in which one of a group's series is unknown is a gap, and a
    series of which the measure is never known is left out. A long line is thinned to what a screen
    can show (:mod:`workbench.charts.thinning`).
    """
    column, axis = RATES[measure]
    window_s = window_s_of(demand)
    rate = pl.when(pl.col(column).is_null().any()).then(None).otherwise(pl.col(column).sum() / window_s)
    told = demand.filter(pl.col(column).is_not_null().any().over("region", "model", "tier"))
    sums = told.group_by("window_start", by).agg(rate.alias("rate")).sort(by, "window_start")
    fig = theme.figure(title=title or f"{axis.capitalize()} by {by}", source=source, x=theme.TIME_AXIS, y=axis)
    shades = theme.colours(sums.get_column(by))
    for (key,), part in sums.group_by(by, maintain_order=True):
        line = thinned(part, y="rate")
        fig.add_scatter(
            x=line.get_column("window_start").to_list(),
            y=line.get_column("rate").to_list(),
            name=theme.label(str(key), labels),
            mode="lines",
            line={"color": shades[str(key)], "width": 1.4},
        )
    return theme.or_said(fig, sums.get_column("rate"))


def diurnal(
    profile: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.diurnal_profile``: the day's shape of each group, weekdays solid and weekends dashed."""
    fig = theme.figure(title=title or "The shape of a day", source=source, x="hour of the day (UTC)", y=RELATIVE)
    for name, colour, part in _groups(profile, labels):
        for (day_type,), known in part.sort("day_type").group_by("day_type", maintain_order=True):
            half = _every(range(24), "hour").join(known.cast({"hour": pl.Int64}), on="hour", how="left").sort("hour")
            fig.add_scatter(
                x=half.get_column("hour").to_list(),
                y=half.get_column("relative_to_mean_ratio").to_list(),
                name=f"{name}, {day_type}" if name else str(day_type),
                mode="lines",
                line={"color": colour, "width": 2, "dash": "dash" if day_type == "weekend" else "solid"},
            )
    fig.update_xaxes(dtick=3, range=[-0.3, 23.3])
    return theme.or_said(fig, profile.get_column("relative_to_mean_ratio"))


def weekly(
    profile: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.weekly_profile``: the week's shape of each group, hour by hour from Monday on."""
    fig = theme.figure(title=title or "The shape of a week", source=source, x="day of the week (UTC)", y=RELATIVE)
    for name, colour, part in _groups(profile, labels):
        known = part.with_columns(at=(pl.col("weekday").cast(pl.Int64) - 1) * 24 + pl.col("hour"))
        hours = _every(range(7 * 24), "at").join(known, on="at", how="left").sort("at")
        fig.add_scatter(
            x=hours.get_column("at").to_list(),
            y=hours.get_column("relative_to_mean_ratio").to_list(),
            name=name or "all",
            mode="lines",
            line={"color": colour, "width": 1.6},
        )
    fig.update_xaxes(tickvals=[day * 24 + 12 for day in range(7)], ticktext=list(DAYS), range=[0, 168])
    return theme.or_said(fig, profile.get_column("relative_to_mean_ratio"))


def split_bars(
    split: pl.DataFrame,
    *,
    source: str,
    measure: str = "requests",
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw ``features.regional_split`` or ``tier_split`` as bars of 100 %, one bar per group.

    ``measure`` is requests, input_tokens or output_tokens.
    """
    *by, of = [name for name in split.columns if not name.endswith("_fraction")]
    group = pl.concat_str([pl.col(name) for name in by], separator=", ") if by else pl.lit("all")
    named = split.with_columns(group=group)
    what = measure.replace("_", " ")
    bars = named.get_column("group").n_unique()
    fig = theme.figure(
        title=title or f"Share of {what} by {of}",
        source=source,
        x=f"share of {what}, %",
        y="",
        height=theme.TOP_PX + theme.BOTTOM_PX + 30 + 44 * bars,
    )
    for key, colour in theme.colours(split.get_column(of)).items():
        part = named.filter(pl.col(of) == key)
        shares = (part.get_column(f"{measure}_fraction") * 100).to_list()
        fig.add_bar(
            x=shares,
            y=[theme.label(str(name), labels) for name in part.get_column("group")],
            name=theme.label(key, labels),
            orientation="h",
            marker_color=colour,
            # a part too narrow for its number is told by the axis and by hovering over it
            text=["" if share is None or share < NARROW else f"{share:.0f} %" for share in shares],
            textposition="inside",
            textangle=0,
            insidetextanchor="middle",
        )
    fig.update_layout(barmode="stack", hovermode="closest")
    fig.update_xaxes(range=[0, 100], tickformat=",")
    fig.update_yaxes(autorange="reversed")
    return theme.or_said(fig, split.get_column(f"{measure}_fraction"))


def periodicity(
    scores: pl.DataFrame, *, source: str, labels: Mapping[str, str] | None = None, title: str | None = None
) -> go.Figure:
    """Draw ``features.periodicity_score``: how far each series repeats every day, 0 not at all and 1 exactly.

    One group of bars per value of all keys but the last, one bar in it per value of the last key.
    """
    *by, last = [name for name in scores.columns if name not in SCORE_COLUMNS]
    group = pl.concat_str([pl.col(name) for name in by], separator=", ") if by else pl.lit("all")
    named = scores.with_columns(group=group)
    fig = theme.figure(
        title=title or "How regular the load is from day to day",
        source=source,
        x=", ".join(by),
        y="share explained by the other days (1 = repeats)",
    )
    for key, colour in theme.colours(scores.get_column(last)).items():
        part = named.filter(pl.col(last) == key)
        fig.add_bar(
            x=[theme.label(str(name), labels) for name in part.get_column("group")],
            y=part.get_column("periodicity_fraction").to_list(),
            # a score of 0 has no bar, and one that is not known must not look like it
            text=["" if score is None else f"{score:.2f}" for score in part.get_column("periodicity_fraction")],
            textposition="outside",
            name=theme.label(key, labels),
            marker_color=colour,
        )
    fig.update_layout(barmode="group", hovermode="closest")
    fig.update_yaxes(range=[0, 1.1], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    return theme.or_said(fig, scores.get_column("periodicity_fraction"))


def _every(places: range, name: str) -> pl.DataFrame:
    """Return all places of an axis, so that an hour without a value becomes a gap and no straight line."""
    return pl.DataFrame({name: places}, schema={name: pl.Int64})


def _groups(profile: pl.DataFrame, labels: Mapping[str, str] | None) -> list[tuple[str, str, pl.DataFrame]]:
    """Return name, colour and rows of each group of a profile; one group without a name where it has no keys."""
    keys = [name for name in profile.columns if name not in PROFILE_COLUMNS]
    if not keys:
        return [("", theme.BLUE, profile)]
    parts = [
        (tuple(str(value) for value in values), part)
        for values, part in profile.sort(keys).group_by(keys, maintain_order=True)
    ]
    shades = theme.colours(" ".join(names) for names, _ in parts)
    return [(", ".join(theme.label(name, labels) for name in names), shades[" ".join(names)], p) for names, p in parts]
