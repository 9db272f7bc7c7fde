"""The embedded fluid simulator: mean-field state per pool, ten-second steps, every rule of :mod:`.rules`.

Per pool it carries the requests in the system X (running B plus waiting), their variance V, the mean lengths of what is
inside, replicas by state and lent GPUs; per origin, model and deferrable tier the cumulative arrivals and releases of
the first-in-first-out queue, which make age and deadlines O(1). Equations: simulation.md section 3.

Sixteen pools are advanced at once by vector instructions, so a division or a root costs a rank of pools what it cost a
pool. The rules are asked only where a signal leaves the range in which none of them wants anything.

Invariants, each with a test:

1. arrived = served + shed + backlog, for every origin, model and tier, at every window.
2. GPUs of a region and kind are conserved: serving + lent + free = stock at every step.
3. No work is done by a replica that is not ready; a pool without one serves nothing.
4. At constant load running requests, gap between tokens and the greatest load match their closed forms.
5. Same inputs, same bytes.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.fluid.meeting import meet
from workbench.simulation.fluid.recording import add_replicas, close_window
from workbench.simulation.fluid.replicas import scale, show, take_over
from workbench.simulation.fluid.service import note_lengths, serve_all
from workbench.simulation.fluid.settling import count_shed, record_deadlines, settle
from workbench.simulation.fluid.traffic import bring_in, count_arrivals, offer_window, tell_apart
from workbench.simulation.scaling import become_ready, follow_plan
from workbench.simulation.state import RANK_BITS, SEAT, Inputs, Record, State

EVERYBODY = -1


@inlined
def next_after(step: int, every: int) -> int:
    """Return the next step that is a multiple."""
    return (step // every + 1) * every


@kernel
def simulate(x: Inputs, s: State, rec: Record, rules: r.Rules, first_step: int, last_step: int) -> None:
    """Run steps [first_step, last_step) in place: readiness, plan, scaling, arrivals, service, latency.

    What a pool does is advanced step by step; whose requests those were and how long they took is settled once a tick,
    a minute as a rule.
    """
    steps_per_hour, age_steps, ticked = int(3600.0 / x.step_s), int(rules.ages_after_s / x.step_s), first_step
    window_s = x.demand_steps * x.step_s
    for p in range(s.pools.size):
        s.ranks[p >> RANK_BITS].seen[p & SEAT] = x.noise_seen[p]
        note_lengths(s.pools, s.ranks, x.prompt_grid, rules, p)
    is_changing, is_stirred, same_since = take_over(s.pools, s.ranks, s.starting, rules), True, first_step
    demand_changes, may_stay = first_step, False
    tick_ends, window_ends = next_after(first_step, x.latency_steps), next_after(first_step, x.window_steps)
    for step in range(first_step, last_step):
        if is_changing and become_ready(s.pools, s.starting, s.ready_at, s.drained_at, step):
            add_replicas(s.ranks, step - same_since)
            take_over(s.pools, s.ranks, s.starting, rules)
            same_since = step
            is_stirred = True
        if rules.follow_plan != r.NO_PLAN and step % steps_per_hour == 0:
            follow_plan(s.pools, s.starting, x.target, step // steps_per_hour)
            is_stirred = True
        if is_stirred:
            add_replicas(s.ranks, step - same_since)
            show(s.pools, s.ranks)
            scale(x, s, rec, rules, step)
            is_changing = take_over(s.pools, s.ranks, s.starting, rules)
            same_since = step
        if step == demand_changes:
            demand_changes = min(next_after(step, x.demand_steps), next_after(step, x.mean_steps))
            may_stay = offer_window(x, s, step, demand_changes, age_steps, ticked, step == first_step)
        bring_in(x, s, rules, step, age_steps, may_stay)
        is_stirred = serve_all(x, s, rules, window_s, is_stirred)
        after = step + 1
        if after in (tick_ends, last_step):
            count_arrivals(x, s.coming, ticked, after)
            count_shed(x, s.touched, rec, ticked, after, s.ready_at.shape[0] - 1)
            tell_apart(x, s)
            for b in range(s.ranks.size):
                meet(x, s, rec, step, b, EVERYBODY)
                settle(x, s, after, b, EVERYBODY)
            record_deadlines(x, s, rec, ticked, after)
            ticked, tick_ends = after, next_after(after, x.latency_steps)
        if after in (window_ends, last_step):
            add_replicas(s.ranks, after - same_since)
            same_since = after
            close_window(x, s, rec, step)
            window_ends = next_after(after, x.window_steps)
