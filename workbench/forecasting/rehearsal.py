"""One series forecast by one method: fit, rehearse the days gone by, weigh the experts, set quantiles around them.

A fit reads history up to the last midnight and holds for the day, as do the rehearsals of the days before; only today's
hours are rehearsed anew at each origin. A :class:`Memory` keeps both, by series and day, so that hourly origins of a
week share their fits; a forecast is the same to the last bit with and without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.forecasting import calendars, calibration, ensemble, priors, swings, tracking
from workbench.forecasting.correction import lead_hours
from workbench.forecasting.fits import Event, Expert, Fit
from workbench.forecasting.history import Indices, Series, Values, offset_of
from workbench.forecasting.leads import Grid, grid_of
from workbench.units import SECONDS_PER_HOUR

REHEARSED_DAYS = 14
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rehearsed:
    """Past forecasts: ``points`` by expert, origin and rehearsed lead, ``combined`` by origin and lead."""

    origins: Indices
    points: Values
    combined: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class Day:
    """What holds for a day: the fits of its midnight, the rehearsals of the days before, and the moves of levels."""

    fits: tuple[Fit, ...]
    past: Rehearsed
    moves: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """Days already fitted, by series, window, midnight, hour phase and method; each key is written once."""

    days: dict[tuple[object, ...], Day] = field(default_factory=dict)


def forecast(
    series: Series,
    experts: Sequence[Expert],
    *,
    windows: int,
    quantiles: Sequence[float],
    seed: int,
    least_days: float = 0.0,
    events: Sequence[Event] = (),
    memory: Memory | None = None,
    name: str = "",
) -> Values:
    """Return windows x quantiles (ascending) of rates per second, from the end of the series on.

    Rehearsals begin where ``least_days`` of history, at most one, stood before them. With a ``memory``, experts and
    events must be the same wherever ``name`` is.
    """
    grid = grid_of(series.window_s)
    phase = (series.rates.size - series.cut) % series.windows_per_hour
    key = (name, *series.key, series.window_s, series.cut, phase)
    days = memory.days if memory is not None else {}
    if key not in days:
        days[key] = day_of(series, experts, grid=grid, seed=seed, least_days=least_days, events=events)
    day = days[key]
    today = _hours(series, series.cut, series.rates.size)
    now = np.array([series.rates.size])
    known = _grown(series, day.past, day.fits, today, experts, grid)
    leads = np.arange(windows)
    ahead = np.stack([fit.ahead(series.rates, origins=now, leads=leads) for fit in day.fits])
    hours = lead_hours(leads, window_s=series.window_s)
    centre = _combined(series, ahead, now, known, experts, grid, hours)[0]
    offset = _offset(series)
    errors = _errors(series, known, grid)
    lately = swings.swings_of(errors, grid=grid)
    evened = swings.evened(errors, lately, grid=grid)
    return calibration.spread(
        centre,
        lead_hours=hours,
        quantiles=quantiles,
        errors=evened,
        ages_hours=np.asarray((series.rates.size - known.origins) * series.window_s / SECONDS_PER_HOUR),
        grid=grid,
        offset=offset,
        moves=tracking.moves_of(evened, grid=grid, before=day.moves)[-1],
        swings=lately[-1],
        unseen=_unseen(series, now[0] + leads),
    )


def day_of(
    series: Series,
    experts: Sequence[Expert],
    *,
    grid: Grid,
    seed: int,
    least_days: float,
    events: Sequence[Event],
) -> Day:
    """Fit every expert to the history up to midnight and rehearse the days before it."""
    whole = series.until(max(series.cut, min(1, series.rates.size)))
    fits = tuple(expert.fit(whole, events=events, seed=seed) for expert in experts)
    day = series.windows_per_day
    first = series.windows_per_hour if least_days == 0.0 else day
    past = Rehearsed(
        origins=NOTHING,
        points=np.empty((len(experts), 0, grid.leads.size)),
        combined=np.empty((0, grid.leads.size)),
    )
    for start in range(series.cut - REHEARSED_DAYS * day, series.cut, day):
        origins = _hours(series, start, start + day)
        origins = origins[origins >= first]
        if origins.size:
            then = series.until(max(start, min(first, series.cut)))
            old = [
                expert.past_fit(then, events=events, seed=seed) if expert.past_fit else fit
                for expert, fit in zip(experts, fits, strict=True)
            ]
            past = _grown(series, past, old, origins, experts, grid)
    errors = _errors(series, past, grid)
    evened = swings.evened(errors, swings.swings_of(errors, grid=grid), grid=grid)
    return Day(fits=fits, past=past, moves=tracking.moves_of(evened, grid=grid))


def _hours(series: Series, start: int, end: int) -> Indices:
    """Return the origins from ``start`` to before ``end`` that lie whole hours before the end of the series."""
    step = series.windows_per_hour
    return np.arange(start + (series.rates.size - start) % step, end, step, dtype=np.int64)


def _grown(
    series: Series, past: Rehearsed, fits: Sequence[Fit], origins: Indices, experts: Sequence[Expert], grid: Grid
) -> Rehearsed:
    """Add forecasts at later origins, combined with the weights that the earlier ones gave them."""
    if not origins.size:
        return past
    made = np.stack([fit.ahead(series.rates, origins=origins, leads=grid.leads) for fit in fits])
    both = Rehearsed(
        origins=np.concatenate([past.origins, origins]),
        points=np.concatenate([past.points, made], axis=1),
        combined=past.combined,
    )
    hours = lead_hours(grid.leads, window_s=grid.window_s)
    combined = _combined(series, made, origins, both, experts, grid, hours)
    return Rehearsed(origins=both.origins, points=both.points, combined=np.concatenate([past.combined, combined]))


def _combined(
    series: Series,
    points: Values,
    now: Indices,
    known: Rehearsed,
    experts: Sequence[Expert],
    grid: Grid,
    hours: Values,
) -> Values:
    if len(experts) == 1:
        return np.asarray(points[0])
    realised = _realised(series.rates, known.origins, grid)
    prior = np.array([expert.prior_losses for expert in experts])[:, grid.places]
    levels = ensemble.levels_of(series.rates, origins=known.origins, per_day=series.windows_per_day)
    weights = ensemble.weights_at(
        now,
        origins=known.origins,
        losses=ensemble.losses_of(known.points, realised, grid, levels=levels),
        prior=prior,
        grid=grid,
    )
    return ensemble.weighted_median(points, grid.between(weights, hours))


def _errors(series: Series, known: Rehearsed, grid: Grid) -> Values:
    """Return the log errors of the rehearsals, NaN where not known or hours ahead on a kind of day not seen by then."""
    realised = _realised(series.rates, known.origins, grid)
    targets = known.origins[:, None] + grid.leads[None, :]
    is_far = lead_hours(grid.leads, window_s=grid.window_s) > calibration.NEAR_HOURS
    realised[calendars.unseen_from(series, known.origins, targets) & is_far] = np.nan
    errors = calibration.log_errors(known.combined, realised, offset=_offset(series))
    return errors * priors.to_middles(grid)


def _offset(series: Series) -> float:
    """Return what is added before a logarithm: that of the last midnight, so that errors of past days stay."""
    return offset_of(series.until(max(series.cut, min(1, series.rates.size))))


def _unseen(series: Series, windows: Indices) -> Values:
    """Return -1 for windows of a first weekend, 1 for those of a first weekday, else 0."""
    side = np.where(calendars.is_weekend(series.middles_s(windows)), -1.0, 1.0)
    return np.asarray(np.where(calendars.unseen_from(series, np.array([series.rates.size]), windows)[0], side, 0.0))


def _realised(rates: Values, origins: Indices, grid: Grid) -> Values:
    """Return what came at the rehearsed leads of each origin, NaN where it is a gap or still to come."""
    longer = np.concatenate([rates, np.full(1, np.nan)])
    return np.asarray(longer[np.minimum(origins[:, None] + grid.leads[None, :], rates.size)])
