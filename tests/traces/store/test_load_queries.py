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
        places = {"origin_us": ORIGIN_US, "bin_us": 1_000_000, "bins": 7200}
        return [
            store.look("x", load_queries.gaps(by), SPAN),
            store.look("x", load_queries.cells(by), SPAN | places).sort("cell"),
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


def test_a_cell_is_a_bin_of_a_group_in_the_order_of_the_groups(tmp_path: Path) -> None:
    """Bins of a second, 7,200 to a group: a at 3599.5 s, b at 3600 s."""
    frame = frame_of([(3600, "b", 1, 1), (3599.5, "a", 1, 1), (3599.6, "a", 1, 1)])
    assert asked(tmp_path, frame)[1]["cell"].to_list() == [3599, 3599, 7200 + 3600]
