"""Turn an engine's record into the frames that are handed on: windows, pools, latency histogram, scaling events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.results import SoFar
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.fluid.recording import list_bins
from workbench.simulation.latency import BIN_EDGES_S
from workbench.simulation.loads import Span
from workbench.simulation.setup import Pool
from workbench.tables import E2E_HISTOGRAM, SCALING, SIM_POOLS, SIM_WINDOWS, TTFT_HISTOGRAM
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]


def _starts(span: Span, length_s: float, count: int) -> pl.Series:
    first = np.datetime64(span.start, "us")
    return pl.Series("window_start", first + np.arange(count) * np.timedelta64(round(length_s * 1e6), "us"))


def _keys(starts: pl.Series, axes: dict[str, Sequence[str]]) -> pl.DataFrame:
    """Return the cross product of window starts and key columns in the order of the arrays."""
    columns = [starts, *(pl.Series(name, list(values), dtype=pl.String) for name, values in axes.items())]
    places = np.indices([column.len() for column in columns], dtype=np.uint32).reshape(len(columns), -1)
    return pl.DataFrame([column.gather(pl.Series(place)) for column, place in zip(columns, places, strict=True)])


def _series_axes(fleet: Fleet) -> dict[str, Sequence[str]]:
    return {
        "region": [region.key for region in fleet.regions],
        "model": [model.key for model in fleet.models],
        "tier": [tier.key for tier in fleet.tiers],
    }


def windows_frame(rec: state.Record, fleet: Fleet, span: Span, *, is_measured: bool = False) -> pl.DataFrame:
    """Return ``SIM_WINDOWS``: one row per output window, origin, model and tier.

    Percentiles are null where nothing arrived, where the tier is deferrable, and, unless they are measured request by
    request, where a twentieth or more of the arrivals went to a saturated pool, for which the formula is not made.
    """
    frame = _keys(_starts(span, span.window_s, span.windows), _series_axes(fleet))
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
        "itl_mean_s": ratio(flat[:, state.ITL_SUM], counted),
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
    return SIM_POOLS.conform(_beside(_pool_keys(pools, span), columns))


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


def _pool_keys(pools: Sequence[Pool], span: Span) -> pl.DataFrame:
    """Return window start and pool in the order of the arrays."""
    starts = _starts(span, span.window_s, span.windows)
    window, place = np.indices((span.windows, len(pools))).reshape(2, -1)
    names = {
        "region": [pool.region for pool in pools],
        "model": [pool.model for pool in pools],
        "gpu": [pool.gpu for pool in pools],
        "silo": [r.SILOS[pool.silo] for pool in pools],
    }
    return pl.DataFrame([starts.gather(window), *(pl.Series(name, keys).gather(place) for name, keys in names.items())])


def ttft_frame(rec: state.Record, fleet: Fleet, span: Span) -> pl.DataFrame:
    """Return ``TTFT_HISTOGRAM``: interactive arrivals counted by hour, origin, model, tier and latency bin."""
    keys = _keys(_starts(span, SECONDS_PER_HOUR, span.hours), _series_axes(fleet))
    first, last = rec.bins_used if rec.bins_used[0] <= rec.bins_used[1] else (0, rec.hour_bins.shape[1] - 1)
    count = np.count_nonzero(rec.hour_bins[:, first : last + 1])
    cells, bins, requests = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64), np.empty(count)
    list_bins(rec.hour_bins, int(first), int(last), cells, bins, requests)
    return TTFT_HISTOGRAM.conform(
        _beside(
            keys[pl.Series(cells)],
            {"ttft_low_s": BIN_EDGES_S[bins], "ttft_high_s": BIN_EDGES_S[bins + 1], "requests": requests},
        )
    )


def e2e_frame(whole_bins: NDArray[np.int32], fleet: Fleet, span: Span) -> pl.DataFrame:
    """Return ``E2E_HISTOGRAM`` of arrivals counted by hour, origin, model, tier and latency bin."""
    keys = _keys(_starts(span, SECONDS_PER_HOUR, span.hours), _series_axes(fleet))
    used = whole_bins.reshape(-1, whole_bins.shape[-1])
    cell, place = np.nonzero(used)
    return E2E_HISTOGRAM.conform(
        keys.select(pl.all().gather(cell)).with_columns(
            e2e_low_s=pl.Series(BIN_EDGES_S[place]),
            e2e_high_s=pl.Series(BIN_EDGES_S[place + 1]),
            requests=pl.Series(used[cell, place]),
        )
    )


def scaling_frame(rec: state.Record, pools: Sequence[Pool], span: Span) -> pl.DataFrame:
    """Return ``SCALING``: replicas started, refused or taken out, by window, pool and kind; only what happened."""
    events = rec.events.reshape(-1)
    happened = np.flatnonzero(events > 0)
    place, kind = np.divmod(happened, len(r.KINDS))
    return SCALING.conform(
        _pool_keys(pools, span)
        .select(pl.all().gather(place))
        .with_columns(kind=pl.Series(r.KINDS).gather(kind), replicas=pl.Series(events[happened]))
    )
