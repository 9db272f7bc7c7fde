"""When a pool grows or shrinks by one on what arrives: enough replicas for the load, and spare ones by its root.

A load signal is noisy, late, and held up by deferrable work that fills whatever is there; the work that arrives is
neither. A pool that is asked for as much as ``a`` replicas could just serve needs a few more, so that an arrival finds
one that reads no other prompt: some times the root of ``a`` of them (square-root staffing), by which a small pool gets
the larger share of spare replicas and a large one the smaller; and a share of ``a`` for what the load may rise by
before the next is ready. The least and the most that a load is staffed with lie apart, so that a pool does not flap,
and what lies between them is left to the plan: it may be early where the load only begins to change, and it is
corrected at once where it was wrong.
"""

from __future__ import annotations

import math

from workbench.simulation.compiling import kernel
from workbench.simulation.rules.thresholds import Rules


@kernel
def staffed(rules: Rules, load: float, spare: float) -> float:
    """Return the replicas for a load, itself given in replicas that could just serve it."""
    return load / rules.staffed_load + spare * math.sqrt(load)


@kernel
def arrivals_step(
    rules: Rules,
    load: float,
    is_full: bool,
    own_ready: int,
    ready_in_group: int,
    held_in_group: int,
    budget: int,
) -> int:
    """Return +1 (out), -1 (in) or 0 for one pool that is not cooling down.

    ``load`` is what arrives over what one replica can just serve; ``is_full`` says that the pool stands over its load
    signal, whatever arrives; ``_in_group`` counts the model's pools of all GPU kinds in the region. One is added under
    the least, and for a plan with a positive ``budget`` under the most; one is taken where those that stay are the most
    or more, and for a plan with a negative budget the least or more.
    """
    least, most = staffed(rules, load, rules.spare), staffed(rules, load, rules.spare_in)
    if held_in_group < max(rules.floor, least) or is_full or (budget > 0 and held_in_group < most):
        return 1
    stay = held_in_group - 1
    if own_ready > 0 and ready_in_group > rules.floor and (stay >= most or (budget < 0 and stay >= least)):
        return -1
    return 0
