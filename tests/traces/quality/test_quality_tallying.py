"""What is counted while batches pass does not depend on how the file is cut into batches."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, frame_of
from workbench.traces.catalogue import REJECTED
from workbench.traces.quality.tallying import SourceTally
from workbench.traces.readers.batches import Batch


def rejected(*rows: tuple[int, str, str]) -> pl.DataFrame:
    return REJECTED.conform(
        pl.DataFrame(rows, schema=["line", "reason", "raw"], orient="row").with_columns(source=pl.lit("f"))
    )


@settings(deadline=None)
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


def test_refused_rows_are_told_by_reason_with_samples_and_share() -> None:
    good = frame_of([(0, "m", 1, 1), (1, "m", 1, 1)])
    tally = SourceTally("f.csv")
    tally.add(Batch(good=good, rejected=rejected((3, "no number", "a"), (4, "too long", "x" * 200))), good)
    tally.add(Batch(good=good, rejected=rejected(*((i, "no number", f"r{i}") for i in range(7, 13)))), good)
    by_reason = {row["detail"].partition("; ")[0]: row for row in tally.findings() if row["finding"] == "refused rows"}
    assert (tally.read, tally.kept, tally.refused) == (12, 4, 8)
    assert by_reason["58.33% of rows: no number"]["count"] == 7
    assert "line 3: a | line 7: r7 | line 8: r8" in by_reason["58.33% of rows: no number"]["detail"]
    assert "line 9" not in by_reason["58.33% of rows: no number"]["detail"]
    assert by_reason["8.33% of rows: too long"]["detail"].endswith("line 4: " + "x" * 120 + "...")
    assert tally.refusals().startswith("7 x no number (line 3: a); 1 x too long")


def test_rows_that_were_left_out_are_counted_apart() -> None:
    frame = frame_of([(0, "m", 1, 1), (1, "n", 1, 1)])
    tally = SourceTally("f")
    tally.add(Batch(good=frame, rejected=REJECTED.empty()), frame.head(1))
    (rows,) = [row for row in tally.findings() if row["finding"] == "rows"]
    assert rows["detail"] == "2 rows read, 1 kept, 0 refused, 1 of other models"
    assert tally.labels["model"] == {"m", "n"}


def test_offsets_of_all_batches_are_added_up() -> None:
    frame = frame_of([(0, "m", 1, 1)])
    tally = SourceTally("f")
    for seen in (Counter({"+02:00": 5}), Counter({"+01:00": 3, "+02:00": 1})):
        tally.add(Batch(good=frame, rejected=REJECTED.empty(), offsets=seen), frame)
    (mixed,) = [row for row in tally.findings() if row["finding"] == "offsets are mixed"]
    assert "+01:00 (3 rows), +02:00 (6 rows)" in mixed["detail"]


def test_very_many_reasons_are_cut_short() -> None:
    frame = frame_of([(0, "m", 1, 1)])
    rows = [("f", line, f"{line} fields", "x") for line in range(1, 31)]
    refused = REJECTED.conform(pl.DataFrame(rows, schema=REJECTED.schema, orient="row"))
    tally = SourceTally("f")
    tally.add(Batch(good=frame, rejected=refused), frame)
    told = [row for row in tally.findings() if row["finding"] == "refused rows"]
    assert sum(row["count"] for row in told) == 30
    assert told[-1]["detail"] == "20 more rows for 20 other reasons"
