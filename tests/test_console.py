"""workbench.console: what is printed has separators, units and words, and bars end with their stage."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import polars as pl
import pytest

from workbench import console
from workbench.results import QualityReport, Study
from workbench.traces.quality import as_frame, finding


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


def test_a_quality_report_is_shown_worst_first_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    made = as_frame(
        [
            finding("rows", "f.csv", 12_345, "12,345 rows read"),
            finding("suspected row cap", "m", 5, "5 of 5 days have exactly 50,000 rows [and] none has more"),
            finding("labels", "trace", None, "models m"),
        ]
    )
    report = QualityReport(
        trace="x",
        source="f.csv",
        format="azure_llm",
        rows_read=12_345,
        rows_kept=12_300,
        rows_rejected=45,
        first_at=datetime(2026, 3, 2),
        last_at=datetime(2026, 3, 3),
        findings=made,
    )
    console.show_quality(report)
    shown = capsys.readouterr().out
    assert "12,300 of 12,345 rows kept, 45 rejected" in shown
    assert "Findings: 1 spoilt, 0 to look at, 2 to know" in shown
    assert shown.index("suspected row cap") < shown.index("12,345 rows read")
    assert "[and] none has more" in shown
    assert "> export it again without a limit" in shown
    assert "looked at again" not in shown
    console.show_quality(dataclasses.replace(report, differences=()))
    assert "all is as the ingest found it" in capsys.readouterr().out
    console.show_quality(dataclasses.replace(report, was_there=True, differences=("rows [bold] are gone",)))
    assert "Differs: rows [bold] are gone" in capsys.readouterr().out


def test_a_new_stage_completes_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as tell:
        tell("Reading", 0.3)
        tell("Planning", 0.5)
    shown = capsys.readouterr().err
    assert shown.index("Reading") < shown.index("Planning")


def test_tables_honour_columns_and_heads_wrap_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    frame = pl.DataFrame(
        {
            "source": ["a_long_name_of_a_file_that_has_to_fold.csv"] * 2,
            "requests_per_second": [1234567, 2],
            "window_start": ["x", "y"],
        }
    )
    console.print_frame(frame, "A table")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    shown = "\n".join(lines)
    for word in ("requests", "second", "window", "1,234,567"):
        assert word in shown
    assert "requests_per" not in shown


def test_the_same_finding_of_several_files_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    same = [finding("offsets", name, None, "time stamps are in UTC") for name in ("one.csv", "two.csv")]
    report = QualityReport(
        trace="x", source="one.csv, two.csv", format="azure_llm", rows_read=2, rows_kept=2, rows_rejected=0,
        first_at=datetime(2026, 3, 2), last_at=datetime(2026, 3, 3), findings=as_frame(same),
    )  # fmt: skip
    console.show_quality(report)
    shown = capsys.readouterr().out
    assert shown.count("time stamps are in UTC") == 1
    assert "one.csv, two.csv" in shown
