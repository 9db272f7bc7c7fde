"""What was assumed, made and cut stands in the report of an ingest, and its holes are gaps of the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.traces.quality.quality_cases import poisson, requests_at, rows_of
from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces import Store, TraceOptions, ingest, open_store, parse_region_split, parse_tier_split
from workbench.traces.quality.concluding import cut_finding

SPLIT = parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "t.duckdb")


def test_what_was_made_and_assumed_is_told(store: Store) -> None:
    options = TraceOptions(
        model="llama31_8b", region="us_east", tier_split=parse_tier_split("interactive_fast=0.6,non_interactive=0.4")
    )
    report = ingest(SAMPLES / "azure_code.csv", store=store, name="x", options=options)
    (tiers,) = rows_of(report, "tiers are made")
    assert (
        tiers["detail"] == "every row spread as interactive_fast 60.0%, non_interactive 40.0%, each request at random"
    )
    assert "taken as UTC" in rows_of(report, "offsets")[0]["detail"]
    assert rows_of(report, "regions are made") == []


def test_a_tier_label_that_was_split_is_named(store: Store, tmp_path: Path) -> None:
    requests_at(poisson(0.01, days=0.1)).write_parquet(tmp_path / "r.parquet")
    options = TraceOptions(tier_split=parse_tier_split("interactive_fast=interactive_fast:0.5+interactive_normal:0.5"))
    report = ingest(tmp_path / "r.parquet", store=store, name="x", options=options)
    assert rows_of(report, "tiers are made")[0]["detail"].startswith("'interactive_fast' spread as ")


def test_holes_of_an_ingest_are_gaps_and_demand_is_unknown_there(store: Store, tmp_path: Path) -> None:
    at = poisson(0.2, days=1)
    requests_at(at[(at < 30_000) | (at > 40_000)]).write_parquet(tmp_path / "r.parquet")
    report = ingest(tmp_path / "r.parquet", store=store, name="x")
    (gap,) = store.gaps("x").to_dicts()
    assert len(rows_of(report, "hole")) == 1
    assert gap["until"] - gap["since"] > timedelta(seconds=10_000)


def test_shifts_that_leave_no_request_are_an_error(store: Store, tmp_path: Path) -> None:
    """Two requests four hours apart both come an hour later; all regions are there from the third to the fourth."""
    requests_at([0.0, 4 * 3600.0]).drop("region").write_parquet(tmp_path / "r.parquet")
    split = parse_region_split("us_east=0.0001:0,us_central=0.9998:1,us_west=0.0001:3")
    with pytest.raises(TraceError, match="no request lies between"):
        ingest(tmp_path / "r.parquet", store=store, name="x", options=TraceOptions(region_split=split))
    assert store.traces().is_empty()


def test_the_kept_span_is_told_with_what_was_dropped() -> None:
    span = datetime(2025, 1, 1, 3), datetime(2025, 1, 1, 9)
    assert "; 7 requests outside of it were dropped" in cut_finding(7, "requests", *span)["detail"]
    assert "dropped" not in cut_finding(None, "windows", *span)["detail"]


def test_names_in_options_that_no_file_has_are_told_once_for_all_files(store: Store) -> None:
    """A label may stand for one file only; a file's name in full stands for its label."""
    options = TraceOptions(
        model={"azure_code.csv": "llama31_8b", "azure_conv": "llama2_70b", "azure_chat": "llama2_70b"},
        keep=("azure_code", "azure_conv", "azure_core"),
        region="us_east",
        tier={"azure_code": "interactive_fast", "azure_conv": "interactive_fast"},
        tier_split=parse_tier_split("fast=interactive_fast:0.5+non_interactive:0.5"),
    )
    files = [SAMPLES / "azure_code.csv", SAMPLES / "azure_conv.csv"]
    report = ingest(files, store=store, name="x", options=options)
    told = {row["where"]: row["detail"] for row in rows_of(report, "option without effect")}
    assert told == {
        "keep": "names azure_core; the source has azure_code, azure_conv",
        "model": "names azure_chat; the source has azure_code, azure_conv",
        "tier_split": "names fast; the source has azure_code, azure_conv, interactive_fast",
    }


def test_what_holds_for_a_format_is_said_once_for_all_its_files(store: Store, tmp_path: Path) -> None:
    options = TraceOptions(model="llama31_8b", region="us_east", tier="interactive_fast")
    files = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for number, file in enumerate(files):
        file.write_text((SAMPLES / "azure_lmm.csv").read_text() + "\n" * number)
    report = ingest(files, store=store, name="x", options=options)
    assert [row["where"] for row in rows_of(report, "about the format")] == ["trace"]
    assert rows_of(report, "option without effect") == []
