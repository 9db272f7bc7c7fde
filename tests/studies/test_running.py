"""workbench.studies.running and workbench.studies.saving: a whole study, saved, opened, compared, run again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from workbench import catalog, planning, scenarios, studies
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies import saving
from workbench.traces import open_store

FRAMES = ("demand", "shape", "requirement", "rates")


def test_every_strategy_is_simulated_on_the_same_demand_from_the_same_start(small_study: Study) -> None:
    assert list(small_study.runs) == ["siloed", "reactive", "lt_i", "lt_ua"]
    arrived = {key: run.windows.get_column("arrived").sum() for key, run in small_study.runs.items()}
    assert max(arrived.values()) == pytest.approx(min(arrived.values()))
    first = {
        key: run.pools.filter(pl.col("window_start") == small_study.as_of)
        .select(pl.sum_horizontal("ready", "draining", "lent", "starting_reclaim", "starting_swap", "starting_remote"))
        .sum()
        .item()
        for key, run in small_study.runs.items()
    }
    stock = sum(small_study.fleet.stock_gpus.values())
    assert all(0 < held <= stock for held in first.values())


def test_the_forecast_and_the_plan_cover_the_simulated_span(small_study: Study) -> None:
    assert small_study.forecast.frame.get_column("window_start").min() == small_study.as_of
    hours = small_study.plan.allocation.get_column("window_start").unique().sort()
    assert hours.to_list() == [small_study.as_of + timedelta(hours=hour) for hour in range(24)]


def test_the_plan_passes_the_independent_check(small_study: Study) -> None:
    found = planning.check(
        small_study.plan,
        requirement=small_study.requirement,
        fleet=small_study.fleet,
        rates=small_study.rates,
        risk=small_study.scenario.risk,
        epsilon_fraction=small_study.scenario.epsilon_fraction,
        last_hour_deferrable=studies.last_hour_deferrable(
            small_study.demand,
            small_study.fleet,
            as_of=small_study.as_of,
            window_s=small_study.manifest["demand_window_s"],
        ),
    )
    assert found.is_empty(), found


def test_a_plan_at_once_holds_what_was_planned(small_study: Study) -> None:
    """Within the hour; a start with weights from elsewhere takes two, and goes on where the next plan wants less."""
    own = small_study.plans["lt_i"].allocation
    planned = own.group_by("window_start").agg(pl.col("replicas").sum()).sort("window_start")
    held = (
        small_study.runs["lt_i"]
        .pools.with_columns(soon=pl.sum_horizontal("ready", "starting_reclaim", "starting_swap"))
        .group_by(pl.col("window_start").dt.truncate("1h"))
        .agg(pl.col("soon", "starting_remote").sum() / 12)
        .sort("window_start")
        .with_columns(all=pl.col("soon") + pl.col("starting_remote"))
    )
    wanted, soon, whole = planned["replicas"].to_numpy(), held["soon"].to_numpy(), held["all"].to_numpy()
    assert (soon - 0.7 <= wanted).all()
    assert (wanted <= whole + 0.7).all()
    is_plain = whole == soon
    assert is_plain.sum() >= 18
    assert soon[is_plain] == pytest.approx(wanted[is_plain], abs=0.7)


def test_an_opened_study_equals_the_one_that_was_run(small_study: Study, small_store: Path) -> None:
    opened = studies.open_study(small_study.id[:7], root=small_store / "studies")
    assert opened.scenario == small_study.scenario
    assert opened.fleet == small_study.fleet
    assert opened.notes == small_study.notes
    for name in FRAMES:
        assert getattr(opened, name).equals(getattr(small_study, name)), name
    for key, run in small_study.runs.items():
        for name in ("windows", "pools", "ttft", "scaling"):
            assert getattr(opened.runs[key], name).equals(getattr(run, name)), (key, name)
    assert list(opened.plans) == ["lt_i", "lt_ua"]
    for key, plan in small_study.plans.items():
        assert opened.plans[key].allocation.equals(plan.allocation), key
        needed = opened.plans[key].requirement
        assert needed is not None
        assert plan.requirement is not None
        assert needed.equals(plan.requirement), key
        hours = plan.hours.get_column("window_start").to_list()
        assert needed.get_column("window_start").unique().sort().to_list() == hours, "one hand-off by the hour"
        assert (opened.plans[key].cost_usd, opened.plans[key].status) == (plan.cost_usd, plan.status), key
    assert opened.scorecard.totals.equals(small_study.scorecard.totals)


def test_same_scenario_trace_and_seed_write_the_same_bytes(
    short_study: Study, small_store: Path, tmp_path: Path
) -> None:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        again = studies.run(
            short_study.scenario, store, catalog=catalog.load(), root=tmp_path, now=datetime(2030, 1, 1)
        )
    assert again.id == short_study.id
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert len(files) == 11 + 4 * 4 + 2 * 4
    for file in files:
        assert (tmp_path / file).read_bytes() == (short_study.folder.parent / file).read_bytes(), file


def test_listing_and_comparison_show_every_strategy(small_study: Study, small_store: Path) -> None:
    listed = studies.listing(root=small_store / "studies")
    assert small_study.id in listed.get_column("id").to_list()
    compared = studies.compare([small_study.id, small_study.id], root=small_store / "studies")
    assert compared.height == 8
    assert compared.get_column("interactive_fast_kept_fraction").is_between(0, 1).all()
    assert studies.listing(root=small_store / "nowhere").is_empty()


def test_an_unknown_study_is_refused_with_the_nearest(small_study: Study, small_store: Path) -> None:
    with pytest.raises(StudyError, match=small_study.id):
        studies.open_study("smal-1", root=small_store / "studies")
    with pytest.raises(StudyError, match="there is no study latest"):
        studies.open_study("latest", root=small_store / "nowhere")


def test_a_damaged_study_says_so(small_study: Study, small_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / small_study.id
    shutil.copytree(small_store / "studies" / small_study.id, folder)
    (folder / "demand.parquet").write_bytes(b"nothing")
    with pytest.raises(StudyError, match="is damaged"):
        studies.open_study(small_study.id, root=tmp_path)


def test_a_study_that_cannot_be_saved_leaves_nothing_behind(small_study: Study, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    with pytest.raises(StudyError, match="cannot be saved"):
        saving.save(small_study, blocked)
    assert list(tmp_path.iterdir()) == [blocked]


def test_an_interrupted_save_keeps_the_old_study(
    small_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving.save(small_study, tmp_path)
    before = json.loads((tmp_path / small_study.id / "manifest.json").read_text(encoding="utf-8"))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_parquet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saving.save(dataclasses.replace(small_study, manifest={}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [small_study.id]
    assert json.loads((tmp_path / small_study.id / "manifest.json").read_text(encoding="utf-8")) == before


def test_identity_depends_on_scenario_and_trace() -> None:
    scenario = scenarios.parse({"trace": "t"}, source="test")
    other = scenarios.parse({"trace": "t", "seed": 8}, source="test")
    names = {saving.study_id(scenario, "a"), saving.study_id(other, "a"), saving.study_id(scenario, "b")}
    assert len(names) == 3
