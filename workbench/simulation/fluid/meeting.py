"""How long the arrivals of a tick take to their first token, as their pools stand, laid out where ticks differ."""

from __future__ import annotations

import math

import numpy as np

from workbench.simulation.compiling import inlined, kernel, vectors, within
from workbench.simulation.fluid.correcting import factors_at
from workbench.simulation.fluid.service import NOTHING
from workbench.simulation.fluid.shapes import add_shaped, limit_seen
from workbench.simulation.latency import (
    STAYS,
    STAYS_ALONE,
    add_latencies,
    carried_on,
    lognormal_of,
    share_within,
    ttft_moments,
)
from workbench.simulation.state import (
    ABREAST,
    BAD_SHARE,
    ELSEWHERE,
    ITL_SUM,
    KEPT,
    RANK_BITS,
    SEAT,
    TTFT_SUM,
    Floats,
    Inputs,
    Ints,
    Rank,
    Record,
    State,
)

ALIKE = 0.1  # relative difference of mean latencies up to which minutes are laid out as one


@within
def expect(rank: Rank, only: int, window_s: float) -> None:
    """Work out the time to first token of an arrival as the pools stand: mean, variance and third central moment.

    With the gap between tokens (of a request of median length: short ones have the longest), with what reads, the
    requests of a pool that are in the iteration of their prompt beyond the one of a mean length that the fluid state
    counts for it, and by how much a request takes longer because that one was long. Waiting for a slot is left out.
    """
    for i in range(rank.ready.size):
        n, iteration, prompt_s = max(rank.ready[i], 1.0), rank.iteration_s[i], rank.prompt_s[i]
        read = n * rank.prompt_share[i] / prompt_s
        mean, spread, lean, riding, left = ttft_moments(
            n, read, prompt_s, iteration, rank.slope_s[i], rank.running[i], rank.variance[i], rank.square[i],
            rank.cube[i], rank.dispersion[i], rank.seen[i], window_s,
        )  # fmt: skip
        rank.mean_s[i], rank.spread[i], rank.lean[i] = mean, spread, lean
        rank.riding_s[i], rank.will_meet[i], rank.will_read[i] = riding, left, read
    for i in range(rank.ready.size):
        n, left = max(rank.ready[i], 1.0), rank.will_meet[i]
        gap_s = rank.iteration_s[i] / (1.0 - rank.prompt_share[i])
        longer_s, fed = max(rank.riding_s[i] - gap_s, 0.0), left * min(rank.prompt_share[i], 0.98)
        gaps = max(rank.output[i] - 1.0, 0.0)
        rank.gap_s[i] = gap_s + longer_s * carried_on(fed, gaps / np.sqrt(rank.output_square[i]))
        rank.will_read[i] *= longer_s
        stays = (STAYS + STAYS_ALONE / n) * (rank.prompt_cross[i] - 1.0)
        rank.will_linger[i] = rank.prompt_share[i] * stays * gaps * carried_on(fed, gaps)
        requests = rank.routed[i] if only < 0 or i == only else 0.0
        rank.coming[i], rank.routed[i], rank.lost[i] = requests, rank.routed[i] - requests, 0.0


@within
def wait_for_slots(rank: Rank) -> int:
    """Add the wait for a slot: until what waits has been served at the greatest rate.

    Returns how many pools' arrivals are unlike those met since they were laid out last, or have no replica to go to.
    """
    unlike = 0
    for i in range(rank.ready.size):
        running, waiting = rank.running[i], max(rank.inside[i] - rank.running[i], 0.0)
        prompt_s = rank.prompt_s[i] * rank.each_one[i]
        most = running / (rank.output[i] * rank.iteration_s[i] + running * prompt_s)
        takes_s = 1.0 / most if min(waiting, most) > 0.0 else 0.0
        mean = rank.mean_s[i] + waiting * takes_s
        rank.mean_s[i] = mean
        rank.spread[i] += waiting * max(rank.dispersion[i], 1.0) * takes_s * takes_s
        apart = abs(rank.met_mean_s[i] - mean * rank.met[i]) - ALIKE * mean * rank.met[i]
        apart = apart if rank.ready[i] > 0.0 else 1.0
        unlike += 1 if min(rank.coming[i], apart) > 0.0 else 0
    return unlike


@vectors
def look_ahead(rank: Rank, only: int, window_s: float, tables: Floats, first: int) -> int:
    """Take the arrivals of one pool, or of all, out of those to be met, and work out what they have before them.

    Returns for how many pools there is more to do. ``tables`` corrects pools, ``first`` being the first of the rank.
    """
    expect(rank, only, window_s)
    if tables.shape[1] > 0:
        correct(rank, tables, first)
    return wait_for_slots(rank)


@vectors
def add_met(rank: Rank, only: int) -> None:
    """Add the arrivals to be met to those that have been."""
    for i in range(rank.ready.size):
        requests, mean, spread = rank.coming[i], rank.mean_s[i], rank.spread[i]
        met = requests > 0.0
        reading = rank.will_read[i] if met else 0.0
        rank.reading[i] = reading if only < 0 or i == only else rank.reading[i]
        rank.company[i] = rank.will_meet[i] if only < 0 or i == only else rank.company[i]
        rank.lingering[i] = rank.will_linger[i] if only < 0 or i == only else rank.lingering[i]
        rank.met[i] += requests
        rank.met_mean_s[i] += requests * mean if met else 0.0
        rank.met_square_s[i] += requests * (spread + mean * mean) if met else 0.0
        rank.met_cube_s[i] += requests * (rank.lean[i] + mean * (3.0 * spread + mean * mean)) if met else 0.0
        rank.met_gap_s[i] += requests * rank.gap_s[i] if met else 0.0
        rank.met_saturated[i] += requests * rank.saturated[i]
        rank.met_lost[i] += requests * rank.lost[i]


@kernel
def correct(rank: Rank, tables: Floats, first: int) -> None:
    """Correct mean and spread by what was measured."""
    for i in range(min(ABREAST, tables.shape[0] - first)):
        if rank.coming[i] > 0.0 and rank.ready[i] > 0.0:
            greatest = rank.slots_each[i] / (rank.slots_each[i] + rank.decode_over_work[i])
            on_mean, on_spread = factors_at(tables, first + i, rank.work[i] / greatest, rank.ready[i])
            stretch = on_mean * on_spread
            rank.mean_s[i] *= on_mean
            rank.spread[i] *= stretch * stretch
            rank.lean[i] *= stretch**3


@kernel
def until_ready_s(ready_at: Ints, p: int, after: int, step_s: float) -> tuple[float, bool]:
    """Return how long it takes from a step on until a pool has a replica, and whether there comes one in the span.

    Where none comes it is what is left of the span.
    """
    for step in range(after, ready_at.shape[0]):
        if ready_at[step, p, 0] > 0 or ready_at[step, p, 1] > 0 or ready_at[step, p, 2] > 0:
            return (step - after) * step_s, True
    return (ready_at.shape[0] - 1 - after) * step_s, False


@kernel
def wait_for_replicas(x: Inputs, s: State, step: int, b: int) -> None:
    """Let the arrivals at pools without a ready replica wait for one.

    They came half a tick ago, and nothing is known of how they will be served.
    """
    rank = s.ranks[b]
    for i in range(min(ABREAST, s.pools.size - b * ABREAST)):
        if rank.ready[i] <= 0.0 and rank.coming[i] > 0.0:
            wait_s, comes = until_ready_s(s.ready_at, b * ABREAST + i, step + 1, x.step_s)
            rank.mean_s[i], rank.lost[i] = wait_s + 0.5 * x.latency_steps * x.step_s, 0.0 if comes else 1.0
            rank.spread[i] = rank.lean[i] = rank.gap_s[i] = rank.will_read[i] = 0.0


@inlined
def meet(x: Inputs, s: State, rec: Record, step: int, b: int, only: int) -> None:
    """Note how long the arrivals that a rank's pools have not met yet take to their first token, as they stand now.

    Those of one pool, or of all (-1). Arrivals of ticks that are alike are laid out together; a tick whose mean differs
    by ALIKE from theirs begins anew.
    """
    rank, first, is_few, window_s = s.ranks[b], b * ABREAST, s.few.size > 0, x.demand_steps * x.step_s
    if is_few:
        unlike = look_ahead(s.few[b], only, window_s, x.correction, first)
    else:
        unlike = look_ahead(rank, only, window_s, x.correction, first)
    if unlike > 0:
        wait_for_replicas(x, s, step, b)
        for i in range(rank.ready.size):
            apart = abs(rank.met_mean_s[i] - rank.mean_s[i] * rank.met[i])
            if rank.coming[i] > 0.0 and apart > ALIKE * rank.mean_s[i] * rank.met[i]:
                lay_out(x, s, rec, step, first + i)
    if is_few:
        add_met(s.few[b], only)
    else:
        add_met(rank, only)


@kernel
def lay_out(x: Inputs, s: State, rec: Record, step: int, p: int) -> None:
    """Count the arrivals that a pool has met by their time to first token, and begin anew."""
    pool, crews, counted, series, b = s.pools[p], s.crews, s.counted, rec.series, p >> RANK_BITS
    rank, i = s.ranks[p >> RANK_BITS], p & SEAT
    if rank.met[i] <= NOTHING:  # one over less is no number
        return
    window, each = step // x.window_steps, 1.0 / rank.met[i]
    mean, square, gap_s = rank.met_mean_s[i] * each, rank.met_square_s[i] * each, rank.met_gap_s[i] * each
    third = rank.met_cube_s[i] * each - mean * (3.0 * square - 2.0 * mean * mean)
    saturated, served = rank.met_saturated[i] * each, 1.0 - rank.met_lost[i] * each
    variance = max(square - mean * mean, 0.0)
    shift, location, scale = lognormal_of(mean, variance, third)
    deviation, is_shaped = math.sqrt(variance), x.shapes.shape[1] > 0
    prompts = rank.prompt_s[i] * rank.prompt_s[i] * (rank.square[i] - 1.0) / max(variance, NOTHING)
    for h in range(crews.shape[1]):
        delay, interactive = x.network_s[h, pool.region], 0.0
        for k in range(crews.shape[2]):
            count, counted[k] = crews[b, h, k].met[i], 0.0
            crews[b, h, k].met[i] = 0.0
            if count <= 0.0:
                continue
            series[window, h, pool.model, k, ITL_SUM] += count * gap_s
            series[window, h, pool.model, k, BAD_SHARE] += count * saturated
            if pool.region != h:
                series[window, h, pool.model, k, ELSEWHERE] += count
            if not x.deferrable[k]:
                limit_s = x.promise_s[k] - delay
                if is_shaped:
                    limit_s = limit_seen(x.shapes, pool.model, prompts, deviation, limit_s, shift, location, scale)
                kept = served * share_within(limit_s, shift, location, scale)
                series[window, h, pool.model, k, TTFT_SUM] += count * (mean + delay)
                series[window, h, pool.model, k, KEPT] += count * kept
                counted[k] = count
                interactive += count
        if interactive > 0.0 and is_shaped:
            add_shaped(
                rec.window_bins, s.touched, h, pool.model, counted, shift + delay, location, scale, x.shapes, prompts,
                deviation,
            )  # fmt: skip
        elif interactive > 0.0:
            add_latencies(rec.window_bins, s.touched, h, pool.model, counted, shift + delay, location, scale)
    rank.met[i] = rank.met_mean_s[i] = rank.met_square_s[i] = rank.met_cube_s[i] = 0.0
    rank.met_gap_s[i] = rank.met_saturated[i] = rank.met_lost[i] = 0.0
