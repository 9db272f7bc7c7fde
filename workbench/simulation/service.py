"""Pools of the fluid simulator serve: the mean-field state of simulation.md section 3, advanced by a step."""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.latency import mean_below
from workbench.simulation.state import ELSEWHERE, PROMPT_GRID, SERVED, Floats, Inputs, Pools, Record, State


@kernel
def marginal_prompt_s(grid: Floats, p: int, prompt: float) -> float:
    """Return the seconds a prompt of that length adds to an iteration, from the pool's table."""
    place = min(max(math.log2(max(prompt, 1.0)) * 4.0, 0.0), PROMPT_GRID - 1.001)
    low = int(place)
    return float((grid[p, low] + (grid[p, low + 1] - grid[p, low]) * (place - low)) * prompt)


@kernel
def holds(pools: Pools, rules: r.Rules, p: int, limit: float, held: float, reserved: float, work: float) -> float:
    """Return how many requests the pool holds when its signal stands at the limit; ``work`` is seconds a request."""
    pool = pools[p]
    each = limit * pool.kv_room / held
    if not rules.kv_cache_only:
        each = min(each, limit * min(pool.batch_cap, pool.kv_room / reserved))
        each = min(each, limit / max(1.0 - limit, 1e-9) * pool.output * pool.base_s / work)
    return float(pool.ready * each)


@kernel
def note_limits(pools: Pools, prompt_grid: Floats, rules: r.Rules, p: int) -> None:
    """Note what the pool holds at the thresholds of routing and release, as its lengths and replicas stand now."""
    pool = pools[p]
    held = pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output
    reserved = pool.cross * pool.prompt + pool.output_square * pool.output
    work = marginal_prompt_s(prompt_grid, p, pool.prompt) + pool.output * (pool.per_request_s + pool.per_token_s * held)
    pool.holds_to_route = holds(pools, rules, p, rules.route_below, held, reserved, work)
    pool.holds_to_release = holds(pools, rules, p, r.release_until(rules, pool.silo), held, reserved, work)


@kernel
def advance(pools: Pools, prompt_grid: Floats, rules: r.Rules, step_s: float, p: int) -> float:
    """Advance one pool by a step and return its completions (simulation.md section 3, linearised implicit Euler)."""
    pool = pools[p]
    n, before, arriving = float(pool.ready), pool.inside, pool.arriving / step_s
    if n <= 0.0:
        pool.kv = pool.slots = pool.work = pool.running = 0.0
        pool.signal = pool.saturated = 1.0 if before + arriving > 0.0 else 0.0
        pool.iteration_s = pool.base_s
        pool.inside = before + pool.arriving
        return 0.0
    output, base = pool.output, pool.base_s
    held = pool.cross * pool.prompt + 0.5 * pool.output_square * output
    reserved = pool.cross * pool.prompt + pool.output_square * output
    prompt_s = marginal_prompt_s(prompt_grid, p, pool.prompt)
    slope = pool.per_request_s + pool.per_token_s * held
    slots = max(min(pool.batch_cap, pool.kv_room / reserved), 1.0)
    running, above = mean_below(before, pool.variance, n * slots)
    iteration = base + slope * running / n
    most = running / (output * iteration + running * prompt_s / n)
    admitted = (1.0 - above) * arriving + above * most
    decoding = 1.0 - min(prompt_s * admitted / n, 0.98)
    throughput = running * decoding / (output * iteration)
    easing = decoding / (output * iteration) * base / iteration * (1.0 - above)
    closure = (1.0 - above) * decoding * base * slope / (n * output * iteration**3) * pool.variance
    change = step_s * (arriving - throughput + closure) / (1.0 + step_s * easing)
    served = min(max(pool.arriving - change, 0.0), before + pool.arriving)
    after = before + pool.arriving - served
    variance = (pool.variance + step_s * (pool.dispersion * arriving + throughput)) / (1.0 + 2.0 * step_s * easing)
    pool.variance = min(variance, after * after + after)
    pool.inside = after
    work = prompt_s + output * slope
    running, above = mean_below(after, pool.variance, n * slots)
    each = running / n
    pool.kv = min(each * held / pool.kv_room, 1.0)
    pool.slots = min(each / slots, 1.0)
    pool.work = each / (each + output * base / work)
    pool.signal = r.signal_of(rules, pool.kv, pool.slots, pool.work)
    pool.running = running
    pool.iteration_s = base + slope * each
    greatest = slots / (slots + output * base / work)
    pool.saturated = 1.0 if pool.work > 0.95 * greatest or above > 0.05 else 0.0
    pool.holds_to_route = holds(pools, rules, p, rules.route_below, held, reserved, work)
    pool.holds_to_release = holds(pools, rules, p, r.release_until(rules, pool.silo), held, reserved, work)
    return float(served)


@kernel
def residual_s(pools: Pools, p: int) -> float:
    """Return how long a running request still takes on average: E[O^2] / (2 E[O]) iterations (it is size-biased)."""
    pool = pools[p]
    return float(0.5 * pool.output_square * pool.output * max(pool.iteration_s, pool.base_s))


@kernel
def serve(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Advance every pool and take the completions out of it, in proportion to what is inside."""
    pools, inside, leaving, inflow, recent, completed = s.pools, s.inside, s.leaving, s.inflow, s.recent, s.completed
    series, window = rec.series, step // x.window_steps
    for p in range(pools.size):
        pool = pools[p]
        present = pool.inside + pool.arriving
        served = advance(pools, x.prompt_grid, rules, x.step_s, p)
        share = served / present if present > 0.0 else 0.0
        drained = 1.0
        if pool.draining > 0:
            drained -= math.exp(-x.step_s / max(residual_s(pools, p), 1e-9))
        for h in range(inside.shape[1]):
            for k in range(inside.shape[2]):
                come = inflow[p, h, k]
                there = inside[p, h, k] + come
                done = there * share + leaving[p, h, k] * drained
                inside[p, h, k] = there * (1.0 - share)
                leaving[p, h, k] *= 1.0 - drained
                recent[p, h, k] += come
                completed[h, pool.model, k] += done
                series[window, h, pool.model, k, SERVED] += done
                if pool.region != h:
                    series[window, h, pool.model, k, ELSEWHERE] += come
        pool.finished = served
