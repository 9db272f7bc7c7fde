"""Offsets are counted as they stand in the file, in the first column that holds time stamps."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.traces.readers.zones import offsets_in


@pytest.mark.parametrize(
    ("stamps", "seen"),
    [
        (["2024-05-12 00:00:00+00:00", "2024-05-12 00:00:01.25+00:00"], {"+00:00": 2}),
        (["2024-05-12T00:00:00Z", "2024-05-12T00:00:00z", None], {"Z": 2}),
        (["2023-11-16 18:17:03.9799600", "2023-11-16 18:17"], {"": 2}),
        (
            ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", "2024-10-27T02:30:00"],
            {"+02:00": 1, "+01:00": 1, "": 1},
        ),
        (["2024-05-12 00:00:00+02", "2024-05-12 00:00:00-0330", "noon"], {"+02": 1, "-0330": 1}),
        (["noon", "2024-05-12 00:00:00Z"], {}),
        ([None, None], {}),
    ],
)
def test_offsets_are_counted(stamps: list[str | None], seen: dict[str, int]) -> None:
    columns = [pl.Series([1] * len(stamps)), pl.Series(["a"] * len(stamps)), pl.Series(stamps, dtype=pl.String)]
    assert dict(offsets_in(columns)) == seen


def test_a_date_is_no_offset_and_typed_columns_have_none() -> None:
    assert offsets_in([pl.Series(["2024-05-12", "2024-05-13"])]) == {}
    assert offsets_in([pl.Series([1.5, 2.5])]) == offsets_in([]) == {}
