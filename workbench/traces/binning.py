"""Arrivals of a request trace counted in bins of several lengths at once, a few hours at a time.

Databases count by hashing, which takes seconds for every scale of ten million arrivals. Here each arrival becomes the
number of its bin, a stretch of about a million of them is sorted, and every longer bin is added up from a shorter one.
Only numbers of bins leave the store, and never more than a stretch of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import TraceError
from workbench.traces.store import Reading, load_queries

Counts = npt.NDArray[np.int64]
Number = TypeVar("Number", npt.NDArray[np.int64], npt.NDArray[np.float64])

STRETCH_ROWS = 1_000_000
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """The bins of one length that hold arrivals: ``group``, ``place`` counted from the origin, and how many, ``n``."""

    group: Counts
    place: Counts
    n: Counts


def groups_of(store: Reading, trace: str, by: Sequence[str]) -> pl.DataFrame:
    """Return the values of ``by`` in order; the number of a row is the ``group`` of :func:`binned`."""
    return store.series(trace).select(by).unique().sort(by)


def binned(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str],
    scales_us: Sequence[int],
    origin_us: int,
    since: datetime,
    until: datetime,
) -> Iterator[Mapping[int, Bins]]:
    """Yield the bins of each scale for stretches of whole hours after ``origin_us``, which cover [since, until).

    A bin lies in one stretch. Raises TraceError where a scale does not divide an hour, or the shortest not the others.
    """
    scales = sorted(set(scales_us))
    if scales[0] < 1 or any(load_queries.HOUR_US % scale or scale % scales[0] for scale in scales):
        said = ", ".join(f"{scale / 1e6:g}" for scale in scales_us)
        raise TraceError(f"bins must divide an hour, and the shortest all the others, got {said} s.")
    hours = (_us(until) - origin_us) // load_queries.HOUR_US + 1
    step = max(1, hours * STRETCH_ROWS // max(store.describe(trace).rows, 1))
    size = step * load_queries.HOUR_US // scales[0]
    for hour in range(0, hours, step):
        first_us = origin_us + hour * load_queries.HOUR_US
        low = max(since, _instant(first_us))
        high = min(until, _instant(first_us + step * load_queries.HOUR_US))
        places = {"origin_us": first_us, "bin_us": scales[0], "bins": size, "since": low, "until": high}
        cells = np.sort(store.look(trace, load_queries.cells(by), places).get_column("cell").to_numpy())
        if cells.size:
            counted = counts_of(cells, np.ones_like(cells), [scale // scales[0] for scale in scales])
            yield {
                scale: Bins(
                    group=cell // (size * scales[0] // scale),
                    place=cell % (size * scales[0] // scale) + hour * load_queries.HOUR_US // scale,
                    n=n,
                )
                for scale, (cell, n) in zip(scales, counted, strict=True)
            }


def counts_of(cells: Counts, n: Number, ratios: Sequence[int]) -> list[tuple[Counts, Number]]:
    """Add up ``n`` over cells, which are in order and may repeat, and over cells of so many cells each.

    >>> [(cell.tolist(), n.tolist()) for cell, n in counts_of(np.array([0, 0, 3, 9]), np.array([1, 1, 1, 5]), [1, 4])]
    [([0, 3, 9], [2, 1, 5]), ([0, 2], [3, 5])]
    """
    found: dict[int, tuple[Counts, Number]] = {}
    for ratio in sorted(set(ratios)):
        base = max((shorter for shorter in found if ratio % shorter == 0), default=0)
        cell, count = found[base] if base else (cells, n)
        longer = cell // (ratio // (base or 1))
        starts = np.flatnonzero(np.diff(longer, prepend=-1))
        found[ratio] = longer[starts], np.add.reduceat(count, starts)
    return [found[ratio] for ratio in ratios]


def _us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _instant(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)
