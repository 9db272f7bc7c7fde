"""workbench.scoring.frontier: the lower edge of what was tried, and what equal service costs on it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import scoring
from workbench.errors import StudyError
from workbench.scoring import frontier


def points(*rows: tuple[str, float, float]) -> pl.DataFrame:
    schema = {"strategy": pl.String, frontier.SERVICE: pl.Float64, frontier.COST: pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_setting_above_the_line_between_two_others_is_left_out() -> None:
    """At .8 a mixture of .7 and .9 costs 20: the setting for 25 is not worth having, that for 12 is."""
    tried = points(
        ("a", 0.7, 10.0), ("a", 0.8, 25.0), ("a", 0.9, 30.0), ("b", 0.7, 10.0), ("b", 0.8, 12.0), ("b", 0.9, 30.0)
    )
    edge = scoring.undominated(tried)
    assert edge.filter(pl.col("strategy") == "a").get_column("attainment_fraction").to_list() == [0.7, 0.9]
    assert edge.filter(pl.col("strategy") == "b").height == 3
    assert scoring.at_equal_service(tried, 0.8).rows() == [("a", pytest.approx(20.0)), ("b", pytest.approx(12.0))]


def test_better_service_for_less_money_wins_alone() -> None:
    tried = points(("a", 0.7, 10.0), ("a", 0.9, 9.0), ("a", 0.95, 20.0))
    assert scoring.undominated(tried).get_column("cost_usd").to_list() == [9.0, 20.0]
    assert scoring.at_equal_service(tried, 0.5).row(0) == ("a", 9.0)


def test_nothing_is_extrapolated() -> None:
    found = scoring.at_equal_service(points(("a", 0.7, 10.0), ("b", 0.99, 50.0)), 0.9)
    assert found.rows() == [("a", None), ("b", 50.0)]


def test_other_figures_are_those_of_the_mixture() -> None:
    tried = points(("a", 0.7, 10.0), ("a", 0.9, 30.0)).with_columns(gpu_hours=pl.Series([1.0, 5.0]))
    found = scoring.at_equal_service(tried, 0.75, figures=("gpu_hours",))
    assert found.rows() == [("a", pytest.approx(2.0))]
    unknown = tried.with_columns(pl.lit(None, pl.Float64).alias("attainment_fraction"))
    assert scoring.at_equal_service(unknown, 0.75).rows() == [("a", None)]


def test_missing_columns_are_named() -> None:
    with pytest.raises(StudyError, match="cost_usd missing among strategy"):
        scoring.undominated(points(("a", 0.7, 10.0)).drop("cost_usd"))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(1.0, 100.0)), min_size=1, max_size=12), st.floats(0.0, 1.0))
def test_no_mixture_of_two_settings_is_cheaper(tried: list[tuple[float, float]], wanted: float) -> None:
    frame = points(*[("a", kept, cost) for kept, cost in tried])
    (cost,) = scoring.at_equal_service(frame, wanted).get_column("cost_usd").to_list()
    mixtures = []
    for left in tried:
        for right in tried:
            low, high = sorted([left, right])
            if low[0] >= wanted:
                mixtures.append(low[1])
            if high[0] >= wanted:
                mixtures.append(high[1])
            if low[0] < wanted <= high[0] and high[0] > low[0]:
                share = (wanted - low[0]) / (high[0] - low[0])
                mixtures.append(low[1] + share * (high[1] - low[1]))
    if not mixtures:
        assert cost is None
    else:
        assert cost == pytest.approx(min(mixtures), rel=1e-6, abs=1e-6)
    edge = scoring.undominated(frame)
    assert np.all(np.diff(edge.get_column("cost_usd").to_numpy()) > 0)
