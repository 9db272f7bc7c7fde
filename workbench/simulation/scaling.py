"""Replicas of the fluid simulator come and go: readiness, the plan, a step of every pool, where GPUs come from."""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.state import Floats, Inputs, Ints, Pools, Record, State


@kernel
def _replicas(pools: Pools, starting: Ints, p: int) -> int:
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
def _take_from_others(pools: Pools, p: int, needed: int) -> None:
    """Take lent GPUs of the pool's region and kind that hold other models, from the pool that lends most."""
    while needed > 0:
        most, most_gpus = p, 0
        for q in range(pools.size):
            here = pools[q].region == pools[p].region and pools[q].gpu == pools[p].gpu
            if q != p and here and pools[q].lent_gpus > most_gpus:
                most, most_gpus = q, pools[q].lent_gpus
        taken = min(needed, most_gpus)
        pools[most].lent_gpus -= taken
        needed -= taken


@kernel
def _scale_out(
    pools: Pools, starting: Ints, free_gpus: Ints, ready_at: Ints, rules: r.Rules, step: int, step_s: float, p: int
) -> int:
    """Start one replica from the nearest source and return its kind, REFUSED when the region has no GPU left."""
    pool = pools[p]
    others = -pool.lent_gpus
    for q in range(pools.size):
        if pools[q].region == pool.region and pools[q].gpu == pool.gpu:
            others += pools[q].lent_gpus
    kind = r.acquire_kind(pool.gpus, pool.lent_gpus, others, free_gpus[pool.region, pool.gpu])
    if kind == r.REFUSED:
        return kind
    if kind == r.RECLAIM:
        pool.lent_gpus -= pool.gpus
    elif kind == r.SWAP:
        _take_from_others(pools, p, pool.gpus)
    else:
        free_gpus[pool.region, pool.gpu] -= pool.gpus
    starting[p, kind] += 1
    at = step + max(math.ceil(r.readiness_s(rules, kind) / step_s), 1)
    if at < ready_at.shape[0]:
        ready_at[at, p, kind] += 1
    return kind


@kernel
def _scale_in(
    pools: Pools, inside: Floats, leaving: Floats, drained_at: Ints, step: int, step_s: float, p: int
) -> None:
    """Take one ready replica out of routing; it finishes what it runs and is then lent."""
    pool = pools[p]
    share = 1.0 / pool.ready
    for h in range(inside.shape[1]):
        for k in range(inside.shape[2]):
            moved = inside[p, h, k] * share
            inside[p, h, k] -= moved
            leaving[p, h, k] += moved
    pool.inside *= 1.0 - share
    pool.variance *= 1.0 - share
    pool.ready -= 1
    pool.draining += 1
    longest_s = pool.output * pool.output_square * max(pool.iteration_s, pool.base_s)
    at = step + max(math.ceil(longest_s / step_s), 1)
    if at < drained_at.shape[0]:
        drained_at[at, p] += 1


@kernel
def follow_plan(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Set the hour's budgets, and carry the change out at once where the strategy says so: removals first."""
    pools, starting, events = s.pools, s.starting, rec.events
    window, hour = step // x.window_steps, int(step * x.step_s / 3600.0)
    for p in range(pools.size):
        wanted = x.target[hour, p]
        pools[p].budget = wanted - _replicas(pools, starting, p) if wanted >= 0 else 0
    if rules.follow_plan != r.AT_ONCE:
        return
    for p in range(pools.size):
        while pools[p].budget < 0 and pools[p].ready > 0 and _replicas(pools, starting, p) > rules.floor:
            _scale_in(pools, s.inside, s.leaving, s.drained_at, step, x.step_s, p)
            events[window, p, r.IN] += 1
            pools[p].budget += 1
    for p in range(pools.size):
        while pools[p].budget > 0:
            kind = _scale_out(pools, starting, s.free_gpus, s.ready_at, rules, step, x.step_s, p)
            events[window, p, kind] += 1
            if kind == r.REFUSED:
                break
            pools[p].budget -= 1


@kernel
def scale(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Let every pool that is not cooling down take at most one step."""
    pools, starting, events, surprise = s.pools, s.starting, rec.events, x.observed_over_forecast
    window, now_s = step // x.window_steps, step * x.step_s
    for p in range(pools.size):
        pool = pools[p]
        if now_s - pool.last_action_s < rules.cooldown_s:
            continue
        gap = surprise[step, pool.region, pool.model]
        coming = _replicas(pools, starting, p) - pool.ready
        change = r.scaling_step(rules, pool.signal, pool.ready, coming, pool.budget, now_s % 3600.0, gap)
        if change > 0:
            kind = _scale_out(pools, starting, s.free_gpus, s.ready_at, rules, step, x.step_s, p)
            events[window, p, kind] += 1
            pool.last_action_s = now_s
            if kind != r.REFUSED and pool.budget > 0:
                pool.budget -= 1
        elif change < 0 and pool.ready > 1:
            _scale_in(pools, s.inside, s.leaving, s.drained_at, step, x.step_s, p)
            events[window, p, r.IN] += 1
            pool.last_action_s = now_s
            if pool.budget < 0:
                pool.budget += 1
