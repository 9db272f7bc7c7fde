"""What a forecaster is given: the past as evenly spaced rates, one series per region, model, tier and measure.

The cut at ``as_of`` is made here, before anything else looks at the demand, so no method can see the future by
mistake: a window counts as past only when it has ended. A null or absent window is a gap and stays unknown (NaN); it is
never taken for zero, because an outage of the collection is not an absence of demand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench import tables
from workbench.errors import ForecastError, TableError
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, after, seconds_between

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

EPOCH = datetime(1970, 1, 1)
OFFSET_FRACTION = 0.01
LEAST_OFFSET = 1e-9
FEWEST_WINDOWS = 4  # of a series with holes alone, before its windows are called longer than the others'

SOURCES = {"rps": "requests", "input_tps": "input_tokens", "output_tps": "output_tokens"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """The past of one quantity: rates per second on windows of ``window_s`` that end at ``as_of``; NaN is a gap."""

    region: str
    model: str
    tier: str
    measure: str
    rates: Values
    as_of: datetime
    window_s: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Region, model, tier and measure."""
        return self.region, self.model, self.tier, self.measure

    @property
    def windows_per_day(self) -> int:
        """Windows in a day, 1 where a window is a day or longer."""
        return max(1, round(SECONDS_PER_DAY / self.window_s))

    @property
    def days(self) -> float:
        """Length of the history in days, gaps included."""
        return self.rates.size * self.window_s / SECONDS_PER_DAY

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Which windows are no gaps."""
        return np.isfinite(self.rates)

    @property
    def known_days(self) -> float:
        """Length of what is known of the history in days."""
        return float(np.count_nonzero(self.is_known)) / self.windows_per_day

    @property
    def has_a_shape(self) -> bool:
        """Whether what ended by the last midnight holds something to fit: known windows of different rates."""
        known = self.rates[: self.cut][self.is_known[: self.cut]]
        return bool(known.size > 1 and np.ptp(known) > 0.0)

    @property
    def windows_per_hour(self) -> int:
        """Windows in an hour, 1 where a window is an hour or longer."""
        return max(1, round(SECONDS_PER_HOUR / self.window_s))

    @property
    def cut(self) -> int:
        """Windows of the history that ended by the last midnight UTC: what a fit may read until the day is over."""
        since_midnight_s = seconds_between(EPOCH, self.as_of) % SECONDS_PER_DAY
        return max(0, self.rates.size - math.ceil(since_midnight_s / self.window_s - 1e-9))

    def until(self, count: int) -> Series:
        """Return the same series as it stood after its first ``count`` windows."""
        ended = self.as_of - (self.rates.size - count) * timedelta(seconds=self.window_s)
        return replace(self, rates=self.rates[:count], as_of=ended)

    def middles_s(self, windows: Indices) -> Values:
        """Return the middles of windows, counted from the first of the history, as seconds since 1970."""
        first_s = seconds_between(EPOCH, self.as_of) - self.rates.size * self.window_s
        return np.asarray(first_s + (windows + 0.5) * self.window_s)

    def instants(self, *, first: int, last: int) -> list[datetime]:
        """Return the left edges of windows counted from ``as_of`` (negative: the past; last excluded)."""
        step = timedelta(seconds=self.window_s)
        return [self.as_of + index * step for index in range(first, last)]


def offset_of(series: Series) -> float:
    """Return what a rate gets added before its logarithm: 1 % of the mean, so that zero is low, not endless."""
    known = series.rates[series.is_known]
    return max(OFFSET_FRACTION * float(known.mean()) if known.size else 0.0, LEAST_OFFSET)


def past(demand: pl.DataFrame, *, as_of: datetime) -> pl.DataFrame:
    """Return the demand of the windows that ended by ``as_of``, as DEMAND; nothing later is read.

    Raises ForecastError when nothing lies before ``as_of``, it cuts a window in two, or windows differ in length.
    """
    before = demand.filter(pl.col("window_start") < as_of)
    if before.is_empty():
        raise ForecastError(
            f"there is no demand before {as_of}; move as_of to after the first window of the demand{_starting(demand)}."
        )
    history = tables.DEMAND.conform(before)
    try:
        window_s = tables.window_s_of(history)
    except TableError as error:
        raise ForecastError(f"the demand before {as_of} is a single window; a forecast needs two or more.") from error
    _refuse_irregular(history, window_s=window_s)
    _refuse_mixed(history, window_s=window_s)
    off_s = seconds_between(history.get_column("window_start").min(), as_of) % window_s  # type: ignore[arg-type]
    if min(off_s, window_s - off_s) > 1e-6:
        raise ForecastError(
            f"as_of {as_of} cuts a demand window of {window_s:g} s in two; the edges around it are "
            f"{after(as_of, -off_s)} and {after(as_of, window_s - off_s)}."
        )
    return history


def _refuse_irregular(history: pl.DataFrame, *, window_s: float) -> None:
    """Raise ForecastError where windows begin off the grid that their shortest distance spans."""
    starts = history.get_column("window_start")
    off_us = (starts - starts.min()).dt.total_microseconds() % round(window_s * 1e6)
    off = starts.filter(off_us != 0)
    if off.len():
        raise ForecastError(
            f"the demand has irregular windows: they lie {window_s:g} s apart somewhere, yet {off.len():,} of "
            f"{starts.len():,} begin off that grid, first {cast(datetime, off.min())}; "
            "bin the load evenly (features.demand), gaps as nulls or absent rows."
        )


def _refuse_mixed(history: pl.DataFrame, *, window_s: float) -> None:
    """Raise ForecastError where all windows of a series lie farther apart than those of others.

    Read on the common length its sums would be rates twice as high or more, with a hole after each.
    """
    apart = pl.col("window_start").diff().min().dt.total_microseconds() / 1e6
    found = history.sort("window_start").group_by("region", "model", "tier").agg(pl.len(), apart.alias("apart_s"))
    longer = found.filter((pl.col("len") >= FEWEST_WINDOWS) & (pl.col("apart_s") > window_s)).sort(pl.all())
    if longer.height:
        region, model, tier, _, apart_s = longer.row(0)
        raise ForecastError(
            f"the demand mixes windows of unlike length: {region}, {model}, {tier} has one every {apart_s:g} s "
            f"({longer.height:,} of {found.height:,} series like it), others one every {window_s:g} s; "
            "bin the load of all series alike (features.demand), gaps as nulls or absent rows."
        )


def series_of(
    history: pl.DataFrame, *, as_of: datetime, window_s: float | None, measures: Sequence[str]
) -> list[Series]:
    """Return every series of a conformed history on windows of ``window_s`` seconds, in the order of their keys.

    A longer window than the demand's own holds the mean rate of the windows in it that are known; where fewer than half
    of them are, it is a gap. Raises ForecastError for a length that is no whole multiple of the demand's own.
    """
    own_s = tables.window_s_of(history)
    ratio = (window_s or own_s) / own_s
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise ForecastError(
            f"a forecast window of {window_s:g} s is no whole multiple of the demand's own {own_s:g} s; "
            f"ask for {own_s:g}, {2 * own_s:g}, {3 * own_s:g} ... s."
        )
    per_window = round(ratio)
    first_s = seconds_between(history.get_column("window_start").min(), as_of)  # type: ignore[arg-type]
    own_windows = round(first_s / own_s)
    kept = own_windows // per_window * per_window
    if kept == 0:
        raise ForecastError(
            f"the history of {first_s:g} s before {as_of} is shorter than one forecast window of {window_s:g} s."
        )
    made = []
    keyed = history.sort("region", "model", "tier", "window_start")
    for key, rows in keyed.group_by("region", "model", "tier", maintain_order=True):
        back_us = (pl.lit(as_of, tables.INSTANT) - pl.col("window_start")).dt.total_microseconds()
        index = kept - rows.select((back_us / round(own_s * 1e6)).round().cast(pl.Int64)).to_series().to_numpy()
        for measure in measures:
            sums = rows.get_column(SOURCES[measure]).cast(pl.Float64).fill_null(float("nan")).to_numpy()
            rates = np.full(kept, np.nan)
            rates[index[index >= 0]] = sums[index >= 0] / own_s
            region, model, tier = cast("tuple[str, str, str]", key)
            made.append(
                Series(
                    region=region,
                    model=model,
                    tier=tier,
                    measure=measure,
                    rates=_from_first_known(_merged(rates, per_window=per_window)),
                    as_of=as_of,
                    window_s=own_s * per_window,
                )
            )
    return made


def _merged(rates: Values, *, per_window: int) -> Values:
    if per_window == 1:
        return rates
    groups = rates.reshape(-1, per_window)
    known = np.isfinite(groups)
    means = np.where(known, groups, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(2 * known.sum(axis=1) >= per_window, means, np.nan)


def _from_first_known(rates: Values) -> Values:
    """Drop the gaps before a series began: a series that is a day old has a day of history, whatever stood before."""
    known = np.flatnonzero(np.isfinite(rates))
    return rates[known[0] :] if known.size else rates


def _starting(demand: pl.DataFrame) -> str:
    if demand.is_empty():
        return " (the demand is empty)"
    return f", {cast('datetime', demand.get_column('window_start').min())}"
