"""``traces describe`` tells a load in words and tables, and writes the page when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.command_cases import call


def test_a_trace_is_told_and_its_page_written(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "small.html"
    words = ["traces", "describe", "small", "--data-dir", str(small_store), "--html", str(page)]
    assert call(*words, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "On average" in said
    assert "Not shown: the shape of a week. It takes a week of load" in " ".join(said.split())
    assert "Rates by model" in said
    assert str(page.name) in said
    assert page.stat().st_size > 1_000_000


def test_a_trace_that_is_not_there_is_one_paragraph(
    small_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("traces", "describe", "smal", "--data-dir", small_store, monkeypatch=monkeypatch) == 1
    assert "did you mean 'small'" in capsys.readouterr().err
