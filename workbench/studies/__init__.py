"""Studies: run the stages in order, save every hand-off, open and compare what was saved.

A study is what notebooks, dashboards and reports open; they seldom run one themselves.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from workbench.studies import saving
from workbench.studies.answering import Asked
from workbench.studies.bounding import fewest_gpu_hours
from workbench.studies.comparing import compare, differences
from workbench.studies.comparing import readable as readable_comparison
from workbench.studies.controlling import Controlled, World, control, expected_input_tps, last_hour_deferrable
from workbench.studies.deciding import decision_value
from workbench.studies.equal_service import at_levels, frontier
from workbench.studies.equal_service import readable as readable_levels
from workbench.studies.histories import history_of
from workbench.studies.limits import least_gpu_hours
from workbench.studies.limits import readable as readable_least
from workbench.studies.opening import open_study
from workbench.studies.pricing import Bound
from workbench.studies.replanning import (
    PlanChoices,
    arguments,
    check_again,
    open_plan,
    plan_again,
    plan_labels,
    risk_of,
    save_plan,
)
from workbench.studies.reproducing import asked_of, beside, content_of, run_asked
from workbench.studies.reproducing import keep as keep_claims
from workbench.studies.reproducing import readable as readable_claims
from workbench.studies.retelling import (
    caveats,
    claims_of,
    engines_beside,
    in_words,
    least_of,
    names_of,
    numbers_of,
    overrides_of,
    totals_of,
)
from workbench.studies.routed import fewest_gpu_hours_routed
from workbench.studies.running import run
from workbench.studies.strategies import Situation, Strategy, strategy_of
from workbench.studies.sweeps import Sweep, service_points, sweep
from workbench.studies.sweeps import readable as readable_sweep
from workbench.studies.weighing import at_equal_service, readable_value

__all__ = [
    "Asked",
    "Bound",
    "Controlled",
    "PlanChoices",
    "Situation",
    "Strategy",
    "Sweep",
    "World",
    "arguments",
    "asked_of",
    "at_equal_service",
    "at_levels",
    "beside",
    "caveats",
    "check_again",
    "claims_of",
    "compare",
    "content_of",
    "control",
    "decision_value",
    "differences",
    "engines_beside",
    "expected_input_tps",
    "fewest_gpu_hours",
    "fewest_gpu_hours_routed",
    "frontier",
    "history_of",
    "in_words",
    "keep_claims",
    "last_hour_deferrable",
    "least_gpu_hours",
    "least_of",
    "listing",
    "names_of",
    "numbers_of",
    "open_plan",
    "open_study",
    "overrides_of",
    "plan_again",
    "plan_labels",
    "readable_claims",
    "readable_comparison",
    "readable_least",
    "readable_levels",
    "readable_sweep",
    "readable_value",
    "risk_of",
    "run",
    "run_asked",
    "save_plan",
    "service_points",
    "strategy_of",
    "sweep",
    "totals_of",
]


def listing(*, root: Path = Path("data/studies")) -> pl.DataFrame:
    """List the studies under a folder, oldest first: one row per study with what it is about."""
    rows = [
        {
            "id": found["id"],
            "title": found["title"],
            "trace": found["trace"]["name"],
            "as_of": found["as_of"],
            "hours": found["hours"],
            "strategies": ", ".join(found["runs"]),
            "created_at": found["created_at"],
        }
        for found in saving.manifests(root)
    ]
    names = ("id", "title", "trace", "as_of", "hours", "strategies", "created_at")
    schema = dict.fromkeys(names, pl.String) | {"hours": pl.Float64}
    return pl.DataFrame(rows, schema=schema)
