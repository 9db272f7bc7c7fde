"""The verbs of workbench.commands.profiles: fit one's own, list, check, and the row is found by what comes after."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.benchmarks.benchmark_cases import guidellm_report, sweep, vllm_files, written
from tests.commands.command_cases import call
from workbench import catalog

OPTIONS = ("--model", "llama31_8b", "--gpu", "h100_80gb", "--gpus-per-replica", "1")


@pytest.mark.parametrize("tool", ["vllm", "guidellm"])
def test_a_fitted_profile_is_written_and_shown(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (
        vllm_files(tmp_path, sweep())
        if tool == "vllm"
        else [written(tmp_path, "benchmarks.json", guidellm_report(sweep()))]
    )
    where = ("--format", tool, "--data-dir", tmp_path / "data")
    assert call("profile", "fit", *files, *OPTIONS, *where, monkeypatch=monkeypatch) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "held out" in out
    assert "A decode iteration takes 7.5" in out
    profile = catalog.load_beside(tmp_path / "data").profile("llama31_8b", "h100_80gb")
    assert profile.basis == "measured"
    assert profile.source.startswith("own benchmarks by")
    assert (
        call("profile", "list", "--model", "llama31_8b", "--data-dir", tmp_path / "data", monkeypatch=monkeypatch) == 0
    )
    assert "measured" in capsys.readouterr().out


def test_a_second_profile_of_the_same_kind_is_refused_until_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("profile", "fit", *vllm_files(tmp_path, sweep()), *OPTIONS, "--data-dir", tmp_path / "data")
    assert call(*words, monkeypatch=monkeypatch) == 0
    assert call(*words, monkeypatch=monkeypatch) == 1
    assert "is there already" in capsys.readouterr().err
    assert call(*words, "--replace", monkeypatch=monkeypatch) == 0


def test_what_cannot_be_told_is_noted_and_what_cannot_be_fitted_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    means = vllm_files(tmp_path, sweep(), starts=False)
    where = ("--data-dir", tmp_path / "data")
    assert call("profile", "fit", *means, *OPTIONS, *where, monkeypatch=monkeypatch) == 0
    assert "Note: 7 of 7 levels of load by their means" in capsys.readouterr().out
    assert call("profile", "fit", means[0], *OPTIONS, *where, "--replace", monkeypatch=monkeypatch) == 1
    assert "no request ran alone" in capsys.readouterr().err
    mistyped = ("--model", "llama31_8", "--gpu", "h100_80gb", "--gpus-per-replica", "1")
    assert call("profile", "fit", *means, *mistyped, *where, monkeypatch=monkeypatch) == 1
    assert "did you mean 'llama31_8b'" in capsys.readouterr().err


def test_profiles_are_held_against_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("profile", "check", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "llama31_70b" in line]
    assert [cells[-2].strip() for cells in lines].count("below") == 2  # the L40S
    assert [cells[-2].strip() for cells in lines].count("as expected") == 6
