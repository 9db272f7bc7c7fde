"""When a pool grows or shrinks by one on its load: alone, or at the pace of an hourly plan."""

from __future__ import annotations

import math

from workbench.simulation.compiling import kernel
from workbench.simulation.rules.thresholds import AT_ONCE, LOAD, NO_PLAN, PACED_WITH_OVERRIDE, Rules

ROUNDING = 1e-12  # within which it is left to the rule itself on which side of a threshold a signal stands


@kernel
def scaling_step(
    rules: Rules,
    signal: float,
    ready: int,
    starting: int,
    ready_in_group: int,
    held_in_group: int,
    budget: int,
    into_hour_s: float,
    observed_over_forecast: float,
) -> int:
    """Return +1 (out), -1 (in) or 0 for one pool that is not cooling down.

    Replicas that are starting count: the signal is judged as it will be when they are ready, or a pool would start one
    every few seconds for as long as the first one loads its weights. The floor counts the group, that is the model's
    pools of all GPU kinds in the region: ``held_in_group`` ready or starting replicas, and nothing is taken away that
    would leave fewer than the floor ready. ``budget`` is what is left of the plan's change for the hour (positive: may
    go out, negative: may go in). Reactive needs no budget. A paced plan spends its budget only when the signal asks
    for it; with the override, in the last minutes of the hour and with the budget spent, a
    forecast that proved far too low (ratio at or over ``override_out_ratio``) or too high lifts the limit.
    """
    wants_out = signal * ready > rules.out_above * (ready + starting) or (held_in_group == 0 and signal > 0.0)
    wants_in = signal < rules.in_below and ready > 0 and ready_in_group > rules.floor
    if held_in_group < rules.floor:
        return 1
    if rules.follow_plan == NO_PLAN:
        allowed_out = allowed_in = True
    elif rules.follow_plan == AT_ONCE:
        allowed_out = allowed_in = False
    else:
        allowed_out, allowed_in = budget > 0, budget < 0
        late = into_hour_s >= 3600.0 - rules.override_in_last_s
        if rules.follow_plan == PACED_WITH_OVERRIDE and late:
            allowed_out = allowed_out or (budget >= 0 and observed_over_forecast >= rules.override_out_ratio)
            allowed_in = allowed_in or (budget <= 0 and observed_over_forecast <= rules.override_in_ratio)
    if wants_out and allowed_out:
        return 1
    if wants_in and allowed_in:
        return -1
    return 0


@kernel
def calm_between(
    rules: Rules, ready: int, starting: int, ready_in_group: int, held_in_group: int, budget: int
) -> tuple[float, float]:
    """Return between which signals, both included, no rule wants to change a pool, whatever the time and the forecast.

    So that an engine need not ask while all signals stay inside; the first is the greater one where it has to ask.
    """
    if rules.follow_plan == AT_ONCE:
        return (-math.inf, math.inf) if budget == 0 else (math.inf, -math.inf)
    if rules.scale_by != LOAD or held_in_group < rules.floor:
        return math.inf, -math.inf
    low, high = -math.inf, math.inf
    if ready > 0:
        high = rules.out_above * (ready + starting) / ready * (1.0 - ROUNDING)
        low = rules.in_below if ready_in_group > rules.floor else low
    return low, 0.0 if held_in_group == 0 else high
