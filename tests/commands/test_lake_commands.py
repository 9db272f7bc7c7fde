"""A trace goes to a lake and back by the command line, and a scenario or an option says which store is meant.

Seen through the verbs: workbench.commands.traces, workbench.commands.studies and workbench.commands.places.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.command_cases import call
from workbench import scenarios
from workbench.commands.places import store_at
from workbench.errors import ScenarioError
from workbench.results import Study
from workbench.traces import open_store


def test_export_read_in_place_and_import(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, other = tmp_path / "lake", tmp_path / "other.duckdb"
    assert call("traces", "export", "small", lake, "--data-dir", small_store, monkeypatch=monkeypatch) == 0
    assert call("traces", "export", "small", lake, "--data-dir", small_store, monkeypatch=monkeypatch) == 1
    assert "is there already" in capsys.readouterr().err
    assert call("traces", "list", "--store", lake, monkeypatch=monkeypatch) == 0
    assert "small" in capsys.readouterr().out
    assert call("traces", "remove", "small", "--store", lake, monkeypatch=monkeypatch) == 1
    assert "only read" in capsys.readouterr().err
    words = ["traces", "import", lake, "small", "--rename", "copy", "--store", other]
    assert call(*words, monkeypatch=monkeypatch) == 0
    assert call("traces", "upgrade", "--store", other, monkeypatch=monkeypatch) == 0
    assert "is up to date" in capsys.readouterr().out
    with (
        open_store(small_store / "traces.duckdb", read_only=True) as store,
        open_store(other, read_only=True) as copied,
    ):
        assert copied.requests("copy").equals(store.requests("small"))
        assert copied.findings("copy").equals(store.findings("small"))


def test_a_study_of_a_lake_that_the_scenario_names_is_the_study_of_the_store(
    short_study: Study, small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    assert call("traces", "export", "small", lake, "--data-dir", small_store, monkeypatch=monkeypatch) == 0
    file = tmp_path / "short.toml"
    file.write_text(
        f'trace = "small"\nstore = "{lake.as_posix()}"\ndemand.scale = 100.0\nforecast.method = "seasonal_naive"\n'
        "span.as_of = 2025-07-11T14:00:00\nspan.simulate_hours = 3\n"
    )
    words = ["study", "run", file, "--no-report", "--data-dir", tmp_path / "here"]
    assert call(*words, monkeypatch=monkeypatch) == 0
    assert [path.name for path in (tmp_path / "here" / "studies").iterdir() if path.is_dir()] == [short_study.id]
    for saved in (tmp_path / "here" / "studies" / short_study.id).rglob("*.json"):
        assert str(tmp_path) not in saved.read_text()


def test_the_store_is_the_one_that_is_named_first(tmp_path: Path) -> None:
    assert store_at(None, None, data_dir=tmp_path) == tmp_path / "traces.duckdb"
    assert store_at(None, "scenario.duckdb", data_dir=tmp_path) == "scenario.duckdb"
    assert store_at("s3://option", "scenario.duckdb", data_dir=tmp_path) == "s3://option"
    assert scenarios.parse({"trace": "t"}, source="test").store is None
    named = scenarios.parse({"trace": "t", "store": "a.duckdb"}, source="test")
    assert named.store == "a.duckdb"
    assert scenarios.as_json(named) == scenarios.as_json(scenarios.parse({"trace": "t"}, source="test"))
    with pytest.raises(ScenarioError, match="store must be a path or a URI"):
        scenarios.parse({"trace": "t", "store": 5}, source="test")
