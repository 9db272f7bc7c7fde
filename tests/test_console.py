"""workbench.console: what is printed has separators, units and words, and bars end with their stage."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from workbench import console
from workbench.results import Study


def test_cells_are_printed_as_people_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame(
        {
            "count": [1234567],
            "amount": [98765.4],
            "share": [0.123456],
            "kept": [True],
            "none": [None],
            "at": [datetime(2026, 3, 2, 9, 30)],
        }
    )
    console.print_frame(frame, "A table")
    shown = capsys.readouterr().out
    for text in ("A table", "1,234,567", "98,765", "0.123", "yes", "-", "2026-03-02 09:30"):
        assert text in shown


def test_a_study_is_shown_with_its_notes(small_study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    console.show_study(small_study)
    shown = capsys.readouterr().out
    assert f"Study {small_study.id}: 24 h from" in shown
    assert "What every tier got" in shown
    assert "Note: Every rate of the trace is multiplied by 100" in shown


def test_a_new_stage_completes_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as tell:
        tell("Reading", 0.3)
        tell("Planning", 0.5)
    shown = capsys.readouterr().err
    assert shown.index("Reading") < shown.index("Planning")
