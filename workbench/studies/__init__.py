"""Studies: run the stages in order, save every hand-off, open and compare what was saved.

A study is what notebooks, dashboards and reports open; they seldom run one themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from workbench.catalog import Catalog, load_beside
from workbench.results import Study
from workbench.studies import saving, starting
from workbench.studies.bounding import Bound, fewest_gpu_hours
from workbench.studies.controlling import Controlled, World, control, expected_input_tps, last_hour_deferrable
from workbench.studies.deciding import decision_value
from workbench.studies.histories import history_of
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
from workbench.studies.running import run
from workbench.studies.strategies import Situation, Strategy, strategy_of
from workbench.studies.weighing import at_equal_service, readable_value

__all__ = [
    "Bound",
    "Controlled",
    "PlanChoices",
    "Situation",
    "Strategy",
    "World",
    "arguments",
    "at_equal_service",
    "check_again",
    "compare",
    "control",
    "decision_value",
    "expected_input_tps",
    "fewest_gpu_hours",
    "history_of",
    "last_hour_deferrable",
    "listing",
    "open_plan",
    "open_study",
    "plan_again",
    "plan_labels",
    "readable_value",
    "risk_of",
    "run",
    "save_plan",
    "strategy_of",
]


def open_study(name: str, *, root: Path = Path("data/studies"), catalog: Catalog | None = None) -> Study:
    """Open a saved study by name or the unique beginning of one; ``latest`` opens the newest.

    Without a catalog it is the packaged one with the rows of the folder ``catalog`` beside ``root``. Raises StudyError
    where there is none or it is damaged.
    """
    if name == "latest" and (found := saving.manifests(root)):
        name = found[-1]["id"]
    manifest = saving.read_manifest(root, name)
    folder = root / manifest["id"]
    with saving.damage_told(folder):
        frames, scenario, runs = (
            saving.read_frames(folder),
            saving.read_scenario(folder),
            saving.read_runs(folder, manifest),
        )
    as_of = datetime.fromisoformat(manifest["as_of"])
    return Study(
        id=manifest["id"],
        folder=folder,
        manifest=manifest,
        scenario=scenario,
        fleet=starting.fleet_of(
            scenario, catalog or load_beside(root.parent), frames["demand"], frames["shape"], as_of
        ),
        as_of=as_of,
        hours=manifest["hours"],
        notes=tuple(manifest["notes"]),
        demand=frames["demand"],
        shape=frames["shape"],
        forecast=saving.forecast_of(frames, manifest),
        requirement=frames["requirement"],
        rates=frames["rates"],
        plan=saving.plan_of(frames, manifest),
        plans=saving.read_plans(folder, manifest),
        runs=runs,
        scorecard=saving.scorecard_of(frames, manifest),
    )


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


def compare(names: Sequence[str], *, root: Path = Path("data/studies")) -> pl.DataFrame:
    """Put the totals of several studies under each other, with the attainment of every tier beside them.

    One row per study and strategy; a tier's attainment is in ``TIER_kept_fraction``. Raises StudyError where one of
    them is not there.
    """
    parts = []
    for name in names:
        manifest = saving.read_manifest(root, name)
        with saving.damage_told(root / manifest["id"]):
            frames = saving.read_frames(root / manifest["id"])
        kept = frames["tiers"].with_columns(pl.col("tier") + "_kept_fraction")
        attained = kept.pivot(on="tier", index="strategy", values="slo_attainment_fraction")
        parts.append(
            frames["totals"]
            .join(attained, on="strategy", how="left", maintain_order="left")
            .select(pl.lit(manifest["id"]).alias("study"), pl.all())
        )
    return pl.concat(parts, how="diagonal")
