"""What the fluid simulator runs on: one record per pool, the inputs, the state and what is recorded, as arrays.

H origins, M models, K tiers, P pools, R regions, W demand windows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pools = NDArray[np.void]

#: One pool: where it stands and how fast a replica is, what stands there now, and the state of the last step.
POOL = np.dtype(
    [
        *(
            (name, np.int64)
            for name in (
                "region", "model", "gpu", "gpus", "silo", "group", "kin", "ready", "draining", "lent_gpus", "budget",
            )
        ),
        *(
            (name, np.float64)
            for name in (
                "base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap",
                "square", "cube", "output_square", "cross", "dispersion",
                "last_action_s", "inside", "arriving", "variance", "prompt", "output",
                "kv", "slots", "work", "signal", "running", "iteration_s", "saturated", "finished",
                "holds_to_route", "holds_to_release",
                "busy", "queued", "left_s", "drain_rps",
            )
        ),
    ]
)  # fmt: skip


class Inputs(NamedTuple):
    """What does not change while a span is simulated."""

    step_s: float
    demand_steps: int
    window_steps: int
    latency_steps: int
    rps: Floats  # W, H, M, K
    prompt_mean: Floats  # W, H, M, K
    output_mean: Floats  # W, H, M, K
    deferrable: Ints  # K
    promise_s: Floats  # K: time to first token, or deadline
    preference: Ints  # H, places: regions or silos of one, nearest first, padded with -1 where there is no route
    network_s: Floats  # H, R
    pools_in: Ints  # M, 2 (interactive, deferrable), places, pools, padded with -1
    siloed: bool  # deferrable requests have pools of their own alone, and go there at once
    prompt_grid: Floats  # P, PROMPT_GRID: marginal seconds per prompt token over log2 of the prompt length
    target: Ints  # hours, P; -1 where there is no plan
    observed_over_forecast: Floats  # steps, R, M


class State(NamedTuple):
    """What changes from step to step."""

    pools: Pools  # P of POOL
    starting: Ints  # P, kinds
    free_gpus: Ints  # R, G
    ready_at: Ints  # steps + 1, P, kinds
    drained_at: Ints  # steps + 1, P
    inside: Floats  # P, H, K: requests in the pool
    leaving: Floats  # P, H, K: requests on draining replicas
    inflow: Floats  # P, H, K: requests routed in this step
    recent: Floats  # P, H, K: requests routed since the last latency tick
    counted: Floats  # K: the interactive requests of one pool and origin, while they are counted
    arrived: Floats  # steps + 1, H, M, K: cumulative
    released: Floats  # H, M, K: cumulative
    completed: Floats  # H, M, K: cumulative


class Record(NamedTuple):
    """What is kept, per window."""

    series: Floats  # windows, H, M, K, SERIES_COLUMNS
    pools: Floats  # windows, P, POOL_COLUMNS
    events: Floats  # windows, P, kinds
    window_bins: Floats  # H, M, K, BINS: of the running window
    hour_bins: Floats  # hours, H, M, K, BINS
    percentiles: Floats  # windows, H, M, K, 3


ARRIVED, SERVED, BACKLOG, MISSED, ELSEWHERE, TTFT_SUM, ITL_SUM, KEPT, BAD_SHARE, OLDEST, SHED = range(11)
SERIES_COLUMNS, POOL_COLUMNS = 11, 11
PROMPT_GRID = 84  # points of log2(prompt tokens) from 0 to 20.75 in steps of a quarter
