"""The rules of the world: routing, release of deferrable work, scaling, readiness. One set, for every engine.

Each rule is a small pure function of numbers, so that an engine in compiled code, a test and a reader see the same
thing. The numbers come from a :class:`Rules` value made from a policy. Sources: sageserve.md sections 4.2 (routing),
4.3 (release), 7.1 (scaling), 7.2 (readiness), 7.3 (back-pressure), 7.4 (order of actions). What carries the rules out
on an engine's state, in one order for all engines, is :mod:`workbench.simulation.scaling`.
"""

from workbench.simulation.rules.backpressure import (
    batch_step,
    busy_replicas,
    drain_rps,
    mean_weight,
    pressure_step,
)
from workbench.simulation.rules.pacing import calm_between, scaling_step
from workbench.simulation.rules.readiness import acquire_kind, readiness_s
from workbench.simulation.rules.release import release_until, released_from, released_per_signal
from workbench.simulation.rules.routing import BY_PREFILL_TOKENS, BY_REQUESTS, choose_pool, replica_load, signal_of
from workbench.simulation.rules.staffing import arrivals_step, staffed
from workbench.simulation.rules.thresholds import (
    ARRIVALS,
    AT_ONCE,
    BACK_PRESSURE,
    DEFERRABLE,
    IN,
    INTERACTIVE,
    KINDS,
    LOAD,
    MIXED,
    NEVER,
    NO_PLAN,
    PACED,
    PACED_WITH_OVERRIDE,
    RECLAIM,
    REFUSED,
    REMOTE,
    SHARED,
    SILOS,
    SWAP,
    Rules,
    rules_of,
)

__all__ = [
    "ARRIVALS",
    "AT_ONCE",
    "BACK_PRESSURE",
    "BY_PREFILL_TOKENS",
    "BY_REQUESTS",
    "DEFERRABLE",
    "IN",
    "INTERACTIVE",
    "KINDS",
    "LOAD",
    "MIXED",
    "NEVER",
    "NO_PLAN",
    "PACED",
    "PACED_WITH_OVERRIDE",
    "RECLAIM",
    "REFUSED",
    "REMOTE",
    "SHARED",
    "SILOS",
    "SWAP",
    "Rules",
    "acquire_kind",
    "arrivals_step",
    "batch_step",
    "busy_replicas",
    "calm_between",
    "choose_pool",
    "drain_rps",
    "mean_weight",
    "pressure_step",
    "readiness_s",
    "release_until",
    "released_from",
    "released_per_signal",
    "replica_load",
    "rules_of",
    "scaling_step",
    "signal_of",
    "staffed",
]
