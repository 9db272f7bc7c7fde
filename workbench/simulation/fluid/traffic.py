"""What each step brings to the fluid simulator: arrivals put together and told apart, the queue of deferrable work.

The interactive tiers of an origin and model are routed together (:mod:`.routing`): the rules treat them alike.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, vectors
from workbench.simulation.fluid.athome import hand_back, offer, stay_home, take_up, tell_home
from workbench.simulation.fluid.routing import NOBODY, release, room_in, route, send
from workbench.simulation.fluid.service import NOTHING
from workbench.simulation.state import (
    OUTPUT,
    PROMPT,
    RANK_BITS,
    REQUESTS,
    SEAT,
    TOGETHER,
    Floats,
    Inputs,
    Ints,
    State,
)


@vectors
def is_any(together: Floats) -> bool:
    """Return whether any requests were routed together."""
    count = 0
    for i in range(together.size):
        count += 1 if together.flat[i] > 0.0 else 0
    return count > 0


@kernel
def tell_apart(x: Inputs, s: State) -> None:
    """Share the interactive requests that were routed together out to their tiers."""
    together, share = s.together, s.share
    if not is_any(together):
        if x.homes.shape[0] > 0:
            tell_home(x, s)
        return
    hand_back(x, s)
    for p in range(together.shape[0]):
        m, i = s.pools[p].model, p & SEAT
        for h in range(together.shape[1]):
            requests = together[p, h]
            if requests > 0.0:
                together[p, h], told = 0.0, 0.0
                for k in range(share.shape[2]):
                    s.crews[p >> RANK_BITS, h, k].inflow[i] += requests * share[h, m, k]
                    told += share[h, m, k]
                    if told >= 1.0:  # nothing is left, and a loop that may end anywhere is not made one of scatters
                        break


@kernel
def join_tiers(x: Inputs, s: State, step: int) -> None:
    """Note what a step of this demand window brings: of all interactive tiers together, and of each deferrable one."""
    w, block = step // x.demand_steps, step // x.mean_steps
    note_brought(x.rps[w], x.prompt_mean[block], x.output_mean[block], x.deferrable, s.brought, s.share, x.step_s)
    s.noted[0] = w


@inlined
def offer_window(
    x: Inputs, s: State, step: int, until: int, age_steps: int, told: int, is_first: bool
) -> bool:  # fmt: skip
    """Note what the steps of a demand window bring to queues and seats; return whether all may stay at home before one.

    Whose the requests were was told apart last at ``told``; those since then came as the window before had them.
    """
    if step > told:
        tell_apart(x, s)
    queue_up(x, s.arrived, step, until)
    return offer(x, s, step, until, age_steps, is_first)


@kernel
def queue_up(x: Inputs, arrived: Floats, first: int, last: int) -> None:
    """Note in whole what will have come of every deferrable tier after each of the steps [first, last) of a window."""
    queues, cells = x.deferred.size, arrived.shape[1] * arrived.shape[2]
    rates, width = first // x.demand_steps * cells * x.deferrable.size, cells * queues
    for cell in range(cells):
        for d in range(queues):
            at = first * width + cell * queues + d
            total, each = arrived.flat[at], x.rps.flat[rates + cell * x.deferrable.size + x.deferred[d]] * x.step_s
            for after in range(1, min(last, arrived.shape[0] - 1) - first + 1):
                total += each
                arrived.flat[at + after * width] = total


@vectors
def note_brought(
    rps: Floats, prompt_mean: Floats, output_mean: Floats, deferrable: Ints, brought: Floats, share: Floats,
    step_s: float,
) -> None:  # fmt: skip
    """Note requests, mean prompt and mean output by origin and model, and each interactive tier's share."""
    for h in range(brought.shape[0]):
        for m in range(brought.shape[1]):
            requests = prompts = outputs = 0.0
            for k in range(share.shape[2]):
                own = 0.0 if deferrable[k] else rps[h, m, k]
                requests += own
                prompts += own * prompt_mean[h, m, k]
                outputs += own * output_mean[h, m, k]
            each, d = 1.0 / max(requests, NOTHING), TOGETHER
            brought[h, m, d, REQUESTS] = requests * step_s
            brought[h, m, d, PROMPT], brought[h, m, d, OUTPUT] = prompts * each, outputs * each
            for k in range(share.shape[2]):
                share[h, m, k] = 0.0 if deferrable[k] else rps[h, m, k] * each
                if deferrable[k]:
                    d += 1
                    brought[h, m, d, REQUESTS] = rps[h, m, k] * step_s
                    brought[h, m, d, PROMPT], brought[h, m, d, OUTPUT] = prompt_mean[h, m, k], output_mean[h, m, k]


@inlined
def bring_in(x: Inputs, s: State, rules: r.Rules, step: int, age_steps: int, may_stay: bool) -> None:
    """Bring in one step's arrivals: to all pools at once where all may stay at home, else origin by origin."""
    stays = may_stay
    if stays:
        stays = stay_home(s.few, rules) if s.few.size > 0 else stay_home(s.ranks, rules)
    if not stays:
        if s.noted[0] != step // x.demand_steps:
            join_tiers(x, s, step)
        arrive(x, s, rules, step, age_steps)


@inlined
def arrive(x: Inputs, s: State, rules: r.Rules, step: int, age_steps: int) -> None:
    """Bring in one step's arrivals: interactive ones are routed; deferrable ones queued, and released when it is time.

    What has waited in the queue for ``age_steps`` waits for no signal any more, as if it were interactive.
    """
    hand_back(x, s)
    brought, nearest = s.brought, x.nearest
    for h in range(brought.shape[0]):
        for m in range(brought.shape[1]):
            p, offer = nearest[h, m], brought[h, m, TOGETHER]
            if p >= 0 and offer[REQUESTS] <= room_in(s.ranks, rules, p):  # as a rule
                send(s, p, h, NOBODY, offer[REQUESTS], offer[PROMPT], offer[OUTPUT])
            elif offer[REQUESTS] > 0.0:
                route(
                    s, x.preference, x.pools_in, rules, h, m, NOBODY, 0, offer[REQUESTS], offer[PROMPT], offer[OUTPUT]
                )
            for d in range(x.deferred.size):
                take_in_deferrable(x, s, rules, step, step - age_steps, h, m, d)
    take_up(x, s, step + 1)


@inlined
def take_in_deferrable(x: Inputs, s: State, rules: r.Rules, step: int, old: int, h: int, m: int, d: int) -> None:
    """Send what has grown old in the queue of a deferrable tier and release what there is room for.

    The queue stands at home, or in the nearest region that hosts the model.
    """
    k, arrived, released, offer = x.deferred[d], s.arrived, s.released, s.brought[h, m, d + 1]
    requests, prompt, output = offer[REQUESTS], offer[PROMPT], offer[OUTPUT]
    gone, due = released[h, m, d], requests
    queued = arrived[step + 1, h, m, d] - gone
    if queued <= 0.0:
        return
    if not x.siloed:
        due = min(max(arrived[old, h, m, d] - gone, 0.0), queued) if old >= 0 else 0.0
    if due > 0.0:
        route(s, x.preference, x.pools_in, rules, h, m, k, 1, due, prompt, output)
    if not x.siloed and queued > due and x.hosts[h, m] >= 0:
        first = x.hosts[h, m] * x.silos
        due += release(s, x.pools_in, rules, first, first + x.silos, h, m, k, queued - due, prompt, output)
    released[h, m, d] = gone + due


@kernel
def count_arrivals(x: Inputs, coming: Floats, first: int, last: int) -> None:
    """Add the arrivals of the steps [first, last) to those of every origin, model and tier."""
    for w in range(first // x.demand_steps, (last - 1) // x.demand_steps + 1):
        lasts_s = (min(last, (w + 1) * x.demand_steps) - max(first, w * x.demand_steps)) * x.step_s
        for i in range(coming.size):
            coming.flat[i] += x.rps.flat[w * coming.size + i] * lasts_s
