"""Instants, counts and numbers as they come: what cannot be read for certain is unknown, nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.traces.options import TraceOptions
from workbench.traces.readers.requests import MOST_TOKENS, read
from workbench.traces.readers.values import EPOCH, counts, instants, numbers, offsets

FORMS = ("{:%Y-%m-%d %H:%M:%S}", "{:%Y-%m-%dT%H:%M:%S}Z", "{:%Y-%m-%d %H:%M:%S}+00:00", "{:%Y-%m-%d %H:%M:%S.%f}")


def test_forms_may_be_mixed_within_one_column() -> None:
    text = [
        "2024-05-12 00:00:00+00:00",
        "2024-05-12 00:00:00.009930+00:00",
        "2024-05-12T00:00:01",
        "2024-05-12 00:00:02.5",
        "2024-05-12T02:00:03+02:00",
        "2024-05-11T19:00:04-0500",
    ]
    at = [timedelta(seconds=s) for s in (0, 0.00993, 1, 2.5, 3, 4)]
    assert instants(pl.Series(text)).to_list() == [datetime(2024, 5, 12) + seconds for seconds in at]
    assert instants(pl.Series(text[::-1])).to_list()[::-1] == instants(pl.Series(text)).to_list()


@pytest.mark.parametrize(
    "text",
    [
        "13/05/2024 00:00:00",
        "05/13/2024 00:00:00",
        "13.05.2024 00:00:00",
        "2024-13-05 00:00:00",
        "1715299200",
        "1715299200000",
        "noon",
        "",
        "NaN",
    ],
)
def test_another_order_and_bare_numbers_are_not_guessed(text: str) -> None:
    assert instants(pl.Series([text])).to_list() == [None]


@settings(deadline=None, max_examples=60)
@given(at=st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)), forms=st.lists(st.sampled_from(FORMS), min_size=1))
def test_every_form_of_an_instant_gives_that_instant(at: datetime, forms: list[str]) -> None:
    seconds = at.replace(microsecond=0)
    read_back = instants(pl.Series([form.format(at) for form in forms])).to_list()
    assert read_back == [at if "%f" in form else seconds for form in forms]


@settings(deadline=None, max_examples=60)
@given(at=st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)), hours=st.integers(-12, 14))
def test_an_offset_is_taken_off(at: datetime, hours: int) -> None:
    local = at.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    assert instants(pl.Series([local.isoformat(sep=" ")])).to_list() == [at]


def test_numbers_count_from_where_the_format_says() -> None:
    start = datetime(2025, 1, 6)
    assert offsets(pl.Series(["0", "1.5", "x", None, "inf"]), since=start, unit_s=1.0).to_list() == [
        start,
        start + timedelta(seconds=1.5),
        None,
        None,
        None,
    ]
    assert offsets(pl.Series([3500]), since=start, unit_s=1e-3).to_list() == [start + timedelta(seconds=3.5)]
    exact = datetime(2020, 2, 11, 20, 26, 12)
    for ns in (pl.Series([1581452772000000321]), pl.Series(["1581452772000000321"])):
        assert offsets(ns, since=EPOCH, unit_s=1e-9).to_list() == [exact]
    assert offsets(pl.Series([1581452772, 10**18]), since=EPOCH, unit_s=1.0).to_list() == [exact, None]
    assert offsets(pl.Series(["1581452772000000321", "soon"]), since=EPOCH, unit_s=1e-9).to_list() == [exact, None]


def test_one_bad_number_does_not_touch_the_others() -> None:
    big = 2**62 + 1
    assert counts(pl.Series([str(big), "x", "1e3", "5.5"])).to_list() == [big, None, 1000, None]
    assert counts(pl.Series([2**64 - 1], dtype=pl.UInt64)).to_list() == [None]
    assert numbers(pl.Series(["1.5", "-inf", "NaN", "1,5"])).to_list() == [1.5, None, None, None]


def test_absurd_and_impossible_counts_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    rows = [("1000000000000", "1"), ("-5", "1"), ("NaN", "1"), ("5", "1e12"), (str(MOST_TOKENS), "1")]
    lines = [f"2025-07-09 00:00:00,m,r,t,{inputs},{outputs},0" for inputs, outputs in rows]
    lines += ["2025-07-09 00:00:00,m,r,t,10,1,11", "2125-07-09 00:00:00,m,r,t,10,1,", "1969-07-09 00:00:00,m,r,t,10,1,"]
    path.write_text("\n".join(["arrived_at,model,region,tier,input_tokens,output_tokens,cached_tokens", *lines]))
    (batch,) = read(path, TraceOptions())
    assert batch.good["input_tokens"].to_list() == [MOST_TOKENS]
    assert batch.rejected.select("line", "reason").rows() == [
        (2, "input tokens are above 10,000,000"),
        (3, "input tokens are below 1"),
        (4, "input tokens are missing or no whole number"),
        (5, "output tokens are above 10,000,000"),
        (7, "cached tokens are negative or more than the input"),
        (8, "arrival time lies after 2100"),
        (9, "arrival time lies before 1970"),
    ]
