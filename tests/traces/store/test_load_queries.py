"""The SQL that characterises a trace gives the same bytes on any order of rows, and bins fall on their edges."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, frame_of
from workbench.traces import ingest_frame, open_store
from workbench.traces.store import load_queries

SPAN = {"since": datetime(1, 1, 1), "until": datetime(9999, 1, 1)}
ORIGIN_US = (START - datetime(1970, 1, 1)) // timedelta(microseconds=1)
rows = st.lists(
    st.tuples(st.integers(0, 7000), st.sampled_from("ab"), st.integers(1, 10**6), st.integers(1, 10**4)), min_size=2
)


def asked(folder: Path, frame: pl.DataFrame) -> list[pl.DataFrame]:
    by = ("model", "tier")
    with open_store(folder / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows", replace=True)
        places = {"origin_us": ORIGIN_US, "end_us": ORIGIN_US + 7_200_000_000, "blocks": 2}
        return [
            store.look("x", load_queries.gaps(by), SPAN),
            store.look("x", load_queries.counts(by, (1_000_000, 10_000_000)), SPAN | places),
            store.look("x", load_queries.length_bins(by), SPAN | {"window_us": 3_600_000_000}),
            store.look("x", load_queries.length_moments(by), SPAN),
            store.look("x", load_queries.output_by_prompt(by), SPAN),
            store.look("x", load_queries.cached(by), SPAN | {"window_us": 3_600_000_000}),
            store.look("x", load_queries.top_senders("app"), SPAN | {"limit": 3}),
            store.look("x", load_queries.sender_spread("tenant"), SPAN),
        ]


@settings(deadline=None, max_examples=10)
@given(rows=rows)
def test_the_order_of_rows_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, int, int]]
) -> None:
    frame = frame_of(rows)
    folder = tmp_path_factory.mktemp("q")
    for first, second in zip(asked(folder, frame), asked(folder, frame.reverse()), strict=True):
        assert first.equals(second)


def test_counts_of_every_scale_hold_every_request(tmp_path: Path) -> None:
    """Ten requests in second 3599 and one in 3600: two blocks at each scale, the place of a bin counts from its own."""
    frame = frame_of([*[(3599.5, "a", 1, 1)] * 10, (3600, "a", 1, 1)])
    counts = asked(tmp_path, frame)[1].sort("scale_s", "block")
    assert counts.select("scale_s", "block", "requests", "square_sum", "moment", "requests_peak").rows() == [
        (1.0, 0, 10.0, 100.0, 35_990.0, 10.0),
        (1.0, 1, 1.0, 1.0, 0.0, 1.0),
        (10.0, 0, 10.0, 100.0, 3590.0, 10.0),
        (10.0, 1, 1.0, 1.0, 0.0, 1.0),
    ]
