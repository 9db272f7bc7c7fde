"""Requests of the fluid simulator find a pool: routing, the queue of deferrable work and its release.

The rules of :mod:`.rules` speak of one request; a step brings many, so here they are followed in the limit of small
requests.
"""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.state import ARRIVED, Floats, Inputs, Ints, Pools, Record, State


@kernel
def _send(pools: Pools, inflow: Floats, p: int, h: int, k: int, requests: float, prompt: float, output: float) -> None:
    """Hand requests to a pool and mix their lengths into those of what is inside."""
    pool = pools[p]
    share = requests / (pool.inside + pool.arriving + requests)
    pool.prompt += share * (prompt - pool.prompt)
    pool.output += share * (output - pool.output)
    pool.arriving += requests
    inflow[p, h, k] += requests


@kernel
def _taken(pools: Pools, p: int) -> float:
    """Return what is in the pool after this step so far, if it completes as many as in the last."""
    return float(pools[p].inside + pools[p].arriving - pools[p].finished)


@kernel
def _room(pools: Pools, rules: r.Rules, p: int) -> float:
    """Return how many requests a pool under the routing threshold takes before it is over it, nought otherwise."""
    pool = pools[p]
    if pool.ready <= 0 or pool.signal >= rules.route_below:
        return 0.0
    return float(max(pool.holds_to_route - _taken(pools, p), 0.0) + pool.ready)


@kernel
def _routes(preference: Ints, h: int) -> int:
    """Return how many regions an origin has a route to: those come first in its order."""
    count = 0
    while count < preference.shape[1] and preference[h, count] >= 0:
        count += 1
    return count


@kernel
def route(
    pools: Pools,
    inflow: Floats,
    preference: Ints,
    pools_in: Ints,
    rules: r.Rules,
    h: int,
    m: int,
    k: int,
    kind: int,
    requests: float,
    prompt: float,
    output: float,
) -> None:
    """Route a step's requests as the rule does one by one: region by region to the threshold, the rest to the idlest.

    Inside a region the pools share what comes in proportion to their room, as requests that each go to the least
    loaded pool would. A pool just under the threshold takes one more request on each replica, which lifts its signal
    over it; so a pool whose overflow goes elsewhere still asks for another replica.
    """
    idlest, fullness, left = -1, math.inf, requests
    for i in range(_routes(preference, h)):
        region, room = preference[h, i], 0.0
        for j in range(pools_in.shape[3]):
            p = pools_in[m, kind, region, j]
            if p < 0:
                break
            room += _room(pools, rules, p)
            ratio = (pools[p].inside + pools[p].arriving) / max(pools[p].holds_to_route, 1e-9)
            if idlest < 0 or (pools[p].ready > 0 and ratio < fullness):
                idlest, fullness = p, ratio if pools[p].ready > 0 else math.inf
        if room <= 0.0:
            continue
        part = min(left / room, 1.0)
        for j in range(pools_in.shape[3]):
            p = pools_in[m, kind, region, j]
            if p < 0:
                break
            going = part * _room(pools, rules, p)
            if going > 0.0:
                _send(pools, inflow, p, h, k, going, prompt, output)
                left -= going
        if part < 1.0 or left <= 1e-12 * requests:
            return
    _send(pools, inflow, idlest, h, k, left, prompt, output)


@kernel
def _release(
    pools: Pools,
    inflow: Floats,
    preference: Ints,
    pools_in: Ints,
    rules: r.Rules,
    h: int,
    m: int,
    k: int,
    queued: float,
    prompt: float,
    output: float,
) -> float:
    """Let queued deferrable requests go on signals of spare capacity and return how many.

    A pool signals at each completion, and each ready replica once per step, so that an idle pool is fed too. The
    queue stands at home, or in the nearest region that hosts the model.
    """
    going, host, silos = 0.0, 0, pools_in.shape[2] // preference.shape[0]
    for i in range(_routes(preference, h)):
        if pools_in[m, 1, preference[h, i], 0] >= 0:
            host = preference[h, i] // silos
            break
    for place in range(host * silos, (host + 1) * silos):
        for i in range(pools_in.shape[3]):
            p = pools_in[m, 1, place, i]
            if p < 0 or queued <= going:
                break
            allowed = r.released_from(rules, pools[p].silo, pools[p].signal) * (pools[p].finished + pools[p].ready)
            batch = min(queued - going, allowed, max(pools[p].holds_to_release - _taken(pools, p), 0.0))
            if batch > 0.0:
                _send(pools, inflow, p, h, k, batch, prompt, output)
                going += batch
    return going


@kernel
def arrive(x: Inputs, s: State, rec: Record, rules: r.Rules, step: int) -> None:
    """Bring in one step's arrivals: interactive ones are routed; deferrable ones queued, and released when it is time.

    What has grown old in the queue waits for no signal any more, as if it were interactive.
    """
    pools, inflow, arrived, released, series = s.pools, s.inflow, s.arrived, s.released, rec.series
    rps, prompts, outputs, preference, pools_in = x.rps, x.prompt_mean, x.output_mean, x.preference, x.pools_in
    w, window, old = step // x.demand_steps, step // x.window_steps, step - int(rules.ages_after_s / x.step_s)
    for p in range(pools.size):
        pools[p].arriving = 0.0
    inflow[:] = 0.0
    origins, models, tiers = released.shape
    for h in range(origins):
        for m in range(models):
            for k in range(tiers):
                requests = rps[w, h, m, k] * x.step_s
                arrived[step + 1, h, m, k] = arrived[step, h, m, k] + requests
                series[window, h, m, k, ARRIVED] += requests
                prompt, output = prompts[w, h, m, k], outputs[w, h, m, k]
                queued = arrived[step + 1, h, m, k] - released[h, m, k]
                waits = x.deferrable[k] and not x.siloed
                due = requests
                if waits:
                    aged = arrived[old, h, m, k] - released[h, m, k] if old >= 0 else 0.0
                    due = min(max(aged, 0.0), queued)
                if due > 0.0:
                    route(pools, inflow, preference, pools_in, rules, h, m, k, x.deferrable[k], due, prompt, output)
                if waits and queued > due:
                    due += _release(pools, inflow, preference, pools_in, rules, h, m, k, queued - due, prompt, output)
                released[h, m, k] += due
