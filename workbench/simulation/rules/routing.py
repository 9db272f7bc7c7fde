"""Where a request goes: the load signal of a pool, the first place under the threshold in order of preference, and
inside the pool the least loaded replica."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.rules.thresholds import NEVER, Rules

BY_PREFILL_TOKENS, BY_REQUESTS = range(2)
MOST_REQUESTS, MOST_TOKENS = (1 << 16) - 1, 1 << 31  # of one replica that break a tie


@kernel
def signal_of(rules: Rules, kv_cache: float, batch_slots: float, work: float) -> float:
    """Return the load signal: the largest of the three fractions, or the paper's KV cache alone."""
    if rules.kv_cache_only:
        return kv_cache
    return max(kv_cache, batch_slots, work)


@kernel
def choose_pool(
    rules: Rules,
    preference: NDArray[np.int64],
    origin: int,
    pools_in: NDArray[np.int64],
    model: int,
    kind: int,
    pools: NDArray[np.void],
) -> int:
    """Return the pool that requests of an origin and model go to; kind 0 is interactive, 1 deferrable.

    ``preference[origin]`` orders the places that it has a route to, ``pools_in[model, kind, place]`` lists the pools
    that may take them, both padded with -1; ``pools`` has fields ``signal`` and ``ready``. A place is a region; where
    requests overflow from their own silo into the mixed one, it is a silo of a region, and those of a region follow one
    another. The first place with a ready pool under the threshold wins, inside a place the pool with the lowest signal.
    When all are at or over it: the lowest signal anywhere. A pool without a ready replica is taken only when there is
    no other, so that its queue is seen.
    """
    best, best_signal = -1, 2.0 * NEVER
    for i in range(preference.shape[1]):
        place = preference[origin, i]
        if place < 0:
            break
        here, here_signal = -1, 2.0 * NEVER
        for j in range(pools_in.shape[3]):
            pool = pools_in[model, kind, place, j]
            if pool < 0:
                break
            value = pools[pool].signal if pools[pool].ready > 0 else NEVER
            if value < here_signal:
                here, here_signal = pool, value
        if here >= 0 and here_signal < rules.route_below:
            return here
        if here_signal < best_signal:
            best, best_signal = here, here_signal
    return best


@inlined
def replica_load(balance: int, owed_tokens: int, requests: int) -> int:
    """Return what the choice of a replica inside a pool compares; the least loaded takes the request.

    By prompt tokens still without their first token, then by requests; or by requests, then by those tokens.
    """
    if balance == BY_REQUESTS:
        return (requests << 32) + min(owed_tokens, MOST_TOKENS)
    return (owed_tokens << 16) + min(requests, MOST_REQUESTS)
