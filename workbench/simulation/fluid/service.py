"""Pools of the fluid simulator serve: the mean-field state of simulation.md section 3, advanced by a step.

The loops run over the pools of a rank. Where pools part ways, because one has no ready replica or another's batch is
full, both ways are worked out and one is taken; only what is rare and dear is done for single pools.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, vectors, within
from workbench.simulation.latency import mean_below
from workbench.simulation.state import (
    ABREAST,
    PROMPT_GRID,
    RANK_BITS,
    SEAT,
    Floats,
    Inputs,
    Pools,
    Rank,
    Ranks,
    State,
)

SAME_LENGTHS = 1e-4  # a relative change of the mean lengths below which what follows from them is kept
FAR = 36.0  # the square of the deviations from its limit at which the other side of a normal is 1e-9
NOTHING = 1e-30
#: Of what a replica holds at the signal from which nothing is released, how much released work fills. Filled to there
#: exactly, rounding alone would decide whether the next step releases as much as completes, or nothing.
JUST_BELOW = 1.0 - 1e-5
MET_LEAST, MET_MOST = 1.0 / 3.0, 2.0  # what runs in the mean iteration over what runs in the mean of time


@kernel
def marginal_prompt_s(grid: Floats, p: int, prompt: float) -> float:
    """Return the seconds a prompt of that length adds to an iteration, from the pool's table."""
    place = min(max(math.log2(max(prompt, 1.0)) * 4.0, 0.0), PROMPT_GRID - 1.001)
    low = int(place)
    return float((grid[p, low] + (grid[p, low + 1] - grid[p, low]) * (place - low)) * prompt)


@kernel
def holds_each(rank: Rank, i: int, rules: r.Rules, limit: float) -> float:
    """Return how many requests a replica of the pool holds when the signal stands at the limit."""
    each = limit * rank.kv_room[i] / rank.held[i]
    if not rules.kv_cache_only:
        each = min(each, limit * min(rank.batch_cap[i], rank.kv_room[i] / rank.reserved[i]))
        each = min(each, limit / max(1.0 - limit, 1e-9) * rank.decode_over_work[i])
    return float(each)


@within
def either(is_new: bool, new: float, old: float) -> float:
    """Return the new number or the old one, neither of them below nought.

    Without the comparison LLVM would write some numbers of a vector only, under a mask, and processors of one maker
    take tens of cycles to do so.
    """
    return max(new if is_new else old, 0.0)


@within
def is_same(rank: Rank, i: int) -> bool:
    """Return whether a pool's mean lengths are those that were noted last."""
    prompt, output = rank.noted_prompt[i], rank.noted_output[i]
    over = max(
        abs(rank.prompt[i] - prompt) - SAME_LENGTHS * prompt, abs(rank.output[i] - output) - SAME_LENGTHS * output
    )
    return bool(over <= 0.0)


@kernel
def note_lengths(pools: Pools, ranks: Ranks, prompt_grid: Floats, rules: r.Rules, p: int) -> None:
    """Note all that follows from the mean lengths of what is inside, where those have changed.

    KV tokens held and reserved per request, slots per replica, seconds that a prompt adds to an iteration, growth of an
    iteration per request, seconds of decoding over seconds of work, and what a replica holds at the thresholds.
    """
    rank, i = ranks[p >> RANK_BITS], p & SEAT
    if is_same(rank, i):
        return
    prompt, output, room = rank.prompt[i], rank.output[i], rank.kv_room[i]
    generated = 0.5 * rank.output_square[i] * output
    held = rank.cross[i] * prompt + generated
    prompt_s = marginal_prompt_s(prompt_grid, p, prompt)
    slope_s = rank.per_request_s[i] + rank.per_token_s[i] * held
    slots = max(min(rank.batch_cap[i], room / (held + generated)), 1.0)
    rank.noted_prompt[i], rank.noted_output[i] = prompt, output
    rank.held[i], rank.reserved[i], rank.prompt_s[i], rank.slope_s[i] = held, held + generated, prompt_s, slope_s
    rank.slots_each[i], rank.decode_over_work[i] = slots, output * rank.base_s[i] / (prompt_s + output * slope_s)
    rank.per_output[i], rank.per_slot[i], rank.per_room[i] = 1.0 / output, 1.0 / slots, 1.0 / room
    rank.full_work[i] = 0.95 * slots / (slots + rank.decode_over_work[i])
    rank.route_each[i] = holds_each(rank, i, rules, rules.route_below)
    rank.release_each[i] = JUST_BELOW * holds_each(rank, i, rules, r.release_until(rules, pools[p].silo))


@within
def take_in(rank: Rank) -> int:
    """Mix the lengths of what came into those of what is inside; return in how many pools they are other than noted."""
    changed = 0
    for i in range(rank.ready.size):
        arriving = rank.arriving[i]
        rank.routed[i] += arriving
        share = 1.0 / (rank.inside[i] + arriving + NOTHING)
        rank.prompt[i] += share * (rank.prompts[i] - arriving * rank.prompt[i])
        rank.output[i] += share * (rank.outputs[i] - arriving * rank.output[i])
        is_noted, ready = is_same(rank, i), rank.ready[i]
        changed += (0 if is_noted else 1) if ready > 0.0 else 0
    return changed


@kernel
def fill_slots_near(rank: Rank) -> None:
    """Work out what runs where the requests of a pool are about as many as its slots."""
    for i in range(rank.ready.size):
        limit = rank.ready[i] * rank.slots_each[i]
        rank.running[i], rank.above[i] = mean_below(rank.inside[i], rank.variance[i], limit)


@within
def fill_slots(rank: Rank) -> None:
    """Work out E[min(X, slots)], which run, and P(X > slots) of the requests X inside, taken as normal."""
    near = 0
    for i in range(rank.ready.size):
        inside, limit = rank.inside[i], rank.ready[i] * rank.slots_each[i]
        apart = inside - limit
        rank.running[i] = limit if apart > 0.0 else inside
        rank.above[i] = 1.0 if apart > 0.0 else 0.0
        near += 1 if apart * apart < FAR * rank.variance[i] else 0
    if near > 0:
        fill_slots_near(rank)


@within
def read_prompts(rank: Rank, step_s: float) -> None:
    """Take in a step's prompts, and note the share of time in which a replica reads.

    With U seconds of prompts unread it reads U / (U + u) of the time, which at a constant load settles at the share
    that is brought, with the unread work of the gated cycle: u is one and a half iterations and half a prompt,
    size-biased. A burst of more than can be read leaves U behind, which takes its time to be read.
    """
    per_s = 1.0 / step_s
    for i in range(rank.ready.size):
        each_one, running, above = rank.each_one[i], rank.running[i], rank.above[i]
        prompt_s, arriving = rank.prompt_s[i] * each_one, rank.arriving[i] * per_s
        iteration = rank.base_s[i] + rank.slope_s[i] * each_one * running
        most = running / (rank.output[i] * iteration + running * prompt_s + NOTHING)
        admitted = (1.0 - above) * arriving + above * most
        lumps = max(rank.square[i] + rank.dispersion[i] - 1.0, 1.0)
        usual = 1.5 * iteration + 0.5 * rank.prompt_s[i] * lumps
        unread = rank.unread_s[i] * each_one + step_s * prompt_s * admitted
        half = 0.5 * (unread - usual - step_s)
        left = half + np.sqrt(half * half + usual * unread)
        serves = rank.ready[i] > 0.0
        rank.iteration_s[i] = iteration
        rank.prompt_share[i] = either(serves, left / (left + usual), rank.prompt_share[i])
        rank.unread_s[i] = either(serves, left * rank.ready[i], rank.unread_s[i])


@within
def decode(rank: Rank) -> None:
    """Work out what a replica runs in the mean iteration.

    A request takes O iterations, in each of which a replica decodes for all that it runs and reads what came meanwhile
    (simulation.md section 3). The equations of the mean field hold for the mean over *iterations*; what is inside is a
    mean over time, in which a long iteration counts for more, and long ones are those in which much runs and much is
    read. With V the variance between iterations of what a replica runs, A the prompts that it reads in one and T its
    mean cycle the two are apart by (V (slope + prompt / O) - prompt (Var A + E A) / 2) / T, which is exact: the second
    term follows from the balance of V itself. So the mean iteration is the root of a quadratic.

    V is that of the pool as a whole and what replicas differ by: as Poisson's, of which the choice of a replica leaves
    the part that it leaves of an arrival's company, and no less than that a request is somewhere or not.
    """
    for i in range(rank.ready.size):
        calm, each_one, share, slope = 1.0 - rank.above[i], rank.each_one[i], rank.prompt_share[i], rank.slope_s[i]
        each, company, spared = rank.running[i] * each_one, rank.company[i], 1.0 - rank.prompt_share[i]
        prompt_each = rank.prompt_s[i] * rank.per_output[i]
        fed = company * company * share
        clumps = calm * share * (1.0 + 0.5 * rank.square[i] * fed * fed / (1.0 - share * share + NOTHING))
        unlike = max(company, 1.0 / (1.0 + 2.0 * each)) * each * (1.0 - each_one)
        between = calm * (min(rank.variance[i] * each_one * each_one, each * (each + 1.0)) + unlike)
        crowd_s = between * (slope + prompt_each) * spared
        most_s = rank.base_s[i] + slope * (each + clumps)
        usual_s = 0.5 * (most_s + np.sqrt(max(most_s * most_s - 4.0 * slope * crowd_s, 0.0)))
        rank.decoding[i] = min(max(each + clumps - crowd_s / usual_s, MET_LEAST * each), MET_MOST * each)


@within
def complete(rank: Rank, step_s: float, window_s: float) -> None:
    """Advance requests and their variance by a step (linearised implicit Euler); what was served is finished.

    Of the noise of arrivals only what the demand does not show makes the state uncertain (``seen``): a mean field that
    follows windows of ``window_s`` has the part 2 / (2 + window x relaxation) of it in its own course.

    What comes to a pool without a ready replica stays.
    """
    per_s = 1.0 / step_s
    for i in range(rank.ready.size):
        serves, variance = rank.ready[i] > 0.0, rank.variance[i]
        calm, spared, met = 1.0 - rank.above[i], 1.0 - rank.prompt_share[i], rank.decoding[i]
        present, arriving = rank.inside[i] + rank.arriving[i], rank.arriving[i] * per_s
        prompt_each = rank.prompt_s[i] * rank.per_output[i]
        per_iteration = 1.0 / (rank.base_s[i] + rank.slope_s[i] * met)
        rate = spared * rank.per_output[i] * per_iteration
        throughput, easing = rank.ready[i] * met * rate, calm * rank.base_s[i] * per_iteration * rate
        stalled, lumps, dispersion = met * prompt_each * per_iteration, rank.square[i] - 1.0, rank.dispersion[i]
        unseen = dispersion * (1.0 - 2.0 * rank.seen[i] / (2.0 + easing * window_s))
        brings = unseen * (1.0 + stalled) * (1.0 + stalled) + lumps * stalled * stalled
        slow, slower = 1.0 + step_s * easing, 1.0 + step_s * 2.0 * easing
        split = 1.0 / (slow * slower)
        change = step_s * (arriving - throughput) * split * slower
        served = min(max(rank.arriving[i] - change, 0.0), present) if serves else 0.0
        after = present - served
        spread = (variance + step_s * (arriving * brings + throughput)) * split * slow
        rank.inside[i], rank.finished[i] = after, served
        rank.variance[i] = either(serves, min(spread, after * (after * rank.each_one[i] + 1.0)), variance)


@within
def note_signal(rank: Rank, kv_cache_only: bool) -> int:
    """Note how full the pools are and whether they are saturated; return how many are not to be left alone."""
    stirred = 0
    for i in range(rank.ready.size):
        serves, each_one = rank.ready[i] > 0.0, rank.each_one[i]
        each, reading = rank.running[i] * each_one, rank.reading[i] * each_one
        # prompts being read are asked for, not held yet: also in the one iteration that is part of what runs
        asked = min((each * rank.held[i] + reading * rank.prompt[i]) * rank.per_room[i], 1.0)
        own = (rank.prompt[i] + 0.5 * rank.output[i]) * rank.per_output[i]
        lingering = rank.lingering[i] * rank.prompt[i]
        kv = min((each * max(rank.held[i] - own, 0.0) + lingering) * rank.per_room[i], 1.0)
        slots = min((each + reading) * rank.per_slot[i], 1.0)
        work = each / (each + rank.decode_over_work[i])
        full = max(1.0 if work > rank.full_work[i] else 0.0, 1.0 if rank.above[i] > 0.05 else 0.0)
        waits = 1.0 if rank.inside[i] > 0.0 else 0.0
        signal = (asked if kv_cache_only else max(asked, max(slots, work))) if serves else waits
        rank.iteration_s[i] = rank.base_s[i] + rank.slope_s[i] * each
        rank.kv[i] = kv if serves else 0.0
        rank.slots[i] = slots if serves else 0.0
        rank.work[i] = work if serves else 0.0
        rank.signal[i], rank.saturated[i] = signal, full if serves else waits
        stirred += 1 if max(rank.calm_from[i] - signal, signal - rank.calm_to[i]) > 0.0 else 0
    return stirred


@within
def sum_up(rank: Rank) -> None:
    """Add what was served, and how full the pools are, to their sums; nothing more has come."""
    for i in range(rank.ready.size):
        rank.served[i] += rank.finished[i]
        rank.arriving[i] = rank.prompts[i] = rank.outputs[i] = 0.0
        rank.sum_running[i] += rank.running[i] + rank.reading[i]
        rank.sum_waiting[i] += max(rank.inside[i] - rank.running[i], 0.0)
        rank.sum_kv[i] += rank.kv[i]
        rank.sum_slots[i] += rank.slots[i]
        rank.sum_work[i] += rank.work[i]


@vectors
def serve(
    pools: Pools, ranks: Ranks, prompt_grid: Floats, rules: r.Rules, step_s: float, window_s: float, is_stirred: bool
) -> bool:  # fmt: skip
    """Advance every pool by a step; return whether some may have to be scaled.

    What runs is as the last step left it, unless a pool was scaled since (``is_stirred``) or has other slots.
    """
    stirred = 0
    for b in range(ranks.size):
        rank = ranks[b]
        unlike = take_in(rank)
        if unlike > 0:
            for p in range(b * ABREAST, min((b + 1) * ABREAST, pools.size)):
                if rank.ready[p - b * ABREAST] > 0.0:
                    note_lengths(pools, ranks, prompt_grid, rules, p)
        if is_stirred or unlike > 0:
            fill_slots(rank)
        read_prompts(rank, step_s)
        decode(rank)
        complete(rank, step_s, window_s)
        fill_slots(rank)
        stirred += note_signal(rank, rules.kv_cache_only)
        sum_up(rank)
    return stirred > 0


@inlined
def serve_all(x: Inputs, s: State, rules: r.Rules, window_s: float, is_stirred: bool) -> bool:
    """Advance every pool by a step as :func:`serve` does, no further than the seats that a few pools take."""
    if s.few.size > 0:
        return serve(s.pools, s.few, x.prompt_grid, rules, x.step_s, window_s, is_stirred)
    return serve(s.pools, s.ranks, x.prompt_grid, rules, x.step_s, window_s, is_stirred)


@kernel
def residual_s(rank: Rank, i: int) -> float:
    """Return how long a running request still takes on average: E[O^2] / (2 E[O]) iterations (it is size-biased)."""
    return float(0.5 * rank.output_square[i] * rank.output[i] * max(rank.iteration_s[i], rank.base_s[i]))
