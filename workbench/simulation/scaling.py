"""Replicas come and go: readiness, the plan, which pool takes a step, where GPUs come from. One way for every engine.

An engine's own is only how a replica is taken out of a pool, since that moves requests. So :func:`scale_from` goes
through the pools in order, starts what is to be started, and stops at each pool that must lose a replica; the engine
takes it out and calls again.
"""

from __future__ import annotations

import math
from typing import Any

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.state import Inputs, Ints, Pools, Record, State

NOBODY = -1


@inlined
def replicas_of(pools: Pools, starting: Ints, p: int) -> int:
    """Return the replicas of a pool that are ready or starting."""
    return int(pools[p].ready + starting[p, 0] + starting[p, 1] + starting[p, 2])


@kernel
def become_ready(pools: Pools, starting: Ints, ready_at: Ints, drained_at: Ints, step: int) -> bool:
    """Turn finished starts into ready replicas and drained replicas into lent GPUs; return whether there were any."""
    is_any = False
    for p in range(pools.size):
        pool = pools[p]
        for kind in range(3):
            count = ready_at[step, p, kind]
            starting[p, kind] -= count
            pool.ready += count
            is_any = is_any or count > 0
        count = drained_at[step, p]
        pool.draining -= count
        pool.lent_gpus += count * pool.gpus
        is_any = is_any or count > 0
    return is_any


@inlined
def group_of(pools: Pools, starting: Ints, p: int) -> tuple[int, int]:
    """Return ready, and ready or starting replicas of the model in the region, over all GPU kinds of the same silo."""
    ready, held, q = 0, 0, p
    while True:
        if pools[q].group == pools[p].group:
            ready += pools[q].ready
            held += replicas_of(pools, starting, q)
        q = pools[q].kin
        if q == p:
            return ready, held


@kernel
def pair_of(pools: Pools, starting: Ints, p: int) -> tuple[float, int, int]:
    """Return replicas with an interactive request, ready ones, and ready or starting ones, over all that serve such."""
    busy, ready, held, q = 0.0, 0, 0, p
    while True:
        if pools[q].silo != r.DEFERRABLE:
            busy += pools[q].busy
            ready += pools[q].ready
            held += replicas_of(pools, starting, q)
        q = pools[q].kin
        if q == p:
            return busy, ready, held


@kernel
def batch_of(pools: Pools, starting: Ints, p: int) -> tuple[float, float, float]:
    """Return what waits for a batch pool in all, and the rates of its silo: ready replicas, and starting ones too."""
    queued, ready_rps, held_rps, q = pools[p].queued, 0.0, 0.0, p
    while True:
        if pools[q].group == pools[p].group:
            queued += max(pools[q].inside - pools[q].running, 0.0)
            ready_rps += pools[q].ready * pools[q].drain_rps
            held_rps += replicas_of(pools, starting, q) * pools[q].drain_rps
        q = pools[q].kin
        if q == p:
            return queued, ready_rps, held_rps


@inlined
def observed_over_expected(x: Inputs, pool: Any, step: int) -> float:
    """Return what arrived for a pool's model in its region over what was expected, by the step before."""
    known = min(max(step, 1), x.observed_over_forecast.shape[0]) - 1  # the same for all steps where there is one
    return float(x.observed_over_forecast[known, pool.region, pool.model])


@inlined
def wanted_change(x: Inputs, s: State, rules: r.Rules, step: int, p: int) -> int:
    """Return what the rules want of a pool now: one replica more, one less or neither; nothing while it cools down."""
    pools, starting, now_s = s.pools, s.starting, step * x.step_s
    pool = pools[p]
    if now_s - pool.last_action_s < rules.cooldown_s:
        return 0
    ready_in_group, held_in_group = group_of(pools, starting, p)
    own_held = replicas_of(pools, starting, p)
    if rules.scale_by == r.LOAD:
        return r.scaling_step(
            rules, pool.signal, pool.ready, own_held - pool.ready, ready_in_group, held_in_group, pool.budget,
            now_s % 3600.0, observed_over_expected(x, pool, step),
        )  # fmt: skip
    if rules.scale_by == r.ARRIVALS:
        is_full = pool.signal * pool.ready > rules.out_above * own_held
        return r.arrivals_step(
            rules, observed_over_expected(x, pool, step), is_full, pool.ready, ready_in_group, held_in_group,
            pool.budget,
        )  # fmt: skip
    if pool.silo == r.DEFERRABLE:
        queued, ready_rps, held_rps = batch_of(pools, starting, p)
        return r.batch_step(
            rules, queued, pool.left_s, pool.drain_rps, ready_rps, held_rps, pool.ready, own_held, ready_in_group,
            held_in_group,
        )  # fmt: skip
    busy, ready, held = pair_of(pools, starting, p)
    return r.pressure_step(
        rules, busy, ready, held, pool.ready, own_held, ready_in_group, held_in_group, pool.signal > 0.0
    )


@kernel
def _lent(pools: Pools, p: int, same_model: bool) -> int:
    """Return the GPUs of the pool's region and kind that are lent with its model loaded, or with another one."""
    gpus = 0
    for q in range(pools.size):
        here = pools[q].region == pools[p].region and pools[q].gpu == pools[p].gpu
        if here and (pools[q].model == pools[p].model) == same_model:
            gpus += pools[q].lent_gpus
    return gpus


@kernel
def _take_lent(pools: Pools, p: int, needed: int, same_model: bool) -> int:
    """Take lent GPUs of the pool's region and kind, from the pool that lends most, and return how many are missing."""
    while needed > 0:
        most, most_gpus = -1, 0
        for q in range(pools.size):
            here = pools[q].region == pools[p].region and pools[q].gpu == pools[p].gpu
            if here and (pools[q].model == pools[p].model) == same_model and pools[q].lent_gpus > most_gpus:
                most, most_gpus = q, pools[q].lent_gpus
        if most < 0:
            break
        taken = min(needed, most_gpus)
        pools[most].lent_gpus -= taken
        needed -= taken
    return needed


@kernel
def scale_out(
    pools: Pools, starting: Ints, free_gpus: Ints, ready_at: Ints, rules: r.Rules, step: int, step_s: float, p: int
) -> int:
    """Start one replica from the nearest sources and return its kind, REFUSED when the region has too few GPUs left."""
    pool = pools[p]
    lent_here, lent_others = _lent(pools, p, True), _lent(pools, p, False)
    kind = r.acquire_kind(pool.gpus, lent_here, lent_others, free_gpus[pool.region, pool.gpu])
    if kind == r.REFUSED:
        return kind
    missing = _take_lent(pools, p, pool.gpus, True)
    missing = _take_lent(pools, p, missing, False)
    free_gpus[pool.region, pool.gpu] -= missing
    starting[p, kind] += 1
    at = step + max(math.ceil(r.readiness_s(rules, kind) / step_s), 1)
    if at < ready_at.shape[0]:
        ready_at[at, p, kind] += 1
    return kind


@kernel
def follow_plan(pools: Pools, starting: Ints, target: Ints, hour: int) -> None:
    """Set what is left to change in the hour: the plan's replicas less those ready and starting."""
    for p in range(pools.size):
        wanted = target[hour, p]
        pools[p].budget = wanted - replicas_of(pools, starting, p) if wanted >= 0 else 0


@kernel
def _carry_out(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int, after: int) -> int:
    """Carry out what is left of the plan: removals first; what finds no GPU is tried again until the hour ends."""
    pools, starting, events, window = s.pools, s.starting, rec.events, step // x.window_steps
    for p in range(max(after, 0), pools.size):
        if pools[p].budget < 0 and pools[p].ready > 0 and group_of(pools, starting, p)[0] > rules.floor:
            events[window, p, r.IN] += 1
            pools[p].budget += 1
            return p
    for p in range(pools.size):
        while pools[p].budget > 0:
            kind = scale_out(pools, starting, s.free_gpus, s.ready_at, rules, step, x.step_s, p)
            if kind != r.REFUSED or step * x.step_s % 3600.0 == 0.0:
                events[window, p, kind] += 1
            if kind == r.REFUSED:
                break
            pools[p].budget -= 1
    return NOBODY


@inlined
def scale_from(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int, after: int) -> int:
    """Go on with the pools after one (-1: from the first) and return the next that must lose a replica, -1 for none.

    Every pool that is not cooling down takes at most one step; a plan due at once is carried out whole, removals first.
    """
    if rules.follow_plan == r.AT_ONCE:
        return int(_carry_out(x, s, rec, rules, step, after))
    pools = s.pools
    for p in range(after + 1, pools.size):
        change, kind = wanted_change(x, s, rules, step, p), r.IN
        if change == 0:
            continue
        if change > 0:
            kind = scale_out(pools, s.starting, s.free_gpus, s.ready_at, rules, step, x.step_s, p)
        rec.events[step // x.window_steps, p, kind] += 1
        pools[p].last_action_s = step * x.step_s
        if kind != r.REFUSED and pools[p].budget * change > 0:
            pools[p].budget -= change
        if change < 0:
            return p
    return NOBODY
