"""The capacity plan: what must be servable, how many replicas serve it at the least cost, and whether that is true.

``require`` makes the risk decision, ``solve`` runs the programme hour by hour or, as ``LookAhead`` says, all hours at
once, ``check`` re-computes the result.
PuLP and the solver are imported when something is first solved, so that importing this package stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.planning.checking import check
from workbench.planning.commitments import Commitments, VmTerms, commit, terms_of, vms_needed
from workbench.planning.peaks import Reserve
from workbench.planning.problem import Problem
from workbench.planning.requirement import peak_demand, quiet_minutes, require
from workbench.planning.reserves import PastHour, learn_reserves, past_hour

if TYPE_CHECKING:
    from workbench.planning.lookahead import Energy, LookAhead
    from workbench.planning.programme import HourPlan, solve_hour
    from workbench.planning.solving import problem_at, solve

__all__ = [
    "Commitments",
    "Energy",
    "HourPlan",
    "LookAhead",
    "PastHour",
    "Problem",
    "Reserve",
    "VmTerms",
    "check",
    "commit",
    "learn_reserves",
    "past_hour",
    "peak_demand",
    "problem_at",
    "quiet_minutes",
    "require",
    "solve",
    "solve_hour",
    "terms_of",
    "vms_needed",
]


def __getattr__(name: str) -> object:
    if name in {"problem_at", "solve"}:
        from workbench.planning import solving

        return getattr(solving, name)
    if name in {"Energy", "LookAhead"}:
        from workbench.planning.lookahead import options

        return getattr(options, name)
    if name in {"HourPlan", "solve_hour"}:
        from workbench.planning import programme

        return getattr(programme, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
