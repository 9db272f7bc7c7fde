"""Run the steps of a block of scenarios in the order of :mod:`workbench.simulation.fluid.engine`."""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, vectors, within
from workbench.simulation.lanes.arriving import arrive
from workbench.simulation.lanes.deciding import follow_plan, scale
from workbench.simulation.lanes.latency import (
    LOOK_HOURS,
    SLOW_TICKS,
    add_since,
    add_tick,
    add_tier,
    count_tokens,
    first_tokens,
    mark_all,
    mark_jumps,
    note_company,
    note_cycles,
    note_spread,
    note_turns,
)
from workbench.simulation.lanes.layout import LANES, Block, Floats, Place, Reals, Site, real
from workbench.simulation.lanes.lengths import mix_lengths, note_lengths, read_table
from workbench.simulation.lanes.replicas import INTO_HOUR, SLOT, begin_with, finish, pool_at
from workbench.simulation.lanes.serving import advance, fill_slots, share_out
from workbench.simulation.latency import ROUNDS
from workbench.simulation.state import Inputs


@inlined
def tier_at(p: int, tiers: int, k: int) -> Place:
    """Return where a tier of a pool begins."""
    return np.uint64(p * tiers + k) * row.TIER_SIZE


@vectors
def come_and_go(inside: Floats, came_rps: Floats, gone_rps: Floats, any_gone: float, step_s: float) -> None:
    """Add to every queue's window what came in a step and take out what fell out of it; ``any_gone`` is 1 or 0."""
    for j in range(inside.size):
        inside[j] += (came_rps[j] - any_gone * gone_rps[j]) * step_s


@inlined
def pass_time(b: Block, c: Site, x: Inputs, step: int) -> None:
    """Move the windows in which deferrable requests are young, and not yet due, on by a step."""
    for k in x.deferred:
        rps, came = c.waiting_rps[k], c.waiting_rps[k, step // x.demand_steps]
        old, due = step - c.age_steps - 1, step - int(min(x.promise_s[k] / x.step_s, 1e15))
        any_old, any_due = 1.0 if old >= 0 else 0.0, 1.0 if due >= 0 else 0.0
        come_and_go(b.young[k], came, rps[max(old, 0) // x.demand_steps], any_old, x.step_s)
        come_and_go(b.not_due[k], came, rps[max(due, 0) // x.demand_steps], any_due, x.step_s)


@within
def count_first_tokens(b: Block, c: Site, x: Inputs, p: int, anew: bool) -> None:
    """Work out the first tokens of a tick and add them to those since the last look, where they are alike.

    With what the step leaves in each tier, of which the same rows are read; what changes slowly only if ``anew``.
    """
    a, w, at, tiers, facts = b.pools, b.work, np.uint64(p) * row.POOL_SIZE, b.bad.shape[0], c.facts[p]
    first = np.uint64(p * tiers) * row.TIER_SIZE
    if anew:
        note_turns(a, at, w, facts)
    note_cycles(a, at, w)
    for _ in range(ROUNDS):
        note_company(a, at, w, facts)
    if anew:
        note_spread(a, at, w, facts)
    first_tokens(a, at, w, facts)
    if mark_jumps(a, at, w) > 0:
        count_tokens(a, at, w, b.work_pairs, b.tiers, first, c.interactive, b.counted)
    for k in range(tiers):
        tier = first + np.uint64(k) * row.TIER_SIZE
        if x.latency_steps > 1:
            add_since(w, b.tiers, tier)
        add_tier(w, b.tiers, tier)
    add_tick(a, at, w)


@within
def serve(b: Block, c: Site, x: Inputs, p: int, ticks: bool, anew: bool, looks: bool) -> None:
    """Advance a pool by a step, work out first tokens where it is time, and count them after some hours."""
    a, w, h, at, tiers, facts = b.pools, b.work, b.scenario, np.uint64(p) * row.POOL_SIZE, b.bad.shape[0], c.facts[p]
    first = np.uint64(p * tiers) * row.TIER_SIZE
    if mix_lengths(a, at, h) > 0:
        read_table(a, at, w, c.grid[p], c.segments[p, 0], c.segments[p, 1])
        note_lengths(a, at, w, h, facts)
        b.stirred[p] = 1
    if b.stirred[p] > 0:
        fill_slots(a, at)
        b.stirred[p] = 0
    advance(a, at, w, h, facts, real(x.step_s))
    if ticks:
        count_first_tokens(b, c, x, p, anew)
    else:
        for k in range(tiers):
            share_out(w, b.tiers, first + np.uint64(k) * row.TIER_SIZE)
    if looks:
        mark_all(w)
        count_tokens(a, at, w, b.work_pairs, b.tiers, first, c.interactive, b.counted)


@vectors
def judge(
    judged: Reals, missed: Place, queue: Reals, own: Place, t: Reals, tier: Place, load: Reals, factor: Place,
    fell_due: np.float32, not_due: np.float32,
) -> None:  # fmt: skip
    """Count the deadlines of this step that passed without completion where one pool serves: first come first served.

    What is not completed waits in the queue or is inside the pool.
    """
    for i in range(LANES):
        times, left = load[factor + i], queue[own + i] + t[tier + row.IN_TIER + i]
        judged[missed + i] += min(max(left - times * not_due, real(0.0)), times * fell_due)


@vectors
def unfinished(s: Reals, queue: Reals, own: Place) -> None:
    """Begin to count what of a queue is not completed."""
    for i in range(LANES):
        s[row.LEFT + i] = queue[own + i]


@vectors
def unfinished_inside(s: Reals, t: Reals, tier: Place) -> None:
    """Add what of it a pool holds."""
    for i in range(LANES):
        s[row.LEFT + i] += t[tier + row.IN_TIER + i]


@vectors
def miss(
    judged: Reals, missed: Place, s: Reals, load: Reals, factor: Place, fell_due: np.float32, not_due: np.float32
) -> None:
    """Count the deadlines of this step that passed without completion where several pools serve, or none."""
    for i in range(LANES):
        due = load[factor + i] * fell_due
        judged[missed + i] += min(max(s[row.LEFT + i] - load[factor + i] * not_due, real(0.0)), due)


@vectors
def fall_due(judged: Reals, kept: Place, load: Reals, factor: Place, fell_due: np.float32) -> None:
    """Count the deadlines of this step."""
    for i in range(LANES):
        judged[kept + i] += load[factor + i] * fell_due


@within
def judge_queue(b: Block, x: Inputs, h: int, m: int, k: int, fell_due: np.float32) -> None:
    """Judge the queue of an origin, model and tier, of whose requests some are due in this step."""
    models, tiers, pools_in = x.rps.shape[2], x.deferrable.size, x.pools_in[m, 1, h]
    own, factor = np.uint64((h * models + m) * tiers + k) * LANES, np.uint64(m * tiers + k) * LANES
    missed, not_due = np.uint64(k) * LANES, real(b.not_due[k, h * models + m])
    if pools_in[0] >= 0 and (pools_in.size == 1 or pools_in[1] < 0):
        tier = tier_at(pools_in[0], tiers, k)
        judge(b.judged, missed, b.queue, own, b.tiers, tier, b.load, factor, fell_due, not_due)
        return
    unfinished(b.scratch, b.queue, own)
    for p in pools_in:
        if p < 0:
            break
        unfinished_inside(b.scratch, b.tiers, tier_at(p, tiers, k))
    miss(b.judged, missed, b.scratch, b.load, factor, fell_due, not_due)


@inlined
def record_deadlines(b: Block, c: Site, x: Inputs, step: int) -> None:
    """Judge every queue of deferrable work whose first requests are due."""
    models, tiers = x.rps.shape[2], x.deferrable.size
    for k in x.deferred:
        due = step - int(min(x.promise_s[k] / x.step_s, 1e15))
        if due < 0:
            continue
        window = due // x.demand_steps
        for m in range(models):
            all_due = 0.0
            for h in range(x.rps.shape[1]):
                fell_due = c.waiting_rps[k, window, h * models + m] * x.step_s
                all_due += fell_due
                judge_queue(b, x, h, m, k, real(fell_due))
            kept, factor = np.uint64(tiers + k) * LANES, np.uint64(m * tiers + k) * LANES
            fall_due(b.judged, kept, b.load, factor, real(all_due))


@vectors
def hand_on(sums: Floats, rows: Reals, at: Place) -> None:
    """Add a row to a sum in double precision and empty it."""
    for i in range(LANES):
        sums[i] += rows[at + i]
        rows[at + i] = real(0.0)


@vectors
def sum_standing(a: Reals, at: Place, steps: np.float32) -> None:
    """Make the sums of what changed in so many steps those of what stood."""
    for standing in range(row.STANDING_ROWS):
        what = at + row.READY + np.uint64(standing) * LANES
        for i in range(LANES):
            a[what + row.TO_SUM + i] += a[what + i] * steps


@inlined
def close_hour(b: Block) -> None:
    """Hand the sums of the hour on, so that a month of them loses nothing."""
    tiers, steps = b.bad.shape[0], real(b.clock[INTO_HOUR] + 1)
    for p in range(b.sums.shape[0]):
        sum_standing(b.pools, pool_at(p), steps)
        for j in range(row.SUM_ROWS):
            hand_on(b.sums[p, j], b.pools, pool_at(p) + row.FIRST_SUM + np.uint64(j) * LANES)
        for k in range(tiers):
            hand_on(b.bad[k], b.tiers, tier_at(p, tiers, k) + row.BAD)
    for side in range(2):
        for k in range(tiers):
            hand_on(b.deadlines[side, k], b.judged, np.uint64(side * tiers + k) * LANES)


@kernel
def simulate(b: Block, c: Site, x: Inputs, steps: int) -> None:
    """Run a block's steps from its start: readiness, plan, scaling, arrivals, service, latency."""
    for p in range(c.gpus.size):
        begin_with(b.pools, pool_at(p))
        if mix_lengths(b.pools, pool_at(p), b.scenario) > 0:
            read_table(b.pools, pool_at(p), b.work, c.grid[p], c.segments[p, 0], c.segments[p, 1])
            note_lengths(b.pools, pool_at(p), b.work, b.scenario, c.facts[p])
    for step in range(steps):
        b.clock[INTO_HOUR], b.clock[SLOT] = step % c.hour_steps, step % b.due.shape[1]
        finish(b, c)
        if b.clock[INTO_HOUR] == 0 and c.follow_plan != r.NO_PLAN:
            follow_plan(b.pools, x.target, step // c.hour_steps)
        scale(b, c, x, step)
        pass_time(b, c, x, step)
        arrive(b, x, c, step)
        ends = step + 1 == steps
        ticks = (step + 1) % x.latency_steps == 0 or ends
        looks = (step + 1) % (LOOK_HOURS * c.hour_steps) == 0 or ends
        for p in range(c.gpus.size):
            serve(b, c, x, p, ticks, step // x.latency_steps % SLOW_TICKS == 0, looks)
        record_deadlines(b, c, x, step)
        if (step + 1) % c.hour_steps == 0 or ends:
            close_hour(b)
