"""How much deferrable work one signal of spare capacity lets go, by the silo that gives the signal.

A pool shared with interactive work takes some while it is half empty (sageserve.md section 4.3), and so does a mixed
one, which Chiron keeps for bursts of interactive work and fills with batch work meanwhile (arXiv 2501.08090). A batch
pool has nobody to protect: it takes work until it is as full as it runs well. A pool of interactive work takes none.
"""

from __future__ import annotations

from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.rules.thresholds import DEFERRABLE, INTERACTIVE, Rules


@inlined
def released_per_signal(rules: Rules, signal: float) -> int:
    """Return how many deferrable requests one signal of spare capacity lets go: 2 below 0.50, 1 below 0.60, else 0."""
    if signal < rules.release_two_below:
        return 2
    if signal < rules.release_one_below:
        return 1
    return 0


@inlined
def released_from(rules: Rules, silo: int, signal: float) -> int:
    """Return how many a signal of a pool of that silo lets go."""
    if silo == INTERACTIVE:
        return 0
    if silo == DEFERRABLE:
        return 2 if signal < rules.batch_fill else 0
    return released_per_signal(rules, signal)


@kernel
def release_until(rules: Rules, silo: int) -> float:
    """Return the signal from which a pool of that silo takes nothing from the queue."""
    if silo == INTERACTIVE:
        return 0.0
    return rules.batch_fill if silo == DEFERRABLE else rules.release_one_below
