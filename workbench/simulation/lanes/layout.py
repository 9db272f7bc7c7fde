"""Where the lanes keep what: rows of single-precision numbers, one number per scenario, end to end in flat arrays.

A block is ``WIDTH`` scenarios side by side. A loop over a row becomes vector instructions only where the compiler sees
that the rows it touches do not overlap. So what one loop touches of one array lies at offsets from one place that are
known when it is compiled, and what lies elsewhere is in another array: one for pools, one for tiers in pools, one for
thresholds, and small ones for work, routing, loads, queues and stock. What need not last lies where the next pool
overwrites it, so that the nearest cache holds it.

Every scenario takes the same path, and a block is always full, padded where scenarios run out: so the numbers of a
scenario do not depend on its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
LANES = np.uint64(WIDTH)

Reals = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.int16]
Rules = NDArray[np.void]
#: A place in a flat array: unsigned, because a signed one may count from the end, and that test ends a vector.
Place = np.uint64
real = np.float32


def _rows(count: int) -> list[np.uint64]:
    return [np.uint64(i * WIDTH) for i in range(count)]


# rows of a pool: its state, what follows from its replicas, what the last step left, what follows from its lengths,
# first tokens since the last look, sums of the hour
POOL_ROWS = 57
(
    INSIDE, VARIANCE, PROMPT, OUTPUT, READY, COMING, DRAINING, LENT, BUDGET, COOL_FROM, REPLICAS, PER_REPLICA, EVENED,
    FINISHED, ARRIVING, PROMPTS, OUTPUTS, RECENT, RECENT_DELAY, ROOM, RUNNING, EACH_RUNS, ABOVE, SIGNAL, ITERATION,
    UNREAD, READING, LEFT_COMPANY, LINGERING, SHOWN, CLUMPED_SHARE, BUSY, WAITS, VARIANCE_SHARE, LEAN_SHARE,
    NOTED_PROMPT, NOTED_OUTPUT, PROMPT_S, SLOPE, HELD_SHARE, SLOTS, PER_SLOT, PER_PROMPT_S, ROUTE_EACH, RELEASE_EACH,
    TTFT_COUNT, TTFT_SINCE, TTFT_ABOUT, TTFT_SUM, TTFT_SQUARES, TTFT_CUBES,
    READY_SUM, COMING_SUM, DRAINING_SUM, LENT_SUM, KV_SUM, WORK_SUM,
) = _rows(POOL_ROWS)  # fmt: skip
FIRST_SUM, SUM_ROWS = READY_SUM, 6
STANDING_ROWS = 4  # from READY on: what changes now and then, and is summed when it does
TO_SUM = READY_SUM - READY
POOL_SIZE = np.uint64(POOL_ROWS * WIDTH)

# rows of work, of one pool after the other: what a step of a pool works out and no later one needs
WORK_ROWS = 25
(
    PLACE, TABLED, PROMPT_SHARE, USUAL, UNREAD_EACH, PER_OUTPUT, CLUMPED, CROWD_S, MET, THROUGHPUT, EASING,
    STALLED, SHARE, SATURATED, RATE, CYCLE, VARIES, COMPANY, VARIED, SEEN, OTHERS,
    TTFT_MEAN, TTFT_VARIANCE, TTFT_LEAN, LOOKS,
) = _rows(WORK_ROWS)  # fmt: skip

# rows of a scenario: its thresholds and lengths
SCENARIO_ROWS = 12
(
    ROUTE_BELOW, ROUTE_ODDS, RELEASE_TWO, RELEASE_ONE, RELEASE_ODDS, ALMOST_OUT, BARELY_IN, COOLDOWN_STEPS, FLOOR,
    KV_ONLY, PROMPT_TIMES, OUTPUT_TIMES,
) = _rows(SCENARIO_ROWS)  # fmt: skip

# rows of a tier in a pool: inside, come in this step, come since the last tick, counted since the last look, met
# saturation
TIER_ROWS = 5
IN_TIER, COMES, CAME, COUNTED, BAD = _rows(TIER_ROWS)
TIER_SIZE = np.uint64(TIER_ROWS * WIDTH)

# rows of routing and scaling, of one origin and model or one pool after the other: what is asked and left, who wants
SCRATCH_ROWS = 11
(
    ALL, EACH, ALL_PROMPTS, ALL_OUTPUTS, LEFT, PART, IDLEST, FULLNESS, OTHERS_READY, OTHERS_HELD, WANTS,
) = _rows(SCRATCH_ROWS)  # fmt: skip

# facts of a pool, the same in all scenarios
FACTS = 13
(
    BASE_S, PER_REQUEST_S, PER_TOKEN_S, KV_ROOM, BATCH_CAP, SQUARE, CUBE, PROMPT_CROSS, OUTPUT_SQUARE, CROSS,
    DISPERSION, NOISE_SEEN, WINDOW_S,
) = range(FACTS)  # fmt: skip


class Site(NamedTuple):
    """Where the pools stand, who shares their floors and GPUs, and how fast their replicas are."""

    region: Ints
    model: Ints
    gpus: Ints
    place: Ints  # of its region and GPU kind
    group: Ints  # P, members padded with -1: same region, model and silo
    twins: Ints  # P, members padded with -1: same region, GPU kind and model
    mates: Ints  # P, members padded with -1: same region and GPU kind
    facts: Reals  # P, FACTS
    grid: Reals  # P, points: a prompt's seconds per token over log2 of its length
    segments: Ints  # P, first and last of the table that the sweep's prompts lie in
    requests: Reals  # W, cells: of a step, without a scenario's factor; a cell is an origin, model and tier
    prompts: Reals  # spans of mean_steps, cells: tokens
    outputs: Reals  # likewise
    waiting_rps: Floats  # K, W, queues: deferrable requests, without a scenario's factor; a queue is a region and model
    waits: Ints  # K: released on signals
    interactive: Ints  # tiers whose first tokens are counted
    age_steps: int
    hour_steps: int
    follow_plan: int


class Block(NamedTuple):
    """What one block of scenarios reads and changes; rows of WIDTH unless said otherwise."""

    pools: Reals  # P x POOL_ROWS
    tiers: Reals  # P x K x TIER_ROWS
    work: Reals  # WORK_ROWS
    work_pairs: Ints  # the same, two numbers at a time
    scenario: Reals  # SCENARIO_ROWS
    scratch: Reals  # SCRATCH_ROWS
    scratch_pairs: Ints  # the same, two numbers at a time
    asked: Reals  # K: requests of one origin and model in this step
    some: Ints  # K: whether any scenario asks for it
    load: Reals  # M x K: the factor on the rate
    gap: Reals  # M: the factor on observed over forecast load
    queue: Reals  # regions x M x K: deferrable requests that wait to be released
    judged: Reals  # 2 x K: deadlines missed, kept
    free: Reals  # regions x GPU kinds: GPUs neither held nor lent
    lent: Reals  # regions x GPU kinds: GPUs lent by any pool
    rules: Rules  # WIDTH
    due: Counts  # P, slots, WIDTH, 3: a scenario, its starts and its drains that end; as many as any_due tells
    any_due: Ints  # slots, P: in how many scenarios something ends
    clock: Ints  # steps into the hour, and the slot of what is due now
    stirred: Ints  # P: whether replicas or slots changed since what runs was noted
    young: Floats  # K, queues: came since the age, without a scenario's factor
    not_due: Floats  # K, queues: came since the deadline
    sums: Floats  # P, SUM_ROWS, WIDTH
    bad: Floats  # K, WIDTH: arrivals that met a saturated pool
    deadlines: Floats  # 2, K, WIDTH: missed, kept
    counted: Floats  # WIDTH x BINS x quantities, end to end
