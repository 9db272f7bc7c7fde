"""The verbs of workbench.commands.plans on a saved study: solve, check, explain, commit, diff."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.commands.command_cases import call
from workbench.results import Study


@pytest.fixture
def where(small_study: Study, tmp_path: Path) -> tuple[str, Path]:
    """A data folder of its own with the small study."""
    shutil.copytree(small_study.folder, tmp_path / "studies" / small_study.id)
    return "--data-dir", tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_plan_is_solved_again_kept_checked_and_compared(
    where: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", "solve", "latest", "--model", "sageserve", "--quantile", "0.95", "--label", "safer")
    assert call(*words, *where, monkeypatch=monkeypatch) == 0
    out = said(capsys)
    assert "Plan by sageserve" in out
    assert "The check finds nothing" in out
    assert "Kept as safer" in out
    assert call("plan", "check", "latest", "--plan", "safer", *where, monkeypatch=monkeypatch) == 0
    assert call("plan", "diff", "latest", "safer", *where, monkeypatch=monkeypatch) == 0
    assert "The second plan costs" in said(capsys)
    assert call("plan", "diff", "latest", "sfaer", *where, monkeypatch=monkeypatch) == 1
    assert "did you mean 'safer'" in capsys.readouterr().err


def test_a_spoilt_plan_is_told_and_ends_with_one(
    where: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hourly = ("--model", "sageserve", "--label", "kept")
    assert call("plan", "solve", "latest", *hourly, *where, monkeypatch=monkeypatch) == 0
    (folder,) = where[1].glob("studies/*/plans/kept")
    content = json.loads((folder / "plan.json").read_text())
    content["plan"]["cost_usd"] += 1e4
    (folder / "plan.json").write_text(json.dumps(content))
    less = pl.read_parquet(folder / "allocation.parquet").with_columns(pl.col("replicas") - pl.col("replicas").sign())
    less.write_parquet(folder / "allocation.parquet")
    assert call("plan", "check", "latest", "--plan", "kept", *where, monkeypatch=monkeypatch) == 1
    out = said(capsys)
    assert "findings of the check" in out
    assert "cover" in out


def test_a_plan_is_explained(
    where: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", "explain", "latest", *where, monkeypatch=monkeypatch) == 0
    out = said(capsys)
    for told in ("Not used, and why", "What keeps it from being cheaper", "every region for itself", "dearest hour"):
        assert told in out


def test_a_look_ahead_plan_is_explained_with_what_its_limits_are_worth(
    where: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead = ("--integer-hours", "1", "--lost-region", "0.2")
    assert call("plan", "solve", "latest", *ahead, *where, monkeypatch=monkeypatch) == 0
    assert "Plan by lookahead" in said(capsys)
    assert call("plan", "explain", "latest", "--plan", "lookahead", "--no-wishes", *where, monkeypatch=monkeypatch) == 0
    out = said(capsys)
    assert "What keeps it from being cheaper" in out
    assert "What each wish would cost" not in out
    assert "Plans within 1 % of the cheapest" in out
    assert "as planned" in out
    assert "dearest hour" not in out


def test_commitments_need_a_region_with_reservations(
    where: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    google = ("--provider-region", "us-central1")
    assert call("plan", "commit", "latest", *google, *where, monkeypatch=monkeypatch) == 0
    out = said(capsys)
    assert "Reservations at prices of us-central1" in out
    assert "of the cost by the hour" in out
    assert call("plan", "commit", "latest", *where, monkeypatch=monkeypatch) == 1
    assert "none of kind reserved_3y in eastus" in capsys.readouterr().err
