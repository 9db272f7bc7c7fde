"""A step's arrivals where each pool takes those of one origin and all have room there: sixteen pools at once.

As a rule an origin's requests for a model find the one pool of the nearest region under its threshold, and what waits
in the queue there goes to no other pool. Then no pool's arrivals bear on another's, and what :mod:`.traffic` follows
origin by origin is one short loop over the pools of a rank. Where a single request of a step would have to leave, or
one has waited too long, all of the step are routed one by one.

The seats hold what came and went of the queues while this goes on; :func:`tell_home` writes it where others look. No
product and sum of a step are fused here, so that both ways give the same numbers and a step may be taken in either.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, place, vectors
from workbench.simulation.fluid.service import NOTHING
from workbench.simulation.state import ABREAST, RANK_BITS, SEAT, Floats, Inputs, Ints, Rank, Ranks, State


@inlined
def offer(x: Inputs, s: State, step: int, until: int, age_steps: int, is_first: bool) -> bool:
    """Note in every seat what a step brings to it; return whether nothing grows too old to wait before a step.

    What has come to the queues stands in the seats already unless the step is the first.
    """
    if x.homes.shape[0] == 0:
        return False
    w, block = step // x.demand_steps, step // x.mean_steps
    seat(x.homes, x.deferrable, x.rps[w], x.prompt_mean[block], x.output_mean[block], s.ranks, s.share, x.step_s)
    if is_first:
        take_up(x, s, step)
    return not is_due(x, s, until - 1 - age_steps)


@vectors
def seat(
    homes: Ints, deferrable: Ints, rps: Floats, prompt_mean: Floats, output_mean: Floats, ranks: Ranks, share: Floats,
    step_s: float,
) -> None:  # fmt: skip
    """Note in the seats what a step brings, as :func:`~.traffic.note_brought` does, and each tier's share of it."""
    tiers = deferrable.size
    for p in range(homes.shape[0]):
        rank, i = ranks[p >> RANK_BITS], p & SEAT
        own = (homes.flat[2 * p] * rps.shape[1] + homes.flat[2 * p + 1]) * tiers
        requests = prompts = outputs = 0.0
        for k in range(tiers):
            if not deferrable[k]:
                rate = rps.flat[own + k]
                requests += rate
                prompts += rate * prompt_mean.flat[own + k]
                outputs += rate * output_mean.flat[own + k]
        each, now = 1.0 / max(requests, NOTHING), requests * step_s
        rank.offer[i], rank.offer_prompts[i], rank.offer_outputs[i] = (
            now,
            now * (prompts * each),
            now * (outputs * each),
        )
        for k in range(tiers):
            rate = rps.flat[own + k]
            if deferrable[k]:
                rank.later[i] = rate * step_s
                rank.later_prompt[i], rank.later_output[i] = prompt_mean.flat[own + k], output_mean.flat[own + k]
            share.flat[own + k] = 0.0 if deferrable[k] else rate * each


@kernel
def is_due(x: Inputs, s: State, old: int) -> bool:
    """Return whether a request of a queue came before a step."""
    if old < 0 or x.deferred.size == 0:
        return False
    count, cells = 0, s.released.size
    for c in range(cells):
        count += 1 if s.arrived.flat[old * cells + c] > s.released.flat[c] else 0
    return count > 0


@kernel
def take_up(x: Inputs, s: State, step: int) -> None:
    """Note in every seat what has come to its queue before a step, and what has gone from it."""
    if x.deferred.size > 0:
        for p in range(x.homes.shape[0]):
            rank, i, h, m = s.ranks[p >> RANK_BITS], p & SEAT, x.homes[p, 0], x.homes[p, 1]
            rank.total[i], rank.gone[i] = s.arrived[step, h, m, 0], s.released[h, m, 0]


@inlined
def hand_back(x: Inputs, s: State) -> None:
    """Write down whose the requests were that stayed, and what has gone from the queues."""
    for p in range(x.homes.shape[0]):
        rank, i, h, m = s.ranks[p >> RANK_BITS], p & SEAT, x.homes[p, 0], x.homes[p, 1]
        s.together[p, h] += rank.stayed[i]
        rank.stayed[i] = 0.0
        if x.deferred.size > 0:
            s.crews[p >> RANK_BITS, h, x.deferred[0]].inflow[i] += rank.let_go[i]
            rank.let_go[i] = 0.0
            s.released[h, m, 0] = rank.gone[i]


@kernel
def tell_home(x: Inputs, s: State) -> None:
    """Tell the tiers apart in what stayed, where nothing was routed, and write down what has gone from the queues."""
    models, tiers = x.rps.shape[2], x.deferrable.size
    for p in range(x.homes.shape[0]):
        b, i, h = p >> RANK_BITS, p & SEAT, int(x.homes[p, 0])
        rank, cell = s.ranks[b], h * models + int(x.homes[p, 1])
        stayed, let_go = rank.stayed[i], rank.let_go[i]
        for k in range(tiers):
            crew = s.crews[b, place(h), k]
            crew.inflow[i] += let_go if x.deferrable[k] else stayed * s.share.flat[cell * tiers + k]
        if x.deferred.size > 0:
            s.released.flat[cell] = rank.gone[i]
    for b in range(s.ranks.size):
        rank = s.ranks[b]
        for i in range(ABREAST):
            rank.stayed[i] = rank.let_go[i] = 0.0


@inlined
def leaving(rank: Rank, route_below: float) -> int:
    """Return in how many seats of a rank a step brings more than the pool has room for."""
    count = 0
    for i in range(rank.ready.size):
        ready = rank.ready[i]
        room = max(ready * rank.route_each[i] - (rank.inside[i] - rank.finished[i]), 0.0) + ready
        is_open = min(ready, route_below - rank.signal[i]) > 0.0
        count += 1 if rank.offer[i] > (room if is_open else 0.0) else 0
    return count


@inlined
def come_home(rank: Rank, rules: r.Rules) -> None:
    """Bring a step's arrivals to the pools of a rank, and let go what their signals of spare capacity allow."""
    for i in range(rank.ready.size):
        requests, finished, ready, gone = rank.offer[i], rank.finished[i], rank.ready[i], rank.gone[i]
        total = rank.total[i] + rank.later[i]
        signals = r.released_per_signal(rules, rank.signal[i]) * (finished + ready)
        room = ready * rank.release_each[i] - (rank.inside[i] + requests - finished)
        batch = max(min(total - gone, min(signals, room)), 0.0)
        rank.total[i], rank.gone[i] = total, gone + batch
        rank.arriving[i] = requests + batch
        rank.prompts[i] = rank.offer_prompts[i] + batch * rank.later_prompt[i]
        rank.outputs[i] = rank.offer_outputs[i] + batch * rank.later_output[i]
        rank.stayed[i] += requests
        rank.let_go[i] += batch


@kernel
def stay_home(ranks: Ranks, rules: r.Rules) -> bool:
    """Bring a step's arrivals to the pools if none of them has to leave; return whether that was so."""
    leave = 0
    for b in range(ranks.size):
        leave += leaving(ranks[b], rules.route_below)
    if leave > 0:
        return False
    for b in range(ranks.size):
        come_home(ranks[b], rules)
    return True
