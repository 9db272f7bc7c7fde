"""workbench.traces.synthetic.storing: a made trace is in the store like any other, and made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import TraceError
from workbench.traces import open_store
from workbench.traces.store import Store
from workbench.traces.synthetic import generate, published, store_generated, varied


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "traces.duckdb") as opened:
        yield opened


def test_what_is_stored_is_what_is_generated(store: Store) -> None:
    told: list[tuple[float, int]] = []
    report = store_generated(
        published(),
        store=store,
        name="made",
        seed=3,
        days=0.5,
        requests=4_000,
        progress=lambda share, rows: told.append((share, rows)),
    )
    rows = pl.concat(generate(published(), seed=3, days=0.5, requests=4_000))
    assert report.rows_kept == rows.height == told[-1][1]
    assert store.requests("made").equals(rows)
    assert store.describe("made").header.format == "synthetic"
    assert "rows" in report.findings["finding"].to_list()


def test_the_same_again_is_a_no_op_and_another_needs_to_replace(store: Store) -> None:
    words = {"store": store, "name": "made", "days": 0.25, "requests": 500}
    assert not store_generated(published(), seed=1, **words).was_there
    assert store_generated(published(), seed=1, **words).was_there
    with pytest.raises(TraceError, match="already has a trace 'made'"):
        store_generated(published(), seed=2, **words)
    assert not store_generated(published(), seed=2, replace=True, **words).was_there


def test_what_cannot_be_stored_leaves_nothing(store: Store) -> None:
    with pytest.raises(TraceError, match="no name for a trace"):
        store_generated(published(), store=store, name="a b", seed=1)
    with pytest.raises(TraceError, match="made no request"):
        store_generated(varied(published(), rps=1e-9), store=store, name="made", seed=1, days=0.1)
    assert store.traces().is_empty()
