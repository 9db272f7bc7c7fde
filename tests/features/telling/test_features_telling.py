"""Sentences are built from the tables: the modules workbench.features.telling.in_time, .whose and .of_requests.

Also workbench.features.telling.heads, workbench.features.telling.subjects, workbench.features.telling.whose,
workbench.features.telling.of_requests and workbench.features.telling.wording.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from tests.features.feature_cases import load
from workbench import catalog
from workbench.features import characterise, characterise_demand, in_words, sentences
from workbench.features.telling import TELLERS, in_time, of_requests, whose, wording
from workbench.traces import open_store


def test_every_table_of_a_week_is_told(small_store: Path) -> None:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        found = characterise(store, "small", tiers=catalog.load().tiers)
    said = in_words(found)
    assert set(said) == set(found.skipped) | (set(TELLERS) & set(found.tables))
    assert said["cache_hits"] == f"Not shown: what a prefix cache held. {found.skipped['cache_hits']}"
    assert said.pop("known") == ""  # all is known
    for sentence in said.values():
        assert sentence[0].isupper() or sentence.startswith(("us_", "rag", "5 apps"))
        assert sentence.endswith(".")
        assert not {"None", "nan", "inf"} & set(re.findall(r"\w+", sentence)), sentence


def test_numbers_come_from_the_table() -> None:
    frame = pl.DataFrame(
        {"model": ["a", "b"], "busiest": ["x", "x"], "quietest": ["y", "y"], "busiest_to_quietest_ratio": [1.2, 4.04]}
        | {"busiest_p05_fraction": [0.5, 0.7], "busiest_p95_fraction": [0.6, 0.9]}
    )
    assert whose.imbalance(frame) == (
        "The most uneven model is b: x sends 4.0 times what y sends, and its share moves between 70% and 90% in nine "
        "windows of ten."
    )


def test_nothing_may_wait_is_said_so() -> None:
    frame = pl.DataFrame(
        {"model": ["a"], "requests_deferrable_fraction": [0.0], "interactive_to_deferrable_ratio": [None]}
    )
    assert whose.waiting(frame) == "None of the load may wait."


def test_the_median_lies_inside_its_bin() -> None:
    frame = pl.DataFrame(
        {"model": ["m", "m"], "measure": "input_tokens", "tokens_low": [100.0, 200.0], "tokens_high": [200.0, 400.0]}
        | {"fraction": [0.25, 0.75], "below_fraction": [0.25, 1.0]}
    )
    assert of_requests.lengths(frame) == "Half of the prompts are shorter than 267 tokens for m."


def test_drift_by_chance_is_no_drift() -> None:
    days = pl.datetime_range(pl.datetime(2026, 3, 2), pl.datetime(2026, 3, 4), "1d", eager=True)
    keys = {"model": "m", "measure": "input_tokens", "ks_chance_fraction": 0.2, "shift_octaves": 1.0}
    frame = pl.DataFrame(keys | {"window_start": days, "ks_fraction": [0.0, 0.1, 0.3]})
    assert "1 of 2 windows differ" in of_requests.drift(frame)
    assert "differ by 100%" in of_requests.drift(frame)
    assert of_requests.drift(frame.head(2)).startswith("Lengths keep: 0 of 1")
    assert of_requests.drift(frame.head(1)).startswith("There is one window")


@pytest.mark.parametrize(
    ("load_of", "name", "words"),
    [
        ({"r m t": [0.0, 0.0]}, "rates", "Nothing arrives"),
        ({"r m t": [1.0, None]}, "rates", "known at once in 50% of the windows"),
        ({"r m t": [1.0, 2.0]}, "rates_by_region", "All load is of one region, r."),
        ({"r m t": [1.0, 2.0]}, "daily_totals", "Of no day of the span 90% is known"),
        ({"r m t": [1.0] * 24}, "daily_totals", "The only day that is known"),
    ],
)
def test_odd_loads_are_told_without_odd_numbers(load_of: dict[str, list[float | None]], name: str, words: str) -> None:
    assert words in in_words(characterise_demand(load(load_of)))[name]


def test_a_load_that_never_comes_has_no_score_and_no_swing() -> None:
    said = in_words(characterise_demand(load({"r m t": [0.0] * 72})))
    assert said["periodicity"] == "No series is long enough, or varies enough, for a score."
    assert said["diurnal_profile"] == "There is no load to have a shape."
    assert said["peak_to_mean"] == "There is no load to have a peak."
    assert said["dispersion"] == "The span is too short to tell how far counts spread."


def test_what_is_unknown_of_one_model_is_said_and_hides_nothing_of_another() -> None:
    demand = load({"r a t": [1.0, 2.0, None], "r b t": [1.0, 1.0, 1.0]}).with_columns(
        output_tokens=pl.when(pl.col("model") == "b").then("output_tokens")
    )
    found = characterise_demand(demand)
    said = in_words(found)
    assert said["known"].startswith("Never known: the output tokens of a, t; sums")
    assert "Share of time known: a, t 67%; a mean leans" in said["known"]
    assert said["rates_by_model"].startswith("The model with the most work is a: 60% of the input tokens")


def test_what_is_missing_for_one_reason_is_named_once() -> None:
    told = sentences(characterise_demand(load({"r m t": [1.0, 2.0]})), "diurnal_profile", "diurnal_profile_by_region")
    assert told == [
        "Not shown: the shape of a day; the shape of a day by region. It takes a day of load, and this span has 2.0 "
        "hours."
    ]


def test_words_for_bins_and_keys() -> None:
    assert (wording.bin_length(0.25), wording.bin_length(600.0)) == ("0.25 s", "10 min")
    assert wording.named({"model": "m", "tier": "t"}, "region", "model", "tier") == "m, t"
    assert wording.extremes(pl.DataFrame({"x": [None]}, schema={"x": pl.Float64}), "x") is None
    assert in_time.WHOLE < 1.0
