"""The replay's clock: control ticks as in the fluid simulator, and every request between them in order of arrival.

Invariants, each with a test of its number:

1. arrived = served + shed + backlog, by origin, model, tier and window; what is shed fits in no pool, and none is lost.
2. The KV reserved on a replica never passes its room, nor its batch the cap, under every order and with chunks.
3. No request is served before it arrives, or by a replica that is not ready when it comes there.
4. GPUs of a region and kind are conserved: serving, draining or starting, lent and free make up the stock.
5. The clock of a replica never runs backwards, and none lags behind a control tick.
6. Where all requests of a pool stay in it, more replicas never lengthen the wait for the first token.
7. Same inputs, same bytes, into however many calls and blocks of requests the run is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.fluid.recording import record_pools
from workbench.simulation.fluid.service import marginal_prompt_s
from workbench.simulation.replay.batching import carry
from workbench.simulation.replay.dispatch import arrive, may_release, note_signal, release, release_aged
from workbench.simulation.replay.fleet import lend_drained, scale, start_ready
from workbench.simulation.replay.state import FIRST, READY, Floats, Order, Outside, Requests, Ways, World
from workbench.simulation.scaling import become_ready, follow_plan
from workbench.simulation.state import Inputs, Pools, Record, State


@kernel
def note_lengths(x: Inputs, w: World, pools: Pools, p: int) -> None:
    """Note how long a request of the pool's mean lengths decodes, over the work that it brings."""
    pool = pools[p]
    held = pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output
    slope = pool.per_request_s + pool.per_token_s * held
    work = marginal_prompt_s(x.prompt_grid, p, pool.prompt) + pool.output * slope
    w.speeds[p].decode_s = pool.output * pool.base_s / work


@kernel
def look(x: Inputs, w: World, pools: Pools, rules: r.Rules, p: int) -> None:
    """Note what a pool runs at a tick, and whether it is within 5 % of what it can do or holds requests back."""
    pool, speed = pools[p], w.speeds[p]
    running, blocked = 0, 0
    for i in range(speed.first, speed.first + speed.used):
        replica = w.replicas[i]
        if replica.status == READY:
            running += replica.running + replica.admitted
            blocked += replica.is_blocked
    note_lengths(x, w, pools, p)
    note_signal(w, pools, rules, p)
    pool.inside, pool.running = speed.inside, float(running)
    pool.finished, speed.finished = speed.finished, 0.0
    n = max(float(pool.ready), 1.0)
    pool.kv = min(speed.held / (n * speed.room), 1.0) if pool.ready > 0 else 0.0
    each = running / n
    slots = speed.room / max(speed.needed / max(speed.inside, 1.0), 1.0)
    greatest = min(float(speed.batch_cap), slots)
    is_full = each / (each + speed.decode_s) > 0.95 * greatest / (greatest + speed.decode_s)
    pool.saturated = 1.0 if is_full or blocked > 0.05 * n or (pool.ready <= 0 and speed.inside > 0.0) else 0.0


@inlined
def is_changing(w: World, pools: Pools) -> bool:
    """Return whether a pool has replicas that drain or have just become ready; most ticks find neither."""
    is_any = False
    for p in range(pools.size):
        is_any = is_any or pools[p].draining > 0 or w.speeds[p].active < pools[p].ready
    return is_any


@inlined
def release_spare(ways: Ways, how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, now_s: float) -> None:
    """Let deferrable requests go where a pool has room: each ready replica signals once a step."""
    for p in range(pools.size):
        if may_release(out, pools, rules, p):
            w.speeds[p].credits += pools[p].ready
            release(ways, how, w, out, pools, rules, p, now_s)
        w.speeds[p].credits = 0.0


@kernel
def replay(
    x: Inputs,
    s: State,
    rec: Record,
    how: Order,
    w: World,
    out: Outside,
    q: Requests,
    oldest_s: Floats,
    saturated: NDArray[np.uint8],
    rules: r.Rules,
    first_step: int,
    last_step: int,
) -> None:
    """Run steps [first_step, last_step) in place; every request that arrives in them is taken in.

    ``oldest_s`` (windows, H, M, K) gets the age of the oldest deferrable request not released at each window's end,
    ``saturated`` (steps, P) whether a pool was.
    """
    pools, steps_per_hour = s.pools, int(3600.0 / x.step_s)
    ways = Ways(x.preference, x.pools_in, x.deferrable, x.siloed)
    for p in range(pools.size):
        note_lengths(x, w, pools, p)
    for step in range(first_step, last_step):
        now_s, until_s = step * x.step_s, (step + 1) * x.step_s
        become_ready(pools, s.starting, s.ready_at, s.drained_at, step)
        if is_changing(w, pools):
            lend_drained(w, out, pools)
            start_ready(how, w, out, pools, rules, now_s)
        if step % steps_per_hour == 0 and rules.follow_plan != r.NO_PLAN:
            follow_plan(pools, s.starting, x.target, step // steps_per_hour)
        scale(x, s, rec, how, w, out, rules, step)
        if not x.siloed:
            release_aged(ways, how, w, out, pools, rules, now_s)
            release_spare(ways, how, w, out, pools, rules, now_s)
        for m in range(q.position.size):
            row = q.position[m]
            while row < q.last[m] and q.arrival_s[row] < until_s:
                arrive(ways, how, w, out, pools, rules, q, m, row)
                row += 1
            q.position[m] = row
        for p in range(pools.size):
            carry(how, w, p, until_s)
            look(x, w, pools, rules, p)
            saturated[step, p] = pools[p].saturated > 0.0
        record_pools(pools, s.starting, rec.pools, step // x.window_steps)
        if (step + 1) % x.window_steps == 0 or step + 1 == last_step:
            note_oldest(w, out, oldest_s, step // x.window_steps, until_s)


@kernel
def note_oldest(w: World, out: Outside, oldest_s: Floats, window: int, now_s: float) -> None:
    """Note how long the first request of every queue of deferrable work has waited."""
    for h in range(out.deferred.shape[0]):
        for m in range(out.deferred.shape[1]):
            for k in range(out.deferred.shape[2]):
                head = out.deferred[h, m, k, FIRST]
                oldest_s[window, h, m, k] = now_s - w.slots[head].arrival_s if head >= 0 else 0.0
