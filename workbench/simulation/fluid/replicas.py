"""How the fluid simulator takes over replicas, and takes one out of a pool: which pool it is, :mod:`.scaling` says.

Replicas, and what the rules look at, stand in the records of the pools, as in every engine; the mean-field state stands
in ranks, where sixteen pools are advanced at once. Replicas change at few steps, and at few steps a rule has something
to decide, so the two are brought together only then.
"""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.fluid.meeting import meet
from workbench.simulation.fluid.pressure import watch
from workbench.simulation.fluid.service import residual_s
from workbench.simulation.fluid.settling import settle
from workbench.simulation.fluid.traffic import tell_apart
from workbench.simulation.scaling import NOBODY, group_of, replicas_of, scale_from
from workbench.simulation.state import RANK_BITS, SEAT, Inputs, Ints, Pools, Ranks, Record, State

DRAINED_AFTER = 3.0  # mean residual times: by then one in twenty of the running requests is left


@kernel
def take_over(pools: Pools, ranks: Ranks, starting: Ints, rules: r.Rules) -> bool:
    """Take over every pool's replicas, with the signals between which it is left alone; return whether some change.

    Some change by themselves, later, where replicas start or drain.
    """
    is_changing = False
    for p in range(pools.size):
        pool = pools[p]
        rank, i = ranks[p >> RANK_BITS], p & SEAT
        rank.ready[i], rank.draining[i], rank.lent_gpus[i] = pool.ready, pool.draining, pool.lent_gpus
        rank.reclaiming[i], rank.swapping[i], rank.remote[i] = starting[p, 0], starting[p, 1], starting[p, 2]
        rank.each_one[i] = 1.0 / max(pool.ready, 1)
        ready_in_group, held_in_group = group_of(pools, starting, p)
        own_held = replicas_of(pools, starting, p)
        rank.calm_from[i], rank.calm_to[i] = r.calm_between(
            rules, pool.ready, own_held - pool.ready, ready_in_group, held_in_group, pool.budget
        )
        is_changing = is_changing or own_held > pool.ready or pool.draining > 0
    return is_changing


@kernel
def show(pools: Pools, ranks: Ranks) -> None:
    """Write what the rules look at into the pools' records."""
    for p in range(pools.size):
        pool = pools[p]
        rank, i = ranks[p >> RANK_BITS], p & SEAT
        pool.signal, pool.inside, pool.running = rank.signal[i], rank.inside[i], rank.running[i]
        pool.prompt, pool.output = rank.prompt[i], rank.output[i]


@kernel
def scale_in(x: Inputs, s: State, rec: Record, step: int, p: int) -> None:
    """Take one ready replica out of routing; it finishes what it runs and is then lent. What waits stays."""
    pool, crews, b = s.pools[p], s.crews, p >> RANK_BITS
    rank, i = s.ranks[p >> RANK_BITS], p & SEAT
    if rank.routed[i] > 0.0:  # who came before it goes is met by the pool as it was
        meet(x, s, rec, step, b, i)
    tell_apart(x, s)
    settle(x, s, step, b, i)
    running = rank.running[i] / pool.ready
    share = running / rank.inside[i] if rank.inside[i] > 0.0 else 0.0
    for h in range(crews.shape[1]):
        for k in range(crews.shape[2]):
            crew = crews[b, h, k]
            moved = crew.inside[i] * share
            crew.inside[i] -= moved
            crew.leaving[i] += moved
    rank.inside[i] *= 1.0 - share
    rank.variance[i] *= 1.0 - share
    rank.running[i] -= running
    pool.inside, pool.running = rank.inside[i], rank.running[i]
    pool.ready -= 1
    pool.draining += 1
    rank.ready[i], rank.draining[i], rank.each_one[i] = pool.ready, pool.draining, 1.0 / max(pool.ready, 1)
    at = step + max(math.ceil(DRAINED_AFTER * residual_s(rank, i) / x.step_s), 1)
    if at < s.drained_at.shape[0]:
        s.drained_at[at, p] += 1


@inlined
def scale(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Take one step of every pool of the fluid simulator, on what the rules look at as it stands in the records."""
    if rules.scale_by == r.BACK_PRESSURE:
        watch(x, s, rules, step)
    p = scale_from(x, s, rec, rules, step, NOBODY)
    while p >= 0:
        scale_in(x, s, rec, step, p)
        p = scale_from(x, s, rec, rules, step, p)
