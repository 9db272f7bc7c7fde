"""Every verb does its job, and every mistake ends in one paragraph and an exit code.

The verbs of workbench.commands.traces, workbench.commands.studies and workbench.commands.reports with the folders of
workbench.commands.places.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.commands.command_cases import call
from workbench.results import Study
from workbench.traces import open_store, synthetic


@pytest.fixture
def samples(repo_root: Path) -> Path:
    return repo_root / "tests" / "samples"


def test_ingest_list_check_and_remove_a_trace(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "llama31_8b", "--region", "us_east", "--tier", "interactive_fast", "--data-dir", tmp_path]
    assert call("ingest", samples / "azure_code.csv", "--name", "code", *options, monkeypatch=monkeypatch) == 0
    assert "is stored" in capsys.readouterr().out
    assert call("ingest", samples / "azure_code.csv", "--name", "code", *options, monkeypatch=monkeypatch) == 0
    assert "was already there" in capsys.readouterr().out
    assert call("traces", "list", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    assert "code" in capsys.readouterr().out
    assert call("traces", "check", "code", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    assert "Findings" in capsys.readouterr().out
    assert call("traces", "remove", "code", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    with open_store(tmp_path / "traces.duckdb", read_only=True) as store:
        assert not store.has("code")


def test_study_verbs_on_a_saved_study(
    small_study: Study, small_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", small_store]
    assert call("study", "list", *where, monkeypatch=monkeypatch) == 0
    assert call("study", "show", small_study.id, "--bound", *where, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "What nobody could have beaten" in shown
    assert "Reactive" in shown
    assert "GPU-hours" in shown
    assert call("study", "compare", small_study.id, small_study.id, *where, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert "Studies compared" in out
    assert "In what they differ" not in out


def test_a_sweep_prints_one_table_and_writes_its_frames(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verb of workbench.commands.sweeps."""
    file = tmp_path / "two.toml"
    file.write_text(
        'trace = "small"\nstrategies = ["reactive"]\nmodels = ["llama31_8b"]\n'
        "[span]\nsimulate_hours = 1\n[demand]\nscale = 50\n",
        "utf-8",
    )
    words = ["sweep", str(file), "--over", "policy.cooldown_s=15,960", "--set", "forecast.method=last_value"]
    words += ["--workers", "1", "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]
    words += ["--store", str(small_store / "traces.duckdb"), "--equal-service", "--html", str(tmp_path / "edge.html")]
    assert call(*words, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr()
    assert "two: 2 runs" in out.out
    assert "960" in out.out
    assert "At equal service" in out.out
    assert "What a better service takes" in (tmp_path / "edge.html").read_text("utf-8")
    assert pl.read_parquet(tmp_path / "out" / "totals.parquet").height == 2
    assert call("sweep", str(file), "--over", "policy.cooldown_s", monkeypatch=monkeypatch) == 1
    assert "--over takes KEY=V1,V2" in capsys.readouterr().err


def test_study_run_from_options_alone(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "run", "--trace", "small", "--set", "forecast.method=last_value", "--set", "demand.scale=50"]
    words += ["--set", "strategies=['reactive']", "--no-report", "--data-dir", str(small_store)]
    assert call(*words, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr()
    assert "Study small-" in out.out
    assert "Simulating Reactive" in out.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ingest", "nowhere.csv", "--name", "x"], "no such file"),
        (["ingest", "{samples}/unknown.csv", "--name", "x"], "unknown.csv"),
        (["ingest", "{samples}/azure_code.csv", "--name", "x"], "needs model, region or region_split"),
        (["ingest", "{samples}", "--name", "x"], "samples"),
        (["traces", "check", "nothing"], "nothing"),
        (["study", "run"], "nothing to run"),
        (["study", "run", "none.toml"], "does not exist"),
        (["study", "run", "--trace", "smallish"], "did you mean 'small'"),
        (["study", "run", "--trace", "small", "--set", "demand.scal=2"], "did you mean 'scale'"),
        (["study", "run", "--trace", "small", "--set", "scale"], "takes KEY=VALUE"),
        (["study", "run", "--trace", "small", "--set", "forecast.method=profet"], "did you mean 'prophet'"),
        (["study", "run", "--trace", "small", "--set", "plan.solver=gurobi"], "gurobi"),
        (["study", "run", "--trace", "small", "--set", "gpus=['b300']"], "b300"),
        (["study", "show", "nothing"], "there is no study nothing"),
        (["report", "2025-13", "--study", "latest"], "2025-13"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_one(
    words: list[str],
    message: str,
    samples: Path,
    small_study: Study,
    small_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [word.replace("{samples}", str(samples)) for word in words]
    assert call(*given, "--data-dir", small_store, monkeypatch=monkeypatch) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        assert store.has("small")


def test_a_trace_store_that_is_no_database_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "traces.duckdb").write_text("this is not a database, only a text that stands in its place")
    assert call("traces", "list", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 1
    assert "traces.duckdb" in capsys.readouterr().err


def test_ctrl_c_during_an_ingest_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    rows = synthetic.week(seed=7, requests=300_000).drop("app", "tenant", "cached_tokens")
    pl.concat([rows] * 8).write_csv(tmp_path / "heavy.csv")
    words = [sys.executable, "-m", "workbench", "ingest", str(tmp_path / "heavy.csv"), "--name", "heavy"]
    process = subprocess.Popen([*words, "--data-dir", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "traces.duckdb").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "nothing half-written" in error
    assert "Traceback" not in error
    with open_store(tmp_path / "traces.duckdb", read_only=True) as store:
        assert store.traces().is_empty()
