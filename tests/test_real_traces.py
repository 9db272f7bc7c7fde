"""The main job on real public traces, through the same commands as the README gives to any user.

What is asserted are facts of the traces and properties that any sound answer has, never a number that a better
forecast or plan may change.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

import workbench.__main__ as command_line
from workbench import studies
from workbench.results import Study

pytestmark = pytest.mark.slow

REGIONS = "us_east=0.43:0,us_central=0.29:1,us_west=0.28:3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


def call(*words: str | Path) -> None:
    before = sys.argv
    sys.argv = ["workbench", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as leaving:
            command_line.main()
    finally:
        sys.argv = before
    assert not leaving.value.code


def run(scenario: Path, folder: Path) -> Study:
    """Run a scenario and its report; re-planned hourly it would take minutes, which other tests do on less."""
    words = ("--set", "plan.replan=once", "--data-dir", folder, "--reports-dir", folder / "reports")
    call("study", "run", scenario, *words)
    return studies.open_study("latest", root=folder / "studies")


def assert_sound(study: Study) -> None:
    """Every strategy saw the same load, lost no request, kept percentages possible and made a report."""
    tiers = study.scorecard.tiers
    assert tiers.get_column("slo_attainment_fraction").drop_nulls().is_between(0.0, 1.0 + 1e-9).all()
    arrived = tiers.group_by("strategy").agg(pl.col("arrived").sum()).get_column("arrived")
    assert arrived.min() == pytest.approx(arrived.max())
    for run_ in study.runs.values():
        ends = run_.windows.group_by("region", "model", "tier").agg(
            pl.col("arrived", "served").sum(), pl.col("backlog").sort_by("window_start").last()
        )
        lost = ends.select((pl.col("arrived") - pl.col("served") - pl.col("backlog")).abs().max()).item()
        assert lost <= 1e-6 * float(arrived.max())
    assert study.scorecard.totals.get_column("gpu_hours").min() > 0


def demand_of(study: Study, model: str) -> pl.DataFrame:
    return study.demand.filter((pl.col("model") == model) & (pl.col("window_start") >= study.as_of))


def test_azure_2023_code_and_conversation_on_two_models(
    shared_data: Path, repo_root: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shared_data / "azure-llm-2023"
    call(
        "ingest",
        source / "AzureLLMInferenceTrace_code.csv.gz",
        source / "AzureLLMInferenceTrace_conv.csv.gz",
        *("--name", "azure_2023", "--data-dir", folder),
        *("--model", "AzureLLMInferenceTrace_code=llama31_8b,AzureLLMInferenceTrace_conv=llama2_70b"),
        *("--region", "us_east", "--tier", "interactive_fast"),
    )
    study = run(repo_root / "data" / "scenarios" / "azure_2023.toml", folder)
    assert_sound(study)
    assert study.manifest["trace"]["rows"] == 8_819 + 19_366
    assert study.hours * 60 == pytest.approx(49, abs=1)
    notes = set(study.forecast.notes.get_column("method"))
    assert notes == {"last_value"}
    assert any("history" in note for note in study.notes)
    call("traces", "check", "azure_2023", "--data-dir", folder)
    shown = capsys.readouterr().out
    assert "its publisher says 2023-11-11" in " ".join(shown.replace("│", " ").split())
    assert "all is as the ingest found it" in shown
    mix = study.fleet.mixes["llama2_70b"]
    assert mix.input_tokens == pytest.approx(1155, rel=0.1)  # the trace's own mean, from its first ten minutes
    assert (folder / "reports").exists()


def test_sageserve_week_of_four_models_over_three_regions(shared_data: Path, repo_root: Path, folder: Path) -> None:
    call(
        "ingest",
        shared_data / "sageserve" / "week_prompt_tokens_per_min.parquet",
        *("--name", "sageserve_week", "--data-dir", folder, "--region-split", REGIONS, "--start", "2024-11-04"),
        *("--model", "A=llama2_70b,B=bloom_176b,C=llama31_8b,D=llama32_3b"),
        "--tier-split",
        "interactive=interactive_fast:0.625+interactive_normal:0.375,non-interactive=non_interactive:1",
        *("--input-tokens", "5000", "--output-tokens", "222"),
    )
    study = run(repo_root / "data" / "scenarios" / "sageserve_week.toml", folder)
    assert_sound(study)
    assert {region.key for region in study.fleet.regions} == {"us_east", "us_central", "us_west"}
    assert len(study.fleet.models) == 4
    by_region = dict(demand_of(study, "llama2_70b").group_by("region").agg(pl.col("input_tokens").sum()).iter_rows())
    east = by_region["us_east"] / sum(by_region.values())
    assert east == pytest.approx(0.43, abs=0.03)
    assert set(study.forecast.notes.filter(pl.col("model") == "llama31_8b").get_column("method")) == {"ensemble"}
    assert any("gaps of the source" in note for note in study.notes)
    accused = {note.split(", ")[2].split(":")[0] for note in study.notes if "suspected row cap" in note}
    assert accused == {"bloom_176b interactive", "llama32_3b interactive"}
    unified = study.scorecard.totals.filter(pl.col("strategy") == "siloed").get_column("gpu_hours_saved_fraction")
    assert unified[0] < 0  # silos hold more than the shared pool


def test_servegen_two_models_two_held_back_days(shared_data: Path, repo_root: Path, folder: Path) -> None:
    call(
        "ingest",
        shared_data / "servegen" / "model_10min.parquet",
        *("--name", "servegen", "--data-dir", folder, "--region-split", REGIONS, "--start", "2025-01-01"),
        *("--keep", "m-large,m-mid", "--model", "m-large=llama2_70b,m-mid=llama31_8b"),
        *("--tier-split", "*=interactive_fast:0.45+interactive_normal:0.27+non_interactive:0.28"),
    )
    study = run(repo_root / "data" / "scenarios" / "servegen.toml", folder)
    assert_sound(study)
    assert study.hours == 48
    assert study.plan.allocation.get_column("window_start").n_unique() == 48
    deadlines = study.scorecard.tiers.filter(pl.col("tier") == "non_interactive")
    assert deadlines.get_column("slo_attainment_fraction").null_count() == 0  # a day's deadlines fall into two days
