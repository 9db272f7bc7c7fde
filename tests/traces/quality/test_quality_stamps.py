"""What a source's clock did: offsets, an hour back, stamps that are whole seconds."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.traces.quality.quality_cases import look_of, poisson, report_on, requests_at, rows_of, series_of
from tests.traces.trace_cases import START
from workbench.traces.quality.stamps import ClockTally, offsets, resolution, span, strays


def clock(seconds: list[float], *, batches: int = 1) -> list[dict[str, object]]:
    stamps = pl.Series([START + timedelta(seconds=s) for s in seconds], dtype=pl.Datetime("us"))
    tally = ClockTally()
    size = max(1, stamps.len() // batches)
    for low in range(0, stamps.len(), size):
        tally.add(stamps.slice(low, size))
    return tally.findings("f")


@pytest.mark.parametrize("batches", [1, 2, 7, 100])
def test_an_hour_back_is_found_in_any_batches(batches: int) -> None:
    autumn = [i * 10.0 for i in range(1000)]
    seconds = autumn + [s - 3600 + 10_000 for s in autumn]
    (found,) = clock(seconds, batches=batches)
    assert found["finding"] == "clock set back"
    assert "2025-07-09 01:46:40" in str(found["detail"])


def test_other_disorder_is_no_clock() -> None:
    random = np.random.default_rng(1)
    assert clock(list(random.uniform(0, 20_000, 2000))) == []
    assert clock([0, 10_000, 20_000]) == []
    assert clock([0, 5000, 1400, 1401] * 10) == []


def test_offsets_are_told_and_several_are_a_warning() -> None:
    assert [row["finding"] for row in offsets("f", {"+00:00": 3, "Z": 2, "": 1})] == ["offsets"]
    (mixed,) = offsets("f", {"+01:00": 3, "": 2})
    assert (mixed["finding"], mixed["count"]) == ("offsets are mixed", 2)
    assert mixed["detail"] == (
        "the stamps carry several offsets: none (2 rows), +01:00 (3 rows); those without one are taken as UTC"
    )
    assert offsets("f", {}) == []
    said = {
        "time stamps carry no offset and are taken as UTC": {"": 9},
        "stamps carry +08:00 and were converted to UTC": {"+08:00": 9},
        "time stamps are in UTC": {"Z": 4, "+00:00": 5},
    }
    assert all([row["detail"] for row in offsets("f", seen)] == [text] for text, seen in said.items())


def test_whole_seconds_are_noted() -> None:
    at = poisson(0.01, days=0.5)
    (coarse,) = rows_of(report_on(requests_at(np.floor(at))), "coarse time stamps")
    assert (coarse["detail"], coarse["level"]) == ("all arrivals are whole seconds", "note")
    (coarser,) = rows_of(report_on(requests_at(np.floor(at / 60) * 60)), "coarse time stamps")
    assert coarser["detail"] == "all arrivals are whole minutes"
    assert rows_of(report_on(requests_at(at)), "coarse time stamps") == []


def test_the_span_of_a_series_is_in_its_windows() -> None:
    (told,) = span(look_of(series_of([1.0, 2.0, 3.0])))
    assert (told["count"], told["where"]) == (3, "trace")
    assert "30 min, 2025-07-09 00:00:00 to 2025-07-09 00:20:00 UTC" in told["detail"]
    assert resolution(look_of(series_of([1.0, 2.0]))) == []


@pytest.mark.parametrize(("far_days", "side"), [(-18_000, "after"), (9_000, "before")])
def test_a_stamp_decades_away_from_all_others_is_astray(far_days: int, side: str) -> None:
    at = np.append(poisson(0.1, days=1), far_days * 86_400.0)
    (stray,) = rows_of(report_on(requests_at(np.sort(at))), "stray time stamps")
    assert (stray["count"], stray["level"]) == (1, "warning")
    assert f"{side} them" in stray["detail"]


def test_two_days_of_two_months_are_not_astray() -> None:
    at = poisson(0.05, days=1)
    assert strays(look_of(series_of([5.0, 6.0]))) == strays(look_of(series_of([0.0, 6.0]))) == []
    assert rows_of(report_on(requests_at(np.append(at, at + 40 * 86_400.0))), "stray time stamps") == []
