"""Turn fleet, pools and scheduling into the arrays that the replay runs on, and refuse what cannot be replayed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Replica
from workbench.errors import SimulationError
from workbench.simulation import state as fluid_state
from workbench.simulation.replay import state
from workbench.simulation.rules import NEVER
from workbench.simulation.scheduling import BALANCES, SCHEDULERS, Scheduling
from workbench.simulation.setup import Pool

Floats = NDArray[np.float64]


def order_of(scheduling: Scheduling, promise_s: Floats) -> state.Order:
    """Return how replicas order what waits, for the engine. Raises SimulationError for more tiers than it knows."""
    if promise_s.size > state.TIERS:
        raise SimulationError(f"the replay knows up to {state.TIERS} tiers, the fleet has {promise_s.size}.")
    return state.Order(
        scheduler=SCHEDULERS.index(scheduling.order),
        chunk_tokens=scheduling.chunk_tokens,
        balance=BALANCES.index(scheduling.balance),
        promise_s=np.append(promise_s, [NEVER] * (state.TIERS - promise_s.size)),
        severe_s=scheduling.severe_s,
        urgent_s=scheduling.urgent_s,
    )


def world_of(fleet: Fleet, pools: Sequence[Pool]) -> state.World:
    """Return the world before the first request: every place for a replica off, every queue empty, and no slots."""
    replicas = [fleet.replica(pool.model, pool.gpu) for pool in pools]
    places = [fleet.stock_gpus[pool.region, pool.gpu] // pool.gpus_per_replica for pool in pools]
    speeds = np.zeros(len(pools), state.SPEED).view(np.recarray)
    speeds.base_s = [replica.decode_base_s for replica in replicas]
    speeds.per_request_s = [replica.decode_per_request_s for replica in replicas]
    speeds.per_token_s = [replica.decode_per_token_s for replica in replicas]
    speeds.room = [replica.kv_cache_tokens for replica in replicas]
    speeds.batch_cap = [replica.batch_cap for replica in replicas]
    speeds.places = places
    blocks = -(-np.array(places) // state.BLOCK)
    speeds.first = np.concatenate([[0], np.cumsum(blocks)[:-1]]) * state.BLOCK
    count = int(blocks.sum()) * state.BLOCK
    machines = np.zeros(count, state.REPLICA).view(np.recarray)
    machines.chain = machines.chain_tail = state.NOBODY
    machines.pool = np.repeat(np.arange(len(pools)), blocks * state.BLOCK)
    heaps = _most_replicas(fleet, pools) * 2  # a drained place may still run while another starts
    return state.World(
        replicas=machines,
        ends_s=np.full(count, state.NEVER_S),
        keys=np.full(count, state.UNCHOSEN, dtype=np.int64),
        first_end_s=np.full(count // state.BLOCK, state.NEVER_S),
        least_keys=np.full(count // state.BLOCK, state.UNCHOSEN, dtype=np.int64),
        queues=np.full((count, state.QUEUES, 2), state.NOBODY, dtype=np.int32),
        heaps=np.zeros((heaps, max(replica.batch_cap for replica in replicas) + state.APART), dtype=np.int64),
        slots=np.zeros(0, state.SLOT).view(np.recarray),
        free_slots=np.zeros(1, dtype=np.int32),
        speeds=speeds,
        prompts=_prompt_tables(replicas),
        latencies_s=np.zeros((0, state.LATENCIES)),
    )


def outside_of(
    fleet: Fleet, w: state.World, records: fluid_state.Pools, preference: NDArray[np.int64],
    pools_in: NDArray[np.int64],
) -> state.Outside:  # fmt: skip
    """Return the empty queues outside of the replicas."""
    h, m, k, heaps = len(fleet.regions), len(fleet.models), len(fleet.tiers), w.heaps.shape[0]
    return state.Outside(
        free_heaps=np.concatenate([[heaps], np.arange(heaps)[::-1]]).astype(np.int64),
        fresh=np.zeros(1, dtype=np.int64),
        deferred=np.full((h, m, k, 2), state.NOBODY, dtype=np.int32),
        queued=np.zeros((h, m), dtype=np.int64),
        hosts=_hosts(preference, pools_in, records, h, m),
        parked=np.full((w.speeds.size, 2), state.NOBODY, dtype=np.int32),
        pool_of=np.zeros(0, dtype=np.int16),
    )


def _most_replicas(fleet: Fleet, pools: Sequence[Pool]) -> int:
    smallest: dict[tuple[str, str], int] = {}
    for pool in pools:
        key = (pool.region, pool.gpu)
        smallest[key] = min(smallest.get(key, pool.gpus_per_replica), pool.gpus_per_replica)
    return sum(fleet.stock_gpus[key] // gpus for key, gpus in smallest.items())


def _prompt_tables(replicas: Sequence[Replica]) -> Floats:
    """Return knots, marginal seconds there and slopes of every pool's prompts, padded with knots never reached."""
    width = 1 + max(len(replica.prefill_tokens) for replica in replicas)
    table = np.zeros((len(replicas), width, 3))
    table[:, :, 0] = np.inf
    for row, replica in enumerate(replicas):
        tokens = np.array([0.0, *replica.prefill_tokens])
        paid_s = min(performance.prefill_s(replica, 0.0), replica.decode_base_s)
        marginal = np.array([performance.prefill_s(replica, token) for token in tokens]) - paid_s
        rise = np.diff(marginal) / np.diff(tokens)
        table[row, : tokens.size] = np.column_stack([tokens, marginal, np.append(rise, rise[-1])])
    return table


def _hosts(
    preference: NDArray[np.int64], pools_in: NDArray[np.int64], records: fluid_state.Pools, origins: int, models: int
) -> NDArray[np.int64]:
    """Return the nearest region that hosts a model, for every origin: there its deferrable requests wait."""
    hosts, silos = np.full((origins, models), -1, dtype=np.int64), pools_in.shape[2] // origins
    for h in range(origins):
        for m in range(models):
            reached = (place // silos for place in preference[h] if place >= 0 and pools_in[m, 1, place, 0] >= 0)
            hosts[h, m] = next(reached, -1)
    return hosts
