"""The largest senders come first, and concentration is that of shares worked out by hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import arrivals, stored
from workbench.features import senders


def sent_by(names: list[str | None]) -> pl.DataFrame:
    return arrivals(range(len(names))).with_columns(app=pl.Series(names, dtype=pl.String))


def test_the_largest_come_first_and_shares_are_of_those_that_are_named(tmp_path: Path) -> None:
    with stored(tmp_path, {"x": sent_by(["b", "a", "a", "a", None])}) as store:
        rows = senders.top_senders(store, "x", of="app")
        assert rows.select("place", "app", "requests_fraction", "cumulative_fraction").rows() == [
            (1, "a", 0.75, 0.75),
            (2, "b", 0.25, 1.0),
        ]
        assert rows["input_tokens"].to_list() == [300.0, 100.0]
        assert senders.top_senders(store, "x", of="app", top=1).height == 1
        (spread,) = senders.concentration(store, "x", of="app").to_dicts()
        assert senders.top_senders(store, "x", of="tenant").is_empty()
        assert senders.concentration(store, "x", of="tenant").is_empty()
    assert (spread["senders"], spread["top_fraction"], spread["unnamed_fraction"]) == (2, 0.75, 0.2)
    assert spread["effective_senders"] == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert spread["gini_fraction"] == pytest.approx(0.25)  # mean difference of 1 and 3 over twice their mean: 1 / 4


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_concentration_lies_between_one_and_all(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    names = [f"s{i}" for i, size in enumerate(sizes) for _ in range(size)]
    with stored(tmp_path_factory.mktemp("s"), {"x": sent_by(names)}) as store:
        (row,) = senders.concentration(store, "x", of="app").to_dicts()
    assert 1.0 - 1e-9 <= row["effective_senders"] <= len(sizes) + 1e-9
    assert 0.0 <= row["gini_fraction"] < 1.0
    if len(set(sizes)) == 1:
        assert row["effective_senders"] == pytest.approx(len(sizes))
        assert row["gini_fraction"] == pytest.approx(0.0, abs=1e-9)
