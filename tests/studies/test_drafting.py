"""workbench.studies.drafting: an interrupted study goes on after the last strategy that was whole."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from workbench import catalog, studies
from workbench.domain import Scenario
from workbench.results import Study
from workbench.studies.drafting import Drafts
from workbench.traces import open_store

NOW = datetime(2026, 1, 1)


class Stopped(Exception):
    """Somebody pulls the plug."""


def run(scenario: Scenario, small_store: Path, root: Path, *, stop_at: str = "") -> tuple[Study, list[str]]:
    """Run the study and return it with the stages that were told."""
    stages: list[str] = []

    def tell(stage: str, share: float, so_far: str = "") -> None:
        stages.append(stage)
        if stage == stop_at and share > 0:
            raise Stopped

    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        return studies.run(scenario, store, catalog=catalog.load(), root=root, now=NOW, progress=tell), stages


def test_an_interrupted_study_goes_on_and_writes_the_same_bytes(
    short_study: Study, small_store: Path, tmp_path: Path
) -> None:
    scenario, root = short_study.scenario, tmp_path / "studies"
    with pytest.raises(Stopped):
        run(scenario, small_store, root, stop_at="Simulating LT-I")
    assert not (root / short_study.id).exists()
    assert (root / f".{short_study.id}.draft" / "reactive").is_dir()
    study, stages = run(scenario, small_store, root)
    assert "Simulating LT-I" in stages
    assert "Simulating Reactive" not in stages  # that one was whole
    assert not (root / f".{study.id}.draft").exists()
    files = sorted(path.relative_to(root / study.id) for path in (root / study.id).rglob("*.parquet"))
    assert files == sorted(path.relative_to(short_study.folder) for path in short_study.folder.rglob("*.parquet"))
    for file in files:
        assert (root / study.id / file).read_bytes() == (short_study.folder / file).read_bytes(), file


def test_what_other_code_has_drafted_is_made_anew(small_study: Study, tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / ".draft")
    kept = studies.Controlled(run=small_study.runs["lt_i"], plan=small_study.plans["lt_i"])
    drafts.keep("lt_i", kept)
    found = Drafts(tmp_path / ".draft").read("lt_i")
    assert found.plan is not None
    assert found.run.windows.equals(kept.run.windows)
    assert found.plan.allocation.equals(small_study.plans["lt_i"].allocation)
    assert dataclasses.replace(found.run, windows=kept.run.windows).strategy == "lt_i"
    assert not drafts.has("reactive")
    (tmp_path / ".draft" / "code").write_text("another", encoding="utf-8")
    assert not Drafts(tmp_path / ".draft").has("lt_i")
