"""Looking again at stored rows finds nothing new where nothing changed, and says what changed where it did."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import poisson, requests_at, series_of
from workbench.errors import TraceError
from workbench.traces import TraceOptions, check, ingest, ingest_frame, open_store, parse_region_split, report
from workbench.traces.catalogue import FINDINGS
from workbench.traces.quality.rechecking import look_again
from workbench.traces.store import Store

SPLIT = parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "t.duckdb")


def holed() -> pl.DataFrame:
    at = poisson(0.2, days=2)
    return requests_at(at[(at < 50_000) | (at > 60_000)])


def test_unchanged_rows_differ_in_nothing(store: Store) -> None:
    ingest_frame(pl.concat([holed(), holed().head(100)]), store=store, name="r", source="rows")
    ingest_frame(series_of([1000.0] * 40 + [0.0] * 4 + [1000.0] * 40 + [None]), store=store, name="s", source="rows")
    assert check(store, "r").differences == check(store, "s").differences == ()
    assert report(store, "r").differences is None
    assert check(store, "r").findings.equals(report(store, "r").findings)


def test_a_hole_under_made_regions_is_seen_at_the_time_of_the_source(store: Store, tmp_path: Path) -> None:
    """Each region has the hole at another hour, so no hour lacks all of them; the source's own hour does."""
    path = tmp_path / "r.parquet"
    holed().drop("region").write_parquet(path)
    made = ingest(path, store=store, name="x", options=TraceOptions(region_split=SPLIT))
    (hole,) = made.findings.filter(pl.col("finding") == "hole").to_dicts()
    assert "from 2025-07-09 13:5" in hole["detail"]
    assert store.gaps("x")["since"].dt.hour().to_list() == [13, 14, 16]
    assert look_again(store, "x") == ()


def test_a_series_under_made_regions_is_looked_at_again_too(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    series_of([1000.0] * 140 + [0.0] * 6 + [1000.0] * 140).drop("region").write_parquet(path)
    made = ingest(path, store=store, name="x", options=TraceOptions(region_split=SPLIT))
    assert made.findings.filter(pl.col("finding") == "hole").height == 1
    assert look_again(store, "x") == ()


def test_lost_rows_and_other_findings_are_told(store: Store) -> None:
    header_source = ingest_frame(holed(), store=store, name="x", source="rows")
    assert header_source.differences is None
    info = store.describe("x")
    with store.writing(info.header, replace=True) as writing:
        writing.rows_read = writing.rows_kept = 10
        at = poisson(0.2, days=2, seed=5)
        writing.add(requests_at(at))
        writing.find(store.findings("x") if store.has("x") else FINDINGS.empty())
        writing.find(header_source.findings)
    (gone,) = look_again(store, "x")
    assert gone == "the ingest found 'hole, llama31_8b, 1', the stored rows do not show it"


def test_an_unknown_trace_is_named(store: Store) -> None:
    with pytest.raises(TraceError, match="has no trace 'nothing'"):
        look_again(store, "nothing")
    assert datetime(2025, 7, 9) < datetime.max
