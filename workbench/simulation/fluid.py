"""The embedded fluid simulator: mean-field state per pool, ten-second steps, every rule of :mod:`.rules`.

Per pool it carries the requests in the system X (running B plus waiting), their variance V, the mean lengths of what is
inside, replicas by state and lent GPUs; per origin, model and deferrable tier the cumulative arrivals and releases of
the first-in-first-out queue, which make age and deadlines O(1). Equations: simulation.md section 3.

Invariants, each with a test:

1. arrived = served + backlog, for every origin, model and tier, at every window (nothing is shed yet).
2. GPUs of a region and kind are conserved: serving + lent + free = stock at every step.
3. No work is done by a replica that is not ready; a pool without one serves nothing.
4. At constant load running requests, gap between tokens and the greatest load match their closed forms.
5. Same inputs, same bytes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.simulation import rules as r
from workbench.simulation.latency import (
    UNSERVED_S,
    add_latencies,
    lognormal_of,
    mean_below,
    percentile,
    share_within,
    ttft_moments,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pools = NDArray[np.void]

#: One pool: where it stands and how fast a replica is, what stands there now, and the state of the last step.
POOL = np.dtype(
    [
        *((name, np.int64) for name in ("region", "model", "gpu", "gpus", "ready", "draining", "lent_gpus", "budget")),
        *(
            (name, np.float64)
            for name in (
                "base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap",
                "square", "cube", "output_square", "cross", "dispersion",
                "last_action_s", "inside", "arriving", "variance", "prompt", "output",
                "kv", "slots", "work", "signal", "running", "iteration_s", "saturated", "finished",
                "holds_to_route", "holds_to_release",
            )
        ),
    ]
)  # fmt: skip


class Inputs(NamedTuple):
    """What does not change while a span is simulated. H origins, M models, K tiers, P pools, R regions, W windows."""

    step_s: float
    demand_steps: int
    window_steps: int
    latency_steps: int
    rps: Floats  # W, H, M, K
    prompt_mean: Floats  # W, H, M, K
    output_mean: Floats  # W, H, M, K
    deferrable: Ints  # K
    promise_s: Floats  # K: time to first token, or deadline
    preference: Ints  # H, R
    network_s: Floats  # H, R
    pools_in: Ints  # M, 2 (interactive, deferrable), R, pools, padded with -1
    siloed: bool
    prompt_grid: Floats  # P, PROMPT_GRID: marginal seconds per prompt token over log2 of the prompt length
    target: Ints  # hours, P; -1 where there is no plan
    observed_over_forecast: Floats  # steps, R, M


class State(NamedTuple):
    """What changes from step to step."""

    pools: Pools  # P of POOL
    starting: Ints  # P, kinds
    free_gpus: Ints  # R, G
    ready_at: Ints  # steps + 1, P, kinds
    drained_at: Ints  # steps + 1, P
    inside: Floats  # P, H, K: requests in the pool
    leaving: Floats  # P, H, K: requests on draining replicas
    inflow: Floats  # P, H, K: requests routed in this step
    recent: Floats  # P, H, K: requests routed since the last latency tick
    arrived: Floats  # steps + 1, H, M, K: cumulative
    released: Floats  # H, M, K: cumulative
    completed: Floats  # H, M, K: cumulative


class Record(NamedTuple):
    """What is kept, per window."""

    series: Floats  # windows, H, M, K, SERIES_COLUMNS
    pools: Floats  # windows, P, POOL_COLUMNS
    events: Floats  # windows, P, kinds
    window_bins: Floats  # H, M, K, BINS: of the running window
    hour_bins: Floats  # hours, H, M, K, BINS
    percentiles: Floats  # windows, H, M, K, 3


ARRIVED, SERVED, BACKLOG, MISSED, ELSEWHERE, TTFT_SUM, ITL_SUM, KEPT, BAD_SHARE, OLDEST = range(10)
SERIES_COLUMNS, POOL_COLUMNS = 10, 11
PROMPT_GRID = 84  # points of log2(prompt tokens) from 0 to 20.75 in steps of a quarter


@njit(cache=True)
def _prompt_s(grid: Floats, p: int, prompt: float) -> float:
    place = min(max(math.log2(max(prompt, 1.0)) * 4.0, 0.0), PROMPT_GRID - 1.001)
    low = int(place)
    return float((grid[p, low] + (grid[p, low + 1] - grid[p, low]) * (place - low)) * prompt)


@njit(cache=True)
def _replicas(pools: Pools, starting: Ints, p: int) -> int:
    return int(pools[p].ready + starting[p, 0] + starting[p, 1] + starting[p, 2])


@njit(cache=True)
def _become_ready(pools: Pools, starting: Ints, ready_at: Ints, drained_at: Ints, step: int) -> None:
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _follow_plan(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
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


@njit(cache=True)
def _scale(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
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


@njit(cache=True)
def _send(pools: Pools, inflow: Floats, p: int, h: int, k: int, requests: float, prompt: float, output: float) -> None:
    """Hand requests to a pool and mix their lengths into those of what is inside."""
    pool = pools[p]
    share = requests / (pool.inside + pool.arriving + requests)
    pool.prompt += share * (prompt - pool.prompt)
    pool.output += share * (output - pool.output)
    pool.arriving += requests
    inflow[p, h, k] += requests


@njit(cache=True)
def _holds(pools: Pools, rules: r.Rules, p: int, limit: float, held: float, reserved: float, work: float) -> float:
    """Return how many requests the pool holds when its signal stands at the limit; ``work`` is seconds a request."""
    pool = pools[p]
    each = limit * pool.kv_room / held
    if not rules.kv_cache_only:
        each = min(each, limit * min(pool.batch_cap, pool.kv_room / reserved))
        each = min(each, limit / max(1.0 - limit, 1e-9) * pool.output * pool.base_s / work)
    return float(pool.ready * each)


@njit(cache=True)
def _note_limits(pools: Pools, prompt_grid: Floats, rules: r.Rules, p: int) -> None:
    """Note what the pool holds at the thresholds of routing and release, as its lengths and replicas stand now."""
    pool = pools[p]
    held = pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output
    reserved = pool.cross * pool.prompt + pool.output_square * pool.output
    work = _prompt_s(prompt_grid, p, pool.prompt) + pool.output * (pool.per_request_s + pool.per_token_s * held)
    pool.holds_to_route = _holds(pools, rules, p, rules.route_below, held, reserved, work)
    pool.holds_to_release = _holds(pools, rules, p, rules.release_one_below, held, reserved, work)


@njit(cache=True)
def _taken(pools: Pools, p: int) -> float:
    """Return what is in the pool after this step so far, if it completes as many as in the last."""
    return float(pools[p].inside + pools[p].arriving - pools[p].finished)


@njit(cache=True)
def _route(
    pools: Pools,
    inflow: Floats,
    preference: Ints,
    pools_in: Ints,
    rules: r.Rules,
    h: int,
    m: int,
    k: int,
    kind: int,
    requests: float,
    prompt: float,
    output: float,
) -> None:
    """Route a step's requests as the rule does one by one: pool after pool to the threshold, the rest to the idlest.

    A pool just under the threshold takes one more request on each replica, which lifts its signal over it; so a pool
    whose overflow goes elsewhere still asks for another replica.
    """
    idlest, fullness, left = -1, math.inf, requests
    for i in range(preference.shape[1]):
        for j in range(pools_in.shape[3]):
            p = pools_in[m, kind, preference[h, i], j]
            if p < 0:
                break
            pool = pools[p]
            if pool.ready <= 0:
                idlest = p if idlest < 0 else idlest
                continue
            if pool.signal < rules.route_below:
                going = min(left, max(pool.holds_to_route - _taken(pools, p), 0.0) + pool.ready)
                _send(pools, inflow, p, h, k, going, prompt, output)
                left -= going
                if left <= 0.0:
                    return
            ratio = (pool.inside + pool.arriving) / max(pool.holds_to_route, 1e-9)
            if ratio < fullness:
                idlest, fullness = p, ratio
    _send(pools, inflow, idlest, h, k, left, prompt, output)


@njit(cache=True)
def _release(
    pools: Pools,
    inflow: Floats,
    pools_in: Ints,
    rules: r.Rules,
    h: int,
    m: int,
    k: int,
    queued: float,
    prompt: float,
    output: float,
) -> float:
    """Let queued deferrable requests go on signals of spare capacity and return how many.

    A pool signals at each completion, and each ready replica once per step, so that an idle pool is fed too.
    """
    going = 0.0
    for i in range(pools_in.shape[3]):
        p = pools_in[m, 1, h, i]
        if p < 0 or queued <= going:
            break
        allowed = r.released_per_signal(rules, pools[p].signal) * (pools[p].finished + pools[p].ready)
        batch = min(queued - going, allowed, max(pools[p].holds_to_release - _taken(pools, p), 0.0))
        if batch > 0.0:
            _send(pools, inflow, p, h, k, batch, prompt, output)
            going += batch
    return going


@njit(cache=True)
def _arrive(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Bring in one step's arrivals: interactive ones are routed; deferrable ones queued, and released when it is time.

    What has grown old in the queue goes as if it were interactive.
    """
    pools, inflow, arrived, released, series = s.pools, s.inflow, s.arrived, s.released, rec.series
    rps, prompts, outputs, preference, pools_in = x.rps, x.prompt_mean, x.output_mean, x.preference, x.pools_in
    w, window, old = step // x.demand_steps, step // x.window_steps, step - int(rules.ages_after_s / x.step_s)
    for p in range(pools.size):
        pools[p].arriving = 0.0
    inflow[:] = 0.0
    origins, models, tiers = released.shape
    for h in range(origins):
        for m in range(models):
            for k in range(tiers):
                requests = rps[w, h, m, k] * x.step_s
                arrived[step + 1, h, m, k] = arrived[step, h, m, k] + requests
                series[window, h, m, k, ARRIVED] += requests
                prompt, output = prompts[w, h, m, k], outputs[w, h, m, k]
                queued = arrived[step + 1, h, m, k] - released[h, m, k]
                waits = x.deferrable[k] and not x.siloed
                due = requests
                if waits:
                    aged = arrived[old, h, m, k] - released[h, m, k] if old >= 0 else 0.0
                    due = min(max(aged, 0.0), queued)
                if due > 0.0:
                    kind = 0 if waits else x.deferrable[k]
                    _route(pools, inflow, preference, pools_in, rules, h, m, k, kind, due, prompt, output)
                if waits and queued > due:
                    due += _release(pools, inflow, pools_in, rules, h, m, k, queued - due, prompt, output)
                released[h, m, k] += due


@njit(cache=True)
def _advance(pools: Pools, prompt_grid: Floats, rules: r.Rules, step_s: float, p: int) -> float:
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
    prompt_s = _prompt_s(prompt_grid, p, pool.prompt)
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
    pool.holds_to_route = _holds(pools, rules, p, rules.route_below, held, reserved, work)
    pool.holds_to_release = _holds(pools, rules, p, rules.release_one_below, held, reserved, work)
    return float(served)


@njit(cache=True)
def _serve(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Advance every pool and take the completions out of it, in proportion to what is inside."""
    pools, inside, leaving, inflow, recent, completed = s.pools, s.inside, s.leaving, s.inflow, s.recent, s.completed
    series, window = rec.series, step // x.window_steps
    for p in range(pools.size):
        pool = pools[p]
        present = pool.inside + pool.arriving
        served = _advance(pools, x.prompt_grid, rules, x.step_s, p)
        share = served / present if present > 0.0 else 0.0
        drained = 1.0
        if pool.draining > 0:
            drained -= math.exp(-x.step_s / max(pool.output * pool.iteration_s, 1e-9))
        finished = 0.0
        for h in range(inside.shape[1]):
            for k in range(inside.shape[2]):
                come = inflow[p, h, k]
                there = inside[p, h, k] + come
                done = there * share + leaving[p, h, k] * drained
                inside[p, h, k] = there * (1.0 - share)
                leaving[p, h, k] *= 1.0 - drained
                recent[p, h, k] += come
                completed[h, pool.model, k] += done
                finished += done
                series[window, h, pool.model, k, SERVED] += done
                if pool.region != h:
                    series[window, h, pool.model, k, ELSEWHERE] += come
        pool.finished = finished


@njit(cache=True)
def _deadlines(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Count the deferrable requests whose deadline passed in this step without completion."""
    arrived, completed, series, window = s.arrived, s.completed, rec.series, step // x.window_steps
    for k in range(completed.shape[2]):
        due = step - int(min(x.promise_s[k] / x.step_s, 1e15))
        if not x.deferrable[k] or due < 0:
            continue
        for h in range(completed.shape[0]):
            for m in range(completed.shape[1]):
                fell, until = arrived[due, h, m, k], arrived[due + 1, h, m, k]
                missed = max(until - max(completed[h, m, k], fell), 0.0)
                series[window, h, m, k, MISSED] += missed
                series[window, h, m, k, KEPT] += until - fell - missed


@njit(cache=True)
def _pool_latency(pools: Pools, prompt_grid: Floats, p: int, rate: float) -> tuple[float, float, float, float, float]:
    """Return mean, shift, location and scale of the time to first token, and the gap between tokens, at a rate."""
    pool = pools[p]
    if pool.ready <= 0:
        return UNSERVED_S, 0.0, math.log(UNSERVED_S), 0.0, 0.0
    n, iteration, running = float(pool.ready), pool.iteration_s, pool.running
    prompt_s = _prompt_s(prompt_grid, p, pool.prompt)
    slope = pool.per_request_s + pool.per_token_s * (pool.cross * pool.prompt + 0.5 * pool.output_square * pool.output)
    most = running / (pool.output * iteration + running * prompt_s / n)
    waiting = max(pool.inside - running, 0.0)
    admitted = min(rate, most) if waiting > 1.0 else rate
    mean, spread = ttft_moments(
        n, admitted, prompt_s, iteration, slope, running, pool.variance, pool.square, pool.cube, pool.dispersion
    )
    if waiting > 0.0 and most > 0.0:
        mean += waiting / most
        spread += waiting * max(pool.dispersion, 1.0) / most**2
    location, scale = lognormal_of(mean, spread, iteration)
    return mean, iteration, location, scale, iteration / (1.0 - min(prompt_s * admitted / n, 0.98))


@njit(cache=True)
def _latency(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Count the interactive arrivals since the last tick by their time to first token, in every pool they went to."""
    pools, recent, series, bins, window = s.pools, s.recent, rec.series, rec.window_bins, step // x.window_steps
    for p in range(pools.size):
        pool, requests = pools[p], 0.0
        for h in range(recent.shape[1]):
            for k in range(recent.shape[2]):
                requests += recent[p, h, k]
        if requests <= 0.0:
            continue
        mean, shift, location, scale, gap_s = _pool_latency(
            pools, x.prompt_grid, p, requests / (x.latency_steps * x.step_s)
        )
        for h in range(recent.shape[1]):
            delay = x.network_s[h, pool.region]
            for k in range(recent.shape[2]):
                count = recent[p, h, k]
                recent[p, h, k] = 0.0
                series[window, h, pool.model, k, ITL_SUM] += count * gap_s
                series[window, h, pool.model, k, BAD_SHARE] += count * pool.saturated
                if count > 0.0 and not x.deferrable[k]:
                    kept = share_within(x.promise_s[k] - delay, shift, location, scale)
                    series[window, h, pool.model, k, TTFT_SUM] += count * (mean + delay)
                    series[window, h, pool.model, k, KEPT] += count * kept
                    add_latencies(bins, h, pool.model, k, count, delay, shift, location, scale)


@njit(cache=True)
def _record_pools(pools: Pools, starting: Ints, kept: Floats, window: int) -> None:
    """Add one step's state of every pool to its window."""
    for p in range(pools.size):
        pool = pools[p]
        kept[window, p, 0] += pool.ready
        kept[window, p, 1] += starting[p, 0]
        kept[window, p, 2] += starting[p, 1]
        kept[window, p, 3] += starting[p, 2]
        kept[window, p, 4] += pool.draining
        kept[window, p, 5] += pool.lent_gpus / pool.gpus
        kept[window, p, 6] += pool.running
        kept[window, p, 7] += max(pool.inside - pool.running, 0.0)
        kept[window, p, 8] += pool.kv
        kept[window, p, 9] += pool.slots
        kept[window, p, 10] += pool.work


@njit(cache=True)
def _oldest_wait_s(arrived: Floats, released: float, step: int, step_s: float, h: int, m: int, k: int) -> float:
    """Return the age of the oldest request that is not released, 0 when none waits."""
    if arrived[step + 1, h, m, k] <= released + 1e-9:
        return 0.0
    low, high = 0, step + 1
    while high - low > 1:
        middle = (low + high) // 2
        if arrived[middle, h, m, k] > released + 1e-9:
            high = middle
        else:
            low = middle
    return (step + 1 - low) * step_s


@njit(cache=True)
def _close_window(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Read off backlog, ages and percentiles at a window's end and hand its latency bins to the hour."""
    arrived, released, completed = s.arrived, s.released, s.completed
    series, bins, hour_bins, levels = rec.series, rec.window_bins, rec.hour_bins, rec.percentiles
    window, hour = step // x.window_steps, int(step * x.step_s / 3600.0)
    for h in range(released.shape[0]):
        for m in range(released.shape[1]):
            for k in range(released.shape[2]):
                series[window, h, m, k, BACKLOG] = max(arrived[step + 1, h, m, k] - completed[h, m, k], 0.0)
                series[window, h, m, k, OLDEST] = _oldest_wait_s(arrived, released[h, m, k], step, x.step_s, h, m, k)
                levels[window, h, m, k, 0] = percentile(bins, h, m, k, 0.50)
                levels[window, h, m, k, 1] = percentile(bins, h, m, k, 0.95)
                levels[window, h, m, k, 2] = percentile(bins, h, m, k, 0.99)
                for b in range(bins.shape[3]):
                    hour_bins[hour, h, m, k, b] += bins[h, m, k, b]
                    bins[h, m, k, b] = 0.0


@njit(cache=True)
def simulate(x: Inputs, s: State, rec: Record, rules: r.Rules, first_step: int, last_step: int) -> None:
    """Run steps [first_step, last_step) in place: readiness, plan, arrivals, service, latency, scaling."""
    steps_per_hour = int(3600.0 / x.step_s)
    for p in range(s.pools.size):
        _note_limits(s.pools, x.prompt_grid, rules, p)
    for step in range(first_step, last_step):
        _become_ready(s.pools, s.starting, s.ready_at, s.drained_at, step)
        if step % steps_per_hour == 0 and rules.follow_plan != r.NO_PLAN:
            _follow_plan(x, s, rec, rules, step)
        _arrive(x, s, rec, rules, step)
        _serve(x, s, rec, rules, step)
        _deadlines(x, s, rec, step)
        _record_pools(s.pools, s.starting, rec.pools, step // x.window_steps)
        if (step + 1) % x.latency_steps == 0 or step + 1 == last_step:
            _latency(x, s, rec, step)
        _scale(x, s, rec, rules, step)
        if (step + 1) % x.window_steps == 0 or step + 1 == last_step:
            _close_window(x, s, rec, step)
