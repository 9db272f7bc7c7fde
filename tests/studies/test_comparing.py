"""workbench.studies.comparing: studies in one table, and what is not the same in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from workbench import studies
from workbench.results import Study
from workbench.studies import saving


def saved(study: Study, root: Path, *, hours: float) -> Study:
    """Save a copy of a study that says it lasts that long, under another name."""
    manifest = {**study.manifest, "id": f"other-{hours:g}", "hours": hours}
    scenario = dataclasses.replace(study.scenario, name="other", epsilon_fraction=0.5)
    copy = dataclasses.replace(study, id=manifest["id"], hours=hours, manifest=manifest, scenario=scenario)
    saving.save(copy, root)
    return copy


def test_one_table_holds_effort_service_and_latency_of_every_study(small_study: Study, tmp_path: Path) -> None:
    saving.save(small_study, tmp_path)
    other = saved(small_study, tmp_path, hours=12.0)
    found = studies.compare([small_study.id, other.id], root=tmp_path)
    assert found.get_column("study").unique(maintain_order=True).to_list() == [small_study.id, other.id]
    assert found.height == 8
    tiers = small_study.scorecard.tiers.filter(pl.col("strategy") == "reactive")
    row = found.row(by_predicate=(pl.col("study") == other.id) & (pl.col("strategy") == "reactive"), named=True)
    for tier, kept, ttft in tiers.select("tier", "slo_attainment_fraction", "ttft_p95_s").iter_rows():
        assert row[f"{tier}_kept_fraction"] == kept
        assert row[f"{tier}_ttft_p95_s"] == ttft
    assert row["missed_deadlines"] == tiers.get_column("missed_deadlines").sum()
    effort, service = studies.readable_comparison(found).values()
    assert effort.height == service.height == 8
    assert {"GPU-hours", "serves as well"} <= set(effort.columns)
    assert {"interactive_fast kept, %", "interactive_fast TTFT P95, s", "missed deadlines"} <= set(service.columns)


def test_only_what_differs_is_named(small_study: Study, tmp_path: Path) -> None:
    saving.save(small_study, tmp_path)
    other = saved(small_study, tmp_path, hours=12.0)
    assert studies.differences([small_study.id, small_study.id], root=tmp_path).is_empty()
    found = studies.differences([small_study.id, other.id], root=tmp_path)
    assert found.rows() == [("epsilon_fraction", "0.8", "0.5"), ("hours", "24", "12")]
