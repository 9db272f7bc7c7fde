"""What may be decided for a model whose regions hold their own pools, its requests going to any of them free of charge.

Between a pool of all regions together, which no fleet has, and regions that serve their own requests alone, which no
router has to put up with, lies what a fleet can do: replicas stand in a region, and each request goes to one of them.
What follows is more than any router can do that treats the tiers that cannot wait alike, as all of ours do. (One that
sends fast requests to emptier pools than the rest does better. For one pool in each region it is bound by letting the
rest wait at will, within the span: ``tiers_apart``, far too free.) In every window the requests may be split over the
regions in any shares, known beforehand and without an error; a region's replicas keep what one pool of theirs keeps at
a constant load, deferrable work fills whichever pool it likes, and replicas start and stop with the window, in no time.
Three things of the fleet keep the bound above that of the joint pool, and nothing else is left of it:

- a pool keeps its promises by its own size, so that gathering requests in one region leaves the others' floors idle;
- a request served elsewhere is on the way at least as long as between the two nearest regions, which no promise is
  prolonged for; one served at home at least as long as in the region where that takes least;
- no region holds more replicas of a model than its stock has GPUs for, all of them this model's.

The best split of a window's load is found by :mod:`workbench.studies.splitting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.simulation import promises
from workbench.simulation.promises import Promises
from workbench.studies.bounding import by_model, by_window, ranges, refuse
from workbench.studies.pricing import Bound, lowest_at
from workbench.studies.splitting import Routed
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reach:
    """What a model's pools keep for requests of their own region, and the least part less for those of others."""

    promise: Promises
    away_fraction: Mapping[str, float]


def reach(fleet: Fleet, *, model: str) -> Reach:
    """Return what a model's pools keep at the shortest ways of the fleet: inside a region, and from one to another.

    ``away_fraction`` is by tier; 0 where the fleet has one region. Raises SimulationError as
    :func:`workbench.simulation.promises.promises` does.
    """
    ways = {(a.key, b.key): fleet.network_latency_s.get((a.key, b.key)) for a in fleet.regions for b in fleet.regions}
    near, far = (
        min((way for (a, b), way in ways.items() if way is not None and (a == b) == is_home), default=None)
        for is_home in (True, False)
    )
    home = promises.promises(fleet, model=model, network_latency_s=near or 0.0)
    if far is None or far <= (near or 0.0):
        return Reach(promise=home, away_fraction=dict.fromkeys(home.kept, 0.0))
    away = promises.promises(fleet, model=model, network_latency_s=far)
    return Reach(
        promise=home, away_fraction={tier: _least_lost(home.kept[tier], away.kept[tier]) for tier in home.kept}
    )


def fewest_gpu_hours_routed(
    demand: pl.DataFrame,
    *,
    fleet: Fleet,
    known: Mapping[str, Reach],
    tier: str,
    kept_fraction: float,
    start: datetime,
    hours: float,
    hold_s: float = 600.0,
    served_fraction: float = 1.0,
    floor_replicas: int = 0,
    tiers_apart: bool = False,
) -> Bound:
    """Return the fewest GPU-hours at which a tier keeps its promises so often, with requests free to go anywhere.

    As :func:`workbench.studies.bounding.fewest_gpu_hours`, but ``known`` holds :func:`reach` by model,
    ``floor_replicas`` of a model stand in each region, and counts are judged by the same windows of ``hold_s`` in which
    they are held. With ``tiers_apart`` all tiers but the one go wherever there is room, as deferrable work does. Raises
    StudyError likewise.
    """
    refuse(demand, hold_s=hold_s, window_s=hold_s, hours=hours, known=known)
    models = {
        model: _routed(
            rows,
            fleet=fleet,
            met=known[model],
            tier=tier,
            start=start,
            windows=round(hours * SECONDS_PER_HOUR / hold_s),
            window_s=hold_s,
            served_fraction=served_fraction,
            floor=floor_replicas,
            tiers_apart=tiers_apart,
        )
        for model, rows in by_model(demand, start, hours).items()
    }
    return lowest_at(models, tier=tier, kept_fraction=kept_fraction, hold_s=hold_s)


def _routed(
    rows: pl.DataFrame,
    *,
    fleet: Fleet,
    met: Reach,
    tier: str,
    start: datetime,
    windows: int,
    window_s: float,
    served_fraction: float,
    floor: int,
    tiers_apart: bool,
) -> Routed:
    """Lay out what may be decided for a model, by where its requests come from."""
    promise, tokens = met.promise, fleet.mixes[met.promise.model].input_tokens
    deferrable = [one.key for one in fleet.tiers if one.deferrable]
    waits = [one.key for one in fleet.tiers if one.key != tier] if tiers_apart else deferrable

    def by_origin(part: pl.DataFrame, column: str) -> Floats:
        """Return sums of a column by window and region."""
        each = [part.filter(region=region.key) for region in fleet.regions]
        place: dict[str, Any] = {"start": start, "shape": (windows, 1), "window_s": window_s}
        return np.column_stack([by_window(own, column, **place) for own in each])

    load_rps = by_origin(rows.filter(~pl.col("tier").is_in(waits)), "input_tokens") / tokens / window_s
    fewest, count = ranges(load_rps.sum(axis=1) / promise.most_rps, floor)
    has_room = fewest <= max(floor, _most_replicas(fleet, promise))
    asked = pl.when(pl.col("tier").is_in(deferrable)).then(served_fraction).otherwise(1.0) * pl.col("input_tokens")
    return Routed(
        load_rps=load_rps,
        promises=by_origin(rows.filter(pl.col("tier") == tier), "requests"),
        promise=promise,
        tier=tier,
        fewest=fewest[has_room],
        count=count[has_room],
        gpu_hours=fewest[has_room] * promise.gpus_per_replica * window_s / SECONDS_PER_HOUR,
        window_s=window_s,
        away_fraction=met.away_fraction[tier],
        filled_to=promise.loads[-1],
        waiting=float(rows.filter(pl.col("tier").is_in(waits)).select(asked.sum()).item()) / tokens,
    )


def _least_lost(home: Floats, away: Floats) -> float:
    """Return the least part of what is kept at home that is lost from afar, over all sizes and loads of pools."""
    return max(float((1.0 - away[home > 0.0] / home[home > 0.0]).min(initial=1.0)), 0.0)


def _most_replicas(fleet: Fleet, promise: Promises) -> int:
    """Return how many replicas the region with the largest stock has GPUs for."""
    return (
        max(fleet.stock_gpus.get((region.key, promise.gpu), 0) for region in fleet.regions) // promise.gpus_per_replica
    )
