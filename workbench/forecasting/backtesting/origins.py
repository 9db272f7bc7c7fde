"""When a backtest forecasts from and how far: origins on one grid, each with the longest horizon it can be held to.

An origin counts for a horizon only where the demand covers the whole of it. So the figures of a horizon mix the same
leads whatever the origin, and the last day of a trace does not make long horizons look like short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import cast

import polars as pl

from workbench import tables
from workbench.errors import ForecastError, together
from workbench.units import SECONDS_PER_DAY, after, seconds_between, span_in_words

LONGEST_S = 7 * SECONDS_PER_DAY


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Origins in order of time with the same longest horizon; they are forecast ``ahead_s``, to the next at least."""

    origins: tuple[datetime, ...]
    horizon_s: float
    ahead_s: float


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where a backtest takes place: the end of what is known, the windows, and the origins by how far they reach."""

    end: datetime
    window_s: float
    horizons_s: tuple[float, ...]
    stretches: tuple[Stretch, ...]
    remarks: tuple[str, ...] = ()

    @property
    def origins(self) -> tuple[datetime, ...]:
        """All origins in order of time."""
        return tuple(origin for stretch in self.stretches for origin in stretch.origins)

    def from_instant(self, instant: datetime) -> Grid:
        """Return the grid with the origins from an instant on; it may have none."""
        kept = [(stretch, tuple(each for each in stretch.origins if each >= instant)) for stretch in self.stretches]
        stretches = tuple(replace(stretch, origins=origins) for stretch, origins in kept if origins)
        longest = max((stretch.horizon_s for stretch in stretches), default=0.0)
        return replace(self, stretches=stretches, horizons_s=tuple(h for h in self.horizons_s if h <= longest))


def grid_of(
    demand: pl.DataFrame,
    *,
    origins: Sequence[datetime] | None,
    since: datetime | None,
    until: datetime | None,
    every_s: float,
    horizons_s: Sequence[float],
    window_s: float | None,
) -> Grid:
    """Lay the origins of a backtest out over the demand.

    Without ``origins`` they stand every ``every_s`` from ``since`` (default: a week before the end of the demand, or
    half of it where it is shorter than two weeks) until before ``until`` (default: where the shortest horizon still
    fits). Raises ForecastError where none is left, they do not stand on the windows of one grid, or a horizon is no
    whole number of windows.
    """
    own_s = tables.window_s_of(demand)
    step_s = window_s or own_s
    starts = demand.get_column("window_start")
    first, end = cast(datetime, starts.min()), after(cast(datetime, starts.max()), own_s)
    _refuse(step_s, every_s=every_s, horizons_s=horizons_s)
    if origins is None:
        begin = since or _default_since(first, end, step_s)
        length_s = seconds_between(begin, min(until or end, after(end, step_s - min(horizons_s))))
        count = max(0, -int(-length_s // every_s))
        chosen = [begin + index * timedelta(seconds=every_s) for index in range(count)]
    else:
        chosen = sorted(set(origins))
    reach = {origin: _reach(seconds_between(origin, end), horizons_s) for origin in chosen}
    placed = [origin for origin in chosen if reach[origin] > 0]
    _refuse_places(placed, first=first, end=end, step_s=step_s, shortest_s=min(horizons_s))
    windows_left = seconds_between(placed[-1], end) // step_s
    apart_s = max((seconds_between(one, other) for one, other in pairwise(placed)), default=0.0)
    return Grid(
        end=after(placed[-1], windows_left * step_s),
        window_s=step_s,
        horizons_s=tuple(horizon for horizon in sorted(set(horizons_s)) if horizon <= max(reach.values())),
        stretches=tuple(
            Stretch(origins=tuple(members), horizon_s=horizon, ahead_s=max(horizon, min(apart_s, max(horizons_s))))
            for horizon, members in groupby(placed, key=lambda origin: reach[origin])
        ),
        remarks=_remarks(reach, horizons_s),
    )


def _default_since(first: datetime, end: datetime, step_s: float) -> datetime:
    held_s = min(LONGEST_S, seconds_between(first, end) / 2.0)
    windows = -int(-(seconds_between(first, end) - held_s) // step_s)
    return after(first, windows * step_s)


def _reach(left_s: float, horizons_s: Sequence[float]) -> float:
    return max((horizon for horizon in horizons_s if horizon <= left_s + 1e-6), default=0.0)


def _remarks(reach: dict[datetime, float], horizons_s: Sequence[float]) -> tuple[str, ...]:
    longest = max(reach.values())
    unreached = [span_in_words(horizon) for horizon in sorted(horizons_s) if horizon > longest]
    dropped = sum(horizon == 0 for horizon in reach.values())
    told = []
    if unreached:
        told.append(f"No origin has {' or '.join(unreached)} of demand after it: these horizons are not scored.")
    if dropped:
        told.append(f"{dropped} origins have less than the shortest horizon of demand after them and are left out.")
    return tuple(told)


def _refuse(step_s: float, *, every_s: float, horizons_s: Sequence[float]) -> None:
    wrong = []
    if not horizons_s or not all(horizon > 0 for horizon in horizons_s):
        wrong.append(f"horizons_s must be positive, got {tuple(horizons_s)}")
    elif any(abs(horizon / step_s - round(horizon / step_s)) > 1e-9 for horizon in horizons_s):
        wrong.append(f"horizons_s {tuple(horizons_s)} must be whole numbers of forecast windows of {step_s:g} s")
    if not every_s > 0:
        wrong.append(f"every_s must be positive, got {every_s}")
    if wrong:
        raise ForecastError("the backtest: " + together(wrong))


def _refuse_places(
    placed: Sequence[datetime], *, first: datetime, end: datetime, step_s: float, shortest_s: float
) -> None:
    if not placed:
        raise ForecastError(
            f"the backtest has no origin: the demand lasts from {first} to {end} and the shortest horizon is "
            f"{span_in_words(shortest_s)}; choose since, until or origins so that one fits before its end."
        )
    off = [origin for origin in placed if abs(_off_s(placed[0], origin, step_s)) > 1e-6]
    if off:
        raise ForecastError(
            f"the backtest: origin {off[0]} lies inside a forecast window of {step_s:g} s counted from {placed[0]}; "
            "place origins whole windows apart (every_s)."
        )


def _off_s(start: datetime, instant: datetime, step_s: float) -> float:
    windows = seconds_between(start, instant) / step_s
    return (windows - round(windows)) * step_s
