"""Each finding appears where a hand-made trace has that fault, and not in one without."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.trace_cases import START, frame_of
from workbench.tables import DEMAND
from workbench.traces import ingest_frame, open_store
from workbench.traces.catalogue import FINDINGS, REJECTED
from workbench.traces.quality import SourceTally, as_frame, finding, series_findings
from workbench.traces.readers.batches import Batch


def findings_of(tmp_path: Path, rows: list[tuple[float, str, int, int]]) -> dict[str, list[dict[str, object]]]:
    with open_store(tmp_path / "t.duckdb") as store:
        report = ingest_frame(frame_of(rows), store=store, name="x", source="rows")
    named: dict[str, list[dict[str, object]]] = {}
    for row in report.findings.to_dicts():
        named.setdefault(row["finding"], []).append(row)
    return named


def steady(hours: int, model: str = "m") -> list[tuple[float, str, int, int]]:
    return [(minute * 60.0, model, 100 + minute % 50, 10 + minute % 7) for minute in range(60 * hours)]


def test_a_steady_trace_has_no_faults(tmp_path: Path) -> None:
    assert set(findings_of(tmp_path, steady(24))) == {"rows", "span", "labels"}


def test_a_silence_is_found_per_model(tmp_path: Path) -> None:
    """Model m pauses for four hours that model n fills: 14400 s and the minute between two arrivals."""
    rows = [row for row in steady(12) if not 3600 * 4 <= row[0] < 3600 * 8] + [
        (s, "n", a, b) for s, _, a, b in steady(12)
    ]
    (silent,) = findings_of(tmp_path, rows)["silent stretch"]
    assert silent["where"] == "m"
    assert "no arrival for 14,460 s from 2025-07-09 03:59:00" in str(silent["detail"])


def test_lengths_cut_at_a_limit_are_suspected(tmp_path: Path) -> None:
    rows = [(float(i), "m", min(2000, 100 + 3 * i), 10 + i % 100) for i in range(1000)]
    (cut,) = findings_of(tmp_path, rows)["suspected cut"]
    assert (cut["where"], cut["count"]) == ("m input_tokens", 367)


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    (repeated,) = findings_of(tmp_path, [*steady(1), (0.0, "m", 100, 10), (0.0, "m", 100, 10)])["repeated rows"]
    assert (repeated["where"], repeated["count"]) == ("m", 2)


def test_a_model_that_stops_is_found(tmp_path: Path) -> None:
    rows = steady(24 * 5, "lives") + steady(24, "ends")
    (stops,) = findings_of(tmp_path, rows)["stops"]
    assert stops["where"] == "ends fast"
    assert "after 2025-07-09 23:00:00, 96 h before the end" in str(stops["detail"])


def test_gaps_of_a_series_are_stretches_and_absent_windows() -> None:
    values = [1.0, None, None, 4.0, None, 6.0]
    frame = DEMAND.conform(
        pl.DataFrame({"requests": values}).select(
            window_start=pl.Series([START + timedelta(minutes=5 * i) for i in (0, 1, 2, 3, 4, 6)]),
            region=pl.lit("r"),
            model=pl.lit("m"),
            tier=pl.lit("t"),
            requests="requests",
            input_tokens="requests",
            output_tokens="requests",
        )
    )
    found = {row["finding"]: row for row in series_findings(frame, window_s=300)}
    assert found["gap"]["count"] == 4
    assert found["gap"]["detail"] == "3 windows unknown in 2 stretches, 1 absent; kept as gaps"
    assert found["span"]["count"] == 7


@given(
    times=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 39), max_size=4),
)
def test_rows_out_of_order_are_counted_alike_in_any_batches(times: list[int], cuts: list[int]) -> None:
    """A row is late when an earlier row has a later arrival."""
    late = sum(any(before > at for before in times[:i]) for i, at in enumerate(times))
    frame = frame_of([(float(at), "m", 1, 1) for at in times])
    tally = SourceTally("f")
    edges = [0, *sorted({cut for cut in cuts if cut < len(times)}), len(times)]
    for low, high in pairwise(edges):
        part = frame.slice(low, high - low)
        tally.add(Batch(good=part, rejected=REJECTED.empty()), part)
    found = [row for row in tally.findings() if row["finding"] == "out of order"]
    assert [row["count"] for row in found] == ([late] if late else [])
    assert tally.first_at == START + timedelta(seconds=min(times))
    assert tally.last_at == START + timedelta(seconds=max(times))


def test_a_finding_is_a_row_of_its_table() -> None:
    frame = as_frame([finding("rows", "f", 1, "one row"), finding("labels", "trace", None, "none")])
    assert frame.columns == list(FINDINGS.columns)
    assert as_frame([]).is_empty()
    assert isinstance(START, datetime)
    with pytest.raises(ValueError, match="FINDINGS"):
        as_frame([finding("rows", None, 1, "no place")])  # type: ignore[arg-type]
