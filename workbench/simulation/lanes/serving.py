"""Pools of a block serve for a step: the equations of :mod:`workbench.simulation.fluid.service`, one lane per scenario.

A loop takes as long as its products and quotients, or as its longest chain of numbers that wait for each other, where
only a few turns of it fit into the processor's window: so a long equation is several loops, each quotient a division of
its own, which waits for less than one that is shared, and what is only compared is not divided.
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.compiling import vectors
from workbench.simulation.fluid.service import MET_LEAST, MET_MOST
from workbench.simulation.lanes.layout import LANES, Place, Reals, real
from workbench.simulation.lanes.vectorising import FARTHEST, kept, loss, tail

LEAST_MET, MOST_MET = real(MET_LEAST), real(MET_MOST)
MOST_READ = real(0.999999)  # of the time: what is left divides
TWENTIETH = real(0.05)  # of the time: a pool that has more requests than slots for longer is saturated


@vectors
def note_running(a: Reals, at: Place) -> int:
    """Note E[min(X, limit)] and P(X > limit) of the requests in the pool where X is far from the limit.

    Returns in how many scenarios it is not. A pool without a ready replica runs nothing.
    """
    near, square = np.int32(0), FARTHEST * FARTHEST
    for i in range(LANES):
        mean, ready = a[at + row.INSIDE + i], a[at + row.READY + i]
        limit = a[at + row.REPLICAS + i] * a[at + row.SLOTS + i]
        apart = mean - limit
        is_near = apart * apart < square * max(a[at + row.VARIANCE + i], real(1e-6))
        running = min(mean, limit) * min(ready, real(1.0))
        a[at + row.RUNNING + i] = running
        a[at + row.EACH_RUNS + i] = running * a[at + row.PER_REPLICA + i]
        a[at + row.ABOVE + i] = real(1.0) if apart > real(0.0) else real(0.0)
        near = np.int32(near + (np.int32(1) if is_near else np.int32(0)))
    return int(near)


@vectors
def note_running_near(a: Reals, at: Place) -> None:
    """Note the same where X may be on both sides of the limit, taken as normal; elsewhere the excess is nought."""
    for i in range(LANES):
        mean, ready = a[at + row.INSIDE + i], a[at + row.READY + i]
        deviation = np.sqrt(max(a[at + row.VARIANCE + i], real(1e-6)))
        z = (mean - a[at + row.REPLICAS + i] * a[at + row.SLOTS + i]) / deviation
        far = min(abs(z), FARTHEST)
        rest = real(1.0) if far < FARTHEST else real(0.0)
        rare = tail(far) * rest
        excess = deviation * (loss(far) * rest + max(z, real(0.0)))
        running = min(max(mean - excess, real(0.0)), mean) * min(ready, real(1.0))
        a[at + row.RUNNING + i] = running
        a[at + row.EACH_RUNS + i] = running * a[at + row.PER_REPLICA + i]
        a[at + row.ABOVE + i] = real(1.0) - rare if z > real(0.0) else rare


@vectors
def fill_slots(a: Reals, at: Place) -> None:
    """Note what runs and how likely more is there than has a slot."""
    if note_running(a, at) > 0:
        note_running_near(a, at)


@vectors
def ask_prompts(a: Reals, at: Place, w: Reals, facts: Reals, step_s: np.float32) -> None:
    """Note the seconds of prompts that a replica has to read in a step, and how many an iteration usually has."""
    base = facts[row.BASE_S]
    half_prompt = real(0.5) * max(facts[row.SQUARE] + facts[row.DISPERSION] - real(1.0), real(1.0))
    for i in range(LANES):
        each, per_replica, prompt_s = a[at + row.EACH_RUNS + i], a[at + row.PER_REPLICA + i], a[at + row.PROMPT_S + i]
        iteration, came = base + a[at + row.SLOPE + i] * each, a[at + row.ARRIVING + i] * per_replica
        most = step_s * each / (a[at + row.OUTPUT + i] * iteration + each * prompt_s)
        admitted = came + a[at + row.ABOVE + i] * (most - came)
        w[row.USUAL + i] = real(1.5) * iteration + half_prompt * prompt_s
        w[row.UNREAD_EACH + i] = a[at + row.UNREAD + i] * per_replica + prompt_s * admitted


@vectors
def read_prompts(a: Reals, at: Place, w: Reals, step_s: np.float32) -> None:
    """Take in a step's prompts and note the share of time in which a replica reads: what is left, over that and usual.

    Of the two roots of the square equation for what is left unread the smaller is taken as the product over the larger,
    because their difference is lost in single precision.
    """
    for i in range(LANES):
        usual, unread, ready = w[row.USUAL + i], w[row.UNREAD_EACH + i], a[at + row.READY + i]
        half, product = real(0.5) * (unread - usual - step_s), usual * unread
        larger = np.sqrt(half * half + product) + abs(half)
        left = larger if half > real(0.0) else product / larger
        part, rest = larger if half > real(0.0) else unread, usual if half > real(0.0) else larger
        w[row.PROMPT_SHARE + i] = min(part / (part + rest), MOST_READ)
        a[at + row.UNREAD + i] = kept(ready > real(0.0), left * ready, a[at + row.UNREAD + i])


@vectors
def note_crowds(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note how many requests a replica's iterations run for clumps, and what it loses where replicas differ."""
    one, half, square, two = real(1.0), real(0.5), facts[row.SQUARE], real(2.0)
    for i in range(LANES):
        calm, per_output = one - a[at + row.ABOVE + i], one / a[at + row.OUTPUT + i]
        per_replica, each, variance = a[at + row.PER_REPLICA + i], a[at + row.EACH_RUNS + i], a[at + row.VARIANCE + i]
        company, share = a[at + row.LEFT_COMPANY + i], w[row.PROMPT_SHARE + i]
        spared, fed, twice = one - share, company * company * share, one + two * each
        unread = max(spared * (one + share), real(1e-6))
        clumps = calm * share * (one + half * square * fed * fed / unread)
        unlike = max(company, one / twice) * each * (one - per_replica)
        between = calm * (min(variance * per_replica * per_replica, each * (each + one)) + unlike)
        w[row.PER_OUTPUT + i] = per_output
        w[row.CLUMPED + i] = each + clumps
        w[row.CROWD_S + i] = between * (a[at + row.SLOPE + i] + a[at + row.PROMPT_S + i] * per_output) * spared


@vectors
def meet(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note how many requests a replica's iterations run in the mean over time."""
    base, nought, two = facts[row.BASE_S], real(0.0), real(2.0)
    for i in range(LANES):
        slope, clumped, each = a[at + row.SLOPE + i], w[row.CLUMPED + i], a[at + row.EACH_RUNS + i]
        crowd_s, most_s = w[row.CROWD_S + i], base + slope * clumped
        twice_s = most_s + np.sqrt(max(most_s * most_s - real(4.0) * slope * crowd_s, nought))
        w[row.MET + i] = min(max(clumped - two * crowd_s / twice_s, LEAST_MET * each), MOST_MET * each)


@vectors
def note_rates(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note how fast a pool completes requests, by how much faster for one more, and what prompts it reads a turn."""
    base, one = facts[row.BASE_S], real(1.0)
    for i in range(LANES):
        met = w[row.MET + i]
        per_iteration = one / (base + a[at + row.SLOPE + i] * met)
        alone = w[row.PER_OUTPUT + i] * per_iteration
        rate = alone - w[row.PROMPT_SHARE + i] * alone
        w[row.THROUGHPUT + i] = a[at + row.REPLICAS + i] * met * rate
        w[row.EASING + i] = (one - a[at + row.ABOVE + i]) * base * per_iteration * rate
        w[row.STALLED + i] = met * a[at + row.PROMPT_S + i] * alone


@vectors
def complete(a: Reals, at: Place, w: Reals, facts: Reals, step_s: np.float32) -> None:
    """Advance the requests in the pool and their variance by a step (linearised implicit Euler)."""
    dispersion, one, nought, two = facts[row.DISPERSION], real(1.0), real(0.0), real(2.0)
    shown, window_s = two * dispersion * facts[row.NOISE_SEEN], facts[row.WINDOW_S]
    lumps = facts[row.SQUARE] - one
    for i in range(LANES):
        before, arriving = a[at + row.INSIDE + i], a[at + row.ARRIVING + i]
        serves, variance, present = a[at + row.READY + i] > nought, a[at + row.VARIANCE + i], before + arriving
        easing, stalled, goes = w[row.EASING + i], w[row.STALLED + i], step_s * w[row.THROUGHPUT + i]
        unseen, turn, eased = dispersion - shown / (two + easing * window_s), one + stalled, step_s * easing
        brings = unseen * turn * turn + lumps * stalled * stalled
        change = (arriving - goes) / (one + eased)
        served = min(max(arriving - change, nought), present) if serves else nought
        after = present - served
        spread = min(
            (variance + arriving * brings + goes) / (one + two * eased),
            after * (after * a[at + row.PER_REPLICA + i] + one),
        )
        a[at + row.INSIDE + i] = after
        a[at + row.ARRIVING + i] = nought
        a[at + row.RECENT + i] += arriving
        a[at + row.VARIANCE + i] = kept(serves, spread, variance)
        a[at + row.FINISHED + i] = served
        w[row.SHARE + i] = served / max(present, real(1e-9))


@vectors
def note_signal(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals) -> None:
    """Note the load signal of a pool and whether it is saturated, and add what goes into it to the sums of the hour."""
    base, per_room, one, nought = facts[row.BASE_S], real(1.0) / facts[row.KV_ROOM], real(1.0), real(0.0)
    for i in range(LANES):
        serves, serving = a[at + row.READY + i] > nought, min(a[at + row.READY + i], one)
        each, slope, output = a[at + row.EACH_RUNS + i], a[at + row.SLOPE + i], a[at + row.OUTPUT + i]
        per_slot, reading = a[at + row.PER_SLOT + i], a[at + row.READING + i] * a[at + row.PER_REPLICA + i]
        alone, work = output * base, a[at + row.PROMPT_S + i] + output * slope
        busy_work, full_work = each * work + alone, work + alone * per_slot  # the greatest is work / full_work
        busy = each * work / busy_work
        prompt, held = a[at + row.PROMPT + i] * per_room, a[at + row.HELD_SHARE + i]
        own = prompt * w[row.PER_OUTPUT + i] + real(0.5) * per_room
        kv = min(each * max(held - own, nought) + a[at + row.LINGERING + i] * prompt, one)
        asked = min(each * held + reading * prompt, one)
        signal = asked if h[row.KV_ONLY + i] > nought else max(asked, max(min((each + reading) * per_slot, one), busy))
        over = one if each * full_work > real(0.95) * busy_work else nought
        over = max(over, one if a[at + row.ABOVE + i] > TWENTIETH else nought)
        waits = one if a[at + row.INSIDE + i] > nought else nought
        a[at + row.KV_SUM + i] += kv * serving
        a[at + row.WORK_SUM + i] += busy * serving
        a[at + row.SIGNAL + i] = signal if serves else waits
        w[row.SATURATED + i] = over if serves else waits
        a[at + row.ITERATION + i] = base + slope * each


@vectors
def advance(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals, step_s: np.float32) -> None:
    """Advance a pool by a step; what runs is as the last one left it."""
    ask_prompts(a, at, w, facts, step_s)
    read_prompts(a, at, w, step_s)
    note_crowds(a, at, w, facts)
    meet(a, at, w, facts)
    note_rates(a, at, w, facts)
    complete(a, at, w, facts, step_s)
    fill_slots(a, at)
    note_signal(a, at, w, h, facts)


@vectors
def share_out(w: Reals, t: Reals, tier: Place) -> None:
    """Take what was completed out of a tier, in proportion to what is inside, and count what came to it."""
    for i in range(LANES):
        come = t[tier + row.COMES + i]
        t[tier + row.COMES + i] = real(0.0)
        t[tier + row.CAME + i] += come
        t[tier + row.IN_TIER + i] = (t[tier + row.IN_TIER + i] + come) * (real(1.0) - w[row.SHARE + i])
