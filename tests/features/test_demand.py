"""What workbench.features.demand sums is complete, gaps stay gaps, and mixes come from moments where there are some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from tests.traces.trace_cases import START, after_s, frame_of
from workbench import features
from workbench.errors import TraceError
from workbench.tables import SHAPE
from workbench.traces import Store, ingest_frame, open_store

FEW = frame_of([(0, "a", 100, 10), (30, "a", 300, 30), (30, "b", 50, 5), (3700, "a", 200, 20)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "t.duckdb") as opened:
        ingest_frame(FEW, store=opened, name="few", source="four rows")
        yield opened


def test_demand_has_every_window_of_every_series(store: Store) -> None:
    demand = features.demand(store, "few", window_s=1800)
    assert demand.select("window_start", "model", "requests", "input_tokens").rows() == [
        (START, "a", 2.0, 400.0),
        (after_s(1800), "a", 0.0, 0.0),
        (after_s(3600), "a", 1.0, 200.0),
        (START, "b", 1.0, 50.0),
        (after_s(1800), "b", 0.0, 0.0),
        (after_s(3600), "b", 0.0, 0.0),
    ]
    assert features.demand(store, "few", window_s=3600, scale=2.5)["output_tokens"].sum() == 2.5 * 65


def test_a_span_keeps_what_lies_inside_and_nothing_around_the_trace(store: Store) -> None:
    late = features.demand(store, "few", window_s=1800, since=after_s(20), until=after_s(3600))
    assert late.select("window_start", "model", "requests").rows() == [
        (START, "a", 1.0),
        (after_s(1800), "a", 0.0),
        (START, "b", 1.0),
        (after_s(1800), "b", 0.0),
    ]
    wide = features.demand(store, "few", window_s=1800, since=after_s(-9000), until=after_s(90_000))
    assert wide.equals(features.demand(store, "few", window_s=1800))
    for since, until in ((after_s(4000), None), (None, START), (after_s(10), after_s(10))):
        with pytest.raises(TraceError, match="has nothing between"):
            features.demand(store, "few", window_s=1800, since=since, until=until)


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 40_000), st.sampled_from("ab"), st.integers(1, 10**5), st.integers(1, 10**4)), min_size=1
    ),
    window_s=st.sampled_from([60, 600, 3600, 86_400]),
    edge_s=st.floats(1, 39_999),
)
def test_demand_before_and_after_an_instant_adds_up_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str, int, int]], window_s: float, edge_s: float
) -> None:
    frame = frame_of(rows)
    edge = after_s(edge_s)
    with open_store(tmp_path_factory.mktemp("f") / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        whole = features.demand(store, "x", window_s=window_s)
        parts = [
            features.demand(store, "x", window_s=window_s, since=since, until=until)
            for since, until in ((None, edge), (edge, None))
            if frame["arrived_at"].min() < edge <= frame["arrived_at"].max()
        ]
    assert whole["input_tokens"].sum() == frame["input_tokens"].sum()
    assert not parts or sum(part["requests"].sum() for part in parts) == frame.height
    windows = whole.group_by("model").agg(
        pl.len(), pl.col("window_start").diff().drop_nulls().n_unique().alias("steps")
    )
    assert windows["len"].n_unique() == 1
    assert windows["steps"].max() <= 1


def test_a_series_keeps_its_gaps_also_where_rows_are_absent(tmp_path: Path) -> None:
    frame = load({"r m t": [1, None, 3, 4]}, step_s=300).filter(
        pl.col("requests").is_null() | (pl.col("requests") != 3)
    )
    with open_store(tmp_path / "s.duckdb") as store:
        ingest_frame(frame, store=store, name="s", source="windows")
        assert features.demand(store, "s", window_s=300)["requests"].to_list() == [1, None, None, 4]
        assert features.demand(store, "s", window_s=600)["requests"].to_list() == [None, None]
        assert features.shape(store, "s").equals(SHAPE.empty())
        with pytest.raises(TraceError, match="no single requests"):
            features.token_quantiles(store, "s")


def test_token_mixes_come_from_the_moments_where_there_are_some(store: Store) -> None:
    """Model a has P = 100, 300, 200 and O = 10, 30, 20: means 200 and 20, E[P^2] = 14e4/3, E[P^3] = 36e6/3."""
    demand, shape = features.demand(store, "few", window_s=3600), features.shape(store, "few")
    mix = features.token_mixes(demand, shape)["a"]
    assert (mix.input_tokens, mix.output_tokens) == (200, 20)
    assert mix.input_square_ratio == pytest.approx(14e4 / 3 / 200**2)
    assert mix.input_cube_ratio == pytest.approx(36e6 / 3 / 200**3)
    assert mix.output_square_ratio == pytest.approx(1400 / 3 / 20**2)
    assert mix.cross_ratio == pytest.approx(14000 / 3 / (200 * 20))


def test_token_mixes_of_a_series_take_the_given_ratios() -> None:
    demand = load({"r m t": [10, None, 30], "r idle t": [0, 0, 0]})
    mixes = features.token_mixes(demand, input_square_ratio=1.5)
    assert list(mixes) == ["m"]
    assert (mixes["m"].input_tokens, mixes["m"].output_tokens) == (100, 10)
    assert (mixes["m"].input_square_ratio, mixes["m"].input_cube_ratio, mixes["m"].dispersion) == (1.5, 8.0, 1.0)
