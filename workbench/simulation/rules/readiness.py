"""Where the GPUs of a new replica come from, and how long it takes until it serves."""

from __future__ import annotations

from workbench.simulation.compiling import kernel
from workbench.simulation.rules.thresholds import RECLAIM, REFUSED, REMOTE, SWAP, Rules


@kernel
def acquire_kind(gpus: int, lent_here: int, lent_others: int, free: int) -> int:
    """Return how a new replica is acquired: from GPUs lent with its model, with others' too, with free ones too, not.

    GPUs are taken in that order and the slowest source decides how long the replica takes.
    """
    if lent_here >= gpus:
        return RECLAIM
    if lent_here + lent_others >= gpus:
        return SWAP
    if lent_here + lent_others + free >= gpus:
        return REMOTE
    return REFUSED


@kernel
def readiness_s(rules: Rules, kind: int) -> float:
    """Return the seconds until a replica acquired that way serves."""
    if kind == RECLAIM:
        return rules.reclaim_s
    if kind == SWAP:
        return rules.swap_s
    return rules.remote_s
