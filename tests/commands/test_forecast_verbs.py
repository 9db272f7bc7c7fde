"""The verbs of workbench.commands.forecasts and how workbench.commands.durations are written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.commands.command_cases import call
from workbench import tables
from workbench.commands.durations import duration_s, durations_s
from workbench.errors import ScenarioError
from workbench.results import Study

DAY = "2025-07-11"  # the last of the three days of the small store


def test_lengths_of_time_have_units() -> None:
    assert (duration_s("90s"), duration_s(" 15min"), duration_s("1.5h")) == (90.0, 900.0, 5400.0)
    assert durations_s("1h,7d") == (3600.0, 604_800.0)
    for wrong in ("15", "h", "0h", "-1h", "1 week"):
        with pytest.raises(ScenarioError, match="is no length of time"):
            duration_s(wrong)


def test_methods_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("forecast", "methods", monkeypatch=monkeypatch) == 0
    assert "seasonal_naive" in capsys.readouterr().out


def test_a_forecast_is_shown_written_and_drawn(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["forecast", "show", "small", "--at", DAY, "--horizon", "6h", "--method", "seasonal_naive"]
    words += ["--window", "1h", "--model", "llama31_8b", "--tier", "interactive_fast", "--data-dir", small_store]
    files = ["--out", tmp_path / "made" / "ahead.csv", "--html", tmp_path / "ahead.html"]
    assert call(*words, *files, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    assert "WAPE" in shown.out
    assert "us_east" in shown.out
    assert "Forecasting" in shown.err
    frame = tables.FORECAST.conform(pl.read_csv(tmp_path / "made" / "ahead.csv", try_parse_dates=True))
    assert frame.height == 6 * 3 * 3
    assert "plotly" in (tmp_path / "ahead.html").read_text()[:10_000].lower()


def test_without_an_instant_the_forecast_goes_past_the_end(
    small_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["forecast", "show", "small", "--method", "last_value", "--window", "1h", "--data-dir", small_store]
    assert call(*words, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "from 2025-07-12 00:00:00 UTC" in shown
    assert "WAPE" not in shown


def test_a_backtest_prints_standings_and_writes_its_tables(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["forecast", "backtest", "small", "--methods", "last_value,seasonal_naive,oracle", "--days", "1"]
    words += ["--every", "6h", "--horizons", "1h,6h,7d", "--window", "1h", "--model", "llama31_8b"]
    words += ["--by-series", "--workers", "1", "--out", tmp_path / "b", "--format", "parquet"]
    assert call(*words, "--data-dir", small_store, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    assert "How far off, 6 h ahead, 4 origins" in shown.out
    assert "WAPE of every series" in shown.out
    assert "No origin has 7 days of demand after it" in shown.out
    assert shown.err.count("Forecasting") == 1
    written = {path.stem: pl.read_parquet(path) for path in (tmp_path / "b").iterdir()}
    assert set(written) == {"scores", "quantiles", "leads", "hours", "windows", "fits", "notes"}
    assert tables.BACKTEST_SCORES.conform(written["scores"]).height == 9 * 3 * 2


def test_the_value_of_forecasts_is_printed_for_a_study(
    small_study: Study,
    small_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["forecast", "value", small_study.id, "--methods", "last_value", "--strategies", "lt_i", "--workers", "1"]
    words += ["--quantiles", "0.7", "--out", tmp_path, "--format", "csv", "--data-dir", small_store]
    assert call(*words, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "At equal service (a plan every 24 h" in shown
    assert "What every tier got" in shown
    assert pl.read_csv(tmp_path / "equal_service.csv").get_column("method").to_list() == ["oracle", "last_value"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "small", "--horizon", "5x"], "no length of time"),
        (["show", "small", "--at", "noon"], "no instant"),
        (["show", "small", "--quantiles", "half"], "are no numbers"),
        (["show", "small", "--method", "profet"], "did you mean 'prophet'"),
        (["show", "smal"], "did you mean 'small'"),
        (["backtest", "small", "--model", "llama"], "has no model 'llama'"),
        (["backtest", "small", "--methods", "profet"], "did you mean 'prophet'"),
        (["value", "nothing"], "there is no study nothing"),
    ],
)
def test_a_mistake_is_one_paragraph(
    words: list[str],
    message: str,
    small_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("forecast", *words, "--data-dir", small_store, monkeypatch=monkeypatch) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
