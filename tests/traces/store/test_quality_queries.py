"""The queries of the quality report see made regions at the time of their source, and read only what they need."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from tests.traces.trace_cases import after_s, frame_of
from workbench.traces import ingest_frame, open_store
from workbench.traces.store import quality_queries

SHIFTS = {"us_west": timedelta(hours=3)}


def shifted() -> pl.DataFrame:
    """Two equal requests of one source, of which one became three hours later, and one of a region of its own."""
    frame = frame_of([(0, "m", 7, 1), (0, "m", 7, 1), (100, "m", 9, 1)])
    west = pl.Series([False, True, False])
    return frame.with_columns(
        region=pl.when(west).then(pl.lit("us_west")).otherwise(pl.lit("us_east")),
        arrived_at=pl.col("arrived_at") + pl.when(west).then(timedelta(hours=3)).otherwise(timedelta(0)),
    )


def test_rows_are_put_back_before_they_are_looked_at(tmp_path: Path) -> None:
    with open_store(tmp_path / "t.duckdb") as store:
        ingest_frame(shifted(), store=store, name="x", source="rows")
        there = store.look("x", *quality_queries.per_window({}, window_s=60))
        back = store.look("x", *quality_queries.per_window(SHIFTS, window_s=60))
        pairs = [
            store.look("x", *quality_queries.repeated(shifts, made_tiers=False, low=after_s(0), high=after_s(7200)))
            for shifts in ({}, SHIFTS)
        ]
        silent = store.look("x", *quality_queries.silent(SHIFTS, at_least_s=60, times_mean=1, at_most=5))
        overview = store.look("x", *quality_queries.overview(SHIFTS, absurd_input=8, absurd_output=8))
    assert there["window_start"].n_unique() == 3
    assert back.select("window_start", "requests").rows() == [(after_s(0), 1.0), (after_s(60), 1.0), (after_s(0), 1.0)]
    assert [pair.rows() for pair in pairs] == [[], [("m", 1)]]
    assert silent.select("since", "gap_s").rows() == [(after_s(0), 100.0)]
    assert overview.select("rows", "absurd_input", "finer_than_1min").row(0) == (3, 1, 1)


def test_a_stretch_reads_only_the_rows_that_can_fall_into_it() -> None:
    plain, given = quality_queries.repeated({}, made_tiers=True, low=after_s(0), high=after_s(60))
    assert set(given) == {"low", "high"}
    assert "ORDER BY model, region)" in plain
    text, given = quality_queries.repeated(SHIFTS, made_tiers=True, low=after_s(0), high=after_s(60))
    assert (given["since"], given["until"]) == (after_s(0), after_s(60 + 3 * 3600))
    assert "ORDER BY model)" in text


def test_senders_and_top_lengths_are_summed_over_series(tmp_path: Path) -> None:
    frame = frame_of([(i, "m", 10, 2) for i in range(6)]).with_columns(
        tenant=pl.Series(["a", "a", "b", "b", "b", None]), region=pl.Series(["r", "s"] * 3)
    )
    with open_store(tmp_path / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        tenants = store.look("x", *quality_queries.tenants({}))
        tops = store.look("x", *quality_queries.top_lengths({}))
    assert tenants.row(0, named=True) == {"model": "m", "rows": 5, "tenants": 2, "top_rows": 3, "top": "b"}
    assert tops.select("measure", "longest", "rows", "at_top", "below_top").rows() == [
        ("input_tokens", 10, 6, 6, 0),
        ("output_tokens", 2, 6, 6, 0),
    ]
