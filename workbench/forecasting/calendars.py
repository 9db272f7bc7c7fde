"""The regressors of a daily curve: Fourier waves by kind of day, a week where there is one, and special events.

One design serves Prophet's own fit and the closed solution of the same problem, so the two can be compared number by
number. What the calendar of a series needs is read off its history:

- *an own curve for the weekend* where days differ by kind more than chance: mean WAPE over 24 hours of Azure code and
  conversation .26 -> .10, SageServe C on its Sunday .71 -> .29; without the test ServeGen, which shows no week, would
  lose .34 -> .38;
- *a weekly wave* only from three weeks on, and only where the days of the week differ by more than chance;
- *daily order 6*: 4, 8 and 10 differ by less than .005 on seven of eight series (the eighth: 8 loses .035).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.forecasting.correction import Means
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Indices, Series, Values, offset_of
from workbench.units import SECONDS_PER_DAY

DAILY_ORDER = 6
WEEKLY_ORDER = 3
EPOCH_WEEKDAY = 3
WEEKEND_DAYS = (5, 6)
WEEKEND_CONTRAST = 3.0
WEEKLY_CONTRAST = 4.0
DAYS_FOR_A_WEEK = 21


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Which regressors the curve of one series has."""

    has_weekend: bool
    has_week: bool
    events: tuple[Event, ...] = ()

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the events, each once; events of one name share one effect."""
        return tuple(sorted({event.name for event in self.events}))

    def regressors(self, instants_s: Values) -> Values:
        """Return instants x regressors, in the order in which Prophet lays them out."""
        days = waves(instants_s, period_s=SECONDS_PER_DAY, order=DAILY_ORDER)
        weekend = is_weekend(instants_s)[:, None]
        columns = [days * ~weekend, days * weekend] if self.has_weekend else [days]
        if self.has_week:
            columns.append(waves(instants_s, period_s=7 * SECONDS_PER_DAY, order=WEEKLY_ORDER))
        if self.has_weekend:
            columns.append(weekend.astype(float))
        columns += [self.during(name, instants_s)[:, None] for name in self.event_names]
        return np.hstack(columns)

    def during(self, name: str, instants_s: Values) -> Values:
        """Return 1 for instants within an event of that name, else 0."""
        inside = np.zeros(instants_s.size, dtype=bool)
        for event in self.events:
            if event.name == name:
                inside |= (instants_s >= event.start_s) & (instants_s < event.end_s)
        return inside.astype(float)


def calendar_of(series: Series, *, events: Sequence[Event]) -> Calendar:
    """Read off a history which regressors its curve needs; an event that it never saw has no effect to learn."""
    levels, weekdays = day_levels(series)
    split = has_weekend(levels, weekdays=weekdays)
    instants_s = series.middles_s(np.arange(series.rates.size))[series.is_known]
    seen = tuple(event for event in events if bool(((instants_s >= event.start_s) & (instants_s < event.end_s)).any()))
    names = {event.name for event in seen}
    return Calendar(
        has_weekend=split,
        has_week=has_week(levels, weekdays=weekdays, split=split),
        events=tuple(event for event in events if event.name in names),
    )


def unseen_from(series: Series, origins: Indices, windows: Indices) -> npt.NDArray[np.bool_]:
    """Tell which windows fall on a kind of day, weekend or not, that the fit of an origin could not know.

    A fit reads what ended by the midnight before its origin; less than half a day of the kind by then is not known: on
    the first Saturday afternoon the curve is still that of weekdays. ``windows`` is origins x windows, or one row for
    all of them.
    """
    known = np.flatnonzero(series.is_known)
    kinds = is_weekend(series.middles_s(known))
    least = series.windows_per_day // 2
    midnights = origins - (origins - series.cut) % series.windows_per_day
    weekend, working = (np.searchsorted(known[kinds == kind], midnights) < least for kind in (True, False))
    return np.where(is_weekend(series.middles_s(windows)), weekend[:, None], working[:, None]).astype(bool)


def waves(instants_s: Values, *, period_s: float, order: int) -> Values:
    """Return sine and cosine of the first harmonics of a period, side by side."""
    angles = 2 * np.pi * np.outer(instants_s / period_s, np.arange(1, order + 1))
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(instants_s.size, 2 * order)


def weekdays_of(instants_s: Values) -> npt.NDArray[np.int64]:
    """Return the day of the week of each instant, Monday 0."""
    return (np.floor(instants_s / SECONDS_PER_DAY).astype(np.int64) + EPOCH_WEEKDAY) % 7


def is_weekend(instants_s: Values) -> npt.NDArray[np.bool_]:
    """Tell which instants fall on a Saturday or Sunday."""
    return np.isin(weekdays_of(instants_s), WEEKEND_DAYS)


def hourly(series: Series, *, logs: Values) -> tuple[Values, Values]:
    """Average the log rates of each hour, gaps left out: a curve moves over hours, and a fit costs by the point.

    Returns the middles of the hours in seconds since 1970, and the means.
    """
    width = series.windows_per_hour
    edges = np.arange(logs.size % width, logs.size + 1, width)
    means = Means.of(logs).over(edges[:-1], edges[1:])
    middles_s = series.middles_s(edges[:-1]) + 0.5 * (width - 1) * series.window_s
    known = np.isfinite(means)
    return middles_s[known], means[known]


def day_levels(series: Series) -> tuple[Values, npt.NDArray[np.int64]]:
    """Return the mean log rate of each day counted back from the end, NaN where half is unknown, and its weekday."""
    day = series.windows_per_day
    edges = np.arange(series.rates.size % day, series.rates.size + 1, day)
    means = Means.of(np.log(series.rates + offset_of(series)))
    known = means.counts[edges[1:]] - means.counts[edges[:-1]]
    levels = np.where(2 * known >= day, means.over(edges[:-1], edges[1:]), np.nan)
    return levels, weekdays_of(series.middles_s(edges[:-1]) + 0.5 * SECONDS_PER_DAY)


def has_weekend(levels: Values, *, weekdays: npt.NDArray[np.int64]) -> bool:
    """Tell whether weekend days lie apart from weekdays by three times the spread of days of one kind.

    At least one whole day of each kind and three days in all are needed.
    """
    known = np.isfinite(levels)
    weekend = levels[known & np.isin(weekdays, WEEKEND_DAYS)]
    working = levels[known & ~np.isin(weekdays, WEEKEND_DAYS)]
    free = weekend.size + working.size - 2
    if not weekend.size or not working.size or free < 1:
        return False
    spread = np.sqrt((weekend.var() * weekend.size + working.var() * working.size) / free)
    return bool(abs(weekend.mean() - working.mean()) >= WEEKEND_CONTRAST * spread)


def has_week(levels: Values, *, weekdays: npt.NDArray[np.int64], split: bool) -> bool:
    """Tell whether, from three weeks on, days of the week differ by four times what chance would give (an F ratio).

    Where the weekend has its own curve the two kinds of day are first brought to one level.
    """
    known = np.isfinite(levels)
    if np.count_nonzero(known) < DAYS_FOR_A_WEEK:
        return False
    left, days = levels[known].copy(), weekdays[known]
    kinds = np.isin(days, WEEKEND_DAYS) if split else np.zeros(days.size, dtype=bool)
    for kind in np.unique(kinds):
        left[kinds == kind] -= left[kinds == kind].mean()
    groups = [left[days == day] for day in np.unique(days)]
    between = sum(group.size * group.mean() ** 2 for group in groups) / max(1, len(groups) - 1 - int(split))
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / max(1, left.size - len(groups))
    return bool(between > WEEKLY_CONTRAST * within and between > 0)
