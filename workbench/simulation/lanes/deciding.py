"""Which pools of a block grow or shrink: the one set of rules, asked only where a threshold is crossed.

A loop over a row finds the scenarios in which a rule could want a change, another those of them in which it would find
no GPUs; the few that are left are then handled one by one by the same functions of :mod:`workbench.simulation.rules`
that the other engines call.
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, place, vectors
from workbench.simulation.lanes.layout import LANES, Block, Ints, Place, Reals, Site, real
from workbench.simulation.lanes.replicas import pool_at, scale_in, scale_out
from workbench.simulation.lanes.vectorising import ONE_LANE, kept, next_marked
from workbench.simulation.state import Inputs

ALMOST, BARELY = real(1.0 - 1e-5), real(1.0 + 1e-5)  # the rules have the last word, in double precision
SURELY = real((1.0 + 1e-5) / (1.0 - 1e-5))  # of what is almost a threshold


@inlined
def follow_plan(a: Reals, target: Ints, hour: int) -> None:
    """Set what is left to change in the hour: the plan's replicas less those ready and starting."""
    for p in range(target.shape[1]):
        at, wanted = pool_at(p), target[hour, p]
        for i in range(LANES):
            held = a[at + row.READY + i] + a[at + row.COMING + i]
            a[at + row.BUDGET + i] = real(wanted) - held if wanted >= 0 else real(0.0)


@vectors
def no_others(s: Reals) -> None:
    """Begin the ready and held replicas that a group has in other pools."""
    for i in range(LANES):
        s[row.OTHERS_READY + i] = real(0.0)
        s[row.OTHERS_HELD + i] = real(0.0)


@vectors
def add_member(a: Reals, at: Place, s: Reals) -> None:
    """Add a pool to the ready and held replicas that a group has in other pools."""
    for i in range(LANES):
        ready = a[at + row.READY + i]
        s[row.OTHERS_READY + i] += ready
        s[row.OTHERS_HELD + i] += ready + a[at + row.COMING + i]


@vectors
def count_others(a: Reals, s: Reals, group: Ints, p: int) -> None:
    """Count ready and held replicas that the model has in the region in other pools, over all GPU kinds of the silo.

    Where no pool has any, the rows are nought as they began.
    """
    if group.shape[1] == 1:
        return
    no_others(s)
    for j in range(group.shape[1]):
        if group[p, j] < 0:
            break
        if group[p, j] != p:
            add_member(a, np.uint64(group[p, j]) * row.POOL_SIZE, s)


@vectors
def may_change(a: Reals, at: Place, h: Reals, s: Reals, step: np.float32) -> int:
    """Mark the scenarios in which a rule could want a change of a pool, cooled down ones only; return how many."""
    marked = np.int32(0)
    for i in range(LANES):
        ready, coming, signal = a[at + row.READY + i], a[at + row.COMING + i], a[at + row.SIGNAL + i]
        held, floor, cool_from = ready + coming, h[row.FLOOR + i], a[at + row.COOL_FROM + i]
        group_ready, group_held = ready + s[row.OTHERS_READY + i], held + s[row.OTHERS_HELD + i]
        over = signal * ready - h[row.ALMOST_OUT + i] * held
        under = min(h[row.BARELY_IN + i] - signal, group_ready - floor)
        few = max(floor, min(signal, real(0.5))) - group_held  # of whole replicas: none where something is asked
        most = min(max(max(over, under), few), step - cool_from + real(0.5))
        s[row.WANTS + i] = real(1.0) if most > real(0.0) else real(0.0)
        marked = np.int32(marked + (np.int32(1) if most > real(0.0) else np.int32(0)))
    return int(marked)


@vectors
def refuse(
    a: Reals, at: Place, h: Reals, s: Reals, free: Reals, lent: Reals, stock: Place, gpus: np.float32, step: np.float32,
    unplanned: np.float32,
) -> int:  # fmt: skip
    """Let a pool cool down where it surely grows and too few GPUs are left; return in how many scenarios it may change.

    In a sweep beyond the stock most growth is refused, step after step. ``unplanned`` is 1 where no plan limits growth
    and else 0. What stands on a threshold stays marked for the rules.
    """
    marked = np.int32(0)
    for i in range(LANES):
        ready, signal, wants = a[at + row.READY + i], a[at + row.SIGNAL + i], s[row.WANTS + i]
        held, cool_from = ready + a[at + row.COMING + i], a[at + row.COOL_FROM + i]
        over = min(signal * ready - SURELY * h[row.ALMOST_OUT + i] * held, a[at + row.BUDGET + i] + unplanned)
        few = h[row.FLOOR + i] - held - s[row.OTHERS_HELD + i]
        missing = gpus - free[stock + i] - lent[stock + i]
        refused = min(min(max(over, few), missing), wants) > real(0.0)
        s[row.WANTS + i] = kept(refused, real(0.0), wants)
        a[at + row.COOL_FROM + i] = kept(refused, step + h[row.COOLDOWN_STEPS + i], cool_from)
        marked = np.int32(marked + (np.int32(0) if refused else np.int32(wants)))
    return int(marked)


@vectors
def has_budget(a: Reals, at: Place) -> int:
    """Return in how many scenarios something of the plan is left to be carried out."""
    marked = np.int32(0)
    for i in range(LANES):
        marked = np.int32(marked + (np.int32(1) if a[at + row.BUDGET + i] != real(0.0) else np.int32(0)))
    return int(marked)


@inlined
def step_one(b: Block, c: Site, x: Inputs, step: int, p: int, i: int, observed: float) -> None:
    """Let the rules decide on one pool in one scenario, and carry out what they want."""
    a, s, at, into_hour_s = b.pools, b.scratch, pool_at(p), step * x.step_s % 3600.0
    gap = float(observed * b.gap[np.uint64(c.model[p]) * LANES + i])
    ready, coming, budget = int(a[at + row.READY + i]), int(a[at + row.COMING + i]), int(a[at + row.BUDGET + i])
    group_ready, group_held = ready + int(s[row.OTHERS_READY + i]), ready + coming + int(s[row.OTHERS_HELD + i])
    signal = float(a[at + row.SIGNAL + i])
    change = r.scaling_step(b.rules[i], signal, ready, coming, group_ready, group_held, budget, into_hour_s, gap)
    if change == 0:
        return
    kind = r.IN
    if change > 0:
        kind = scale_out(b, c, x, p, i)
    else:
        scale_in(b, c, x, p, i)
    a[at + row.COOL_FROM + i] = real(step) + b.scenario[row.COOLDOWN_STEPS + i]
    if kind != r.REFUSED and budget * change > 0:
        a[at + row.BUDGET + i] -= real(change)


@inlined
def step_by_signal(b: Block, c: Site, x: Inputs, step: int, p: int) -> None:
    """Let the rules decide on one pool in every scenario that is marked."""
    known = min(max(step, 1), x.observed_over_forecast.shape[0]) - 1  # of the step before, or the same for all
    observed = x.observed_over_forecast[known, c.region[p], c.model[p]]
    i = next_marked(b.scratch, b.scratch_pairs, row.WANTS, place(0))
    while i < LANES:
        step_one(b, c, x, step, p, i, observed)
        i = next_marked(b.scratch, b.scratch_pairs, row.WANTS, place(int(i + ONE_LANE)))


@inlined
def take_out(b: Block, c: Site, x: Inputs, p: int) -> None:
    """Take out the replicas of a pool that the plan has too many, down to the floor."""
    a, s, at, none = b.pools, b.scratch, pool_at(p), real(0.0)
    count_others(a, s, c.group, p)
    for i in range(LANES):
        while a[at + row.BUDGET + i] < none and a[at + row.READY + i] > none:
            if a[at + row.READY + i] + s[row.OTHERS_READY + i] <= b.scenario[row.FLOOR + i]:
                break
            scale_in(b, c, x, p, i)
            a[at + row.BUDGET + i] += real(1.0)


@inlined
def carry_out(b: Block, c: Site, x: Inputs) -> None:
    """Carry out what is left of the plan: removals first; what finds no GPU is tried again until the hour ends."""
    a = b.pools
    for p in range(c.gpus.size):
        if has_budget(a, pool_at(p)) > 0:
            take_out(b, c, x, p)
    for p in range(c.gpus.size):
        at = pool_at(p)
        if has_budget(a, at) == 0:
            continue
        for i in range(LANES):
            while a[at + row.BUDGET + i] > real(0.0):
                if scale_out(b, c, x, p, i) == r.REFUSED:
                    break
                a[at + row.BUDGET + i] -= real(1.0)


@inlined
def scale(b: Block, c: Site, x: Inputs, step: int) -> None:
    """Let every pool take at most one step in every scenario, or carry out the plan where it is due at once."""
    if c.follow_plan == r.AT_ONCE:
        carry_out(b, c, x)
        return
    a, h, s, now, unplanned = b.pools, b.scenario, b.scratch, real(step), real(c.follow_plan == r.NO_PLAN)
    for p in range(c.gpus.size):
        count_others(a, s, c.group, p)
        if may_change(a, pool_at(p), h, s, now) == 0:
            continue
        stock, gpus = np.uint64(c.place[p]) * LANES, real(c.gpus[p])
        if refuse(a, pool_at(p), h, s, b.free, b.lent, stock, gpus, now, unplanned) > 0:
            step_by_signal(b, c, x, step, p)
