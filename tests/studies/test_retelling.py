"""workbench.studies.retelling: the comparison in words, and its notebook on a small trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nbformat
import papermill
import polars as pl
import pytest

from workbench import studies
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies import Asked

PUBLISHED = [("a", "hours that x saves", 0.2, 0.25, 0.1, 0.3), ("b", "hours that y saves", 0.3, 0.2, 0.1, 0.25),
             ("c", "a ratio", 1.1, 1.2, None, None), ("d", "times", 2.0, None, None, None),
             ("e", "ours alone", None, 0.5, None, None)]  # fmt: skip


def test_the_sentence_counts_what_stands_in_the_table() -> None:
    names = ["figure", "claim", "published", "ours", "low", "high"]
    said = studies.in_words(pl.DataFrame(PUBLISHED, schema=names, orient="row"))
    assert said == (
        "3 of 4 published figures have one of ours beside them. Of 2 savings ours is as high or higher in 1; in the "
        "median it lies -2.5 points from the published one. Of 2 with an interval over days 1 hold the published "
        "value. Not known here: d."
    )


def test_claims_are_chosen_by_the_beginnings_of_their_figures() -> None:
    assert {claim.figure for claim in studies.claims_of("cooldown, gap")} == {"cooldown", "gap threshold"}
    assert len(studies.claims_of()) > 30
    with pytest.raises(StudyError, match="no published figure is called 'coolup'"):
        studies.claims_of("coolup")


def test_settings_are_read_as_in_toml() -> None:
    assert studies.overrides_of("forecast.method=last_value; demand.scale=2") == {
        "forecast.method": "last_value",
        "demand.scale": 2,
    }
    assert studies.overrides_of("", trace="mine", engine="") == {"trace": "mine"}
    assert studies.numbers_of("0.5, 1") == [0.5, 1.0]
    with pytest.raises(StudyError, match="written with commas between"):
        studies.numbers_of("0.5; 1")
    assert studies.names_of(" one,two, ") == ["one", "two"]


def test_notes_of_all_runs_stand_once_and_others_with_their_run(small_study: Study) -> None:
    told = studies.caveats({Asked(scenario="a"): small_study, Asked(scenario="b"): small_study})
    assert len(told) == len(set(told))
    assert set(small_study.notes) <= set(told)
    totals = studies.totals_of({Asked(scenario="a"): small_study})
    assert totals.get_column("run").unique().to_list() == ["a"]
    assert totals.height == small_study.scorecard.totals.height


def test_notes_that_differ_in_numbers_alone_are_told_once(small_study: Study) -> None:
    notes = ("3 of 1,000 rows", "llama31_8b: 2% longer"), ("17 of 20 rows", "llama32_3b: 2% longer")
    runs = {
        Asked(scenario=name): replace(small_study, notes=own) for name, own in zip("abc", (*notes, ()), strict=True)
    }
    told = [note for note in studies.caveats(runs) if "rows" in note or "longer" in note]
    assert told == ["3 of 1,000 rows (a and 1 like it)", "llama31_8b: 2% longer (a)", "llama32_3b: 2% longer (b)"]


def test_engines_stand_beside_each_other_where_both_were_run(small_study: Study) -> None:
    both = {Asked(scenario=name): small_study for name in ("a", "b")}
    found = studies.engines_beside(both, fluid="a", replay="b")
    urgent = [tier for tier in small_study.fleet.tiers if not tier.deferrable]
    assert found.height == len(urgent) * len(small_study.runs)
    assert set(found.get_column("GPU-hours apart, %")) == {0.0}
    assert studies.engines_beside(both, fluid="a", replay="c").is_empty()


def test_a_run_is_held_against_what_nobody_could_beat(small_study: Study) -> None:
    two = tuple(policy for policy in small_study.scenario.strategies if policy.key in ("reactive", "lt_ua"))
    draw = {Asked(scenario="a"): replace(small_study, scenario=replace(small_study.scenario, strategies=two))}
    assert studies.least_of(draw, "a").get_column("strategy").to_list() == ["Reactive", "LT-UA"]
    assert studies.least_of(draw, "b").is_empty()


@pytest.mark.slow
def test_the_notebook_of_the_paper_runs(repo_root: Path, small_store: Path, tmp_path: Path) -> None:
    template = repo_root / "notebooks" / "templates" / "paper.ipynb"
    values = {
        "trace": "small", "days": 0.0625, "figures": "cooldown", "store_path": str(small_store / "traces.duckdb"),
        "settings": 'forecast.method=last_value; models=["llama31_8b"]; strategies=["reactive"]; demand.scale=60; '
        "span.warmup_hours=1",
        "headrooms": "0.0",
        "thresholds": "0.5, 0.7",
        "data_dir": str(tmp_path / "data"), "scenarios_dir": str(repo_root / "data" / "scenarios"),
    }  # fmt: skip
    made = tmp_path / "paper.ipynb"
    papermill.execute_notebook(
        template, made, parameters=values, progress_bar=False, cwd=template.parent, start_timeout=120
    )
    cells = [cell for cell in nbformat.read(made, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert "6 of 6 published figures have one of ours" in outputs[-1].text
