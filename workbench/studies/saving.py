"""Save and open studies: every hand-off as Parquet, the scenario and a manifest as JSON, in a folder per study.

A study is written under a temporary name and renamed when it is whole, so an interrupted run leaves no half study.
Frames are conformed when they are read back. No frame holds a wall-clock time, so the same scenario, trace and seed
write the same bytes; how long the stages took stands in the manifest alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench import tables
from workbench.domain import Policy, RiskPolicy, Scenario
from workbench.errors import StudyError, nearest
from workbench.results import CapacityPlan, Forecast, Scorecard, SimRun, Study
from workbench.scenarios import as_json

MANIFEST = "manifest.json"
RUN_FRAMES = {
    "windows": tables.SIM_WINDOWS,
    "pools": tables.SIM_POOLS,
    "ttft": tables.TTFT_HISTOGRAM,
    "scaling": tables.SCALING,
}
PLAN_FRAMES = {"allocation": tables.ALLOCATION, "shortfall": tables.SHORTFALL}
FRAMES = {
    "demand": tables.DEMAND,
    "shape": tables.SHAPE,
    "forecast": tables.FORECAST,
    "forecast_notes": tables.FORECAST_NOTES,
    "requirement": tables.REQUIREMENT,
    "rates": tables.REPLICA_RATES,
    "allocation": tables.ALLOCATION,
    "shortfall": tables.SHORTFALL,
}


def study_id(scenario: Scenario, fingerprint: str) -> str:
    """Name a study after its scenario and what it was made from: the same inputs give the same name."""
    digest = hashlib.blake2b(f"{as_json(scenario)}\x1f{fingerprint}".encode(), digest_size=4).hexdigest()
    return f"{scenario.name}-{digest}"


def save(study: Study, root: Path) -> Path:
    """Write a study under ``root`` and return its folder; one of the same name is replaced as a whole.

    Raises StudyError where the folder cannot be written; nothing half-written stays.
    """
    folder, draft = root / study.id, root / f".{study.id}.{os.getpid()}"
    try:
        _write(study, draft)
        old = root / f".{study.id}.{os.getpid()}.old"
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StudyError(
            f"study {study.id} cannot be saved under {root} ({error.strerror or error}); "
            "free space or choose a folder that can be written with --data-dir."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _write(study: Study, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "runs").mkdir(parents=True)
    frames = {
        "demand": study.demand,
        "shape": study.shape,
        "forecast": study.forecast.frame,
        "forecast_notes": study.forecast.notes,
        "requirement": study.requirement,
        "rates": study.rates,
        "allocation": study.plan.allocation,
        "shortfall": study.plan.shortfall,
        "plan_hours": study.plan.hours.drop("solve_s", strict=False),
        "totals": study.scorecard.totals,
        "tiers": study.scorecard.tiers,
    }
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd")
    for key, run in study.runs.items():
        write_run(run, study.plans.get(key), folder / "runs" / key)
    (folder / "scenario.json").write_text(as_json(study.scenario) + "\n", encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps(study.manifest, indent=2, default=str) + "\n", encoding="utf-8")


def write_run(run: SimRun, plan: CapacityPlan | None, folder: Path) -> None:
    """Write the frames of one strategy's run, and of the plan that it carried out."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {name: getattr(run, name) for name in RUN_FRAMES}
    if run.e2e is not None:
        frames["e2e"] = run.e2e
    if plan is not None:
        frames |= {name: getattr(plan, name) for name in PLAN_FRAMES}
        frames["plan_hours"] = plan.hours.drop("solve_s", strict=False)
        if plan.requirement is not None:
            frames["requirement"] = plan.requirement
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd")


def read_manifest(root: Path, name: str) -> dict[str, Any]:
    """Return the manifest of a study; a unique beginning of its name is enough.

    Raises StudyError naming the nearest study when there is none, or all that match when there are several.
    """
    names = [found["id"] for found in manifests(root)]
    matching = [found for found in names if found == name] or [found for found in names if found.startswith(name)]
    if len(matching) > 1:
        raise StudyError(f"{name} is the beginning of {', '.join(matching)} under {root}; write more of the name.")
    if not names:
        raise StudyError(f"there is no study {name} under {root}, nor any other; run one first: workbench study run.")
    if not matching:
        raise StudyError(f"there is no study {name} under {root}; {nearest(name, names)}.")
    return dict(json.loads((root / matching[0] / MANIFEST).read_text(encoding="utf-8")))


def manifests(root: Path) -> list[dict[str, Any]]:
    """Return the manifests of every whole study under a folder, oldest first."""
    found = []
    for path in root.glob(f"*/{MANIFEST}"):
        with suppress(OSError, json.JSONDecodeError):
            if not path.parent.name.startswith("."):
                manifest = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(manifest, dict) and {"id", "title", "trace", "runs"} <= manifest.keys():
                    found.append(manifest)
    return sorted(found, key=lambda manifest: (str(manifest.get("created_at")), str(manifest.get("id"))))


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong with the files of a study into one StudyError that says to run it again."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(f"study {folder.name} is damaged ({reason}); run it again.") from error


def read_frames(folder: Path) -> dict[str, pl.DataFrame]:
    """Return the frames of a study by name, conformed."""
    frames = {name: table.conform(pl.read_parquet(folder / f"{name}.parquet")) for name, table in FRAMES.items()}
    return frames | {name: pl.read_parquet(folder / f"{name}.parquet") for name in ("plan_hours", "totals", "tiers")}


def read_run(folder: Path, key: str, facts: Mapping[str, Any]) -> SimRun:
    """Return a run from its folder and the facts of it in the manifest."""
    frames: dict[str, Any] = {
        name: table.conform(pl.read_parquet(folder / f"{name}.parquet")) for name, table in RUN_FRAMES.items()
    }
    if (folder / "e2e.parquet").exists():
        frames["e2e"] = tables.E2E_HISTOGRAM.conform(pl.read_parquet(folder / "e2e.parquet"))
    return SimRun(
        strategy=key,
        start=datetime.fromisoformat(facts["start"]),
        end=datetime.fromisoformat(facts["end"]),
        window_s=facts["window_s"],
        step_s=facts["step_s"],
        notes=tuple(facts.get("notes", ())),
        **frames,
    )


def run_facts(run: SimRun) -> dict[str, Any]:
    """Return what the manifest holds of a run beside its frames."""
    return {
        "start": run.start.isoformat(),
        "end": run.end.isoformat(),
        "window_s": run.window_s,
        "step_s": run.step_s,
        "notes": list(run.notes),
    }


def plan_facts(plan: CapacityPlan) -> dict[str, Any]:
    """Return what the manifest holds of a plan beside its frames."""
    return {
        name: getattr(plan, name) for name in ("cost_usd", "bound_usd", "gap_fraction", "status", "solver", "programme")
    }


def read_runs(folder: Path, manifest: Mapping[str, Any]) -> dict[str, SimRun]:
    """Return the simulated strategies of a study in the order of its scenario."""
    return {key: read_run(folder / "runs" / key, key, facts) for key, facts in manifest["runs"].items()}


def read_plans(folder: Path, manifest: Mapping[str, Any]) -> dict[str, CapacityPlan]:
    """Return the plans that strategies of a study carried out."""
    return {key: read_plan(folder / "runs" / key, facts) for key, facts in manifest["plans"].items()}


def read_plan(folder: Path, facts: Mapping[str, Any]) -> CapacityPlan:
    """Return a plan from its folder and the facts of it in the manifest."""
    frames = {name: table.conform(pl.read_parquet(folder / f"{name}.parquet")) for name, table in PLAN_FRAMES.items()}
    if (folder / "requirement.parquet").exists():
        frames["requirement"] = tables.REQUIREMENT.conform(pl.read_parquet(folder / "requirement.parquet"))
    return _plan(frames | {"plan_hours": pl.read_parquet(folder / "plan_hours.parquet")}, facts)


def read_scenario(folder: Path) -> Scenario:
    """Return the scenario a study was made from."""
    content = json.loads((folder / "scenario.json").read_text(encoding="utf-8"))
    for name in ("models", "regions", "gpus", "quantiles"):
        content[name] = tuple(content[name])
    content["as_of"] = datetime.fromisoformat(content["as_of"]) if content["as_of"] else None
    content["strategies"] = tuple(Policy(**policy) for policy in content["strategies"])
    content["risk"] = RiskPolicy(**content["risk"])
    return Scenario(**content)


def forecast_of(frames: Mapping[str, pl.DataFrame], manifest: Mapping[str, Any]) -> Forecast:
    """Return the saved forecast."""
    facts = manifest["forecast"]
    return Forecast(
        frame=frames["forecast"],
        notes=frames["forecast_notes"],
        as_of=datetime.fromisoformat(manifest["as_of"]),
        window_s=facts["window_s"],
        method=facts["method"],
    )


def plan_of(frames: Mapping[str, pl.DataFrame], manifest: Mapping[str, Any]) -> CapacityPlan:
    """Return the saved plan."""
    return _plan(frames, manifest["plan"])


def _plan(frames: Mapping[str, pl.DataFrame], facts: Mapping[str, Any]) -> CapacityPlan:
    own: dict[str, Any] = {name: frames[name] for name in PLAN_FRAMES}
    return CapacityPlan(**own, hours=frames["plan_hours"], requirement=frames.get("requirement"), **facts)


def scorecard_of(frames: Mapping[str, pl.DataFrame], manifest: Mapping[str, Any]) -> Scorecard:
    """Return the saved scorecard."""
    return Scorecard(totals=frames["totals"], tiers=frames["tiers"], baseline=manifest["baseline"])
