"""Plan a saved study again: other choices, the same forecast and fleet; and keep such plans beside the study's own.

The study's own plan is labelled ``study`` and never changed. A plan made again lies in the study's folder under
``plans`` with the choices it was made from, so that it can be checked, explained and compared later.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench import planning, tables
from workbench.domain import RiskPolicy
from workbench.errors import StudyError, nearest
from workbench.results import CapacityPlan, Study
from workbench.studies.controlling import last_hour_deferrable

if TYPE_CHECKING:
    from workbench.planning import LookAhead

OWN = "study"
FOLDER = "plans"
FRAMES = {
    "allocation": tables.ALLOCATION,
    "shortfall": tables.SHORTFALL,
    "flows": tables.FLOWS,
    "deferred": tables.DEFERRED,
    "supply": tables.SUPPLY,
    "starts": tables.STARTS,
}
GAPS = {"lookahead": 0.02}


@dataclass(frozen=True, kw_only=True)
class PlanChoices:
    """What may be chosen anew for a plan of a study; None leaves what the study's scenario says.

    ``integer_hours`` (None: all) and ``lost_region_fraction`` are for the look-ahead programme alone.
    """

    model: str = "sageserve"
    quantile: float | None = None
    headroom_fraction: float | None = None
    recent_peak_hours: float | None = None
    epsilon_fraction: float | None = None
    floor_replicas: int | None = None
    gap_fraction: float | None = None
    time_limit_s: float | None = None
    integer_hours: float | None = None
    lost_region_fraction: float = 0.0


def plan_again(
    study: Study, choices: PlanChoices, *, progress: Callable[[int, int], None] | None = None
) -> CapacityPlan:
    """Make a plan of a study's forecast under other choices; raises PlanError as planning does."""
    risk = risk_of(study, choices)
    needed = planning.require(study.forecast, risk=risk, tiers=study.fleet.tiers, observed=study.demand)
    return planning.solve(needed, risk=risk, progress=progress, **arguments(study, choices))


def check_again(study: Study, plan: CapacityPlan, choices: PlanChoices) -> pl.DataFrame:
    """Re-compute a plan of a study from its frames alone; one row per finding, none where all is kept."""
    risk, how = risk_of(study, choices), arguments(study, choices)
    names = ("fleet", "rates", "epsilon_fraction", "floor_replicas", "last_hour_deferrable")
    return planning.check(
        plan,
        requirement=planning.require(study.forecast, risk=risk, tiers=study.fleet.tiers, observed=study.demand),
        risk=risk,
        options=how.get("options"),
        **{name: how[name] for name in names},
    )


def risk_of(study: Study, choices: PlanChoices) -> RiskPolicy:
    """Return the risk a plan carries: the scenario's, with what was chosen anew."""
    names = ("quantile", "headroom_fraction", "recent_peak_hours")
    chosen = {name: getattr(choices, name) for name in names}
    anew: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if choices.quantile is not None:
        anew["quantile_by_tier"] = {}
    return dataclasses.replace(study.scenario.risk, **anew)


def arguments(study: Study, choices: PlanChoices) -> dict[str, Any]:
    """Return how a study is planned under choices: the arguments of ``planning.solve`` but requirement and risk."""
    scenario = study.scenario
    floor = max(policy.floor_replicas for policy in scenario.strategies)
    how: dict[str, Any] = {
        "fleet": study.fleet,
        "rates": study.rates,
        "model": choices.model,
        "epsilon_fraction": _or(choices.epsilon_fraction, scenario.epsilon_fraction),
        "floor_replicas": _or(choices.floor_replicas, floor),
        "solver": scenario.solver,
        "gap_fraction": _or(choices.gap_fraction, GAPS.get(choices.model, scenario.solver_gap_fraction)),
        "time_limit_s": _or(choices.time_limit_s, scenario.solver_time_limit_s),
        "last_hour_deferrable": last_hour_deferrable(
            study.demand, study.fleet, as_of=study.as_of, window_s=study.manifest["demand_window_s"]
        ),
    }
    return how | ({"options": _options(how, choices)} if choices.model == "lookahead" else {})


def _options(how: dict[str, Any], choices: PlanChoices) -> LookAhead:
    return planning.LookAhead(
        local_fraction=how["epsilon_fraction"],
        floor_replicas=how["floor_replicas"],
        integer_hours=choices.integer_hours,
        lost_region_fraction=choices.lost_region_fraction,
    )


def save_plan(study: Study, label: str, plan: CapacityPlan, choices: PlanChoices) -> Path:
    """Keep a plan beside its study under a label, replacing one of the same label; return its folder.

    Raises StudyError for a label that is no file name, for the study's own, and where nothing can be written.
    """
    if label == OWN or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", label):
        raise StudyError(
            f"a plan cannot be kept as {label!r}; choose letters, digits, dot, dash, underscore, not {OWN}."
        )
    folder = study.folder / FOLDER / label
    facts = {
        name: getattr(plan, name)
        for name in ("cost_usd", "bound_usd", "gap_fraction", "status", "solver", "programme", "whole_windows")
    }
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in (*FRAMES, "hours"):
            if (frame := getattr(plan, name)) is not None:
                frame.write_parquet(folder / f"{name}.parquet", compression="zstd")
        content = {"plan": facts, "choices": dataclasses.asdict(choices)}
        (folder / "plan.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StudyError(f"plan {label} of {study.id} cannot be written to {folder} ({error}); free space.") from error
    return folder


def plan_labels(study: Study) -> tuple[str, ...]:
    """Return the labels of a study's plans, its own first."""
    return (OWN, *sorted(path.parent.name for path in study.folder.glob(f"{FOLDER}/*/plan.json")))


def open_plan(study: Study, label: str = OWN) -> tuple[CapacityPlan, PlanChoices]:
    """Return a plan of a study with the choices it was made from; raises StudyError where there is none."""
    if label == OWN:
        return study.plan, PlanChoices(model=study.plan.programme)
    if label not in plan_labels(study):
        raise StudyError(
            f"study {study.id} has no plan {label}; {nearest(label, plan_labels(study))}. Make one with workbench plan "
            f"solve {study.id} --label {label}."
        )
    folder = study.folder / FOLDER / label
    try:
        content = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        frames: dict[str, Any] = {
            name: table.conform(pl.read_parquet(path))
            for name, table in FRAMES.items()
            if (path := folder / f"{name}.parquet").exists()
        }
        hours = pl.read_parquet(folder / "hours.parquet")
        return CapacityPlan(hours=hours, **frames, **content["plan"]), PlanChoices(**content["choices"])
    except (OSError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"plan {label} of study {study.id} is damaged ({error}); solve it again.") from error


def _or(chosen: Any, given: Any) -> Any:
    return given if chosen is None else chosen
