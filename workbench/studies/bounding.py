"""The GPU-hours below which nobody keeps as many promises: what knowing every window beforehand would take.

Whether a strategy can save a quarter of the GPU-hours depends on how near to the least the one that it is compared with
already is. The least is that of a planner who knows the demand of every window, starts and stops replicas in no time,
and pools a model's regions; its pools keep their promises as the fluid engine's do at a constant load
(:mod:`workbench.simulation.promises`). Nobody plans so well, so what lies below the bound is forbidden, and what lies
above it is still to be shown. Where starts are asked for, they stand for a time without serving and waste no more than
is allowed; a pool without that changes as often as it likes.

It is found by prices (Lagrange): with a price on each promise kept and on each deferrable request served, every hour
and model is decided alone, and the cost less what promises and work bring, plus what is asked for at those prices, is a
lower bound whatever the prices are (weak duality). The best prices are searched for. Counts of replicas, and how full
deferrable work makes them, are tried in ranges: each costs what its least takes and brings what its most would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance, tables
from workbench.domain import Fleet
from workbench.errors import StudyError
from workbench.simulation.promises import Promises
from workbench.studies.pricing import Bound, Decision, lowest_at
from workbench.units import SECONDS_PER_HOUR, after

Floats = NDArray[np.float64]
FILLS = 17  # levels to which deferrable work may fill a pool
COUNTS = 160  # of replicas that are tried for a model


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What may be decided for a model whose replicas stand in one pool: ``gpu_hours`` [n] of a block, and the gain.

    Replicas are tried in ranges from ``fewest`` [n] to ``count`` [n]. ``kept`` [block, n, window, fill] promises,
    ``served`` the same of deferrable requests; ``promised`` and ``waiting`` are those of the whole span. A replica
    more than in the block before takes ``start_gpu_hours``; nothing, and blocks are decided alone.
    """

    gpu_hours: Floats
    fewest: Floats
    count: Floats
    kept: Floats
    served: Floats
    promised: float
    waiting: float
    start_gpu_hours: float = 0.0

    @property
    def dearest(self) -> float:
        """Return a price of a deferrable request at which it is worth replicas."""
        return float(self.gpu_hours[-1]) / max(float(self.served.max()), 1e-9)

    def most_kept(self) -> float:
        """Return the most promises that can be kept."""
        return float(self.kept.max(axis=(1, 3)).sum())

    def decide(self, per_promise: float, per_request: float, per_wasted: float) -> Decision:
        """Return what is decided at such prices, the last one per GPU-hour of starting."""
        worth = per_promise * self.kept + per_request * self.served
        fill = worth.argmax(axis=3)[..., None]
        kept, served, best = (
            np.take_along_axis(each, fill, axis=3).sum(axis=(2, 3)) for each in (self.kept, self.served, worth)
        )
        left = self.gpu_hours[None, :] - best
        each_start = self.start_gpu_hours * (1.0 + per_wasted)
        chosen = left.argmin(axis=1) if each_start == 0.0 else self._paced(left, each_start)
        block = np.arange(chosen.size)
        started = np.maximum(self.fewest[chosen[1:]] - self.count[chosen[:-1]], 0.0).sum()
        return Decision(
            left=float(left[block, chosen].sum() + each_start * started),
            kept=float(kept[block, chosen].sum()),
            served=float(served[block, chosen].sum()),
            wasted_gpu_hours=float(self.start_gpu_hours * started),
        )

    def _paced(self, left: Floats, each_start: float) -> NDArray[np.int64]:
        """Return the counts that take least, a start paid; what stands before the first block is free to choose.

        From a count that is no smaller none starts, from a smaller one what lies between: two running minima.
        """
        until = [left[0]]
        for row in left[1:]:
            kept_on = np.minimum.accumulate(until[-1][::-1])[::-1]
            grown = np.minimum.accumulate(until[-1] - each_start * self.count)
            grown = np.append(math.inf, grown[:-1]) + each_start * self.fewest
            until.append(row + np.minimum(kept_on, grown))
        chosen = np.zeros(len(until), np.int64)
        chosen[-1] = until[-1].argmin()
        for block in range(len(until) - 1, 0, -1):
            starts = np.maximum(self.fewest[chosen[block]] - self.count, 0.0)
            chosen[block - 1] = (until[block - 1] + each_start * starts).argmin()
        return chosen


def fewest_gpu_hours(
    demand: pl.DataFrame,
    *,
    fleet: Fleet,
    known: Mapping[str, Promises],
    tier: str,
    kept_fraction: float,
    start: datetime,
    hours: float,
    hold_s: float = SECONDS_PER_HOUR,
    window_s: float = 600.0,
    served_fraction: float = 1.0,
    fill_signal_fraction: float = 1.0,
    floor_replicas: int = 0,
    starting_s: float = 0.0,
    most_wasted_gpu_hours: float = math.inf,
) -> Bound:
    """Return the fewest GPU-hours at which a tier keeps ``kept_fraction`` of its promises over the span.

    ``demand`` as DEMAND; its windows are joined to ``window_s``, by which a replica count is judged, and each count is
    held for ``hold_s``. ``known`` holds :func:`workbench.simulation.promises.promises` by model. ``served_fraction`` is
    how much of the deferrable work that comes in the span must be served in it, at any time after the start;
    ``fill_signal_fraction`` the load signal up to which pools may be filled with it: 0.60 where it is released by the
    rule of sageserve.md section 4.3, 1 where nothing limits it; ``floor_replicas`` of a model stand in all its regions
    together whatever comes. Load is input tokens. Other tiers' promises are not asked for, which can only lower the
    bound. A replica more than in the block before stands ``starting_s`` without serving, hours that count, and all of
    them no more than ``most_wasted_gpu_hours``: give the time of the fastest start. What stands before the span is free
    to choose, and what a replica that is taken out still runs is not counted.

    Raises StudyError where no number of replicas serves so well, or the spans do not divide each other, those of the
    demand included.
    """
    refuse(demand, hold_s=hold_s, window_s=window_s, hours=hours, known=known)
    models = {
        model: _choices(
            rows,
            fleet=fleet,
            promise=known[model],
            tier=tier,
            start=start,
            shape=(round(hours * 3600.0 / hold_s), round(hold_s / window_s)),
            window_s=window_s,
            served_fraction=served_fraction,
            fill_fraction=_share_at(fill_signal_fraction, fleet, known[model]),
            floor=floor_replicas,
            starting_s=starting_s,
        )
        for model, rows in by_model(demand, start, hours).items()
    }
    return lowest_at(models, tier=tier, kept_fraction=kept_fraction, hold_s=hold_s, most_wasted=most_wasted_gpu_hours)


def _share_at(signal_fraction: float, fleet: Fleet, promise: Promises) -> float:
    """Return the share of the most that a replica takes at a signal."""
    if signal_fraction == 1.0:
        return 1.0
    kind, mix = fleet.replica(promise.model, promise.gpu), fleet.mixes[promise.model]
    rps = performance.sustained(kind, mix, signal_fraction=signal_fraction).rps
    return rps / performance.max_rps(kind, mix)


def _choices(
    rows: pl.DataFrame,
    *,
    fleet: Fleet,
    promise: Promises,
    tier: str,
    start: datetime,
    shape: tuple[int, int],
    window_s: float,
    served_fraction: float,
    fill_fraction: float,
    floor: int,
    starting_s: float,
) -> Choices:
    """Lay out what may be decided for a model, its regions joined."""
    waits = [one.key for one in fleet.tiers if one.deferrable]
    tokens = fleet.mixes[promise.model].input_tokens
    urgent = rows.filter(~pl.col("tier").is_in(waits))
    load = by_window(urgent, "input_tokens", start=start, shape=shape, window_s=window_s) / tokens
    promised = by_window(rows.filter(pl.col("tier") == tier), "requests", start=start, shape=shape, window_s=window_s)
    fewest, count = ranges(load / window_s / promise.most_rps, floor)
    fills = np.linspace(0.0, min(fill_fraction, promise.loads[-1]), FILLS)
    room = count[None, :, None, None] * promise.most_rps * window_s
    came = load[:, None, :, None]
    served = np.maximum(np.append(fills[1:], fills[-1]) * room - came, 0.0)
    rps = np.maximum(fills * room, came) / window_s
    kept = promise.kept_fraction(tier, np.broadcast_to(count[None, :, None, None], rps.shape), rps)
    waiting = float(rows.filter(pl.col("tier").is_in(waits)).get_column("input_tokens").sum()) / tokens
    return Choices(
        gpu_hours=fewest * promise.gpus_per_replica * shape[1] * window_s / SECONDS_PER_HOUR,
        fewest=fewest,
        count=count,
        kept=kept * promised[:, None, :, None],
        served=served,
        promised=float(promised.sum()),
        waiting=served_fraction * waiting,
        start_gpu_hours=promise.gpus_per_replica * starting_s / SECONDS_PER_HOUR,
    )


def ranges(needed: Floats, floor: int) -> tuple[Floats, Floats]:
    """Return the ranges of replicas to try, least and most of each: the floor, then up to six times the peak.

    They hold one count each where these are not many, else some that lie near each other.
    """
    least, most = math.floor(0.5 * float(needed.min())), math.ceil(6.0 * float(needed.max())) + 2
    if most - least <= COUNTS:
        tried = np.arange(least, most + 1.0)
    else:
        tried = np.unique(np.round(np.geomspace(max(least, 1), most, COUNTS)))
    ends = np.unique(np.concatenate([[float(floor)], tried[tried > floor]]))
    return np.concatenate([[float(floor)], ends[:-1] + 1.0]), ends


def by_model(demand: pl.DataFrame, start: datetime, hours: float) -> dict[str, pl.DataFrame]:
    """Return the demand of a span by model, in the order of their names."""
    inside = (pl.col("window_start") >= start) & (pl.col("window_start") < after(start, hours * SECONDS_PER_HOUR))
    return {
        str(model): rows for (model,), rows in sorted(demand.filter(inside).partition_by("model", as_dict=True).items())
    }


def by_window(rows: pl.DataFrame, column: str, *, start: datetime, shape: tuple[int, int], window_s: float) -> Floats:
    """Return sums of a column by block and window of the span; what is not known counts for nothing."""
    place = (pl.col("window_start") - start).dt.total_microseconds() // round(window_s * 1e6)
    sums = rows.group_by(place.alias("place")).agg(pl.col(column).sum())
    found = np.zeros(shape[0] * shape[1])
    inside = sums.filter(pl.col("place").is_between(0, found.size - 1))
    found[inside.get_column("place").to_numpy()] = inside.get_column(column).to_numpy()
    return found.reshape(shape)


def refuse(demand: pl.DataFrame, *, hold_s: float, window_s: float, hours: float, known: Mapping[str, object]) -> None:
    """Refuse a bound without the promises of every model, or of spans that do not divide each other (StudyError)."""
    missing: Sequence[str] = sorted(set(demand.get_column("model").unique()) - set(known))
    if missing:
        raise StudyError(f"a bound needs the promises of every model; {', '.join(missing)} missing among {set(known)}.")
    for what, whole, part in (
        ("window_s", window_s, tables.window_s_of(demand)),
        ("hold_s", hold_s, window_s),
        ("the span", hours * SECONDS_PER_HOUR, hold_s),
    ):
        if not part > 0 or abs(whole / part - round(whole / part)) > 1e-9 or round(whole / part) < 1:
            raise StudyError(f"a bound: {what} of {whole:g} s does not hold a whole number of {part:g} s; change one.")
