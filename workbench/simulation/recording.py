"""What the fluid simulator writes down: latencies as they are met, pools, deadlines, and each window as it closes."""

from __future__ import annotations

import math

from workbench.simulation.compiling import kernel
from workbench.simulation.latency import (
    UNSERVED_S,
    add_latencies,
    lognormal_of,
    percentile,
    share_within,
    ttft_moments,
)
from workbench.simulation.service import marginal_prompt_s
from workbench.simulation.state import (
    BACKLOG,
    BAD_SHARE,
    ITL_SUM,
    KEPT,
    MISSED,
    OLDEST,
    TTFT_SUM,
    Floats,
    Inputs,
    Ints,
    Pools,
    Record,
    State,
)


@kernel
def record_deadlines(x: Inputs, s: State, rec: Record, step: int) -> None:
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


@kernel
def pool_latency(pools: Pools, prompt_grid: Floats, p: int, rate: float) -> tuple[float, float, float, float, float]:
    """Return mean, shift, location and scale of the time to first token, and the gap between tokens, at a rate."""
    pool = pools[p]
    if pool.ready <= 0:
        return UNSERVED_S, 0.0, math.log(UNSERVED_S), 0.0, 0.0
    n, iteration, running = float(pool.ready), pool.iteration_s, pool.running
    prompt_s = marginal_prompt_s(prompt_grid, p, pool.prompt)
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


@kernel
def record_latency(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Count the interactive arrivals since the last tick by their time to first token, in every pool they went to."""
    pools, recent, counted, series, bins = s.pools, s.recent, s.counted, rec.series, rec.window_bins
    window = step // x.window_steps
    for p in range(pools.size):
        pool, requests = pools[p], 0.0
        for h in range(recent.shape[1]):
            for k in range(recent.shape[2]):
                requests += recent[p, h, k]
        if requests <= 0.0:
            continue
        mean, shift, location, scale, gap_s = pool_latency(
            pools, x.prompt_grid, p, requests / (x.latency_steps * x.step_s)
        )
        for h in range(recent.shape[1]):
            delay, interactive = x.network_s[h, pool.region], 0.0
            for k in range(recent.shape[2]):
                count = recent[p, h, k]
                recent[p, h, k] = 0.0
                series[window, h, pool.model, k, ITL_SUM] += count * gap_s
                series[window, h, pool.model, k, BAD_SHARE] += count * pool.saturated
                counted[k] = 0.0
                if count > 0.0 and not x.deferrable[k]:
                    kept = share_within(x.promise_s[k] - delay, shift, location, scale)
                    series[window, h, pool.model, k, TTFT_SUM] += count * (mean + delay)
                    series[window, h, pool.model, k, KEPT] += count * kept
                    counted[k] = count
                    interactive += count
            if interactive > 0.0:
                add_latencies(bins, h, pool.model, counted, delay, shift, location, scale)


@kernel
def record_pools(pools: Pools, starting: Ints, kept: Floats, window: int) -> None:
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


@kernel
def oldest_wait_s(arrived: Floats, released: float, step: int, step_s: float, h: int, m: int, k: int) -> float:
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


@kernel
def close_window(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Read off backlog, ages and percentiles at a window's end and hand its latency bins to the hour."""
    arrived, released, completed = s.arrived, s.released, s.completed
    series, bins, hour_bins, levels = rec.series, rec.window_bins, rec.hour_bins, rec.percentiles
    window, hour = step // x.window_steps, int(step * x.step_s / 3600.0)
    for h in range(released.shape[0]):
        for m in range(released.shape[1]):
            for k in range(released.shape[2]):
                series[window, h, m, k, BACKLOG] = max(arrived[step + 1, h, m, k] - completed[h, m, k], 0.0)
                series[window, h, m, k, OLDEST] = oldest_wait_s(arrived, released[h, m, k], step, x.step_s, h, m, k)
                levels[window, h, m, k, 0] = percentile(bins, h, m, k, 0.50)
                levels[window, h, m, k, 1] = percentile(bins, h, m, k, 0.95)
                levels[window, h, m, k, 2] = percentile(bins, h, m, k, 0.99)
                for b in range(bins.shape[3]):
                    hour_bins[hour, h, m, k, b] += bins[h, m, k, b]
                    bins[h, m, k, b] = 0.0
