"""What the fluid simulator writes down: latencies as they are met, pools, deadlines, and each window as it closes."""

from __future__ import annotations

from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.correcting import factors_at
from workbench.simulation.latency import (
    BINS,
    UNSERVED_S,
    add_latencies,
    lognormal_of,
    note_percentiles,
    share_within,
    ttft_moments,
)
from workbench.simulation.state import (
    ARRIVED,
    BACKLOG,
    BAD_SHARE,
    ELSEWHERE,
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

ALIKE = 0.1  # relative difference of mean latencies up to which minutes are laid out as one


@kernel
def record_deadlines(x: Inputs, s: State, rec: Record, first: int, last: int) -> None:
    """Count the deferrable requests whose deadline passed in the steps [first, last) without completion."""
    arrived, series, window = s.arrived, rec.series, (last - 1) // x.window_steps
    for d in range(x.deferred.size):
        k = x.deferred[d]
        ago = int(min(x.promise_s[k] / x.step_s, 1e15))
        if last <= ago:
            continue
        for h in range(arrived.shape[1]):
            for m in range(arrived.shape[2]):
                fell, until = arrived[max(first - ago, 0), h, m, d], arrived[last - ago, h, m, d]
                missed = max(until - max(s.completed[h, m, k], fell), 0.0)
                series[window, h, m, k, MISSED] += missed
                series[window, h, m, k, KEPT] += until - fell - missed


@inlined
def pool_latency(x: Inputs, pools: Pools, p: int) -> tuple[float, float, float, float, float]:
    """Return mean, variance and third central moment of the time to first token, the gap between tokens, what reads.

    As the pool stands. What reads is the requests of the pool that are in the iteration of their prompt, beyond
    the one iteration of a mean length that the fluid state counts for it.
    """
    pool = pools[p]
    if pool.ready <= 0:
        return UNSERVED_S, 0.0, 0.0, 0.0, 0.0
    n, iteration, running = float(pool.ready), pool.iteration_s, pool.running
    most = running / (pool.output * iteration + running * pool.prompt_s / n)
    waiting = max(pool.inside - running, 0.0)
    read = n * pool.prompt_share / pool.prompt_s
    mean, spread, lean, riding = ttft_moments(
        n, read, pool.prompt_s, iteration, pool.slope_s, running, pool.variance, pool.square, pool.cube, pool.dispersion
    )
    if x.correction.shape[1] > 0:
        greatest = pool.slots_each / (pool.slots_each + pool.decode_over_work)
        on_mean, on_spread = factors_at(x.correction, p, pool.work / greatest, n)
        stretch = on_mean * on_spread
        mean, spread, lean = mean * on_mean, spread * stretch * stretch, lean * stretch**3
    if waiting > 0.0 and most > 0.0:
        mean += waiting / most
        spread += waiting * max(pool.dispersion, 1.0) / (most * most)
    gap_s = iteration / (1.0 - pool.prompt_share)
    return mean, spread, lean, gap_s, max(read * (riding - gap_s), 0.0)


@inlined
def meet(x: Inputs, s: State, rec: Record, step: int, p: int) -> None:
    """Note how long the arrivals that a pool has not met yet take to their first token, as it stands now.

    Arrivals of ticks that are alike are laid out together; a tick whose mean differs by ALIKE from theirs begins anew.
    """
    pool = s.pools[p]
    requests, pool.routed, pool.reading = pool.routed, 0.0, 0.0
    if requests <= 0.0:
        return
    mean, spread, lean, gap_s, pool.reading = pool_latency(x, s.pools, p)
    if abs(pool.met_mean_s - mean * pool.met) > ALIKE * mean * pool.met:
        lay_out(x, s, rec, step, p)
    pool.met += requests
    pool.met_mean_s += requests * mean
    pool.met_square_s += requests * (spread + mean * mean)
    pool.met_cube_s += requests * (lean + mean * (3.0 * spread + mean * mean))
    pool.met_gap_s += requests * gap_s
    pool.met_saturated += requests * pool.saturated


@inlined
def lay_out(x: Inputs, s: State, rec: Record, step: int, p: int) -> None:
    """Count the arrivals that a pool has met by their time to first token, and begin anew."""
    pool, met, counted, series = s.pools[p], s.met, s.counted, rec.series
    if pool.met <= 0.0:
        return
    window, mean, square = step // x.window_steps, pool.met_mean_s / pool.met, pool.met_square_s / pool.met
    third = pool.met_cube_s / pool.met - mean * (3.0 * square - 2.0 * mean * mean)
    gap_s, saturated = pool.met_gap_s / pool.met, pool.met_saturated / pool.met
    shift, location, scale = lognormal_of(mean, max(square - mean * mean, 0.0), third)
    for h in range(met.shape[1]):
        delay, interactive = x.network_s[h, pool.region], 0.0
        for k in range(met.shape[2]):
            count, counted[k] = met[p, h, k], 0.0
            met[p, h, k] = 0.0
            if count <= 0.0:
                continue
            series[window, h, pool.model, k, ITL_SUM] += count * gap_s
            series[window, h, pool.model, k, BAD_SHARE] += count * saturated
            if pool.region != h:
                series[window, h, pool.model, k, ELSEWHERE] += count
            if not x.deferrable[k]:
                kept = share_within(x.promise_s[k] - delay, shift, location, scale)
                series[window, h, pool.model, k, TTFT_SUM] += count * (mean + delay)
                series[window, h, pool.model, k, KEPT] += count * kept
                counted[k] = count
                interactive += count
        if interactive > 0.0:
            add_latencies(rec.window_bins, s.touched, h, pool.model, counted, shift + delay, location, scale)
    pool.met = pool.met_mean_s = pool.met_square_s = pool.met_cube_s = pool.met_gap_s = pool.met_saturated = 0.0


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
        kept[window, p, 5] += pool.lent_gpus
        kept[window, p, 6] += pool.running
        kept[window, p, 7] += max(pool.inside - pool.running, 0.0)
        kept[window, p, 8] += pool.kv
        kept[window, p, 9] += pool.slots
        kept[window, p, 10] += pool.work


@kernel
def oldest_wait_s(arrived: Floats, released: float, step: int, step_s: float, h: int, m: int, d: int) -> float:
    """Return the age of the oldest request that is not released, 0 when none waits."""
    if arrived[step + 1, h, m, d] <= released + 1e-9:
        return 0.0
    low, high = 0, step + 1
    while high - low > 1:
        middle = (low + high) // 2
        if arrived[middle, h, m, d] > released + 1e-9:
            high = middle
        else:
            low = middle
    return (step + 1 - low) * step_s


@kernel
def close_window(x: Inputs, s: State, rec: Record, step: int) -> None:
    """Read off arrivals, backlog, ages and percentiles at a window's end and hand its latency bins to the hour."""
    arrived, released, completed, coming, before = s.arrived, s.released, s.completed, s.coming, s.before
    series, bins, hour_bins, touched = rec.series, rec.window_bins, rec.hour_bins, s.touched
    window, hour = step // x.window_steps, int(step * x.step_s / 3600.0)
    for p in range(s.pools.size):
        lay_out(x, s, rec, step, p)
    for h in range(coming.shape[0]):
        for m in range(coming.shape[1]):
            for d in range(x.deferred.size):
                oldest_s = oldest_wait_s(arrived, released[h, m, d], step, x.step_s, h, m, d)
                series[window, h, m, x.deferred[d], OLDEST] = oldest_s
            first, last = touched[h, m, 0], touched[h, m, 1]
            touched[h, m, 0], touched[h, m, 1] = BINS, -1
            for k in range(coming.shape[2]):
                come = coming[h, m, k]
                series[window, h, m, k, ARRIVED] = come - before[h, m, k]
                before[h, m, k] = come
                series[window, h, m, k, BACKLOG] = max(come - completed[h, m, k], 0.0)
                if x.deferrable[k]:
                    continue
                note_percentiles(bins, rec.percentiles, window, h, m, k, first, last)
                for b in range(first, last + 1):
                    hour_bins[hour, h, m, k, b] += bins[h, m, k, b]
                    bins[h, m, k, b] = 0.0
