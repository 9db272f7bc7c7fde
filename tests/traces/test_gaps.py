"""Gaps merge per region and model and touch every window that they share an instant with: workbench.traces.gaps."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.trace_cases import START, after_s
from workbench.traces.catalogue import GAPS
from workbench.traces.gaps import stretches, touched

SERIES = pl.DataFrame({"region": ["here", "here", "here"], "model": ["b", "a", "a"]})
ONE = SERIES.tail(1)
START_US = int(pl.Series([START]).dt.timestamp("us")[0])


def gaps_of(*rows: tuple[str | None, float, float]) -> pl.DataFrame:
    """GAPS from (model, since, until), in seconds after START."""
    listed = [(None, model, after_s(since), after_s(until), "silent") for model, since, until in rows]
    return GAPS.conform(pl.DataFrame(listed, schema=GAPS.schema, orient="row"))


def test_gaps_that_meet_are_one_and_those_of_all_models_count_for_each() -> None:
    gaps = gaps_of(("a", 0, 10), (None, 10, 20), ("a", 5, 12), ("b", 40, 50), ("c", 0, 99))
    found = stretches(gaps, SERIES).with_columns((pl.col("since_us", "until_us") - START_US) // 1_000_000)
    assert found.rows() == [("here", "a", 0, 20), ("here", "b", 10, 20), ("here", "b", 40, 50)]
    assert stretches(GAPS.empty(), SERIES).is_empty()


def test_a_gap_of_one_region_leaves_the_others_known() -> None:
    gaps = pl.concat([gaps_of(("a", 0, 10)).with_columns(region=pl.lit("east")), gaps_of((None, 5, 20))])
    series = pl.DataFrame({"region": ["west", "east"], "model": ["a", "a"]})
    found = stretches(gaps, series).with_columns((pl.col("since_us", "until_us") - START_US) // 1_000_000)
    assert found.rows() == [("east", "a", 0, 20), ("west", "a", 5, 20)]
    assert touched(stretches(gaps, series), 60_000_000)["region"].to_list() == ["east", "west"]


def test_a_window_is_touched_by_an_instant_but_not_by_the_edge() -> None:
    found = touched(stretches(gaps_of((None, 60, 150), (None, 170, 180)), ONE), 60_000_000)
    assert found.rows() == [("here", "a", after_s(60), 60_000_000), ("here", "a", after_s(120), 40_000_000)]


@given(
    rows=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 900)), max_size=8), window_s=st.sampled_from([7, 60])
)
def test_what_windows_lose_adds_up_to_the_seconds_that_are_unknown(rows: list[tuple[int, int]], window_s: int) -> None:
    unknown = {second for since, length in rows for second in range(since, since + length)}
    gaps = gaps_of(*(("a", since, since + length) for since, length in rows))
    found = touched(stretches(gaps, ONE), window_s * 1_000_000)
    first_s = START_US // 1_000_000
    assert found["unknown_us"].sum() == len(unknown) * 1_000_000
    assert found.height == len({(first_s + second) // window_s for second in unknown})
