"""What an engine writes down of its pools, and the fluid simulator when a window closes."""

from __future__ import annotations

from workbench.simulation.compiling import kernel, vectors
from workbench.simulation.fluid.meeting import lay_out
from workbench.simulation.fluid.settling import hand_over
from workbench.simulation.latency import (
    BINS,
    note_percentiles,
)
from workbench.simulation.state import (
    ABREAST,
    ARRIVED,
    BACKLOG,
    OLDEST,
    RANK_BITS,
    SEAT,
    Floats,
    Inputs,
    Ints,
    Pools,
    Ranks,
    Record,
    State,
)


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


@vectors
def add_replicas(ranks: Ranks, steps: int) -> None:
    """Add the replicas of every pool, which were the same for so many steps, to their sums."""
    for b in range(ranks.size):
        rank = ranks[b]
        for i in range(ABREAST):
            rank.sum_ready[i] += steps * rank.ready[i]
            rank.sum_reclaiming[i] += steps * rank.reclaiming[i]
            rank.sum_swapping[i] += steps * rank.swapping[i]
            rank.sum_remote[i] += steps * rank.remote[i]
            rank.sum_draining[i] += steps * rank.draining[i]
            rank.sum_lent_gpus[i] += steps * rank.lent_gpus[i]


@kernel
def close_pools(ranks: Ranks, kept: Floats, window: int) -> None:
    """Hand the sums of every pool to its window, and begin anew."""
    for p in range(kept.shape[1]):
        rank, i = ranks[p >> RANK_BITS], p & SEAT
        kept[window, p, 0] += rank.sum_ready[i]
        kept[window, p, 1] += rank.sum_reclaiming[i]
        kept[window, p, 2] += rank.sum_swapping[i]
        kept[window, p, 3] += rank.sum_remote[i]
        kept[window, p, 4] += rank.sum_draining[i]
        kept[window, p, 5] += rank.sum_lent_gpus[i]
        kept[window, p, 6] += rank.sum_running[i]
        kept[window, p, 7] += rank.sum_waiting[i]
        kept[window, p, 8] += rank.sum_kv[i]
        kept[window, p, 9] += rank.sum_slots[i]
        kept[window, p, 10] += rank.sum_work[i]
        rank.sum_ready[i] = rank.sum_reclaiming[i] = rank.sum_swapping[i] = rank.sum_remote[i] = 0.0
        rank.sum_draining[i] = rank.sum_lent_gpus[i] = rank.sum_running[i] = rank.sum_waiting[i] = 0.0
        rank.sum_kv[i] = rank.sum_slots[i] = rank.sum_work[i] = 0.0


@kernel
def list_hour(rec: Record, hour: int) -> None:
    """List the latency bins of an hour that hold requests, cell by cell, and begin anew."""
    hour_bins, touched, filled, listed = rec.hour_bins, rec.hour_touched, rec.filled, rec.listed[0]
    origins, models, tiers = hour_bins.shape[:3]
    cell = hour * origins * models * tiers
    for h in range(origins):
        for m in range(models):
            first, last = touched[h, m, 0], touched[h, m, 1]
            touched[h, m, 0], touched[h, m, 1] = BINS, -1
            for k in range(tiers):
                for i in range(first, last + 1):
                    requests = hour_bins[h, m, k, i]
                    if requests != 0.0:
                        row = filled[listed]
                        row.requests, row.cell, row.bin = requests, cell, i
                        hour_bins[h, m, k, i] = 0.0
                        listed += 1
                cell += 1
    rec.listed[0] = listed


@kernel
def oldest_wait_s(arrived: Floats, released: float, step: int, step_s: float, h: int, m: int, d: int) -> float:
    """Return the age of the oldest request that is not released, 0 when none waits."""
    if arrived[step + 1, h, m, d] <= released + 1e-9:
        return 0.0
    low, high, back = step, step + 1, 1
    while low > 0 and arrived[low, h, m, d] > released + 1e-9:  # as a rule it is young, and long ago lies far in memory
        high, back = low, 2 * back
        low = max(low - back, 0)
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
    window, steps = step // x.window_steps, s.ready_at.shape[0] - 1
    for p in range(s.pools.size):
        lay_out(x, s, rec, step, p)
    for k in range(coming.shape[2]):
        hand_over(s, rec, window, k)
    close_pools(s.ranks, rec.pools, window)
    for h in range(coming.shape[0]):
        for m in range(coming.shape[1]):
            for d in range(x.deferred.size):
                oldest_s = oldest_wait_s(arrived, released[h, m, d], step, x.step_s, h, m, d)
                series[window, h, m, x.deferred[d], OLDEST] = oldest_s
            first, last = touched[h, m, 0], touched[h, m, 1]
            touched[h, m, 0], touched[h, m, 1] = BINS, -1
            within = rec.hour_touched[h, m]
            within[0], within[1] = min(within[0], first), max(within[1], last)
            for k in range(coming.shape[2]):
                come = coming[h, m, k]
                series[window, h, m, k, ARRIVED] += come - before[h, m, k]
                before[h, m, k] = come
                series[window, h, m, k, BACKLOG] = max(come - completed[h, m, k], 0.0)
                if x.deferrable[k]:
                    continue
                note_percentiles(bins, rec.so_far, rec.percentiles, window, h, m, k, first, last)
                for b in range(first, last + 1):
                    hour_bins[h, m, k, b] += bins[h, m, k, b]
                    bins[h, m, k, b] = 0.0
    hour = int(step * x.step_s / 3600.0)
    if rec.filled.size > 0 and (step + 1 == steps or int((step + 1) * x.step_s / 3600.0) > hour):
        list_hour(rec, hour)
