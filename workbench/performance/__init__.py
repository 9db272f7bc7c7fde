"""What one replica can do: memory for KV cache, seconds of prefill and decode, and the load it sustains.

One set of formulas serves the planner (how many requests per second a replica is worth) and the simulators (how long
an iteration takes), so that a plan and its simulation disagree about queues, never about speed. The closed forms are
those of one replica under a constant rate with continuous batching (simulation.md section 3):

    marginal work per request   w = b P + O d',  d' = d + e kap      (P, O mean tokens; kap KV tokens held per request)
    work fraction               rho = rate w
    mean running requests       B = rate O c / (1 - rho)
    mean gap between tokens     c / (1 - rho)
    largest sustainable         rho_max = x w / (c + x w),  x requests admitted per iteration: Bmax / O, or C / P where
                                an iteration reads C prompt tokens at most and that is less

KV cache alone is a poor signal for small fast models, whose slots or work run out first, so the scaling signal is the
largest of what can run out unless the paper's KV-only signal is asked for.
"""

from workbench.performance.limits import max_rps, slots
from workbench.performance.memory import USABLE_MEMORY_FRACTION, replica
from workbench.performance.rates import rates
from workbench.performance.records import against_records
from workbench.performance.speed import prefill_s, prompt_s_per_token, work_s
from workbench.performance.steady import PLANNING_SIGNAL_FRACTION, Load, steady_state, sustained
from workbench.performance.validity import Extrapolation, extrapolations, validity_note

__all__ = [
    "PLANNING_SIGNAL_FRACTION",
    "USABLE_MEMORY_FRACTION",
    "Extrapolation",
    "Load",
    "against_records",
    "extrapolations",
    "max_rps",
    "prefill_s",
    "prompt_s_per_token",
    "rates",
    "replica",
    "slots",
    "steady_state",
    "sustained",
    "validity_note",
    "work_s",
]
