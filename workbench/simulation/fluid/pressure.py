"""What back-pressure is read from: replicas at interactive work, the queue of batch work and the rate it drains at.

Looked at once a step before the pools are scaled. How many replicas hold an interactive request is counted by an engine
that has replicas and expected by the fluid one; everything else is the same for both.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.fluid.recording import oldest_wait_s
from workbench.simulation.fluid.service import marginal_prompt_s
from workbench.simulation.fluid.traffic import tell_apart
from workbench.simulation.latency import mean_below
from workbench.simulation.state import RANK_BITS, SEAT, Floats, Inputs, Pools, State


@kernel
def drain_rps(pools: Pools, prompt_grid: Floats, rules: r.Rules, p: int) -> float:
    """Return the requests per second of one replica of a pool that is kept as full as batch pools are filled."""
    pool = pools[p]
    held = pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output
    reserved = pool.cross * pool.prompt + pool.output_square * pool.output
    work_s = marginal_prompt_s(prompt_grid, p, pool.prompt)
    work_s += pool.output * (pool.per_request_s + pool.per_token_s * held)
    return r.drain_rps(
        rules.batch_fill, pool.batch_cap, pool.kv_room, held, reserved, work_s, pool.output * pool.base_s
    )


@kernel
def note_busy(pools: Pools, rules: r.Rules, now_s: float, step_s: float, p: int, busy: float) -> None:
    """Take a look at a pool's replicas with an interactive request into its running mean."""
    pools[p].busy += r.mean_weight(rules, now_s, step_s) * (busy - pools[p].busy)


@kernel
def note_rate(pools: Pools, prompt_grid: Floats, rules: r.Rules, p: int) -> None:
    """Note the rate of a batch pool's replicas, and that nothing waits for it yet."""
    pools[p].drain_rps = drain_rps(pools, prompt_grid, rules, p)
    pools[p].queued, pools[p].left_s = 0.0, r.NEVER


@kernel
def note_queue(x: Inputs, pools: Pools, region: int, m: int, queued: float, left_s: float) -> None:
    """Add requests that wait in a region to the batch pools there; the oldest has so long until its deadline."""
    silos = x.pools_in.shape[2] // x.preference.shape[0]
    for i in range(x.pools_in.shape[3]):
        p = x.pools_in[m, 1, region * silos, i]
        if p < 0:
            break
        pools[p].queued += queued
        pools[p].left_s = min(pools[p].left_s, left_s)


@kernel
def expected_busy(x: Inputs, s: State, p: int) -> float:
    """Return the replicas of a pool that hold an interactive request, as the mean-field state has it."""
    rank, i = s.ranks[p >> RANK_BITS], p & SEAT
    n, total, interactive = float(s.pools[p].ready), 0.0, 0.0
    for h in range(s.crews.shape[1]):
        for k in range(s.crews.shape[2]):
            crew = s.crews[p >> RANK_BITS, h, k]
            there = crew.inside[i] + crew.inflow[i]
            total += there
            if not x.deferrable[k]:
                interactive += there
    if total <= 0.0:
        return 0.0
    below = mean_below(rank.inside[i], rank.variance[i], n)[0]
    return float(r.busy_replicas(n, rank.inside[i], below, interactive / total))


@kernel
def watch(x: Inputs, s: State, rules: r.Rules, step: int) -> None:
    """Look at every pool and queue of the fluid simulator."""
    pools, arrived, released = s.pools, s.arrived, s.released
    tell_apart(x, s)
    for p in range(pools.size):
        if pools[p].silo == r.DEFERRABLE:
            note_rate(pools, x.prompt_grid, rules, p)
        else:
            note_busy(pools, rules, step * x.step_s, x.step_s, p, expected_busy(x, s, p))
    silos = x.pools_in.shape[2] // x.preference.shape[0]
    for h in range(released.shape[0]):
        for m in range(released.shape[1]):
            for d in range(released.shape[2]):
                queued = arrived[step, h, m, d] - released[h, m, d]
                if queued <= 1e-9:
                    continue
                oldest_s = oldest_wait_s(arrived, released[h, m, d], step - 1, x.step_s, h, m, d)
                left_s = x.promise_s[x.deferred[d]] - oldest_s
                for i in range(x.preference.shape[1]):
                    place = x.preference[h, i]
                    if place >= 0 and x.pools_in[m, 1, place, 0] >= 0:
                        note_queue(x, pools, place // silos, m, queued, left_s)
                        break
