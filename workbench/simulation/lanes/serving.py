"""Pools of a block serve for a step: the equations of :mod:`workbench.simulation.service`, one lane per scenario.

Divisions cost most here, so two quotients often share one: 1/a and 1/b are b/(a b) and a/(a b).
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.lanes.layout import LANES, Place, Reals, real
from workbench.simulation.lanes.vectorising import FARTHEST, log2, loss, tail, vectors, within

POINTS_PER_OCTAVE = real(4.0)  # of the prompt table


@within
def holds(
    limit: np.float32, odds: np.float32, kv_only: np.float32, by_kv: np.float32, slots: np.float32, by_work: np.float32
) -> np.float32:
    """Return how many requests a replica holds when the signal stands at the limit; ``odds`` is limit / (1 - limit)."""
    kv = limit * by_kv
    each = min(min(kv, limit * slots), odds * by_work)
    return kv if kv_only > real(0.0) else each


@vectors
def note_lengths(a: Reals, at: Place, w: Reals, grid: Reals, first: int, last: int) -> None:
    """Mix the lengths of what came into those of what is inside, and note what a prompt of the mean takes.

    The seconds per prompt token stand in a table over log2 of the length (:mod:`workbench.simulation.setup`); its
    segments ``first`` to ``last``, which the sweep's prompts lie in, are added up as ramps, because a look-up in every
    lane would end the vectors.
    """
    lowest, slope = grid[first], grid[first + 1] - grid[first]
    for i in range(LANES):
        inside, arriving = a[at + row.INSIDE + i], a[at + row.ARRIVING + i]
        old_prompt, old_output = a[at + row.PROMPT + i], a[at + row.OUTPUT + i]
        share = real(1.0) / max(inside + arriving, real(1e-9))
        came = arriving > real(0.0)
        prompt = (inside * old_prompt + a[at + row.PROMPTS + i]) * share if came else old_prompt
        output = (inside * old_output + a[at + row.OUTPUTS + i]) * share if came else old_output
        place = max(log2(max(prompt, real(1.0))) * POINTS_PER_OCTAVE - real(first), real(0.0))
        a[at + row.PROMPT + i] = prompt
        a[at + row.OUTPUT + i] = output
        a[at + row.PROMPTS + i] = real(0.0)
        a[at + row.OUTPUTS + i] = real(0.0)
        w[row.PLACE + i] = place
        w[row.PROMPT_S + i] = lowest + slope * place
    for segment in range(first + 1, last + 1):
        bend = grid[segment + 1] - grid[segment] - (grid[segment] - grid[segment - 1])
        offset = real(segment - first)
        for i in range(LANES):
            w[row.PROMPT_S + i] += bend * max(w[row.PLACE + i] - offset, real(0.0))
    for i in range(LANES):
        w[row.PROMPT_S + i] *= a[at + row.PROMPT + i]


@vectors
def note_limits(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals) -> None:
    """Note what a replica holds at the thresholds of routing and release, with the lengths as they stand."""
    base, room, cap = facts[row.BASE_S], facts[row.KV_ROOM], facts[row.BATCH_CAP]
    per_request, per_token = facts[row.PER_REQUEST_S], facts[row.PER_TOKEN_S]
    half_square, cross = real(0.5) * facts[row.OUTPUT_SQUARE], facts[row.CROSS]
    for i in range(LANES):
        prompt, output = a[at + row.PROMPT + i], a[at + row.OUTPUT + i]
        generated = half_square * output
        held = cross * prompt + generated
        reserved = held + generated
        work = w[row.PROMPT_S + i] + output * (per_request + per_token * held)
        together = real(1.0) / (held * work)
        by_kv, by_work = room * work * together, output * base * held * together
        slots = min(cap, room / reserved)
        kv_only = h[row.KV_ONLY + i]
        to_route = holds(h[row.ROUTE_BELOW + i], h[row.ROUTE_ODDS + i], kv_only, by_kv, slots, by_work)
        to_release = holds(h[row.RELEASE_ONE + i], h[row.RELEASE_ODDS + i], kv_only, by_kv, slots, by_work)
        a[at + row.ROUTE_EACH + i] = to_route
        a[at + row.RELEASE_EACH + i] = to_release


@vectors
def note_speeds(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note how an iteration grows with a running request, the slots of a replica, and the limit of the pool."""
    per_request, per_token = facts[row.PER_REQUEST_S], facts[row.PER_TOKEN_S]
    half_square, cross = real(0.5) * facts[row.OUTPUT_SQUARE], facts[row.CROSS]
    per_cap, per_room = real(1.0) / facts[row.BATCH_CAP], real(1.0) / facts[row.KV_ROOM]
    for i in range(LANES):
        n = max(a[at + row.READY + i], real(1.0))
        generated = half_square * a[at + row.OUTPUT + i]
        held = cross * a[at + row.PROMPT + i] + generated
        per_slot = min(max(per_cap, (held + generated) * per_room), real(1.0))
        split = real(1.0) / (n * per_slot)
        w[row.HELD_SHARE + i] = held * per_room
        w[row.SLOPE + i] = per_request + per_token * held
        w[row.PER_SLOT + i] = per_slot
        w[row.PER_REPLICA + i] = split * per_slot
        w[row.LIMIT + i] = n * n * split


@vectors
def note_running(a: Reals, at: Place, w: Reals) -> None:
    """Note E[min(X, limit)] and P(X > limit) of the requests in the pool, taken as normal."""
    for i in range(LANES):
        mean = a[at + row.INSIDE + i]
        deviation = np.sqrt(max(a[at + row.VARIANCE + i], real(1e-6)))
        z = (mean - w[row.LIMIT + i]) / deviation
        far = min(abs(z), FARTHEST)
        rare = tail(far)
        excess = deviation * (loss(far) + max(z, real(0.0)))
        a[at + row.RUNNING + i] = min(max(mean - excess, real(0.0)), mean)
        w[row.ABOVE + i] = real(1.0) - rare if z > real(0.0) else rare


@vectors
def read_prompts(a: Reals, at: Place, w: Reals, facts: Reals, step_s: np.float32) -> None:
    """Take in a step's prompts and note the share of time in which a replica reads.

    Of the two roots of the square equation for what is left unread the smaller is taken as the product over the larger,
    because their difference is lost in single precision.
    """
    base, per_s = facts[row.BASE_S], real(1.0) / step_s
    half_prompt = real(0.5) * max(facts[row.SQUARE] + facts[row.DISPERSION] - real(1.0), real(1.0))
    for i in range(LANES):
        ready, running, above = a[at + row.READY + i], a[at + row.RUNNING + i], w[row.ABOVE + i]
        per_replica, prompt_s = w[row.PER_REPLICA + i], w[row.PROMPT_S + i]
        iteration = base + w[row.SLOPE + i] * running * per_replica
        rate = a[at + row.ARRIVING + i] * per_s
        most = running / (a[at + row.OUTPUT + i] * iteration + running * prompt_s * per_replica)
        admitted = (real(1.0) - above) * rate + above * most
        usual = real(1.5) * iteration + half_prompt * prompt_s
        unread = a[at + row.UNREAD + i] * per_replica + step_s * prompt_s * per_replica * admitted
        half = real(0.5) * (unread - usual - step_s)
        larger = np.sqrt(half * half + usual * unread) + abs(half)
        left = larger if half > real(0.0) else usual * unread / larger
        w[row.PROMPT_SHARE + i] = left / (left + usual)
        a[at + row.UNREAD + i] = left * ready if ready > real(0.0) else a[at + row.UNREAD + i]


@vectors
def complete(a: Reals, at: Place, w: Reals, facts: Reals, step_s: np.float32) -> None:
    """Advance the requests in the pool and their variance by a step (linearised implicit Euler)."""
    base, dispersion, per_s = facts[row.BASE_S], facts[row.DISPERSION], real(1.0) / step_s
    one, nought = real(1.0), real(0.0)
    for i in range(LANES):
        before, arriving, output = a[at + row.INSIDE + i], a[at + row.ARRIVING + i], a[at + row.OUTPUT + i]
        serves = a[at + row.READY + i] > nought
        per_replica, running, variance = w[row.PER_REPLICA + i], a[at + row.RUNNING + i], a[at + row.VARIANCE + i]
        slope, rate, present = w[row.SLOPE + i] * per_replica, arriving * per_s, before + arriving
        per_decode = one / (output * (base + slope * running))
        per_iteration = output * per_decode
        turn = (one - w[row.PROMPT_SHARE + i]) * per_decode
        throughput = running * turn
        easing = (one - w[row.ABOVE + i]) * turn * base * per_iteration
        closure = easing * slope * per_iteration * variance
        slow, slower = one + step_s * easing, one + real(2.0) * step_s * easing
        split = one / (slow * slower)
        change = step_s * (rate - throughput + closure) * split * slower
        served = min(max(arriving - change, nought), present) if serves else nought
        after = present - served
        spread = min((variance + step_s * (dispersion * rate + throughput)) * split * slow, after * after + after)
        a[at + row.INSIDE + i] = after
        a[at + row.ARRIVING + i] = nought
        a[at + row.VARIANCE + i] = spread if serves else variance
        a[at + row.FINISHED + i] = served
        w[row.SHARE + i] = served / max(present, real(1e-9))


@vectors
def note_signal(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals) -> None:
    """Note the load signal of a pool and whether it is saturated, and add what goes into it to the sums of the hour."""
    base, per_room, one, nought = facts[row.BASE_S], real(1.0) / facts[row.KV_ROOM], real(1.0), real(0.0)
    for i in range(LANES):
        serves = a[at + row.READY + i] > nought
        running, slope, output = a[at + row.RUNNING + i], w[row.SLOPE + i], a[at + row.OUTPUT + i]
        per_slot, per_replica = w[row.PER_SLOT + i], w[row.PER_REPLICA + i]
        each, reading = running * per_replica, a[at + row.READING + i] * per_replica
        alone, work = output * base, w[row.PROMPT_S + i] + output * slope
        busy_work, full_work = each * work + alone, work + alone * per_slot
        split = one / (busy_work * full_work)
        busy, greatest = each * work * split * full_work, work * split * busy_work
        kv = min(each * w[row.HELD_SHARE + i], one)
        asked = min(kv + reading * a[at + row.PROMPT + i] * per_room, one)
        signal = asked if h[row.KV_ONLY + i] > nought else max(asked, max(min((each + reading) * per_slot, one), busy))
        over = one if busy > real(0.95) * greatest else nought
        over = one if w[row.ABOVE + i] > real(0.05) else over
        waits = one if a[at + row.INSIDE + i] > nought else nought
        a[at + row.RUNNING + i] = running if serves else nought
        a[at + row.KV_SUM + i] += kv if serves else nought
        a[at + row.WORK_SUM + i] += busy if serves else nought
        a[at + row.SIGNAL + i] = signal if serves else waits
        w[row.SATURATED + i] = over if serves else waits
        a[at + row.ITERATION + i] = base + slope * each if serves else base


@vectors
def advance(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals, step_s: np.float32) -> None:
    """Advance a pool by a step."""
    note_speeds(a, at, w, facts)
    note_running(a, at, w)
    read_prompts(a, at, w, facts, step_s)
    complete(a, at, w, facts, step_s)
    note_running(a, at, w)
    note_signal(a, at, w, h, facts)


@vectors
def share_out(w: Reals, t: Reals, tier: Place) -> None:
    """Take what was completed out of a tier, in proportion to what is inside."""
    for i in range(LANES):
        come = t[tier + row.COMES + i]
        t[tier + row.COMES + i] = real(0.0)
        t[tier + row.CAME + i] += come
        t[tier + row.IN_TIER + i] = (t[tier + row.IN_TIER + i] + come) * (real(1.0) - w[row.SHARE + i])


@vectors
def sum_up(a: Reals, at: Place, gpus: np.float32) -> None:
    """Add one step's replicas of a pool to the sums of the hour."""
    per_replica = real(1.0) / gpus
    for i in range(LANES):
        ready, coming = a[at + row.READY + i], a[at + row.COMING + i]
        a[at + row.HELD + i] += ready + coming + a[at + row.DRAINING + i]
        a[at + row.WASTED + i] += coming
        a[at + row.LENT_SUM + i] += a[at + row.LENT + i] * per_replica
        a[at + row.READY_SUM + i] += ready
