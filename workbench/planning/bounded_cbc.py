"""PuLP's CBC with the bound that it proved, which it tells in its log alone.

PuLP reads CBC's solution file, where a plan that time ran out for is as "Optimal" as another (peers.md section 1.1) and
no bound stands. The log ends with a summary: how the search ended, and the bound of what was not yet searched through.
"""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import pulp

from workbench.domain import SOLVERS
from workbench.errors import PlanError

LOWER_BOUND = re.compile(r"^Lower bound:\s+(\S+)$", re.MULTILINE)
WRITTEN_TO = 1e-3  # of the objective's unit: the log has three decimals
NO_BOUND = 1e30  # what stands there while not even the relaxation is solved


class BoundedCBC(pulp.COIN_CMD):  # type: ignore[misc]
    """PuLP's CBC; after ``solve`` it says whether the gap asked for was proven, and the least that a plan can cost.

    ``bound`` is minus infinity where CBC proved none, and holds for programmes that minimise.
    """

    is_proven: bool = False
    bound: float = -math.inf

    def actualSolve(self, lp: pulp.LpProblem, **kwargs: Any) -> int:
        """Solve with a log, and read what it says."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "cbc.log"
            self.optionsDict["logPath"] = str(log)
            status = int(super().actualSolve(lp, **kwargs))
            written = bound_in(log.read_text(errors="replace"))
        self.is_proven = status == pulp.LpStatusOptimal and lp.sol_status == pulp.LpSolutionOptimal
        constant = float(lp.objective.constant)  # PuLP leaves it out of what it hands over
        self.bound = -math.inf if written is None else written + constant
        if self.is_proven and written is None:
            objective = float(pulp.value(lp.objective))
            self.bound = objective - max(
                (self.optionsDict.get("gapRel") or 0.0) * abs(objective - constant),
                self.optionsDict.get("gapAbs") or 0.0,
            )
        return status


def bound_in(log: str) -> float | None:
    """Return the bound in CBC's log, a little less than written; None where it proved its plan to the end or nothing.

    With a plan proven to the end there is no such line: the plan is its own bound.
    """
    written = LOWER_BOUND.findall(log)
    bound = float(written[-1]) if written else -math.inf
    return bound - WRITTEN_TO if abs(bound) < NO_BOUND else None


def cbc(*, time_limit_s: float, threads: int, **limits: Any) -> BoundedCBC:
    """Return PuLP's CBC, the bundled one where there is one; raises PlanError where there is none."""
    settings = {"msg": False, "timeLimit": time_limit_s, "threads": threads, **limits}
    bundled = BoundedCBC(path=pulp.PULP_CBC_CMD.pulp_cbc_path, **settings)
    made = bundled if bundled.available() else BoundedCBC(**settings)
    if not made.available():
        raise PlanError(
            "the solver 'cbc' is not installed: install the CBC solver of your system (package coinor-cbc), or choose "
            f"{' or '.join(name for name in SOLVERS if name != 'cbc')}."
        )
    return made
