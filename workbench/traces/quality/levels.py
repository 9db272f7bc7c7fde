"""A trace as levels: how much came per window and series, on a complete grid, unknown where it is not known.

Requests and series of sums are looked at with the same eyes: the windows of a series are as the source has them, those
of requests are chosen so that even years stay small. A window of requests without arrivals is a zero; a window that a
series lacks is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.tables import INSTANT
from workbench.traces.measures import MEASURES
from workbench.traces.store.quality_queries import Query

Levels = npt.NDArray[np.float64]
Key = tuple[str, ...]
Ask = Callable[[Query], pl.DataFrame]

# of requests: the first window length that keeps the grid below this many windows
WINDOWS_S = (60.0, 300.0, 600.0, 1800.0, 3600.0)
WINDOWS_AT_MOST = 60_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Load:
    """What came per window: ``frame`` holds window_start, region, model, tier and the measures (null: unknown)."""

    frame: pl.DataFrame
    window_s: float
    measure: str
    is_complete: bool

    @property
    def first(self) -> datetime:
        """The first window."""
        return _instant(self.frame.get_column("window_start").min())

    @property
    def last(self) -> datetime:
        """The last window."""
        return _instant(self.frame.get_column("window_start").max())

    @property
    def windows(self) -> int:
        """Windows between the first and the last, both counted."""
        return round((self.last - self.first).total_seconds() / self.window_s) + 1

    @property
    def days(self) -> float:
        """Length in days."""
        return self.windows * self.window_s / 86_400

    def at(self, window: int) -> datetime:
        """Return the left edge of a window."""
        return self.first + timedelta(seconds=window * self.window_s)

    def place(self, at: datetime) -> int:
        """Return the window that an instant lies in, 0 being the first."""
        return int((at - self.first).total_seconds() // self.window_s)

    def by(self, *keys: str, measure: str | None = None) -> dict[Key, Levels]:
        """Return the level of each group on the whole grid; NaN where it or a part of it is not known."""
        name = measure or self.measure
        known = pl.when(pl.col(name).is_null().any()).then(None).otherwise(pl.col(name).sum())
        sums = self.frame.group_by("window_start", *keys).agg(known.alias("level"))
        step = pl.lit(round(self.window_s * 1e6))
        place = (pl.col("window_start") - pl.lit(self.first, dtype=INSTANT)).dt.total_microseconds() // step
        sums = sums.select(*keys, place=place, level=pl.col("level").cast(pl.Float64))
        levels: dict[Key, Levels] = {}
        for key, part in sorted(sums.partition_by(*keys, as_dict=True).items()):
            dense = np.full(self.windows, 0.0 if self.is_complete else np.nan)
            dense[part.get_column("place").to_numpy()] = part.get_column("level").fill_null(np.nan).to_numpy()
            levels[tuple(map(str, key))] = dense
        return levels


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What a check may look at: the load, for requests a way to ask the store, and what was made by the workbench.

    ``shifts`` holds by how much each made region was shifted: the load and every answer are in the source's own time.
    Of a trace that was made whole (``is_made``) everything is known, so that no silence of it can be a hole.
    """

    load: Load
    ask: Ask | None = None
    shifts: Mapping[str, timedelta] = field(default_factory=dict)
    made_tiers: bool = False
    is_made: bool = False


def load_of_series(frame: pl.DataFrame, *, window_s: float) -> Load:
    """Return the load of a series (``DEMAND``), measured by what it knows best, requests first."""
    known = {name: frame.get_column(name).count() for name in MEASURES}
    best = max(MEASURES, key=lambda name: known[name])
    return Load(frame=frame, window_s=window_s, measure=best, is_complete=False)


def window_for(span_s: float) -> float:
    """Return the window length, in seconds, in which a request trace of this span is looked at."""
    return next((length for length in WINDOWS_S if span_s / length <= WINDOWS_AT_MOST), 86_400.0)


def blocks(levels: Levels, windows: int) -> Levels:
    """Average levels over blocks of so many windows; a block is unknown where none of its windows is known."""
    count = levels.size // windows
    parts = levels[: count * windows].reshape(count, windows)
    known = ~np.isnan(parts)
    sums = np.where(known, parts, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), sums / np.maximum(1, known.sum(axis=1)), np.nan)


def runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the stretches of consecutive true values as [start, end).

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value
