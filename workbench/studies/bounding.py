"""The GPU-hours below which nobody keeps as many promises: what knowing every window beforehand would take.

Whether a strategy can save a quarter of the GPU-hours depends on how near to the least the one that it is compared with
already is. The least is that of a planner who knows the demand of every window, starts and stops replicas in no time,
and pools a model's regions; its pools keep their promises as the fluid engine's do at a constant load
(:mod:`workbench.simulation.promises`). Nobody plans so well, so what lies below the bound is forbidden, and what lies
above it is still to be shown.

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
from workbench.units import SECONDS_PER_HOUR, after

Floats = NDArray[np.float64]
FILLS = 17  # levels to which deferrable work may fill a pool
COUNTS = 160  # of replicas that are tried for a model
ROUNDS = 24  # of the search for a price
DOUBLINGS = 40


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The fewest GPU-hours at a service: ``kept_fraction`` of a tier's promises, counts held for ``hold_s``.

    ``gpu_hours_per_promise`` is what a promise more would take there.
    """

    gpu_hours: float
    kept_fraction: float
    hold_s: float
    gpu_hours_per_promise: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What may be decided for a model: ``gpu_hours`` [n] of a block by count of replicas, and what each brings.

    ``kept`` [block, n, window, fill] promises, ``served`` the same of deferrable requests; ``promised`` and ``waiting``
    are those of the whole span.
    """

    gpu_hours: Floats
    kept: Floats
    served: Floats
    promised: float
    waiting: float

    def decide(self, per_promise: float, per_request: float) -> tuple[float, float, float]:
        """Return cost less worth at such prices, and the promises and deferrable requests of what is decided."""
        worth = per_promise * self.kept + per_request * self.served
        fill = worth.argmax(axis=3)[..., None]
        kept, served, best = (
            np.take_along_axis(each, fill, axis=3).sum(axis=(2, 3)) for each in (self.kept, self.served, worth)
        )
        left = self.gpu_hours[None, :] - best
        count = left.argmin(axis=1)
        block = np.arange(count.size)
        return (
            float(left[block, count].sum()),
            float(kept[block, count].sum()),
            float(served[block, count].sum()),
        )


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
) -> Bound:
    """Return the fewest GPU-hours at which a tier keeps ``kept_fraction`` of its promises over the span.

    ``demand`` as DEMAND; its windows are joined to ``window_s``, by which a replica count is judged, and each count is
    held for ``hold_s``. ``known`` holds :func:`workbench.simulation.promises.promises` by model. ``served_fraction`` is
    how much of the deferrable work that comes in the span must be served in it, at any time after the start;
    ``fill_signal_fraction`` the load signal up to which pools may be filled with it: 0.60 where it is released by the
    rule of sageserve.md section 4.3, 1 where nothing limits it; ``floor_replicas`` of a model stand in all its regions
    together whatever comes. Load is input tokens. Other tiers' promises are not asked for, which can only lower the
    bound.

    Raises StudyError where no number of replicas serves so well, or the spans do not divide each other, those of the
    demand included.
    """
    _refuse(demand, hold_s=hold_s, window_s=window_s, hours=hours, known=known)
    span = demand.filter((pl.col("window_start") >= start) & (pl.col("window_start") < after(start, hours * 3600.0)))
    models = {
        str(model): _choices(
            rows,
            fleet=fleet,
            promise=known[str(model)],
            tier=tier,
            start=start,
            shape=(round(hours * 3600.0 / hold_s), round(hold_s / window_s)),
            window_s=window_s,
            served_fraction=served_fraction,
            fill_fraction=_share_at(fill_signal_fraction, fleet, known[str(model)]),
            floor=floor_replicas,
        )
        for (model,), rows in sorted(span.partition_by("model", as_dict=True).items())
    }
    promised = sum(one.promised for one in models.values())
    most = sum(float(one.kept.max(axis=(1, 3)).sum()) for one in models.values())
    if kept_fraction * promised > most + 1e-9:
        raise StudyError(
            f"no number of replicas keeps {kept_fraction:.2%} of the promises of {tier}: the most is "
            f"{most / max(promised, 1e-9):.2%}; ask for less."
        )
    return _best(models, promised=promised, kept_fraction=kept_fraction, hold_s=hold_s)


def _share_at(signal_fraction: float, fleet: Fleet, promise: Promises) -> float:
    """Return the share of the most that a replica takes at a signal."""
    if signal_fraction == 1.0:
        return 1.0
    kind, mix = fleet.replica(promise.model, promise.gpu), fleet.mixes[promise.model]
    rps = performance.sustained(kind, mix, signal_fraction=signal_fraction).rps
    return rps / performance.max_rps(kind, mix)


def _best(models: Mapping[str, Choices], *, promised: float, kept_fraction: float, hold_s: float) -> Bound:
    """Search for the price of a promise at which as many are kept as asked for; the best bound on the way counts."""
    low, high, best = 0.0, 1e-4, None
    for _ in range(DOUBLINGS):
        if _at_price(models, high, promised, kept_fraction)[1] >= kept_fraction * promised:
            break
        low, high = high, 2.0 * high
    for _ in range(ROUNDS):
        price = 0.5 * (low + high)
        bound, kept = _at_price(models, price, promised, kept_fraction)
        if best is None or bound > best.gpu_hours:
            best = Bound(
                gpu_hours=bound,
                kept_fraction=kept_fraction,
                hold_s=hold_s,
                gpu_hours_per_promise=price,
            )
        low, high = (price, high) if kept < kept_fraction * promised else (low, price)
    assert best is not None
    return best


def _at_price(
    models: Mapping[str, Choices], per_promise: float, promised: float, kept_fraction: float
) -> tuple[float, float]:
    """Return the bound that a price of a promise gives, and the promises kept at it."""
    bound, all_kept = per_promise * kept_fraction * promised, 0.0
    for one in models.values():
        low, high = 0.0, 4.0 * float(one.gpu_hours[-1]) / max(float(one.served.max()), 1e-9)
        best, kept = -math.inf, 0.0
        for _ in range(ROUNDS if one.waiting > 0 else 1):
            per_request = 0.5 * (low + high) if one.waiting > 0 else 0.0
            left, promises, served = one.decide(per_promise, per_request)
            if left + per_request * one.waiting > best:
                best, kept = left + per_request * one.waiting, promises
            low, high = (per_request, high) if served < one.waiting else (low, per_request)
        bound, all_kept = bound + best, all_kept + kept
    return bound, all_kept


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
) -> Choices:
    """Lay out what may be decided for a model, its regions joined."""
    waits = [one.key for one in fleet.tiers if one.deferrable]
    tokens = fleet.mixes[promise.model].input_tokens
    urgent = rows.filter(~pl.col("tier").is_in(waits))
    load = _by_window(urgent, "input_tokens", start=start, shape=shape, window_s=window_s) / tokens
    promised = _by_window(rows.filter(pl.col("tier") == tier), "requests", start=start, shape=shape, window_s=window_s)
    fewest, count = _ranges(load / window_s / promise.most_rps, floor)
    fills = np.linspace(0.0, min(fill_fraction, promise.loads[-1]), FILLS)
    room = count[None, :, None, None] * promise.most_rps * window_s
    came = load[:, None, :, None]
    served = np.maximum(np.append(fills[1:], fills[-1]) * room - came, 0.0)
    rps = np.maximum(fills * room, came) / window_s
    kept = promise.kept_fraction(tier, np.broadcast_to(count[None, :, None, None], rps.shape), rps)
    waiting = float(rows.filter(pl.col("tier").is_in(waits)).get_column("input_tokens").sum()) / tokens
    return Choices(
        gpu_hours=fewest * promise.gpus_per_replica * shape[1] * window_s / SECONDS_PER_HOUR,
        kept=kept * promised[:, None, :, None],
        served=served,
        promised=float(promised.sum()),
        waiting=served_fraction * waiting,
    )


def _ranges(needed: Floats, floor: int) -> tuple[Floats, Floats]:
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


def _by_window(rows: pl.DataFrame, column: str, *, start: datetime, shape: tuple[int, int], window_s: float) -> Floats:
    """Return sums of a column by block and window of the span; what is not known counts for nothing."""
    place = (pl.col("window_start") - start).dt.total_microseconds() // round(window_s * 1e6)
    sums = rows.group_by(place.alias("place")).agg(pl.col(column).sum())
    found = np.zeros(shape[0] * shape[1])
    inside = sums.filter(pl.col("place").is_between(0, found.size - 1))
    found[inside.get_column("place").to_numpy()] = inside.get_column(column).to_numpy()
    return found.reshape(shape)


def _refuse(
    demand: pl.DataFrame, *, hold_s: float, window_s: float, hours: float, known: Mapping[str, Promises]
) -> None:
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
