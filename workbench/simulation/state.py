"""What the engines run on: one record per pool, the inputs, the state and what is recorded, as arrays.

H origins, M models, K tiers, P pools, R regions, W demand windows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pools = NDArray[np.void]
Ranks = NDArray[np.void]
Rank = Any  # one of them: types of arrays do not know the fields of a record

#: One pool as every engine has it: where it stands, how fast a replica is, its replicas, and what the rules look at.
POOL = np.dtype(
    [
        *((name, np.int64) for name in ("region", "model", "gpu", "gpus", "silo", "group", "kin")),
        *((name, np.int64) for name in ("ready", "draining", "lent_gpus", "budget")),
        *((name, np.float64) for name in ("base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap")),
        *((name, np.float64) for name in ("square", "cube", "prompt_cross", "output_square", "cross", "dispersion")),
        *((name, np.float64) for name in ("prompt", "output")),
        *((name, np.float64) for name in ("signal", "inside", "running", "kv", "slots", "work", "saturated")),
        *((name, np.float64) for name in ("finished", "last_action_s", "busy", "queued", "left_s", "drain_rps")),
    ]
)

RANK_BITS = 4
ABREAST = 1 << RANK_BITS  # pools of a rank: two of the widest vectors, and loops of fewer turns would be unrolled
SEAT = ABREAST - 1  # pool p sits in rank p >> RANK_BITS at p & SEAT
FEW = 12  # pools up to which loops end at that seat: three vectors of four numbers where a whole rank takes four

#: The mean-field state of pools side by side: every field holds one number per pool, so that a short loop over the
#: pools of a rank compiles to vector instructions.
RANK = np.dtype(
    [
        (name, np.float64, (ABREAST,))
        for name in (
            # how fast a replica is, and how lengths and arrivals spread
            "base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap",
            "square", "cube", "prompt_cross", "output_square", "cross", "dispersion", "seen",
            # replicas, one over those that are ready, and between which signals nothing is to be scaled
            "ready", "reclaiming", "swapping", "remote", "draining", "lent_gpus", "each_one", "calm_from", "calm_to",
            # what is inside: requests with their variance and mean lengths, seconds of prompts not read
            "inside", "variance", "prompt", "output", "unread_s", "reading", "company", "lingering",
            # what follows from the lengths when they were noted last
            "noted_prompt", "noted_output", "held", "reserved", "prompt_s", "slope_s", "slots_each",
            "decode_over_work", "per_output", "per_slot", "per_room", "full_work", "route_each", "release_each",
            # what a step brings, and what it does
            "offer", "offer_prompts", "offer_outputs", "later", "later_prompt", "later_output",
            "arriving", "prompts", "outputs", "running", "decoding", "above", "iteration_s", "prompt_share", "finished",
            "kv", "slots", "work", "signal", "saturated",
            # of its origin's queue: what came and has gone; what came home since the tiers were told apart last
            "total", "gone", "stayed", "let_go",
            # since the pool was settled last, and since its window began
            "served", "settled_s", "routed", "settles", "unsettled_s", "share", "drained",
            "sum_running", "sum_waiting", "sum_kv", "sum_slots", "sum_work",
            "sum_ready", "sum_reclaiming", "sum_swapping", "sum_remote", "sum_draining", "sum_lent_gpus",
            # how long an arrival takes to its first token now, and those met since they were laid out last
            "coming", "mean_s", "spread", "lean", "gap_s", "riding_s",
            "will_read", "will_meet", "will_linger", "lost",
            "met", "met_mean_s", "met_square_s", "met_cube_s", "met_gap_s", "met_saturated", "met_lost",
        )
    ]
)  # fmt: skip

#: The same record up to the seat of FEW: what loops over all seats of a rank is compiled for both.
RANK_OF_FEW = np.dtype(
    {
        "names": list(RANK.names or ()),
        "formats": [(np.float64, (FEW,))] * len(RANK.names or ()),
        "offsets": [i * ABREAST * 8 for i in range(len(RANK.names or ()))],
        "itemsize": RANK.itemsize,
    }
)

#: Whose the requests in the pools of a rank are: those of one origin and tier.
CREW = np.dtype([(name, np.float64, (ABREAST,)) for name in ("inside", "leaving", "inflow", "met", "done")])


#: Requests of an hour, origin, model and tier, the cells counted through, in one latency bin.
FILLED = np.dtype([("requests", np.float64), ("cell", np.uint32), ("bin", np.uint32)])  # what frames count rows in


class Inputs(NamedTuple):
    """What does not change while a span is simulated."""

    step_s: float
    demand_steps: int
    mean_steps: int
    window_steps: int
    latency_steps: int
    rps: Floats  # W, H, M, K
    shed_rps: Floats  # likewise, what fits in no replica; no windows where there is none
    prompt_mean: Floats  # spans of mean_steps, H, M, K
    output_mean: Floats  # likewise
    noise_seen: Floats  # P: how much of the noise of arrivals the rates show, 0 to 1
    deferrable: Ints  # K
    deferred: Ints  # D: the deferrable tiers
    promise_s: Floats  # K: time to first token, or deadline
    preference: Ints  # H, places: regions or silos of one, nearest first, padded with -1 where there is no route
    network_s: Floats  # H, R
    nearest: Ints  # H, M: the one pool of the nearest place for interactive requests; -1 where there are several
    hosts: Ints  # H, M: the nearest region that hosts the model for deferrable requests, which queue there
    homes: Ints  # P, 2: origin and model whose requests a pool alone is nearest to; no rows where one is not like that
    silos: int  # places of a region
    pools_in: Ints  # M, 2 (interactive, deferrable), places, pools, padded with -1
    siloed: bool  # deferrable requests have pools of their own alone, and go there at once
    prompt_grid: Floats  # P, PROMPT_GRID: marginal seconds per prompt token over log2 of the prompt length
    target: Ints  # hours, P; -1 where there is no plan
    observed_over_forecast: Floats  # steps, or 1 where nothing is expected; R, M
    correction: Floats  # P, loads, sizes, 2: measured logarithms of factors on mean and spread; no loads: none
    shapes: Floats  # M, shares, points: deviations that a lognormal of the first token's time lacks; no shares: none


class State(NamedTuple):
    """What changes from step to step."""

    pools: Pools  # P of POOL
    ranks: Ranks  # P of them side by side, the last rank filled up with pools of nothing
    few: Ranks  # the one rank up to the seat of FEW; none where more pools stand in it, or there are more ranks
    crews: Ranks  # ranks, H, K of CREW
    starting: Ints  # P, kinds
    free_gpus: Ints  # R, G
    ready_at: Ints  # steps + 1, P, kinds
    drained_at: Ints  # steps + 1, P
    counted: Floats  # K: the interactive requests of one pool and origin, while they are counted
    brought: Floats  # H, M, 1 + D, 3: a step's requests of the interactive tiers and of each deferrable, mean lengths
    share: Floats  # H, M, K: each tier's share of the interactive requests
    noted: Ints  # 1: the demand window that brought is noted for
    together: Floats  # P, H: those routed since they were shared out last
    coming: Floats  # H, M, K: cumulative arrivals
    before: Floats  # H, M, K: those up to the last window's end
    arrived: Floats  # steps + 1, H, M, D: cumulative arrivals of deferrable requests
    released: Floats  # H, M, D: cumulative
    completed: Floats  # H, M, K: cumulative
    touched: Ints  # H, M, 2: first and last latency bin in use of the running window


class Record(NamedTuple):
    """What is kept, per window."""

    series: Floats  # windows, H, M, K, SERIES_COLUMNS
    pools: Floats  # windows, P, POOL_COLUMNS
    events: Floats  # windows, P, kinds
    window_bins: Floats  # H, M, K, BINS: of the running window
    hour_bins: Floats  # H, M, K, BINS: of the running hour, or of the whole span where hours are not told apart
    hour_touched: Ints  # H, M, 2: first and last of them in use
    filled: NDArray[np.void]  # of FILLED: the bins that hold requests, hour by hour
    listed: Ints  # 1: how many of them are listed
    so_far: Floats  # BINS: sums of one cell while its percentiles are noted
    percentiles: Floats  # windows, H, M, K, 3


ARRIVED, SERVED, BACKLOG, MISSED, ELSEWHERE, TTFT_SUM, ITL_SUM, KEPT, BAD_SHARE, OLDEST, SHED = range(11)
SERIES_COLUMNS, POOL_COLUMNS = 11, 11
TOGETHER = 0  # what a step brings of the interactive tiers, before that of each deferrable one
REQUESTS, PROMPT, OUTPUT = range(3)
PROMPT_GRID = 84  # points of log2(prompt tokens) from 0 to 20.75 in steps of a quarter
