"""Shapes by hand and against plain Python: workbench.traces.store.shapes and the queries behind it."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import fmean, pvariance

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, after_s, frame_of
from workbench.tables import SHAPE
from workbench.traces.catalogue import GAPS, TraceHeader
from workbench.traces.store import Store, open_store, reading
from workbench.traces.store.shapes import BINS_US, PROMPT_QUANTILES

Row = tuple[float, str, int, int]


def store_with(folder: Path, rows: list[Row], gaps: pl.DataFrame | None = None) -> Store:
    """A store with the trace ``x``."""
    store = open_store(folder / "t.duckdb")
    header = TraceHeader(name="x", kind="requests", format="f", source="s", fingerprint="x")
    with store.writing(header) as writing:
        writing.add(frame_of(rows))
        if gaps is not None:
            writing.mark_gaps(gaps)
    return store


def test_quantiles_lie_in_the_middle_of_24_equal_shares(tmp_path: Path) -> None:
    """Lengths 1 to 25: the quantile at p is 1 + 24 p, so the 24 middles are 1.5, 2.5, ... 24.5."""
    with store_with(tmp_path, [(float(i), "a", i + 1, 1) for i in range(25)]) as store:
        (row,) = store.shape_by_hour("x").to_dicts()
    assert row["input_tokens_quantiles"] == pytest.approx([i + 1.5 for i in range(24)])
    assert PROMPT_QUANTILES[0] == 1 / 48
    assert math.isclose(fmean(PROMPT_QUANTILES), 0.5)


def test_dispersion_at_each_scale_is_that_of_its_bins(tmp_path: Path) -> None:
    """Four arrivals at once and one 11.75 s later: 48 bins of 0.25 s, 12 of 1 s, 4 of 3 s, 2 of 10 s.

    A sum of squares of 17 over 5 arrivals: 17/5 less the mean 5/48, 5/12, 5/4 and 5/2.
    """
    with store_with(tmp_path, [(0.0, "a", 1, 1)] * 4 + [(11.75, "a", 1, 1)]) as store:
        (row,) = store.shape_by_hour("x").to_dicts()
    found = [row[f"dispersion_{scale}"] for scale in ("250ms", "1s", "3s", "10s")]
    assert found == pytest.approx([3.4 - 5 / bins for bins in (48, 12, 4, 2)])


def test_the_bins_of_a_gap_do_not_count(tmp_path: Path) -> None:
    """An arrival in each of the seconds 0-9 and 20-29; with those between them unknown, every bin holds one."""
    rows = [(float(second), "a", 1, 1) for second in (*range(10), *range(20, 30))]
    values = {"region": [None], "model": ["a"], "since": [after_s(10)], "until": [after_s(20)], "reason": ["silent"]}
    gap = pl.DataFrame(values, schema=GAPS.schema)
    for gaps, expected in ((None, 1 - 20 / 30), (gap, 0.0)):
        with store_with(tmp_path / str(expected), rows, gaps) as store:
            assert store.shape_by_hour("x")["dispersion_1s"].to_list() == pytest.approx([expected])


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 9000), st.sampled_from("ab"), st.integers(1, 10**6), st.integers(1, 10**4)), min_size=1
    ),
    at_once=st.sampled_from([1, 20_000_000]),
)
def test_shapes_are_those_of_a_plain_recount(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], at_once: int
) -> None:
    frame = frame_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "SLICE_ROWS", at_once)  # hours in one query or in one each
        with store_with(tmp_path_factory.mktemp("shape"), rows) as store:
            found = store.shape_by_hour("x")
    assert SHAPE.conform(found).equals(found)
    expected = recount(frame)
    assert found.height == len(expected)
    for row in found.to_dicts():
        for name, value in expected[row["window_start"], row["model"]].items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def recount(frame: pl.DataFrame) -> dict[tuple[datetime, str], dict[str, object]]:
    """The same numbers, counted row by row."""
    hours: dict[tuple[datetime, str], list[tuple[int, int, int]]] = defaultdict(list)
    at_us = [round((at - START).total_seconds() * 1e6) for at in frame["arrived_at"]]
    for us, row in zip(at_us, frame.to_dicts(), strict=True):
        hours[row["arrived_at"].replace(minute=0, second=0, microsecond=0), row["model"]].append(
            (us, row["input_tokens"], row["output_tokens"])
        )
    answer = {}
    for (hour, model), inside in hours.items():
        start_us = round((hour - START).total_seconds() * 1e6)
        p, o = [row[1] for row in inside], [row[2] for row in inside]
        values: dict[str, object] = {
            "requests": len(inside),
            "input_tokens_mean": fmean(p),
            "input_tokens_cube_mean": fmean(x**3 for x in p),
            "output_tokens_square_mean": fmean(x**2 for x in o),
            "input_output_mean": fmean(x * y for x, y in zip(p, o, strict=True)),
            "input_tokens_quantiles": [quantile(sorted(p), share) for share in PROMPT_QUANTILES],
        }
        for scale, bin_us in BINS_US.items():
            first = max(min(at_us), start_us) // bin_us
            last = min(max(at_us), start_us + 3_600_000_000 - 1) // bin_us
            counts = [0] * (last - first + 1)
            for us, _, _ in inside:
                counts[us // bin_us - first] += 1
            values[f"dispersion_{scale}"] = pvariance(counts) / fmean(counts)
        answer[hour, model] = values
    return answer


def quantile(ordered: list[int], share: float) -> float:
    """Between neighbours in proportion."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def test_shapes_come_back_from_a_file(tmp_path: Path) -> None:
    with store_with(tmp_path, [(float(i), "a", i + 1, 1) for i in range(25)]) as store:
        shape = store.shape_by_hour("x")
    shape.write_parquet(tmp_path / "shape.parquet")
    assert SHAPE.conform(pl.read_parquet(tmp_path / "shape.parquet")).equals(shape)
