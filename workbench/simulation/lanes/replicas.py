"""Replicas of a block start, become ready, drain and are lent, one scenario at a time."""

from __future__ import annotations

import math

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, place, vectors, within
from workbench.simulation.fluid.replicas import DRAINED_AFTER
from workbench.simulation.lanes.layout import LANES, Block, Ints, Place, Reals, Site, real
from workbench.simulation.state import Inputs

SCENARIO, STARTS, DRAINS = range(3)  # of what is due
INTO_HOUR, SLOT = range(2)  # of the clock


@inlined
def pool_at(p: int) -> Place:
    """Return where a pool begins."""
    return np.uint64(p) * row.POOL_SIZE


@within
def note_replicas(a: Reals, at: Place, i: int) -> None:
    """Note the ready replicas of a scenario, one at least, one over them, and the root of that."""
    replicas = max(a[at + row.READY + i], real(1.0))
    per_replica = real(1.0) / replicas
    a[at + row.REPLICAS + i] = replicas
    a[at + row.PER_REPLICA + i] = per_replica
    a[at + row.EVENED + i] = np.sqrt(per_replica)


@vectors
def begin_with(a: Reals, at: Place) -> None:
    """Note what follows from the replicas at the start."""
    for i in range(LANES):
        note_replicas(a, at, i)


@within
def add_standing(a: Reals, standing: Place, by: np.float32, steps: int) -> None:
    """Change the ready, starting or draining replicas or the lent GPUs of a scenario, so many steps into the hour.

    The sum over the hour is what stands at its end, times its steps, less what earlier steps did not have of it.
    """
    a[standing] += by
    a[standing + row.TO_SUM] -= by * real(steps)


@within
def become_ready(b: Block, c: Site, p: int, i: int, starts: int, drains: int) -> None:
    """Turn finished starts of a scenario into ready replicas and drained replicas into lent GPUs."""
    a, mine, into_hour, begun, gone = b.pools, pool_at(p) + i, b.clock[INTO_HOUR], real(starts), real(drains)
    gpus = gone * real(c.gpus[p])
    add_standing(a, mine + row.COMING, -begun, into_hour)
    add_standing(a, mine + row.READY, begun, into_hour)
    note_replicas(a, pool_at(p), i)
    add_standing(a, mine + row.DRAINING, -gone, into_hour)
    add_standing(a, mine + row.LENT, gpus, into_hour)
    b.lent[np.uint64(c.place[p]) * LANES + i] += gpus


@inlined
def finish(b: Block, c: Site) -> None:
    """Let every start and drain end that is due in this step."""
    due, any_due, slot = b.due, b.any_due, b.clock[SLOT]
    for p in range(c.gpus.size):
        if any_due[slot, p] > 0:
            for j in range(any_due[slot, p]):
                ends = due[p, slot, j]
                become_ready(b, c, p, place(ends[SCENARIO]), int(ends[STARTS]), int(ends[DRAINS]))
            any_due[slot, p] = 0
            b.stirred[p] = 1


@inlined
def be_due(b: Block, p: int, after: int, i: int, what: int) -> None:
    """Note that one more start or drain of a scenario ends after so many steps, fewer than there are slots."""
    slot = b.clock[SLOT] + after
    slot -= b.due.shape[1] if slot >= b.due.shape[1] else 0
    due, count = b.due[p, slot], b.any_due[slot, p]
    for j in range(count):
        if due[j, SCENARIO] == i:
            due[j, what] += 1
            return
    due[count, SCENARIO], due[count, STARTS], due[count, DRAINS] = i, 0, 0
    due[count, what] = 1
    b.any_due[slot, p] = count + 1


@inlined
def lent_gpus(a: Reals, members: Ints, p: int, i: int) -> float:
    """Return the GPUs that a pool and those with its model lend."""
    gpus = 0.0
    for j in range(members.shape[1]):
        if members[p, j] < 0:
            break
        gpus += a[pool_at(members[p, j]) + row.LENT + i]
    return gpus


@inlined
def take_lent(b: Block, c: Site, p: int, i: int, needed: float, same_model: bool) -> float:
    """Take lent GPUs of the pool's region and kind, from the pool that lends most, and return how many are missing."""
    a, stock = b.pools, np.uint64(c.place[p]) * LANES
    while needed > 0.0:
        most, most_gpus = -1, 0.0
        for j in range(c.mates.shape[1]):
            q = c.mates[p, j]
            if q < 0:
                break
            there = float(a[pool_at(q) + row.LENT + i])
            if (c.model[q] == c.model[p]) == same_model and there > most_gpus:
                most, most_gpus = q, there
        if most < 0:
            break
        taken = min(needed, most_gpus)
        add_standing(a, pool_at(most) + row.LENT + i, -real(taken), b.clock[INTO_HOUR])
        b.lent[stock + i] -= real(taken)
        needed -= taken
    return needed


@inlined
def scale_out(b: Block, c: Site, x: Inputs, p: int, i: int) -> int:
    """Start one replica from the nearest sources and return its kind, REFUSED when the region has too few GPUs left."""
    stock = np.uint64(c.place[p]) * LANES
    here = lent_gpus(b.pools, c.twins, p, i)
    kind = r.acquire_kind(c.gpus[p], int(here), int(b.lent[stock + i] - here), int(b.free[stock + i]))
    if kind == r.REFUSED:
        return kind
    missing = take_lent(b, c, p, i, float(c.gpus[p]), True)
    missing = take_lent(b, c, p, i, missing, False)
    b.free[stock + i] -= real(missing)
    add_standing(b.pools, pool_at(p) + row.COMING + i, real(1.0), b.clock[INTO_HOUR])
    after = max(math.ceil(r.readiness_s(b.rules[i], kind) / x.step_s), 1)
    if after < b.due.shape[1]:
        be_due(b, p, after, i, STARTS)
    return kind


@inlined
def scale_in(b: Block, c: Site, x: Inputs, p: int, i: int) -> None:
    """Take one ready replica out of routing; what it runs counts as done, and when that is over it is lent."""
    a, at, tiers = b.pools, pool_at(p), x.deferrable.size
    ready, running, inside = a[at + row.READY + i], a[at + row.RUNNING + i], a[at + row.INSIDE + i]
    stays = real(1.0) - running / ready / inside if inside > real(0.0) else real(1.0)
    for k in range(tiers):
        b.tiers[np.uint64(p * tiers + k) * row.TIER_SIZE + row.IN_TIER + i] *= stays
    a[at + row.INSIDE + i] *= stays
    a[at + row.VARIANCE + i] *= stays
    a[at + row.RUNNING + i] -= running / ready
    add_standing(a, at + row.READY + i, real(-1.0), b.clock[INTO_HOUR])
    note_replicas(a, at, i)
    add_standing(a, at + row.DRAINING + i, real(1.0), b.clock[INTO_HOUR])
    b.stirred[p] = 1
    residual_s = 0.5 * c.facts[p, row.OUTPUT_SQUARE] * a[at + row.OUTPUT + i] * a[at + row.ITERATION + i]
    after = max(math.ceil(DRAINED_AFTER * residual_s / x.step_s), 1)
    be_due(b, p, min(after, b.due.shape[1] - 1), i, DRAINS)
