"""workbench.simulation.replay.summing on latencies made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.replay.replay_cases import STILL, prepared, requests
from tests.simulation.simulation_cases import BATCH, FAST, START, fleet
from workbench.domain import Fleet
from workbench.simulation import loads, readout
from workbench.simulation.latency import BIN_EDGES_S, BIN_RATIO, BINS, UNSERVED_S
from workbench.simulation.replay import summing

REGIONS = ("east", "west")
SPAN = loads.Span(start=START, steps=180, step_s=10.0, window_s=300.0, demand_window_s=10.0)


def windows_of(
    rows: list[tuple[float, str, float, float, int]], world: Fleet | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sum requests from east given as (arrival, tier, ttft, e2e, pool), eleven tokens each; return windows and bins."""
    world = world or fleet(regions=REGIONS)
    made, _, _, record, _ = prepared(requests([(at, 100, 11, tier, "east") for at, tier, *_ in rows]), world, STILL)
    made.rows.requests.position[:] = made.rows.requests.last
    made.world.latencies_s[:] = [[0.0, ttft, e2e] for _, _, ttft, e2e, _ in rows]
    made.outside.pool_of[:] = [pool for *_, pool in rows]
    made.sum_up()
    first_tokens = readout.counted(made.first_bins)
    return readout.windows_frame(record, world, SPAN, is_measured=True), readout.ttft_frame(first_tokens, world, SPAN)


def row_of(frame: pl.DataFrame, window: int, tier: str = FAST) -> dict[str, float]:
    return (
        frame.filter((pl.col("region") == "east") & (pl.col("tier") == tier))
        .sort("window_start")
        .row(window, named=True)
    )


def test_latencies_are_those_at_the_origin() -> None:
    windows, bins = windows_of([(10.0, FAST, 0.5, 1.5, 0), (20.0, FAST, 0.7, 1.7, 1)])
    first = row_of(windows, 0)
    assert first["ttft_mean_s"] == pytest.approx((0.5 + 0.003 + 0.7 + 0.04) / 2)
    assert first["itl_mean_s"] == pytest.approx(0.1)
    assert (first["arrived"], first["served"], first["served_elsewhere"]) == (2.0, 2.0, 1.0)
    assert bins["requests"].sum() == 2.0
    assert bins["ttft_low_s"].min() <= 0.503 <= bins["ttft_high_s"].min()


def test_a_request_without_first_token_is_late_and_counts_with_its_age() -> None:
    """Nine at half a second, one that arrived 1800 - 1700 s before the end and has not begun."""
    windows, _ = windows_of([(1700.0, FAST, 0.497, 1.0, 0)] * 9 + [(1700.0, FAST, np.nan, np.nan, 0)])
    last = row_of(windows, 5)
    assert last["ttft_mean_s"] == pytest.approx((9 * 0.5 + 100.0) / 10)
    assert last["slo_attainment_fraction"] == pytest.approx(0.9)
    assert last["ttft_p50_s"] == pytest.approx(0.5, rel=0.04)
    assert last["ttft_p95_s"] == pytest.approx(UNSERVED_S, rel=0.04)
    assert last["backlog"] == 1.0
    assert last["itl_mean_s"] == pytest.approx((1.0 - 0.497) / 10)  # of those that ended


def test_a_request_is_served_in_the_window_where_it_ends() -> None:
    windows, _ = windows_of(
        [(290.0, FAST, 1.0, 20.0, 0), (290.0, FAST, 1.0, 5.0, 0), (290.0, FAST, np.nan, np.nan, -2)]
    )
    assert [row_of(windows, i)["served"] for i in (0, 1)] == [1.0, 1.0]
    assert [row_of(windows, i)["backlog"] for i in (0, 1)] == [1.0, 0.0]
    assert row_of(windows, 0)["shed"] == 1.0


def test_deadlines_are_judged_in_the_window_where_they_fall() -> None:
    """A deadline of 24 h never falls in half an hour; one of ten minutes does."""
    world = fleet(regions=REGIONS)
    tiers = tuple(dataclasses.replace(t, deadline_s=600.0) if t.deferrable else t for t in world.tiers)
    soon = dataclasses.replace(world, tiers=tiers)
    rows = [(10.0, BATCH, 5.0, 500.0, 0), (10.0, BATCH, 5.0, 700.0, 0), (10.0, BATCH, np.nan, np.nan, -1)]
    never, _ = windows_of(rows)
    assert never["missed_deadlines"].sum() == 0.0
    judged = row_of(windows_of(rows, soon)[0], 2, BATCH)
    assert judged["missed_deadlines"] == 2.0
    assert judged["slo_attainment_fraction"] == pytest.approx(1 / 3)
    assert judged["ttft_mean_s"] is None


def test_percentiles_lie_inside_the_bin_that_holds_them() -> None:
    counts = np.zeros((3, 1, 1, 1, BINS), dtype=np.int32)
    counts[0, ..., 100], counts[1, ..., 100], counts[1, ..., 200] = 4, 50, 50
    found = np.full((3, 1, 1, 1, 3), np.nan)
    summing.read_percentiles(counts, summing.LEVELS, BIN_EDGES_S, found)
    half, most = found[:, 0, 0, 0, 0], found[:, 0, 0, 0, 1]
    assert half[0] == pytest.approx(BIN_EDGES_S[100] * BIN_RATIO**0.5)
    assert half[1] == pytest.approx(BIN_EDGES_S[101])
    assert np.isnan(half[2])
    assert BIN_EDGES_S[200] < most[1] < BIN_EDGES_S[201]


@given(seconds=st.lists(st.floats(0.0, 1e9), max_size=60), order=st.randoms())
def test_sums_of_seconds_do_not_hang_on_the_order(seconds: list[float], order: object) -> None:
    forth, back = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for value in seconds:
        summing.add_seconds(forth, 0, value)
    order.shuffle(seconds)  # type: ignore[attr-defined]
    for value in seconds:
        summing.add_seconds(back, 0, value)
    assert forth.tolist() == back.tolist()
    assert summing.seconds_of(forth, 0) == pytest.approx(sum(seconds), rel=1e-12, abs=60 * 2.0**-32)
