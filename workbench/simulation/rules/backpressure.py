"""When the pools of a Chiron-style fleet grow or shrink: back-pressure instead of load (sageserve.md section 7.3).

Interactive work has a pool of its own and a mixed one to overflow into. Its back-pressure is the share of the replicas
of both that hold at least one interactive request: over 0.6 one is added, under 0.4 one is taken. The artifact takes
one whenever it adds none, and flaps. The gap is wide enough for the smallest pair that may lose one, five replicas over
two floors of two: from under 0.4 the four that stay come to at most 0.5. The share at one instant swings by more
than the gap (of 30 replicas 15 are busy give or take 4), so its mean over two minutes is judged.

Batch work waits in a queue. Its back-pressure is the time the queue takes at the rate of the batch pool, over the time
that its oldest request has left until its deadline: over 1 one is added; one is taken where what is left would still
come to under one half. The rate is that of our performance model at the level to which batch pools are filled; spare
capacity of the mixed pool comes on top and is not counted on. Source of the idea: Chiron, arXiv 2501.08090; its local
half, which sizes the batches of single replicas, is not part of it.
"""

from __future__ import annotations

import math

from workbench.simulation.compiling import kernel
from workbench.simulation.rules.thresholds import Rules


@kernel
def busy_replicas(ready: float, inside: float, expected_below: float, share: float) -> float:
    """Return the expected number of replicas that hold an interactive request, for an engine that knows only sums.

    ``inside`` is how many requests the ready replicas hold, ``expected_below`` E[min(inside, ready)] as that number
    varies, ``share`` the part of it that is interactive. Replicas are chosen by the fewest requests, so x = inside /
    ready of them lie on each, those left over one apiece, and each request is interactive by itself: a replica with j
    requests has none with probability (1 - share)^j. The first request of each replica is counted with the variance of
    their number, those further on at its mean.
    """
    if ready <= 0.0 or inside <= 0.0:
        return 0.0
    further = max(inside / ready - 1.0, 0.0)
    whole = math.floor(further)
    without = (1.0 - share) ** whole * (1.0 - share * (further - whole))
    return share * expected_below + (1.0 - share) * (1.0 - without) * ready


@kernel
def mean_weight(rules: Rules, now_s: float, step_s: float) -> float:
    """Return the weight of a new look in the running mean; until one mean time has passed the last look counts."""
    if now_s < rules.pressure_mean_s:
        return 1.0
    return min(step_s / max(rules.pressure_mean_s, step_s), 1.0)


@kernel
def pressure_step(
    rules: Rules,
    busy: float,
    ready: int,
    held: int,
    own_ready: int,
    own_held: int,
    ready_in_group: int,
    held_in_group: int,
    is_wanted: bool,
) -> int:
    """Return +1 (out), -1 (in) or 0 for one pool of interactive work that is not cooling down.

    ``busy`` replicas with an interactive request out of ``ready``, or ``held`` with those starting, count over the
    interactive and the mixed pool of a model in a region, ``own_`` the pool alone, ``_in_group`` its silo over all GPU
    kinds. ``is_wanted`` says that requests came to it: a pool without a replica grows on nothing else.
    """
    if held_in_group < rules.floor:
        return 1
    if held_in_group == 0:
        return 1 if is_wanted else 0
    if own_held > 0 and busy > rules.pressure_out_above * held:
        return 1
    if own_ready > 0 and ready_in_group > rules.floor and busy < rules.pressure_in_below * ready:
        return -1
    return 0


@kernel
def drain_rps(fill: float, batch_cap: float, kv_room: float, held: float, reserved: float, work_s: float,
              decode_s: float) -> float:  # fmt: skip
    """Return the requests per second of a replica that is kept filled to a level.

    ``held`` and ``reserved`` are KV tokens of a request, ``work_s`` the seconds it takes of the replica, ``decode_s``
    how long it decodes alone. The level is met by KV cache, slots or work, whichever comes first; B running requests
    are served at B / (decode_s + B work_s) (simulation.md section 3).
    """
    slots = fill * min(batch_cap, kv_room / reserved)
    running = min(slots, fill * kv_room / held)
    if fill < 1.0:
        running = min(running, fill / (1.0 - fill) * decode_s / work_s)
    return running / (decode_s + running * work_s)


@kernel
def batch_step(
    rules: Rules,
    queued: float,
    left_s: float,
    own_rps: float,
    ready_rps: float,
    held_rps: float,
    own_ready: int,
    own_held: int,
    ready_in_group: int,
    held_in_group: int,
) -> int:
    """Return +1 (out), -1 (in) or 0 for one pool of batch work that is not cooling down.

    ``queued`` requests wait, the oldest has ``left_s`` until its deadline. A replica of the pool serves ``own_rps``,
    the silo's ready ones ``ready_rps``, with those starting ``held_rps``.
    """
    if held_in_group < rules.floor:
        return 1
    if held_in_group == 0:
        return 1 if queued > 0.0 else 0
    left_s = max(left_s, 0.0)
    if own_held > 0 and queued > rules.drain_out_ratio * held_rps * left_s:
        return 1
    stays = queued < rules.drain_in_ratio * (ready_rps - own_rps) * left_s
    if own_ready > 0 and ready_in_group > rules.floor and stays:
        return -1
    return 0
