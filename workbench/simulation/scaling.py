"""Replicas of the fluid simulator come and go: readiness, the plan, a step of every pool, where GPUs come from."""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.service import residual_s
from workbench.simulation.state import Floats, Inputs, Ints, Pools, Record, State

DRAINED_AFTER = 3.0  # mean residual times: by then one in twenty of the running requests is left


@kernel
def replicas_of(pools: Pools, starting: Ints, p: int) -> int:
    """Return the replicas of a pool that are ready or starting."""
    return int(pools[p].ready + starting[p, 0] + starting[p, 1] + starting[p, 2])


@kernel
def become_ready(pools: Pools, starting: Ints, ready_at: Ints, drained_at: Ints, step: int) -> None:
    """Turn finished starts into ready replicas and drained replicas into lent GPUs."""
    for p in range(pools.size):
        pool = pools[p]
        for kind in range(3):
            count = ready_at[step, p, kind]
            starting[p, kind] -= count
            pool.ready += count
        count = drained_at[step, p]
        pool.draining -= count
        pool.lent_gpus += count * pool.gpus


@kernel
def group_of(pools: Pools, starting: Ints, p: int) -> tuple[int, int]:
    """Return ready, and ready or starting replicas of the model in the region, over all GPU kinds of the same silo."""
    ready, held = 0, 0
    for q in range(pools.size):
        if pools[q].group == pools[p].group:
            ready += pools[q].ready
            held += replicas_of(pools, starting, q)
    return ready, held


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
def _scale_in(
    pools: Pools, inside: Floats, leaving: Floats, drained_at: Ints, step: int, step_s: float, p: int
) -> None:
    """Take one ready replica out of routing; it finishes what it runs and is then lent. What waits stays."""
    pool = pools[p]
    share = pool.running / pool.ready / pool.inside if pool.inside > 0.0 else 0.0
    for h in range(inside.shape[1]):
        for k in range(inside.shape[2]):
            moved = inside[p, h, k] * share
            inside[p, h, k] -= moved
            leaving[p, h, k] += moved
    pool.inside *= 1.0 - share
    pool.variance *= 1.0 - share
    pool.running -= pool.running / pool.ready
    pool.ready -= 1
    pool.draining += 1
    at = step + max(math.ceil(DRAINED_AFTER * residual_s(pools, p) / step_s), 1)
    if at < drained_at.shape[0]:
        drained_at[at, p] += 1


@kernel
def follow_plan(pools: Pools, starting: Ints, target: Ints, hour: int) -> None:
    """Set what is left to change in the hour: the plan's replicas less those ready and starting."""
    for p in range(pools.size):
        wanted = target[hour, p]
        pools[p].budget = wanted - replicas_of(pools, starting, p) if wanted >= 0 else 0


@kernel
def _carry_out(s: State, events: Floats, rules: r.Rules, step: int, step_s: float, window: int, tell: bool) -> None:
    """Carry out what is left of the plan: removals first; what finds no GPU is tried again until the hour ends."""
    pools, starting = s.pools, s.starting
    for p in range(pools.size):
        while pools[p].budget < 0 and pools[p].ready > 0 and group_of(pools, starting, p)[0] > rules.floor:
            _scale_in(pools, s.inside, s.leaving, s.drained_at, step, step_s, p)
            events[window, p, r.IN] += 1
            pools[p].budget += 1
    for p in range(pools.size):
        while pools[p].budget > 0:
            kind = scale_out(pools, starting, s.free_gpus, s.ready_at, rules, step, step_s, p)
            if kind != r.REFUSED or tell:
                events[window, p, kind] += 1
            if kind == r.REFUSED:
                break
            pools[p].budget -= 1


@kernel
def wanted_change(x: Inputs, s: State, rules: r.Rules, step: int, p: int) -> int:
    """Return what the rules want of a pool now: one replica more, one less or neither; nothing while it cools down."""
    pool, now_s = s.pools[p], step * x.step_s
    if now_s - pool.last_action_s < rules.cooldown_s:
        return 0
    gap = x.observed_over_forecast[max(step - 1, 0), pool.region, pool.model]
    ready, held = group_of(s.pools, s.starting, p)
    coming = replicas_of(s.pools, s.starting, p) - pool.ready
    return r.scaling_step(rules, pool.signal, pool.ready, coming, ready, held, pool.budget, now_s % 3600.0, gap)


@kernel
def scale(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Let every pool that is not cooling down take at most one step, or carry out the plan where it is due at once."""
    pools, starting, events = s.pools, s.starting, rec.events
    window, now_s = step // x.window_steps, step * x.step_s
    if rules.follow_plan == r.AT_ONCE:
        _carry_out(s, events, rules, step, x.step_s, window, now_s % 3600.0 == 0.0)
        return
    for p in range(pools.size):
        change = wanted_change(x, s, rules, step, p)
        if change == 0:
            continue
        kind = r.IN
        if change > 0:
            kind = scale_out(pools, starting, s.free_gpus, s.ready_at, rules, step, x.step_s, p)
        else:
            _scale_in(pools, s.inside, s.leaving, s.drained_at, step, x.step_s, p)
        events[window, p, kind] += 1
        pools[p].last_action_s = now_s
        if kind != r.REFUSED and pools[p].budget * change > 0:
            pools[p].budget -= change
