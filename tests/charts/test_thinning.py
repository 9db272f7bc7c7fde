"""A thinned line shows the same picture: its extremes, its ends and its gaps stay."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.chart_cases import at
from workbench.charts import thinning


def line_of(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"x": range(len(values)), "y": values}, schema={"x": pl.Int64, "y": pl.Float64})


def test_a_short_line_stays_as_it_is() -> None:
    short = line_of([1.0, None, 3.0])
    assert thinning.thinned(short, y="y", buckets=1).equals(short)


def test_of_every_stretch_the_lowest_the_highest_and_a_gap_are_kept() -> None:
    values = [5.0, 1.0, 9.0, 5.0, None, None, 5.0, 5.0]
    kept = thinning.thinned(line_of(values), y="y", buckets=2)
    assert kept["x"].to_list() == [0, 1, 2, 4, 6, 7]


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=400), buckets=st.integers(1, 20)
)
def test_extremes_ends_and_gaps_survive(values: list[float | None], buckets: int) -> None:
    whole = line_of(values)
    kept = thinning.thinned(whole, y="y", buckets=buckets)
    assert kept.height <= max(3 * buckets + 2, 0)
    assert kept["x"].is_sorted()
    assert (kept["x"][0], kept["x"][-1]) == (0, len(values) - 1)
    assert (kept["y"].min(), kept["y"].max()) == (whole["y"].min(), whole["y"].max())
    assert (kept["y"].null_count() > 0) == (whole["y"].null_count() > 0)


def test_missing_windows_become_a_gap() -> None:
    frame = pl.DataFrame({"window_start": [at(0), at(10), at(40), at(50)], "y": [1.0, 2.0, 3.0, 4.0]})
    filled = thinning.with_gaps(frame)
    assert filled["y"].to_list() == [1.0, 2.0, None, 3.0, 4.0]
    assert filled["window_start"][2] == at(30)
    assert thinning.with_gaps(frame.head(2)).equals(frame.head(2))


def test_a_line_without_rows_has_no_holes() -> None:
    empty = pl.DataFrame(schema={"window_start": pl.Datetime("us"), "y": pl.Float64})
    assert thinning.with_gaps(empty).equals(empty)
