"""The state and the record that an engine begins with: every pool empty, the fleet's replicas ready, lent or free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.domain import Fleet
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.fluid.paces import pace_of
from workbench.simulation.latency import BINS
from workbench.simulation.loads import Span
from workbench.simulation.setup import Pool

CACHE_LINE = 64
FIRST_SCALING_S = 60.0  # the pools start empty: no signal is judged before their batches have filled


def state_of(fleet: Fleet, pools: Sequence[Pool], span: Span, *, cooldown_s: float) -> state.State:
    """Return the state at the start: empty pools, the fleet's replicas ready or lent, the rest of the stock free."""
    count, deferrable = len(pools), sum(tier.deferrable for tier in fleet.tiers)
    h, m, k = len(fleet.regions), len(fleet.models), len(fleet.tiers)
    gpus = sorted({replica.gpu for replica in fleet.replicas})
    free = np.array([[fleet.stock_gpus.get((region.key, gpu), 0) for gpu in gpus] for region in fleet.regions])
    order = [region.key for region in fleet.regions]
    for pool in pools:
        free[order.index(pool.region), gpus.index(pool.gpu)] -= (pool.ready + pool.lent) * pool.gpus_per_replica
    records, calendar = _pool_records(fleet, pools, order, gpus, cooldown_s), _calendar_of(fleet)
    ranks = _ranks_of(records)
    return state.State(
        pools=records,
        ranks=ranks,
        few=ranks[: int(count <= state.FEW)].view(state.RANK_OF_FEW),
        crews=_aligned((ranks.size, h, k), state.CREW),
        starting=np.zeros((count, 3), dtype=np.int64),
        free_gpus=free.astype(np.int64),
        ready_at=np.zeros((span.steps + 1, count, 3), dtype=calendar),
        drained_at=np.zeros((span.steps + 1, count), dtype=calendar),
        counted=np.zeros(k),
        brought=np.zeros((h, m, 1 + deferrable, 3)),
        share=np.zeros((h, m, k)),
        noted=np.full(1, -1, dtype=np.int64),
        together=np.zeros((count, h)),
        coming=np.zeros((h, m, k)),
        before=np.zeros((h, m, k)),
        arrived=np.zeros((span.steps + 1, h, m, deferrable)),
        released=np.zeros((h, m, deferrable)),
        completed=np.zeros((h, m, k)),
        touched=np.broadcast_to(np.array([BINS, -1]), (h, m, 2)).copy(),
    )


def _calendar_of(fleet: Fleet) -> type[np.uint16 | np.int32]:
    """Return the narrowest whole number that counts all replicas of a stock: calendars of steps are long.

    Unsigned, as an engine is compiled anew for the wider one, and the pools of all sizes and loads that promises are
    read off hold forty thousand.
    """
    most = max(fleet.stock_gpus.values(), default=0) // min(replica.gpus for replica in fleet.replicas)
    return np.uint16 if most <= np.iinfo(np.uint16).max else np.int32


def _groups(pools: Sequence[Pool]) -> list[int]:
    """Return for every pool the first that shares its floor: same region, model and silo, any GPU kind."""
    first: dict[tuple[str, str, int], int] = {}
    return [first.setdefault((pool.region, pool.model, pool.silo), i) for i, pool in enumerate(pools)]


def _kin(pools: Sequence[Pool]) -> list[int]:
    """Return for every pool the next one of its region and model, round and round: other silos, other GPU kinds."""
    rings: dict[tuple[str, str], list[int]] = {}
    for i, pool in enumerate(pools):
        rings.setdefault((pool.region, pool.model), []).append(i)
    following = {i: after for ring in rings.values() for i, after in zip(ring, [*ring[1:], ring[0]], strict=True)}
    return [following[i] for i in range(len(pools))]


def _pool_records(
    fleet: Fleet, pools: Sequence[Pool], regions: list[str], gpus: list[str], cooldown_s: float
) -> state.Pools:
    """Return one record per pool: where it stands, how fast a replica is, its model's length moments, its start."""
    models = [model.key for model in fleet.models]
    records = np.zeros(len(pools), dtype=state.POOL).view(np.recarray)
    rows = []
    for pool, group, kin in zip(pools, _groups(pools), _kin(pools), strict=True):
        replica, mix = fleet.replica(pool.model, pool.gpu), fleet.mixes[pool.model]
        pace = pace_of(replica, mix)
        values: dict[str, float] = {
            "region": regions.index(pool.region),
            "model": models.index(pool.model),
            "gpu": gpus.index(pool.gpu),
            "gpus": pool.gpus_per_replica,
            "ready": pool.ready,
            "lent_gpus": pool.lent * pool.gpus_per_replica,
            "base_s": replica.decode_base_s,
            "per_request_s": replica.decode_per_request_s,
            "per_token_s": replica.decode_per_token_s,
            "kv_room": replica.kv_cache_tokens,
            "batch_cap": replica.batch_cap,
            "square": mix.input_square_ratio * pace.square,
            "cube": mix.input_cube_ratio * pace.cube,
            "prompt_cross": mix.input_square_ratio * pace.cross,
            "output_square": mix.output_square_ratio,
            "cross": mix.cross_ratio,
            "dispersion": mix.dispersion,
            "silo": pool.silo,
            "group": group,
            "kin": kin,
            "last_action_s": FIRST_SCALING_S - cooldown_s,
            "prompt": mix.input_tokens,
            "output": mix.output_tokens,
        }
        rows.append(values)
    for name in rows[0]:
        records[name] = [row[name] for row in rows]
    return records


def _aligned(shape: tuple[int, ...], kind: np.dtype[np.void]) -> state.Ranks:
    """Return records of noughts that begin on a line of the cache: or every vector would lie across two of them."""
    size = math.prod(shape) * kind.itemsize
    memory = np.zeros(size + CACHE_LINE, dtype=np.uint8)
    first = -memory.ctypes.data % CACHE_LINE
    return memory[first : first + size].view(kind).reshape(shape).view(np.recarray)


def _ranks_of(records: state.Pools) -> Any:
    """Return the pools side by side with their facts; a place without a pool is one without replicas."""
    ranks: Any = _aligned((-(-records.size // state.ABREAST),), state.RANK)
    shared = ("base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap")
    moments = ("square", "cube", "prompt_cross", "output_square", "cross", "dispersion")
    for name in (*shared, *moments, "prompt", "output", "iteration_s"):
        places = np.ones(ranks.size * state.ABREAST)
        places[: records.size] = records["base_s" if name == "iteration_s" else name]
        ranks[name] = places.reshape(ranks.size, state.ABREAST)
    for name in ("slots_each", "prompt_s", "decode_over_work"):
        ranks[name] = 1.0  # where there is no pool; the others are noted
    ranks["calm_from"], ranks["calm_to"] = -np.inf, np.inf
    return ranks


def record_of(fleet: Fleet, pools: Sequence[Pool], span: Span, *, listed_hours: int = 0) -> state.Record:
    """Return the empty record of a span, with room to list the latencies of so many hours.

    Without any those of all hours are counted together.
    """
    series = (len(fleet.regions), len(fleet.models), len(fleet.tiers))
    most = listed_hours * math.prod(series) * BINS
    return state.Record(
        series=np.zeros((span.windows, *series, state.SERIES_COLUMNS)),
        pools=np.zeros((span.windows, len(pools), state.POOL_COLUMNS)),
        events=np.zeros((span.windows, len(pools), len(r.KINDS))),
        window_bins=np.zeros((*series, BINS)),
        hour_bins=np.zeros((*series, BINS)),
        hour_touched=np.tile([BINS, -1], (*series[:2], 1)),
        filled=np.empty(most, dtype=state.FILLED).view(np.recarray),
        listed=np.zeros(1, dtype=np.int64),
        so_far=np.zeros(BINS),
        percentiles=np.full((span.windows, *series, 3), np.nan),
    )
