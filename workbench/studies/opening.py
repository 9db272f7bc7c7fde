"""Open a saved study: every frame conformed, the fleet made again from scenario, catalog and history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from workbench.catalog import Catalog, load_beside
from workbench.results import Study
from workbench.studies import saving, starting


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
