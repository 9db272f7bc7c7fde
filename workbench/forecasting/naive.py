"""Forecasts without a model: the same time a day or a week ago, and the mean of the recent past, bare or corrected.

The bare ones are the yardstick that a model must beat, the fallback where the history is too short for one, and quick
enough to stand in for it. The corrected ones are the experts that an ensemble sets beside Prophet: yesterday's curve
and no curve at all, both with what the last hours say (:mod:`workbench.forecasting.correction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.forecasting.correction import Means, corrected
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Indices, Series, Values, offset_of
from workbench.units import SECONDS_PER_HOUR

SMOOTHING_S = 0.5 * SECONDS_PER_HOUR
DAMPING = 0.7
JUMP = 0.4
HELD_S = 1.5 * SECONDS_PER_HOUR


@dataclass(frozen=True, kw_only=True, eq=False)
class SeasonalNaive:
    """Repeat the last day, or the last week where two weeks stand before the origin.

    A window that was a gap one season back is looked up one season earlier, and where none is known the mean of the
    known windows stands in.
    """

    windows_per_day: int

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second."""
        day = self.windows_per_day
        made = np.empty((origins.size, leads.size))
        by_day, by_week = _filled(rates[: origins.max()], season=day), None
        for row, origin in enumerate(origins):
            season, filled = min(day, int(origin)), by_day
            if origin >= 14 * day:
                by_week = _filled(rates[: origins.max()], season=7 * day) if by_week is None else by_week
                season, filled = 7 * day, by_week
            made[row] = filled[origin - season + leads % season]
        return _or_mean(made, rates, origins)


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried:
    """Carry the mean of the last known windows forward: an hour's for ``last_value``, a day's for a moving average."""

    span: int

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second."""
        is_known = np.isfinite(rates[: origins.max()])
        before = np.concatenate([[0], np.cumsum(is_known)])[origins]
        sums = np.concatenate([[0.0], np.cumsum(rates[: origins.max()][is_known])])
        width = np.minimum(max(1, self.span), before)
        level = (sums[before] - sums[before - width]) / np.maximum(width, 1)
        return np.repeat(np.maximum(0.0, level)[:, None], leads.size, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """No curve: the last day's mean log rate, and above it what the last hours were, fading."""

    offset: float
    window_s: float

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second."""
        logs = np.log(rates[: origins.max()] + self.offset)
        centre = corrected(logs, origins=origins, leads=leads, window_s=self.window_s, settles=False)
        return np.asarray(np.maximum(0.0, np.exp(centre) - self.offset))


@dataclass(frozen=True, kw_only=True, eq=False)
class Yesterday:
    """The curve of the 24 hours before the origin, smoothed over an hour, moved by how the last hours differed.

    How the whole day differed from the one before is already in the curve; that it goes on so is a trend, and is
    damped. And where yesterday, at the hour looked at, load had already jumped the way it differs now, by more than a
    half, the rest of the jump is in the curve too and moves nothing a second time. Measured: the first day after a
    level that doubled thrice and fell back errs .08, without either .17.
    """

    offset: float
    window_s: float
    windows_per_day: int

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second; an hour unknown yesterday takes the last day's mean."""
        day = self.windows_per_day
        logs = np.log(rates[: origins.max()] + self.offset)
        means = Means.of(logs)
        times = np.arange(logs.size)
        residuals = logs - self._around(means, times - day, ends=times, half_s=SMOOTHING_S)
        residuals[:day] = np.nan
        ends = np.broadcast_to(origins[:, None], (origins.size, leads.size))
        before = origins[:, None] - day + leads[None, :] % day
        curve = self._around(means, before, ends=ends, half_s=SMOOTHING_S)
        ever = means.over(np.zeros_like(origins), origins)
        level = means.over(origins - day, origins)
        level = np.nan_to_num(np.where(np.isfinite(level), level, ever), nan=float(np.log(self.offset)))
        curve = np.where(np.isfinite(curve), curve, level[:, None])
        moved = corrected(
            residuals, origins=origins, leads=leads, window_s=self.window_s, settles=True, daily_share=DAMPING
        )
        held = np.nan_to_num(self._around(Means.of(residuals), before, ends=ends, half_s=HELD_S))
        both = np.where(np.sign(held) == np.sign(moved), np.minimum(np.abs(held), np.abs(moved)), 0.0)
        moved = moved - np.sign(moved) * np.maximum(0.0, both - JUMP)
        return np.asarray(np.maximum(0.0, np.exp(curve + moved) - self.offset))

    def _around(self, means: Means, times: Indices, *, ends: Indices, half_s: float) -> Values:
        half = round(half_s / self.window_s)
        return means.over(times - half, np.minimum(times + half + 1, ends))


def seasonal_naive(series: Series, *, events: Sequence[Event], seed: int) -> SeasonalNaive:
    """Return the forecaster that repeats the last day or week."""
    return SeasonalNaive(windows_per_day=series.windows_per_day)


def last_value(series: Series, *, events: Sequence[Event], seed: int) -> Carried:
    """Return the forecaster that carries the mean of the last hour of known windows forward."""
    return Carried(span=round(SECONDS_PER_HOUR / series.window_s))


def moving_average(series: Series, *, events: Sequence[Event], seed: int) -> Carried:
    """Return the forecaster that carries the mean of the last day of known windows forward."""
    return Carried(span=series.windows_per_day)


def level(series: Series, *, events: Sequence[Event], seed: int) -> Level:
    """Return the forecaster without a curve."""
    return Level(offset=offset_of(series), window_s=series.window_s)


def yesterday(series: Series, *, events: Sequence[Event], seed: int) -> Yesterday:
    """Return the forecaster by yesterday's curve."""
    return Yesterday(offset=offset_of(series), window_s=series.window_s, windows_per_day=series.windows_per_day)


def _filled(rates: Values, *, season: int) -> Values:
    filled = rates.copy()
    for start in range(season, filled.size, season):
        block = filled[start : start + season]
        gaps = np.isnan(block)
        block[gaps] = filled[start - season : start - season + block.size][gaps]
    return filled


def _or_mean(made: Values, rates: Values, origins: Indices) -> Values:
    ever = np.nan_to_num(Means.of(rates[: origins.max()]).over(np.zeros_like(origins), origins))
    return np.asarray(np.where(np.isfinite(made), made, ever[:, None]))
