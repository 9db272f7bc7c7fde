"""workbench.traces.binning: every scale counts every arrival once, however the trace is cut into stretches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, frame_of
from workbench.errors import TraceError
from workbench.traces import binning, ingest_frame, open_store
from workbench.traces.store import Store

ORIGIN_US = (START - binning.EPOCH) // timedelta(microseconds=1)
SCALES_US = (1_000_000, 3_000_000, 10_000_000, 60_000_000)


def counted(store: Store, *, scales_us: tuple[int, ...] = SCALES_US) -> dict[int, dict[tuple[int, int], int]]:
    """Counts by (group, place) for every scale of trace x, from START on."""
    found: dict[int, dict[tuple[int, int], int]] = {scale: {} for scale in scales_us}
    until = store.describe("x").last_at + timedelta(microseconds=1)
    stretches = binning.binned(
        store, "x", by=("model",), scales_us=scales_us, origin_us=ORIGIN_US, since=START, until=until
    )
    for stretch in stretches:
        for scale, bins in stretch.items():
            for group, place, n in zip(bins.group.tolist(), bins.place.tolist(), bins.n.tolist(), strict=True):
                assert (group, place) not in found[scale], "a bin lies in two stretches"
                found[scale][group, place] = n
    return found


def test_bins_fall_on_their_edges(tmp_path: Path) -> None:
    """Ten requests in second 3599 and one in 3600, of a; one of b in second 7."""
    frame = frame_of([*[(3599.5, "a", 1, 1)] * 10, (3600, "a", 1, 1), (7.999999, "b", 1, 1)])
    with open_store(tmp_path / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        found = counted(store)
        assert binning.groups_of(store, "x", ("model",)).rows() == [("a",), ("b",)]
    assert found[1_000_000] == {(0, 3599): 10, (0, 3600): 1, (1, 7): 1}
    assert found[10_000_000] == {(0, 359): 10, (0, 360): 1, (1, 0): 1}


@settings(deadline=None, max_examples=8)
@given(
    rows=st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from("abc")), min_size=1, max_size=60),
    at_once=st.sampled_from([1, 7, 1_000_000]),
)
def test_stretches_of_any_size_count_alike(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], at_once: int
) -> None:
    names = sorted({model for _, model in rows})
    with pytest.MonkeyPatch.context() as patch, open_store(tmp_path_factory.mktemp("b") / "t.duckdb") as store:
        patch.setattr(binning, "STRETCH_ROWS", at_once)
        ingest_frame(frame_of([(float(at), model, 1, 1) for at, model in rows]), store=store, name="x", source="rows")
        found = counted(store)
    for scale in SCALES_US:
        wanted: dict[tuple[int, int], int] = {}
        for at, model in rows:
            place = names.index(model), at // (scale // 1_000_000)
            wanted[place] = wanted.get(place, 0) + 1
        assert found[scale] == wanted


def test_fractions_are_added_up_too() -> None:
    """Sums of a series may be parts of requests."""
    (cell, n), (longer, more) = binning.counts_of(np.array([0, 1, 5]), np.array([0.5, 0.25, 2.0]), [1, 5])
    assert (cell.tolist(), n.tolist()) == ([0, 1, 5], [0.5, 0.25, 2.0])
    assert (longer.tolist(), more.tolist()) == ([0, 1], [0.75, 2.0])


@pytest.mark.parametrize("scales_us", [(7_000_000,), (2_000_000, 3_000_000)])
def test_scales_that_do_not_fit_are_refused(tmp_path: Path, scales_us: tuple[int, ...]) -> None:
    with open_store(tmp_path / "t.duckdb") as store:
        ingest_frame(frame_of([(0.0, "a", 1, 1)]), store=store, name="x", source="rows")
        with pytest.raises(TraceError, match="must divide an hour"):
            counted(store, scales_us=scales_us)
