"""Shares must add up to the source and shifts must move whole copies, whatever the labels."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, frame_of
from workbench.errors import TraceError
from workbench.tables import DEMAND
from workbench.traces.options import Share, TraceOptions, parse_region_split, parse_tier_split
from workbench.traces.spreading import (
    common_span,
    mapped,
    shares_in_words,
    shifts_in_words,
    shifts_of,
    spread_requests,
    spread_series,
    summed,
    unspread,
)

SPLIT = parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")


def hours(values: list[float | None], *, tier: str = "prod") -> pl.DataFrame:
    """One hourly series of region here and model m, with ten input tokens a request."""
    return DEMAND.conform(
        pl.DataFrame({"requests": values}, schema={"requests": pl.Float64}).select(
            window_start=pl.Series([START + timedelta(hours=i) for i in range(len(values))]),
            region=pl.lit("here"),
            model=pl.lit("m"),
            tier=pl.lit(tier),
            requests="requests",
            input_tokens=pl.col("requests") * 10,
            output_tokens=pl.col("requests"),
        )
    )


def test_regions_get_their_share_of_the_hour_they_live_in() -> None:
    """Shifts 0, 1, 3 h over hours 0..4: hours 3 and 4 are common; west at 3 sees the source's hour 0."""
    spread = spread_series(hours([100, 200, 300, 400, 500]), TraceOptions(region_split=SPLIT), window_s=3600)
    at = {(row[0].hour, row[1]): row[4] for row in spread.rows()}
    assert at == pytest.approx(
        {
            (3, "us_east"): 172.0,
            (4, "us_east"): 215.0,
            (3, "us_central"): 87.0,
            (4, "us_central"): 116.0,
            (3, "us_west"): 28.0,
            (4, "us_west"): 56.0,
        }
    )


def test_a_gap_moves_with_its_region_and_stays_a_gap() -> None:
    spread = spread_series(hours([None, 1, 1, 1, 1]), TraceOptions(region_split=SPLIT), window_s=3600)
    unknown = spread.filter(pl.col("requests").is_null())
    assert unknown.select("window_start", "region").rows() == [(datetime(2025, 7, 9, 3), "us_west")]


def test_tiers_part_by_label_and_the_rest_stays() -> None:
    options = TraceOptions(tier_split=parse_tier_split("prod=fast:0.6+slow:0.4"))
    spread = spread_series(pl.concat([hours([10]), hours([7], tier="dev")]), options, window_s=3600)
    assert dict(spread.select("tier", "requests").rows()) == {"fast": 6.0, "slow": 4.0, "dev": 7.0}
    every = TraceOptions(tier_split=parse_tier_split("fast=0.6,slow=0.4"))
    assert spread_series(hours([10]), every, window_s=3600)["requests"].to_list() == [6.0, 4.0]


def test_what_falls_together_is_summed_and_an_unknown_part_makes_it_unknown() -> None:
    rows = pl.concat([hours([1, 2, None]), hours([10, None, 30])])
    assert summed(rows)["requests"].to_list() == [11, None, None]


def test_a_shift_must_fit_the_windows_and_the_trace() -> None:
    half = (Share(key="a", share=0.5), Share(key="b", share=0.5, shift_h=0.5))
    with pytest.raises(TraceError, match="shift of b is no whole number"):
        spread_series(hours([1, 2, 3]), TraceOptions(region_split=half), window_s=3600)
    with pytest.raises(TraceError, match="longer than the trace"):
        spread_series(hours([1, 2, 3]), TraceOptions(region_split=SPLIT), window_s=3600)
    earlier = (Share(key="a", share=0.5, shift_h=-1), Share(key="b", share=0.5, shift_h=1))
    assert common_span(datetime(2025, 1, 1, 0), datetime(2025, 1, 1, 5), earlier) == (
        datetime(2025, 1, 1, 1),
        datetime(2025, 1, 1, 4),
    )


def test_labels_become_keys_and_one_without_a_key_is_named() -> None:
    frame = frame_of([(0, "A", 1, 1), (1, "B", 1, 1)])
    assert mapped(frame, TraceOptions(model={"A": "x", "B": "y"}))["model"].to_list() == ["x", "y"]
    assert mapped(frame, TraceOptions(model="x", tier={"fast": "t"}))["tier"].to_list() == ["t", "t"]
    assert mapped(frame, TraceOptions(keep=("B",), model={"B": "y"}))["model"].to_list() == ["y"]
    assert mapped(frame, TraceOptions(model={"A.csv.gz": "x", "B": "y"}))["model"].to_list() == ["x", "y"]
    with pytest.raises(TraceError, match=r"model mapping has no key for B; it names A\. Add B=KEY"):
        mapped(frame, TraceOptions(model={"A": "x"}))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), rows=st.integers(0, 300))
def test_every_request_gets_one_region_its_shift_and_a_tier(seed: int, rows: int) -> None:
    frame = frame_of([(float(i), "A", 1, 1) for i in range(rows)])
    options = TraceOptions(region_split=SPLIT, tier_split=parse_tier_split("slow=0.5,slower=0.5"))
    spread = spread_requests(frame, options, np.random.default_rng(seed))
    shift = (spread["arrived_at"] - frame["arrived_at"]).dt.total_hours()
    expected = spread["region"].replace_strict({"us_east": 0, "us_central": 1, "us_west": 3}, return_dtype=pl.Int64)
    assert shift.to_list() == expected.to_list()
    assert set(spread["tier"].to_list()) <= {"slow", "slower"}
    assert spread.equals(spread_requests(frame, options, np.random.default_rng(seed)))


def test_requests_are_drawn_by_the_shares() -> None:
    frame = frame_of([(float(i), "A", 1, 1) for i in range(20_000)])
    spread = spread_requests(frame, TraceOptions(region_split=SPLIT), np.random.default_rng(7))
    shares = dict(spread["region"].value_counts(normalize=True).rows())
    assert shares == pytest.approx({"us_east": 0.43, "us_central": 0.29, "us_west": 0.28}, abs=0.015)


def test_shifts_are_known_by_region_unless_two_sources_disagree() -> None:
    assert shifts_of(SPLIT) == {
        "us_east": timedelta(0),
        "us_central": timedelta(hours=1),
        "us_west": timedelta(hours=3),
    }
    assert shifts_of([*SPLIT, Share(key="us_west", share=1.0, shift_h=2)]) == {}
    assert shifts_of([Share(key="a", share=0.5), Share(key="b", share=0.5)]) == shifts_of([]) == {}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.integers(-12, 12)),
        min_size=1,
        max_size=5,
        unique_by=lambda part: part[0],
    )
)
def test_shares_in_words_are_read_back(parts: list[tuple[str, int]]) -> None:
    shares = tuple(Share(key=key, share=1 / len(parts), shift_h=half / 2) for key, half in parts)
    read = shifts_in_words(shares_in_words(shares))
    assert [(part.key, part.shift_h) for part in read] == [(part.key, part.shift_h) for part in shares]
    assert [part.share for part in read] == pytest.approx([part.share for part in shares], abs=5e-4)


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.integers(0, 1000), min_size=8, max_size=30))
def test_unspreading_gives_the_source_back_where_all_regions_are(values: list[int]) -> None:
    """Hours 3 .. n-3 of the source are in every region's part of the common span."""
    source = hours([float(value) for value in values])
    back = unspread(spread_series(source, TraceOptions(region_split=SPLIT), window_s=3600), shifts_of(SPLIT))
    sums = back.group_by("window_start").agg(pl.col("requests").sum()).sort("window_start")
    assert sums["requests"].to_list() == pytest.approx([float(value) for value in values[3 : len(values) - 3]])
    assert unspread(source, {}) is source


def test_a_tier_that_one_split_made_is_not_split_again() -> None:
    """Of 2,000 requests half are fast and half slow; all slow ones become batch, those that were fast stay slow."""
    split = parse_tier_split("fast=slow:1,slow=batch:1")
    frame = frame_of([(float(i), "m", 1, 1) for i in range(2000)])
    frame = frame.with_columns(tier=pl.Series(["fast", "slow"] * 1000))
    spread = spread_requests(frame, TraceOptions(tier_split=split), np.random.default_rng(1))
    assert spread["tier"].to_list() == ["slow", "batch"] * 1000
    both = pl.concat([hours([10], tier="fast"), hours([7], tier="slow")])
    series = spread_series(both, TraceOptions(tier_split=split), window_s=3600)
    assert dict(series.select("tier", "requests").rows()) == {"slow": 10.0, "batch": 7.0}


def test_the_split_of_one_label_holds_against_that_of_every_label() -> None:
    split = {"slow": (Share(key="batch", share=1.0),), "*": (Share(key="quick", share=1.0),)}
    frame = frame_of([(0, "m", 1, 1), (1, "m", 1, 1)]).with_columns(tier=pl.Series(["fast", "slow"]))
    spread = spread_requests(frame, TraceOptions(tier_split=split), np.random.default_rng(1))
    assert spread["tier"].to_list() == ["quick", "batch"]
    both = pl.concat([hours([10], tier="fast"), hours([7], tier="slow")])
    series = spread_series(both, TraceOptions(tier_split=split), window_s=3600)
    assert dict(series.select("tier", "requests").rows()) == {"quick": 10.0, "batch": 7.0}


def test_a_label_with_a_dot_is_no_file_and_an_exact_name_keeps_its_key() -> None:
    frame = frame_of([(0, "v1", 1, 1), (1, "v1.5-large", 1, 1)])
    options = TraceOptions(model={"v1": "small", "v1.5-large": "large", "v1.csv": "file"})
    assert mapped(frame, options)["model"].to_list() == ["small", "large"]
    with pytest.raises(TraceError, match="no key for v1"):
        mapped(frame, TraceOptions(model={"v1.5-large": "large"}))


def test_a_star_in_a_mapping_is_every_label_that_it_does_not_name() -> None:
    frame = frame_of([(0, "a", 1, 1), (1, "b", 1, 1), (2, "c", 1, 1)])
    by_star = mapped(frame, TraceOptions(model={"a": "x", "*": "y"}, tier={"*": "slow"}))
    assert by_star["model"].to_list() == ["x", "y", "y"]
    assert by_star["tier"].unique().to_list() == ["slow"]
