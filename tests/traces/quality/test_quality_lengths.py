"""Lengths that were cut, are all equal or cannot be; laws without a top are left alone."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.traces.quality.quality_cases import MODEL, look_of, report_on, requests_at, rows_of, series_of
from workbench.traces.quality.lengths import ABSURD_INPUT_TOKENS, cuts, empty_sums, odd_lengths


def spaced(rows: int) -> np.ndarray:
    return np.arange(rows) * 1.7


def test_lengths_cut_at_a_limit_are_suspected() -> None:
    tokens = pl.Series([min(2000, 100 + 3 * i) for i in range(1000)])
    (cut,) = rows_of(report_on(requests_at(spaced(1000), input_tokens=tokens)), "suspected cut")
    assert (cut["where"], cut["count"]) == (f"{MODEL} input_tokens", 367)


def test_a_law_without_a_top_is_not_suspected() -> None:
    report = report_on(requests_at(spaced(5000)))
    assert [
        row for what in ("suspected cut", "absurd length", "constant length") for row in rows_of(report, what)
    ] == []


def test_equal_lengths_in_every_row_are_told_once_and_are_no_cut() -> None:
    report = report_on(requests_at(spaced(200), output_tokens=pl.lit(128)))
    (constant,) = rows_of(report, "constant length")
    assert (constant["where"], constant["detail"]) == (f"{MODEL} output_tokens", "all 200 rows have 128")
    assert rows_of(report, "suspected cut") == []


def test_absurd_lengths_are_counted() -> None:
    tokens = pl.Series([100, 200, 3_000_000, ABSURD_INPUT_TOKENS])
    (absurd,) = rows_of(report_on(requests_at(spaced(4), input_tokens=tokens)), "absurd length")
    assert (absurd["count"], absurd["level"]) == (1, "warning")
    assert "the longest 3,000,000" in absurd["detail"]


def test_windows_with_requests_but_no_tokens_are_counted() -> None:
    frame = series_of([1.0, 2.0, 0.0, None]).with_columns(
        input_tokens=pl.Series([10.0, 0.0, 0.0, None]), output_tokens=pl.Series([1.0, 2.0, 5.0, None])
    )
    (odd,) = empty_sums(look_of(frame))
    assert (odd["finding"], odd["where"], odd["count"]) == ("zero tokens", MODEL, 2)
    assert empty_sums(look_of(series_of([1.0, 0.0]))) == []
    assert cuts(look_of(frame)) == odd_lengths(look_of(frame)) == []
