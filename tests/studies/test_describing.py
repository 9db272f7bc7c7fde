"""workbench.studies.describing: notes say what a reader must know, the manifest what makes a study again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from workbench.results import Study
from workbench.studies import describing, preparing
from workbench.traces import open_store


def notes(study: Study, small_store: Path, **changes: object) -> str:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        span = preparing.span_of(study.scenario, store)
    plan = dataclasses.replace(study.plan, **{key: value for key, value in changes.items() if key != "demand"})
    demand = changes.get("demand", study.demand)
    assert isinstance(demand, pl.DataFrame)
    scenario = dataclasses.replace(study.scenario, warmup_hours=2.0)
    return " ".join(describing.notes_of(scenario, study.forecast, plan, demand, span))


def test_a_sample_and_a_warm_up_are_said(small_study: Study, small_store: Path) -> None:
    said = notes(small_study, small_store)
    assert "multiplied by 100" in said
    assert "The first 2 h are simulated but not scored." in said


def test_a_plan_that_is_not_proven_best_and_one_that_falls_short_are_said(
    small_study: Study, small_store: Path
) -> None:
    cell = {"window_start": small_study.as_of, "region": "r", "model": "m", "tier": "t", "input_tps": 1.0}
    shortfall = pl.DataFrame([cell | {"output_tps": 1.0}])
    said = notes(small_study, small_store, status="feasible", gap_fraction=0.02, shortfall=shortfall)
    assert "The plan is feasible, not proven optimal; gap 2.00%." in said
    assert "cannot cover the requirement in 1 cells" in said


def test_gaps_of_the_span_are_said_as_a_share(small_study: Study, small_store: Path) -> None:
    late = pl.col("window_start") >= small_study.as_of
    demand = small_study.demand.with_columns(
        requests=pl.when(late & (pl.col("model") == "llama2_70b")).then(None).otherwise(pl.col("requests"))
    )
    assert "25.0% of the simulated span" in notes(small_study, small_store, demand=demand)


def test_the_manifest_names_trace_versions_and_seed(small_study: Study) -> None:
    manifest = small_study.manifest
    assert manifest["trace"]["fingerprint"]
    assert {"workbench", "polars", "prophet"} <= set(manifest["versions"])
    assert manifest["seed"] == 7
    assert set(manifest["runs"]) == set(small_study.runs)
