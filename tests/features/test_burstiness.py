"""Known processes score what theory says: a clock 0, Poisson 1, batches of n their n, whatever the daily cycle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import arrivals, load, stored
from tests.traces.trace_cases import after_s
from workbench.errors import TableError, TraceError
from workbench.features import asking, burstiness
from workbench.traces import Store, TraceOptions, ingest, open_store
from workbench.traces.catalogue import GAPS, TraceHeader

HOURS = 6


def by_scale(frame: pl.DataFrame, column: str) -> dict[float, float]:
    return dict(frame.select("scale_s", column).rows())


def poisson(rng: np.random.Generator, *, rate: float, hours: int = HOURS) -> np.ndarray:
    return np.sort(rng.uniform(0, hours * 3600, rng.poisson(rate * hours * 3600)))


def test_gaps_worked_out_by_hand(tmp_path: Path) -> None:
    """Gaps of 1 and 3 s, 30 times: mean 2, variance 1 (n - 1: 1 * 60/59), so CV = sqrt(60/59) / 2."""
    times = np.cumsum([0, *([1, 3] * 30)])
    with stored(tmp_path, {"x": arrivals(times)}) as store:
        hours = burstiness.gaps_by_hour(store, "x")
        assert hours.select("gaps", "gap_sum_s", "gap_square_sum_s2").row(0) == (60, 120.0, 300.0)
        (row,) = burstiness.gap_cv(hours).to_dicts()
    assert row["gap_mean_s"] == 2.0
    assert row["gap_cv"] == pytest.approx(math.sqrt(60 / 59) / 2)
    assert row["gap_cv_whole"] == pytest.approx(0.5)


def test_a_clock_has_no_variation_and_too_few_gaps_no_score(tmp_path: Path) -> None:
    with stored(tmp_path, {"clock": arrivals(range(0, 7200, 7)), "few": arrivals([0, 1, 5])}) as store:
        clock = burstiness.gap_cv(burstiness.gaps_by_hour(store, "clock"))
        assert clock["gap_cv"].to_list() == pytest.approx([0.0], abs=1e-9)
        assert burstiness.gap_cv(burstiness.gaps_by_hour(store, "few"))["gap_cv"].to_list() == [None]
        counts = burstiness.dispersion(burstiness.counts_by_scale(store, "clock", scales_s=(1, 10)))
    assert by_scale(counts, "dispersion")[10.0] < 0.2


def test_random_arrivals_score_one_also_under_a_daily_cycle(rng: np.random.Generator, tmp_path: Path) -> None:
    """The second load swings from 0.2 to 3.8 requests/s over a day: only the score of all gaps calls that bursts."""
    steady = poisson(rng, rate=4)
    most = poisson(rng, rate=3.8, hours=24)
    kept = most[rng.random(most.size) < (2 + 1.8 * np.sin(2 * np.pi * most / 86_400)) / 3.8]
    with stored(tmp_path, {"steady": arrivals(steady), "swinging": arrivals(kept)}) as store:
        for name in ("steady", "swinging"):
            gaps = burstiness.gap_cv(burstiness.gaps_by_hour(store, name)).row(0, named=True)
            assert gaps["gap_cv"] == pytest.approx(1.0, abs=0.06)
            found = by_scale(burstiness.dispersion(burstiness.counts_by_scale(store, name)), "dispersion")
            assert all(found[scale_s] == pytest.approx(1.0, abs=0.12) for scale_s in (0.25, 1.0, 3.0, 10.0))
            assert found[60.0] == pytest.approx(1.0, abs=0.35)
    assert gaps["gap_cv_whole"] > 1.2


def test_batches_of_n_spread_n_times_as_far(rng: np.random.Generator, tmp_path: Path) -> None:
    batches = np.repeat(poisson(rng, rate=0.5), 5)
    with stored(tmp_path, {"x": arrivals(batches)}) as store:
        found = by_scale(burstiness.dispersion(burstiness.counts_by_scale(store, "x")), "dispersion")
    assert all(found[scale_s] == pytest.approx(5.0, rel=0.15) for scale_s in (0.25, 1.0, 10.0))


def test_counts_of_requests_and_of_their_demand_agree(rng: np.random.Generator, tmp_path: Path) -> None:
    """Both count the same bins, once in DuckDB and once in Polars; the trace starts on the hour."""
    times = np.concatenate([[0.0], poisson(rng, rate=0.3, hours=3)])
    per_minute = np.bincount((times // 60).astype(int), minlength=180).astype(float)
    with stored(tmp_path, {"x": arrivals(times)}) as store:
        first = burstiness.counts_by_scale(store, "x", scales_s=(60, 600))
    second = burstiness.counts_of_demand(load({"us_east m fast": per_minute.tolist()}, step_s=60), scales_s=(60, 600))
    whole = first.filter(pl.col("bins") == pl.when(pl.col("scale_s") == 60).then(60).otherwise(6))
    columns = ["bins", "requests", "requests_peak", "residual_square_sum"]
    matched = second.sort("scale_s", "block").group_by("scale_s", maintain_order=True).head(2).select(columns)
    left = whole.group_by("scale_s", maintain_order=True).head(2).select(columns)
    assert left.to_numpy() == pytest.approx(matched.to_numpy())


def test_the_line_through_an_hour_is_no_burst_and_what_is_beside_it_is() -> None:
    """Six bins of 0..5: on a line. 0 3 0 3 0 3 about its line (slope 9/35): 13.5 - 81/70 over 4 * 1.5."""
    rising = load({"r m t": [0.0, 1, 2, 3, 4, 5]}, step_s=600)
    shaking = load({"r m t": [0.0, 3, 0, 3, 0, 3]}, step_s=600)
    assert burstiness.dispersion(burstiness.counts_of_demand(rising))["dispersion"][0] == pytest.approx(0.0)
    found = burstiness.dispersion(burstiness.counts_of_demand(shaking))["dispersion"][0]
    assert found == pytest.approx((13.5 - 81 / 70) / (4 * 1.5))


def test_the_hour_is_compared_with_the_same_hour_of_other_days() -> None:
    """Five equal weekdays have nothing left; a growing load neither."""
    monday = datetime(2025, 7, 7)
    same = load({"r m t": [float(i % 24) for i in range(120)]}, start=monday)
    growing = load({"r m t": [float(i % 24 + 10 * (i // 24)) for i in range(120)]}, start=monday)
    for demand in (same, growing):
        found = burstiness.dispersion(burstiness.counts_of_demand(demand))
        assert by_scale(found, "dispersion") == {3600.0: pytest.approx(0.0, abs=1e-9)}


def test_peaks_are_taken_over_the_whole_span(tmp_path: Path) -> None:
    """Ten requests in the first second of an hour: 10 rps over 10/3600; the minute 600 / 10 of that."""
    times = [0.0] * 10 + [3599.9999, 3600.0]
    with stored(tmp_path, {"x": arrivals(times)}) as store:
        found = burstiness.peak_to_mean(burstiness.counts_by_scale(store, "x", scales_s=(1, 60)))
    rows = {row["scale_s"]: row for row in found.to_dicts()}
    assert rows[1.0]["rps_peak"] == 10.0
    assert rows[1.0]["rps_mean"] == pytest.approx(11 / 3600)
    assert rows[1.0]["peak_to_mean_ratio"] == pytest.approx(60 * rows[60.0]["peak_to_mean_ratio"])


def test_unknown_windows_and_scales_that_do_not_fit_are_left_out() -> None:
    demand = load({"r m t": [1.0, None, 1, 1, 1, 1, 1]}, step_s=600)
    counts = burstiness.counts_of_demand(demand, scales_s=(600, 900, 1200))
    assert sorted(set(counts["scale_s"])) == [600.0, 1200.0]
    assert counts.filter(scale_s=600)["bins"].sum() == 6
    assert counts.filter(scale_s=1200)["bins"].sum() == 2  # of three whole ones, one holds the unknown part


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.integers(0, 50), min_size=8, max_size=40), other=st.lists(st.integers(0, 9), min_size=8))
def test_order_of_rows_and_other_groups_change_nothing(values: list[int], other: list[int]) -> None:
    size = min(len(values), len(other))
    mine = [float(v) for v in values[:size]]
    alone = load({"r a t": mine}, step_s=300)
    beside = load({"r a t": mine, "r b t": [float(v) for v in other[:size]]}, step_s=300)
    first = burstiness.dispersion(burstiness.counts_of_demand(alone))
    second = burstiness.dispersion(burstiness.counts_of_demand(beside.sample(fraction=1.0, shuffle=True, seed=1)))
    found = second.filter(model="a")["dispersion"].to_list()
    assert found == pytest.approx(first["dispersion"].to_list(), nan_ok=True)


def test_a_span_is_asked_alone(tmp_path: Path) -> None:
    with stored(tmp_path, {"x": arrivals(range(0, 7200, 2))}) as store:
        half = burstiness.counts_by_scale(store, "x", scales_s=(60,), since=after_s(0), until=after_s(3600))
        assert half["requests"].sum() == 1800
        assert asking.request_span_us(store, "x", since=after_s(10), until=None)[0] % 60_000_000 == 10_000_000


def test_hours_that_touch_a_gap_are_no_part_of_the_spread(tmp_path: Path) -> None:
    """A clock that stops for 20 minutes of its second hour: known hours stay a clock, and the peak one of one."""
    times = [float(at) for at in range(0, 4 * 3600 + 1, 10) if not 4000 <= at < 5200]
    header = TraceHeader(name="x", kind="requests", format="f", source="s", fingerprint="x", window_s=None)
    hole = (None, "m", after_s(4000), after_s(5200), "hole")
    with open_store(tmp_path / "t.duckdb") as store:
        with store.writing(header) as writing:
            writing.add(arrivals(times))
            writing.mark_gaps(pl.DataFrame([hole], schema=GAPS.schema, orient="row"))
        counts = burstiness.counts_by_scale(store, "x", scales_s=(10, 60, 600))
    assert sorted(set(counts["block"])) == [0, 2, 3]
    assert max(by_scale(burstiness.dispersion(counts), "dispersion").values()) == pytest.approx(0.0, abs=1e-9)
    assert set(by_scale(burstiness.peak_to_mean(counts), "peak_to_mean_ratio").values()) == {1.0}


def test_one_request_is_no_burst_and_no_error(tmp_path: Path) -> None:
    with stored(tmp_path, {"x": arrivals([0])}) as store:
        assert burstiness.counts_by_scale(store, "x").is_empty()


def test_windows_longer_than_every_scale_leave_nothing() -> None:
    demand = load({"r m t": [1.0, 2.0, 3.0]}, step_s=7200)
    assert burstiness.counts_of_demand(demand, scales_s=(3600,)).is_empty()


def test_a_series_and_an_unknown_key_are_refused(tmp_path: Path) -> None:
    with stored(tmp_path, {"s": load({"r m t": [1, 2, 3]}), "x": arrivals([0, 1])}) as store:
        with pytest.raises(TraceError, match="no single requests"):
            burstiness.gaps_by_hour(store, "s")
        for by in (("modle",), ()):
            with pytest.raises(TableError, match="grouped by some of their keys"):
                burstiness.gaps_by_hour(store, "x", by=by)


@pytest.fixture
def azure(shared_data: Path, tmp_path: Path) -> Iterator[Store]:
    names = {f"AzureLLMInferenceTrace_{name}.csv.gz": name for name in ("code", "conv")}
    files = [shared_data / "azure-llm-2023" / name for name in names]
    options = TraceOptions(region="us_east", tier="interactive_fast", model=names)
    with open_store(tmp_path / "azure.duckdb") as store:
        ingest(files, store=store, name="azure", options=options)
        yield store


def test_azure_code_is_bursty_and_conversation_is_nearly_random(azure: Store) -> None:
    gaps = {row["model"]: row for row in burstiness.gap_cv(burstiness.gaps_by_hour(azure, "azure")).to_dicts()}
    assert gaps["conv"]["gap_mean_s"] == pytest.approx(1 / 5.53, rel=0.01)
    assert gaps["conv"]["gap_cv"] == pytest.approx(1.08, abs=0.03)
    assert gaps["code"]["gap_cv"] > 5  # one silence of 217 s, and arrivals in bursts between silences
    counts = burstiness.dispersion(burstiness.counts_by_scale(azure, "azure", by=("model",)))
    code, conv = (by_scale(counts.filter(model=name), "dispersion") for name in ("code", "conv"))
    assert all(code[scale_s] > 2 * conv[scale_s] for scale_s in burstiness.SCALES_S)
