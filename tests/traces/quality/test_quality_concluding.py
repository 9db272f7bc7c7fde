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
    assert tiers["detail"] == "every row at random spread as interactive_fast 60.0%, non_interactive 40.0%"
    assert "taken as UTC" in rows_of(report, "about the format")[0]["detail"]
    assert rows_of(report, "regions are made") == []


def test_a_tier_label_that_was_split_is_named(store: Store, tmp_path: Path) -> None:
    requests_at(poisson(0.01, days=0.1)).write_parquet(tmp_path / "r.parquet")
    options = TraceOptions(tier_split=parse_tier_split("interactive_fast=interactive_fast:0.5+interactive_normal:0.5"))
    report = ingest(tmp_path / "r.parquet", store=store, name="x", options=options)
    assert rows_of(report, "tiers are made")[0]["detail"].startswith("'interactive_fast' at random spread as ")


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
