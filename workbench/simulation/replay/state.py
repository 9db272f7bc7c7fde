"""What the replay runs on: replicas, requests in the system, what a replica of each pool can do, as arrays.

P pools, N places for replicas (a block of each pool's greatest number), S places for requests in the system, Q queues
of one replica.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]

OFF, READY, DRAINING = 0, 1, 2
FCFS, EDF, PF, DPA = range(4)
TIERS = 3
QUEUES = 3 * TIERS  # waiting by tier: fresh, and under DPA those recently and those severely past their promise
NOBODY = -1
NEVER_S = np.inf
UNCHOSEN = 1 << 62  # the key of a place that takes no request
BLOCK_BITS = 4
BLOCK = 1 << BLOCK_BITS  # places whose least key and first end are kept: a pool of hundreds looks at one in sixteen
FEW = 3 * BLOCK  # places of a pool up to which nothing is kept by block
WHOLE = 1 << 60
APART = 8  # a row of a heap is a line longer than needed, or with caps of 2^n all tops would share a place in the cache

#: One place for a replica: its macro-step (begin, iterations planned), what it holds, what waits before it.
REPLICA = np.dtype(
    [
        ("begin_s", np.float64),
        ("held", np.float64),  # KV tokens of the running requests at the beginning of the macro-step
        ("reserved", np.float64),  # KV tokens reserved for what is admitted: prompt and output of each
        ("owed", np.int64),  # prompt tokens without a first token yet
        ("planned", np.int64),  # iterations of the macro-step; 0 while idle
        ("iteration", np.int64),  # iterations done
        ("chunk_done", np.int64),  # prompt tokens done of the first request of the chain
        ("running", np.int32),
        ("waiting", np.int32),
        ("admitted", np.int32),  # requests whose prompt is being read: the chain
        ("chain", np.int32),
        ("chain_tail", np.int32),
        ("pool", np.int32),
        ("heap", np.int32),  # which heap of finishes is its own
        ("status", np.int32),
        ("is_blocked", np.int32),
        ("padding", np.int32, (9,)),  # up to two cache lines: no replica shares one with another
    ]
)

#: One request in the system.
SLOT = np.dtype(
    [
        ("arrival_s", np.float64),
        ("row", np.int64),
        ("prompt", np.int32),
        ("output", np.int32),
        ("next", np.int32),
        ("tier", np.int16),
        ("origin", np.int16),
    ]
)

#: What one replica of a pool can do, and what the pool holds in all, waiting requests included.
SPEED = np.dtype(
    [
        *((name, np.float64) for name in ("base_s", "per_request_s", "per_token_s", "room")),
        *((name, np.int64) for name in ("batch_cap", "first", "places", "used", "active")),
        *((name, np.float64) for name in ("held", "owed", "needed", "inside")),
        *((name, np.float64) for name in ("decode_s", "credits", "finished")),
    ]
)


class Order(NamedTuple):
    """How a replica orders what waits; times in seconds."""

    scheduler: int
    chunk_tokens: int  # prompt tokens per iteration; 0: whole prompts
    balance: int  # what the choice of a replica compares
    promise_s: Floats  # K
    severe_s: float
    urgent_s: float


class World(NamedTuple):
    """The replicas and what is in them; small, as it is handed to the inner loops."""

    replicas: Records  # N of REPLICA
    ends_s: Floats  # N: when the macro-step ends
    keys: Ints  # N: what the choice of a replica compares, and the place inside the block
    first_end_s: Floats  # blocks: the first of their ends
    least_keys: Ints  # blocks: the least of their keys
    queues: NDArray[np.int32]  # N, Q, 2: first and last slot of what waits
    heaps: Ints  # heaps, batch cap + APART: finish iteration << 32 | slot
    slots: Records  # S of SLOT
    free_slots: NDArray[np.int32]  # a stack; [0] is its height
    speeds: Records  # P of SPEED
    prompts: Floats  # P, knots, 3: prompt tokens, marginal seconds of such a prompt, seconds per further token
    latencies_s: Floats  # requests, LATENCIES: from arrival to admission, first token and end; NaN until then


class Outside(NamedTuple):
    """What waits outside the replicas, and where requests went."""

    free_heaps: Ints  # a stack; [0] is its height
    fresh: Ints  # 1: slots never used begin here
    deferred: NDArray[np.int32]  # H, M, K, 2: first and last deferrable request that waits for release
    queued: Ints  # R, M: how many wait for release by the pools of a region
    hosts: Ints  # H, M: the region whose pools release an origin's deferrable requests
    parked: NDArray[np.int32]  # P, 2: requests routed to a pool without a ready replica
    pool_of: NDArray[np.int16]  # requests; -1 until routed, -2 shed


class Ways(NamedTuple):
    """Where requests may go."""

    preference: Ints  # H, places
    pools_in: Ints  # M, 2 (interactive, deferrable), places, pools, padded with -1
    deferrable: Ints  # K
    siloed: bool


class Requests(NamedTuple):
    """The requests by row: those inside from before, then those of model m by arrival in [first[m], last[m])."""

    arrival_s: Floats
    prompt: NDArray[np.int32]
    output: NDArray[np.int32]
    origin: NDArray[np.int16]
    tier: NDArray[np.int16]
    model: NDArray[np.int16]
    first: Ints  # M
    position: Ints  # M: the next to arrive
    last: Ints  # M


SHED = -2
FIRST, LAST = 0, 1
WAIT, TTFT, E2E = range(3)
LATENCIES = 3
