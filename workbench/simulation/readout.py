"""Turn an engine's record into the frames that are handed on: windows, pools, latency histogram, scaling events."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.results import SoFar
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.latency import BIN_EDGES_S
from workbench.simulation.loads import Span
from workbench.simulation.setup import Pool
from workbench.tables import E2E_HISTOGRAM, SCALING, SIM_POOLS, SIM_WINDOWS, TTFT_HISTOGRAM
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
MEMORABLE_ROWS = 1_000_000


def _keys(span: Span, length_s: float, count: int, columns: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Return the start of every window beside each row of the key columns, in the order of the arrays."""
    names = tuple((name, tuple(values)) for name, values in columns.items())
    rows = count * len(names[0][1])
    lay_out = _remembered if rows <= MEMORABLE_ROWS else _laid_out
    return lay_out(span.start, length_s, count, names)


def _laid_out(
    start: datetime, length_s: float, count: int, names: tuple[tuple[str, tuple[str, ...]], ...]
) -> pl.DataFrame:
    places = len(names[0][1])
    starts = np.datetime64(start, "us") + np.arange(count) * np.timedelta64(round(length_s * 1e6), "us")
    row = pl.Series(np.tile(np.arange(places, dtype=np.uint32), count))
    columns = [pl.Series(name, values, dtype=pl.String).gather(row) for name, values in names]
    return pl.DataFrame([pl.Series("window_start", np.repeat(starts, places)), *columns])


#: A slider moves the same load again and again, and the keys of what it shows stay the same.
_remembered = functools.lru_cache(maxsize=4)(_laid_out)


def _series_names(fleet: Fleet) -> dict[str, Sequence[str]]:
    axes = ([region.key for region in fleet.regions], [m.key for m in fleet.models], [tier.key for tier in fleet.tiers])
    return dict(zip(("region", "model", "tier"), zip(*itertools.product(*axes), strict=True), strict=True))


def _pool_names(pools: Sequence[Pool]) -> dict[str, Sequence[str]]:
    return {
        "region": [pool.region for pool in pools],
        "model": [pool.model for pool in pools],
        "gpu": [pool.gpu for pool in pools],
        "silo": [r.SILOS[pool.silo] for pool in pools],
    }


def windows_frame(rec: state.Record, fleet: Fleet, span: Span, *, is_measured: bool = False) -> pl.DataFrame:
    """Return ``SIM_WINDOWS``: one row per output window, origin, model and tier.

    Percentiles are null where nothing arrived, where the tier is deferrable, and, unless they are measured request by
    request, where a twentieth or more of the arrivals went to a saturated pool, for which the formula is not made.
    """
    frame = _keys(span, span.window_s, span.windows, _series_names(fleet))
    flat = rec.series.reshape(-1, state.SERIES_COLUMNS)
    levels = rec.percentiles.reshape(-1, 3)
    arrived = flat[:, state.ARRIVED]
    deferrable = np.tile([tier.deferrable for tier in fleet.tiers], flat.shape[0] // len(fleet.tiers))
    counted = np.where(deferrable, 0.0, arrived)
    deadlines = flat[:, state.MISSED] + flat[:, state.KEPT]
    judged = np.where(deferrable, deadlines, arrived)
    saturated = flat[:, state.BAD_SHARE] > 0.05 * np.maximum(arrived, 1e-9)

    def ratio(values: Floats, weights: Floats) -> Floats:
        return np.divide(values, weights, out=np.full_like(values, np.nan), where=weights > 0)

    is_untold = (saturated & (not is_measured)) | (counted <= 0)
    percentiles = (np.where(is_untold, np.nan, levels[:, i]) for i in range(levels.shape[1]))
    columns = {
        "arrived": arrived,
        "served": flat[:, state.SERVED],
        "backlog": flat[:, state.BACKLOG],
        "shed": flat[:, state.SHED],
        "missed_deadlines": flat[:, state.MISSED],
        "oldest_wait_s": flat[:, state.OLDEST],
        "served_elsewhere": flat[:, state.ELSEWHERE],
        "ttft_mean_s": ratio(flat[:, state.TTFT_SUM], counted),
        **dict(zip(("ttft_p50_s", "ttft_p95_s", "ttft_p99_s"), percentiles, strict=True)),
        "itl_mean_s": ratio(flat[:, state.ITL_SUM], counted if is_measured else counted - flat[:, state.SHED]),
        "slo_attainment_fraction": ratio(np.minimum(flat[:, state.KEPT], judged), judged),
        "is_saturated": saturated & (arrived > 0),
    }
    return SIM_WINDOWS.conform(_beside(frame, columns))


def _beside(keys: pl.DataFrame, columns: Mapping[str, NDArray[Any]]) -> pl.DataFrame:
    """Return the keys with columns beside them; what is not a number there is not known."""
    return keys.hstack([pl.Series(name, values, nan_to_null=True) for name, values in columns.items()])


def pools_frame(rec: state.Record, pools: Sequence[Pool], span: Span) -> pl.DataFrame:
    """Return ``SIM_POOLS``: one row per output window and pool, states as means, GPU-hours and cost as sums."""
    steps = np.full(span.windows, span.window_s / span.step_s)
    steps[-1] = span.steps - (span.windows - 1) * span.window_s / span.step_s
    hours = np.repeat(steps * span.step_s / SECONDS_PER_HOUR, len(pools))
    means = rec.pools.reshape(-1, state.POOL_COLUMNS) / np.repeat(steps, len(pools))[:, None]
    gpus = np.tile([float(pool.gpus_per_replica) for pool in pools], span.windows)
    price = np.tile([pool.usd_per_gpu_hour for pool in pools], span.windows)
    held = means[:, 0:5].sum(axis=1) * gpus * hours
    means[:, 5] /= gpus
    names = (
        "ready", "starting_reclaim", "starting_swap", "starting_remote", "draining", "lent", "running", "waiting",
        "kv_cache_used_fraction", "batch_slots_used_fraction", "work_fraction",
    )  # fmt: skip
    columns = {
        **{name: means[:, i] for i, name in enumerate(names)},
        "gpu_hours": held,
        "waste_gpu_hours": means[:, 1:4].sum(axis=1) * gpus * hours,
        "lent_gpu_hours": means[:, 5] * gpus * hours,
        "cost_usd": held * price,
    }
    return SIM_POOLS.conform(_beside(_keys(span, span.window_s, span.windows, _pool_names(pools)), columns))


def so_far(rec: state.Record, pools: Sequence[Pool], fleet: Fleet, span: Span, step: int) -> SoFar:
    """Return what a run that has come to a step has taken, and what promises of tiers that cannot wait it has kept."""
    gpus = np.array([pool.gpus_per_replica for pool in pools])
    held = rec.pools[:, :, 0:5].sum(axis=(0, 2)) @ gpus * span.step_s / SECONDS_PER_HOUR
    sums = rec.series.sum(axis=(0, 1, 2))
    kept = {
        tier.key: float(sums[k, state.KEPT] / sums[k, state.ARRIVED])
        for k, tier in enumerate(fleet.tiers)
        if not tier.deferrable and sums[k, state.ARRIVED] > 0
    }
    return SoFar(done_fraction=step / span.steps, gpu_hours=float(held), kept_fraction=kept)


def taken(rec: state.Record) -> pl.DataFrame:
    """Take what the fluid engine listed off its list: requests by cell (hour, origin, model, tier) and latency bin."""
    count, rec.listed[0] = int(rec.listed[0]), 0
    return pl.DataFrame({name: rec.filled[name][:count] for name in state.FILLED.names or ()})


def counted(bins: NDArray[np.int32]) -> pl.DataFrame:
    """Return likewise what the replay counted: hours, origins, models, tiers, bins."""
    cells = bins.reshape(-1, bins.shape[-1])
    cell, place = np.nonzero(cells)
    return pl.DataFrame(
        {"requests": cells[cell, place], "cell": cell.astype(np.uint32), "bin": place.astype(np.uint32)}
    )


def ttft_frame(found: pl.DataFrame, fleet: Fleet, span: Span) -> pl.DataFrame:
    """Return ``TTFT_HISTOGRAM``: interactive arrivals counted by hour, origin, model, tier and latency bin."""
    return TTFT_HISTOGRAM.conform(_histogram("ttft", found, fleet, span))


def e2e_frame(found: pl.DataFrame, fleet: Fleet, span: Span) -> pl.DataFrame:
    """Return ``E2E_HISTOGRAM``: arrivals counted by hour, origin, model, tier and latency bin."""
    return E2E_HISTOGRAM.conform(_histogram("e2e", found, fleet, span))


def _histogram(what: str, found: pl.DataFrame, fleet: Fleet, span: Span) -> pl.DataFrame:
    keys = _keys(span, SECONDS_PER_HOUR, span.hours, _series_names(fleet))
    sides = {"low": pl.Series(BIN_EDGES_S[:-1]), "high": pl.Series(BIN_EDGES_S[1:])}
    edges = [values.gather(found["bin"]).alias(f"{what}_{side}_s") for side, values in sides.items()]
    return keys[found["cell"]].hstack([*edges, found["requests"]])


def scaling_frame(rec: state.Record, pools: Sequence[Pool], span: Span) -> pl.DataFrame:
    """Return ``SCALING``: replicas started, refused or taken out, by window, pool and kind; only what happened."""
    events = rec.events.reshape(-1)
    happened = np.flatnonzero(events > 0)
    place, kind = np.divmod(happened, len(r.KINDS))
    return SCALING.conform(
        _keys(span, span.window_s, span.windows, _pool_names(pools))[pl.Series(place)].with_columns(
            kind=pl.Series(r.KINDS).gather(kind), replicas=pl.Series(events[happened])
        )
    )
