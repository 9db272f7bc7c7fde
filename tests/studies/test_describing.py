"""workbench.studies.describing: notes say what a reader must know, the manifest what makes a study again."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import polars as pl

from workbench.results import Study
from workbench.studies import describing, preparing
from workbench.traces import ingest, open_store


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
    said = notes(small_study, small_store, demand=demand)
    assert "25.0% of the simulated span" in said
    assert "llama2_70b" in said
    assert "bloom_176b" not in said.partition("of the simulated span")[2].partition("rests on it")[0]


def test_refused_rows_and_warnings_of_the_trace_are_said_in_the_study(small_study: Study, tmp_path: Path) -> None:
    rows = [f"2026-03-02T00:{minute:02d}:00Z,us_east,llama31_8b,interactive_fast,100,10" for minute in range(58)]
    rows += ["yesterday,us_east,llama31_8b,interactive_fast,100,10"] * 2
    header = "arrived_at,region,model,tier,input_tokens,output_tokens"
    (tmp_path / "rows.csv").write_text("\n".join([header, *rows, ""]))
    with open_store(tmp_path / "traces.duckdb") as store:
        ingest(tmp_path / "rows.csv", store=store, name="rows")
        said = describing.notes_of_trace(store, dataclasses.replace(small_study.scenario, trace="rows"))
    assert "2 of 60 rows were refused (3.3%)" in said[0]


def test_the_manifest_names_trace_versions_and_seed(small_study: Study) -> None:
    manifest = small_study.manifest
    assert manifest["trace"]["fingerprint"]
    assert {"workbench", "polars", "prophet"} <= set(manifest["versions"])
    assert manifest["seed"] == 7
    assert set(manifest["runs"]) == set(small_study.runs)


def test_where_the_simulation_leaves_what_the_speeds_are_known_for_is_said_once_per_pool(small_study: Study) -> None:
    told = describing.notes_of_speed(small_study.fleet)
    assert len(told) == len(small_study.fleet.replicas) == len({note.partition(":")[0] for note in told})
    llama = next(note for note in told if note.startswith("Speed, llama2_70b on h100_80gb: "))
    assert re.search(r"batches up to \d+ may be simulated, measured to 64", llama)
    assert "% of prompts are longer than the 8,192 tokens measured" in llama
    assert all(note in small_study.notes for note in told)
    unknown = tuple(dataclasses.replace(kind, validity=None) for kind in small_study.fleet.replicas)
    assert describing.notes_of_speed(dataclasses.replace(small_study.fleet, replicas=unknown)) == []
