"""Pools of the fluid simulator serve: the mean-field state of simulation.md section 3, advanced by a step."""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.latency import mean_below
from workbench.simulation.state import PROMPT_GRID, SERVED, Floats, Inputs, Pools, Record, State

SAME_LENGTHS = 1e-4  # a relative change of the mean lengths below which what follows from them is kept


@kernel
def marginal_prompt_s(grid: Floats, p: int, prompt: float) -> float:
    """Return the seconds a prompt of that length adds to an iteration, from the pool's table."""
    place = min(max(math.log2(max(prompt, 1.0)) * 4.0, 0.0), PROMPT_GRID - 1.001)
    low = int(place)
    return float((grid[p, low] + (grid[p, low + 1] - grid[p, low]) * (place - low)) * prompt)


@kernel
def holds_each(pools: Pools, rules: r.Rules, p: int, limit: float) -> float:
    """Return how many requests a replica of the pool holds when the signal stands at the limit."""
    pool = pools[p]
    each = limit * pool.kv_room / pool.held
    if not rules.kv_cache_only:
        each = min(each, limit * min(pool.batch_cap, pool.kv_room / pool.reserved))
        each = min(each, limit / max(1.0 - limit, 1e-9) * pool.decode_over_work)
    return float(each)


@kernel
def note_lengths(pools: Pools, prompt_grid: Floats, rules: r.Rules, p: int) -> None:
    """Note all that follows from the mean lengths of what is inside, where those have changed.

    KV tokens held and reserved per request, slots per replica, seconds that a prompt adds to an iteration, growth of an
    iteration per request, seconds of decoding over seconds of work, and what a replica holds at the thresholds.
    """
    pool = pools[p]
    is_same = abs(pool.prompt - pool.noted_prompt) <= SAME_LENGTHS * pool.noted_prompt
    if is_same and abs(pool.output - pool.noted_output) <= SAME_LENGTHS * pool.noted_output:
        return
    pool.noted_prompt, pool.noted_output = pool.prompt, pool.output
    pool.held = pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output
    pool.reserved = pool.held + 0.5 * pool.output_square * pool.output
    pool.prompt_s = marginal_prompt_s(prompt_grid, p, pool.prompt)
    pool.slope_s = pool.per_request_s + pool.per_token_s * pool.held
    pool.slots_each = max(min(pool.batch_cap, pool.kv_room / pool.reserved), 1.0)
    pool.decode_over_work = pool.output * pool.base_s / (pool.prompt_s + pool.output * pool.slope_s)
    pool.per_output, pool.per_slot, pool.per_room = 1.0 / pool.output, 1.0 / pool.slots_each, 1.0 / pool.kv_room
    pool.full_work = 0.95 * pool.slots_each / (pool.slots_each + pool.decode_over_work)
    pool.route_each = holds_each(pools, rules, p, rules.route_below)
    pool.release_each = holds_each(pools, rules, p, r.release_until(rules, pool.silo))


@kernel
def stand_still(pools: Pools, p: int) -> None:
    """Keep what comes to a pool without a ready replica."""
    pool = pools[p]
    pool.inside += pool.arriving
    pool.kv = pool.slots = pool.work = pool.running = pool.finished = 0.0
    pool.signal = pool.saturated = 1.0 if pool.inside > 0.0 else 0.0
    pool.iteration_s = pool.base_s


@inlined
def read_prompts(pools: Pools, p: int, iteration_s: float, each_one: float, brought: float, step_s: float) -> float:
    """Take in a step's prompts, ``brought`` seconds of reading per replica and second; return the share of time read.

    With U seconds of prompts unread a replica reads U / (U + u) of the time, which at a constant load settles at the
    share that is brought, with the unread work of the gated cycle: u is one and a half iterations and half a prompt,
    size-biased. A burst of more than can be read leaves U behind, which takes its time to be read.
    """
    pool = pools[p]
    usual = 1.5 * iteration_s + 0.5 * pool.prompt_s * max(pool.square + pool.dispersion - 1.0, 1.0)
    unread = pool.unread_s * each_one + step_s * brought
    half = 0.5 * (unread - usual - step_s)
    left = half + math.sqrt(half * half + usual * unread)
    pool.unread_s = left * pool.ready
    return float(left / (left + usual))


@inlined
def advance(pools: Pools, prompt_grid: Floats, rules: r.Rules, step_s: float, per_s: float, p: int) -> None:
    """Advance one pool by a step (simulation.md section 3, linearised implicit Euler); what it served is finished.

    ``per_s`` is one over the step. A division costs as much as six other operations, so each is done once.
    """
    pool = pools[p]
    if pool.ready <= 0:
        stand_still(pools, p)
        return
    note_lengths(pools, prompt_grid, rules, p)
    each_one, before, variance = 1.0 / pool.ready, pool.inside, pool.variance
    prompt_s, slope, base = pool.prompt_s * each_one, pool.slope_s * each_one, pool.base_s
    slots, arriving = pool.ready * pool.slots_each, pool.arriving * per_s
    running, above = mean_below(before, variance, slots)
    iteration = base + slope * running
    per_iteration = 1.0 / iteration
    admitted = arriving
    if above > 0.0:
        admitted = (1.0 - above) * arriving + above * running / (pool.output * iteration + running * prompt_s)
    pool.prompt_share = read_prompts(pools, p, iteration, each_one, prompt_s * admitted, step_s)
    rate = (1.0 - pool.prompt_share) * pool.per_output * per_iteration
    throughput = running * rate
    easing = (1.0 - above) * rate * base * per_iteration
    closure = easing * slope * per_iteration * variance
    change = step_s * (arriving - throughput + closure) / (1.0 + step_s * easing)
    served = min(max(pool.arriving - change, 0.0), before + pool.arriving)
    after = before + pool.arriving - served
    variance = (variance + step_s * (pool.dispersion * arriving + throughput)) / (1.0 + 2.0 * step_s * easing)
    variance = min(variance, after * after + after)
    running, above = mean_below(after, variance, slots)
    pool.inside, pool.variance, pool.running, pool.finished = after, variance, running, served
    pool.iteration_s = base + slope * running
    each, reading = running * each_one, pool.reading * each_one
    pool.kv = min(each * pool.held * pool.per_room, 1.0)
    asked = min(pool.kv + reading * pool.prompt * pool.per_room, 1.0)  # prompts being read are not held yet
    pool.slots = min((each + reading) * pool.per_slot, 1.0)
    pool.work = each / (each + pool.decode_over_work)
    pool.signal = r.signal_of(rules, asked, pool.slots, pool.work)
    pool.saturated = 1.0 if pool.work > pool.full_work or above > 0.05 else 0.0


@kernel
def residual_s(pools: Pools, p: int) -> float:
    """Return how long a running request still takes on average: E[O^2] / (2 E[O]) iterations (it is size-biased)."""
    pool = pools[p]
    return float(0.5 * pool.output_square * pool.output * max(pool.iteration_s, pool.base_s))


@inlined
def serve(x: Inputs, s: State, rules: r.Rules) -> None:
    """Advance every pool by a step."""
    pools, per_s = s.pools, 1.0 / x.step_s
    for p in range(pools.size):
        advance(pools, x.prompt_grid, rules, x.step_s, per_s, p)
        pools[p].served += pools[p].finished
        pools[p].routed += pools[p].arriving
        pools[p].arriving = 0.0


@inlined
def settle(x: Inputs, s: State, rec: Record, step: int, p: int) -> None:
    """Tell the origins and tiers apart in what came to a pool and was served up to a step, since it was last settled.

    Completions are shared out in proportion to what was inside; what drains ends as its residual time has it.
    """
    pool, inside, leaving, inflow, met = s.pools[p], s.inside, s.leaving, s.inflow, s.met
    present, window = pool.inside + pool.served, max(step - 1, 0) // x.window_steps
    share = pool.served / present if present > 0.0 else 0.0
    drained = 1.0
    if pool.draining > 0:
        drained -= math.exp(-(step - pool.settled) * x.step_s / max(residual_s(s.pools, p), 1e-9))
    for h in range(inside.shape[1]):
        for k in range(inside.shape[2]):
            come = inflow[p, h, k]
            there = inside[p, h, k] + come
            if there <= 0.0 and leaving[p, h, k] <= 0.0:
                continue
            done = there * share + leaving[p, h, k] * drained
            inflow[p, h, k] = 0.0
            met[p, h, k] += come
            inside[p, h, k] = there * (1.0 - share)
            leaving[p, h, k] *= 1.0 - drained
            s.completed[h, pool.model, k] += done
            rec.series[window, h, pool.model, k, SERVED] += done
    pool.served, pool.settled = 0.0, step
