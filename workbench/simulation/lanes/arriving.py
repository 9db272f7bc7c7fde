"""Requests of a step come in: interactive ones are routed, deferrable ones wait, are released, and go once old.

The rules are those of :mod:`workbench.simulation.fluid.traffic`, followed by a loop over scenarios for every deed.
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.compiling import place, vectors, within
from workbench.simulation.lanes.layout import LANES, Block, Place, Reals, Site, real
from workbench.simulation.lanes.routing import CRUMB, ask, nothing_asked, route
from workbench.simulation.state import Inputs


@vectors
def wait(
    queue: Reals, own: Place, asked: Reals, tier: Place, load: Reals, factor: Place, requests: np.float32,
    young: np.float32,
) -> int:  # fmt: skip
    """Queue a step's deferrable requests, take out what has grown old, and return in how many scenarios some has.

    ``young`` came since the age, without a scenario's factor.
    """
    some = np.int32(0)
    for i in range(LANES):
        times = load[factor + i]
        waiting = queue[own + i] + times * requests
        old = min(max(waiting - times * young, real(0.0)), waiting)
        old = old if old > CRUMB * waiting else real(0.0)
        queue[own + i] = waiting - old
        asked[tier + i] = old
        some = np.int32(some + (np.int32(1) if old > real(0.0) else np.int32(0)))
    return int(some)


@vectors
def ask_old(s: Reals, asked: Reals, tier: Place, prompt: np.float32, output: np.float32) -> None:
    """Add what has grown old to the requests of its origin and model."""
    for i in range(LANES):
        amount = asked[tier + i]
        s[row.ALL + i] += amount
        s[row.LEFT + i] += amount
        s[row.ALL_PROMPTS + i] += amount * prompt
        s[row.ALL_OUTPUTS + i] += amount * output


@vectors
def release(
    a: Reals, at: Place, t: Reals, tier: Place, queue: Reals, own: Place, h: Reals, prompt: np.float32,
    output: np.float32, delay_s: np.float32,
) -> None:  # fmt: skip
    """Let queued requests into a pool on its signals of spare capacity: one per completion and ready replica."""
    for i in range(LANES):
        signal, finished, arriving = a[at + row.SIGNAL + i], a[at + row.FINISHED + i], a[at + row.ARRIVING + i]
        each = real(1.0) if signal < h[row.RELEASE_ONE + i] else real(0.0)
        each = real(2.0) if signal < h[row.RELEASE_TWO + i] else each
        taken = a[at + row.INSIDE + i] + arriving - finished
        room = max(a[at + row.READY + i] * a[at + row.RELEASE_EACH + i] - taken, real(0.0))
        waiting = queue[own + i]
        batch = min(min(waiting, each * (finished + a[at + row.READY + i])), room)
        queue[own + i] = waiting - batch
        a[at + row.ARRIVING + i] = arriving + batch
        a[at + row.PROMPTS + i] += batch * prompt
        a[at + row.OUTPUTS + i] += batch * output
        a[at + row.RECENT_DELAY + i] += batch * delay_s
        t[tier + row.COMES + i] += batch


@within
def ask_together(b: Block, x: Inputs, c: Site, w: int, block: int, h: int, m: int) -> int:
    """Sum up what an origin asks of a model for its interactive tiers, and return of how many there is something."""
    tiers, asking = x.deferrable.size, 0
    first, factors = place((h * x.rps.shape[2] + m) * tiers), place(m * tiers)
    for k in range(tiers):
        requests = c.requests[w, first + k]
        b.some[k] = 0 if x.deferrable[k] or requests <= real(0.0) else 1
        if b.some[k] > 0:
            prompt, output = c.prompts[block, first + k], c.outputs[block, first + k]
            tier, factor = place(k) * LANES, (factors + k) * LANES
            ask(b.scratch, b.asked, tier, b.load, factor, requests, prompt, output, real(min(asking, 1)))
            asking += 1
    return asking


@within
def ask_deferrable(b: Block, x: Inputs, c: Site, w: int, block: int, h: int, m: int, k: int) -> int:
    """Ask for the deferrable requests of a tier that go at once: all of them in a siloed fleet, else the old ones."""
    models, tiers = x.rps.shape[2], x.deferrable.size
    cell, queue = place((h * models + m) * tiers + k), place(h * models + m)
    tier, factor, own = np.uint64(k) * LANES, np.uint64(m * tiers + k) * LANES, cell * LANES
    prompt, output, requests = c.prompts[block, cell], c.outputs[block, cell], c.requests[w, cell]
    some = 0
    if c.waits[k]:
        waiting, young = real(c.waiting_rps[k, w, queue] * x.step_s), real(b.young[k, queue])
        some = wait(b.queue, own, b.asked, tier, b.load, factor, waiting, young)
        if some > 0:
            nothing_asked(b.scratch)
            ask_old(b.scratch, b.asked, tier, prompt, output)
    elif requests > real(0.0):
        ask(b.scratch, b.asked, tier, b.load, factor, requests, prompt, output, real(0.0))
        some = 1
    for other in range(tiers):
        b.some[other] = some if other == k else 0
    return some


@within
def release_all(b: Block, x: Inputs, c: Site, block: int, h: int, m: int, k: int) -> None:
    """Release what waits in the queue of a region, model and tier into the region's pools."""
    tiers = x.deferrable.size
    cell = place((h * x.rps.shape[2] + m) * tiers + k)
    own, prompt, output = cell * LANES, c.prompts[block, cell], c.outputs[block, cell]
    for p in x.pools_in[m, 1, h]:
        if p < 0:
            break
        at, tier = np.uint64(p) * row.POOL_SIZE, np.uint64(p * tiers + k) * row.TIER_SIZE
        release(b.pools, at, b.tiers, tier, b.queue, own, b.scenario, prompt, output, real(x.network_s[h, h]))


@within
def arrive(b: Block, x: Inputs, c: Site, step: int) -> None:
    """Bring in one step's requests: interactive ones are routed, deferrable ones queued and released, old ones go."""
    w, block = step // x.demand_steps, step // x.mean_steps
    for h in range(x.rps.shape[1]):
        for m in range(x.rps.shape[2]):
            if ask_together(b, x, c, w, block, h, m) > 0:
                route(b, x, h, m, 0)
            for k in x.deferred:
                if ask_deferrable(b, x, c, w, block, h, m, k) > 0:
                    route(b, x, h, m, 1)
                if c.waits[k]:
                    release_all(b, x, c, block, h, m, k)
