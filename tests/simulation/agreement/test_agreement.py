"""workbench.simulation.agreement: measures by hand, the shape of what is told, and how it goes wrong."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.simulation.agreement_cases import drawn, peaking
from tests.simulation.simulation_cases import BATCH, FAST, START, constant, fleet
from workbench import simulation
from workbench.errors import SimulationError
from workbench.results import SimRun
from workbench.simulation import agreement
from workbench.simulation.agreement.trials import STILL

HOUR = timedelta(hours=1)
RUN = SimRun(
    strategy="hand",
    windows=pl.DataFrame(
        {
            "window_start": [START, START + HOUR, START],
            "tier": [FAST, FAST, BATCH],
            "arrived": [30.0, 10.0, 50.0],
            "served": [30.0, 10.0, 20.0],
            "shed": [0.0, 1.0, 2.0],
            "ttft_mean_s": [1.0, 2.0, None],
            "itl_mean_s": [0.1, 0.3, 9.0],
            "slo_attainment_fraction": [1.0, 0.5, 0.0],
            "is_saturated": [False, True, True],
        }
    ),
    pools=pl.DataFrame(
        {
            "window_start": [START, START],
            "ready": [1.0, 3.0],
            "running": [4.0, 8.0],
            "gpu_hours": [1.0, 2.0],
            "kv_cache_used_fraction": [0.8, 0.4],
        }
    ),
    ttft=pl.DataFrame(
        {
            "window_start": [START, START + HOUR],
            "ttft_low_s": [1.0, 4.0],
            "ttft_high_s": [4.0, 16.0],
            "requests": [50.0, 50.0],
        }
    ),
    scaling=pl.DataFrame(),
    start=START,
    end=START,
    window_s=300.0,
    step_s=10.0,
)


def test_measures_by_hand() -> None:
    found = agreement.measures(RUN, fleet())
    assert set(found) == set(agreement.MEASURES)
    assert found["kv_cache_used_fraction"] == pytest.approx((0.8 + 3 * 0.4) / 4)
    assert (found["running"], found["gpu_hours"]) == (12.0, 3.0)
    assert found["ttft_mean_s"] == pytest.approx((30 * 1.0 + 10 * 2.0) / 40)
    assert found["itl_mean_s"] == pytest.approx((30 * 0.1 + 10 * 0.3) / 40)
    assert found["slo_attainment_fraction"] == pytest.approx((30 + 5) / 40)
    assert (found["deferrable_served"], found["shed"]) == (20.0, 3.0)
    assert found["ttft_p50_s"] == pytest.approx(4.0), "half of them lie in the first bin"
    assert found["ttft_p95_s"] == pytest.approx(4.0 * 4.0**0.9), "nine tenths of the way through the second, in logs"
    assert agreement.is_saturated(RUN, fleet()), "10 of 40 interactive arrivals"


def test_what_lies_before_an_instant_is_left_out() -> None:
    late = agreement.measures(RUN, fleet(), since=START + HOUR)
    assert (late["ttft_mean_s"], late["shed"], late["deferrable_served"]) == (2.0, 1.0, 0.0)
    assert late["ttft_p50_s"] == pytest.approx(8.0), "half way through the second hour's bin"
    within = agreement.measures(RUN, fleet(), since=START + HOUR / 2)
    assert within["ttft_p50_s"] == pytest.approx(4.0), "the first hour ends after it"


def test_both_engines_are_told_about_the_same_requests() -> None:
    requests = drawn({FAST: peaking(0.6)[:60], BATCH: peaking(0.2)[:60]}, 4, "chat", 1.0, 5)
    told: list[float] = []
    asked: dict[str, Any] = {"fleet": fleet(), "policy": STILL, "start": START, "hours": 1.0}
    rows = agreement.compare(requests, **asked, progress=told.append)
    assert rows.get_column("measure").to_list() == list(agreement.MEASURES)
    by_measure = {row["measure"]: row for row in rows.iter_rows(named=True)}
    replay = simulation.run(requests, **asked, engine="replay")
    assert by_measure["gpu_hours"]["replay"] == pytest.approx(replay.pools.get_column("gpu_hours").sum())
    for row in by_measure.values():
        assert row["difference"] == pytest.approx(row["fluid"] - row["replay"])
    p95 = by_measure["ttft_p95_s"]
    assert p95["relative_error"] == pytest.approx(p95["difference"] / p95["replay"])
    assert by_measure["slo_attainment_fraction"]["relative_error"] is None, "points are told, not their share"
    assert by_measure["shed"]["relative_error"] is None, "of nought there is no share"
    assert not p95["is_saturated"]
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert rows.equals(agreement.compare(requests, **asked))


def test_nothing_that_came_has_no_latency() -> None:
    requests = drawn({BATCH: peaking(0.3)[:60]}, 2, "chat", 1.0, 5)
    rows = agreement.compare(requests, fleet=fleet(ready=2), policy=STILL, start=START, hours=1.0)
    empty = rows.filter(pl.col("fluid").is_null()).get_column("measure").to_list()
    assert empty == [name for name in agreement.MEASURES if name.startswith(("ttft", "itl", "slo"))]


def test_a_pool_that_is_asked_for_too_much_says_so() -> None:
    requests = drawn({FAST: 1.3 * peaking(1.0)[:60] / peaking(1.0)[:60]}, 2, "chat", 1.0, 5)
    rows = agreement.compare(requests, fleet=fleet(ready=2), policy=STILL, start=START, hours=1.0)
    assert rows.get_column("is_saturated").all()


def test_an_error_map_has_a_row_for_every_cell() -> None:
    told: list[float] = []
    grid: dict[str, Any] = {"loads": (0.3, 0.6), "replicas": (1, 4), "cv_squares": (1.0, 4.0), "least_requests": 2000}
    table = agreement.error_map(fleet(), **grid, progress=told.append)
    assert table.height == len(told) == 8
    cells = table.select("cv_square", "replicas", "load_fraction").rows()
    assert len(set(cells)) == 8
    assert table.get_column("load_fraction").unique().sort().to_list() == [0.3, 0.6]
    assert {f"{name}_error" for name in agreement.MEASURES} - set(table.columns) == {
        "deferrable_served_error",
        "shed_error",
    }
    assert (table.get_column("gpu_hours_error") == 0.0).all()
    assert table.filter(pl.col("cv_square") == 4.0).get_column("dispersion").min() > 2.0
    assert table.equals(agreement.error_map(fleet(), **grid))
    assert not table.equals(agreement.error_map(fleet(), **grid, seed=8))


def test_lengths_of_requests_are_used_where_there_are_any() -> None:
    requests = drawn({FAST: peaking(0.3)[:60]}, 2, "long", 1.0, 5)
    grid: dict[str, Any] = {"loads": (0.3,), "replicas": (2,), "least_requests": 500}
    long = agreement.error_map(fleet(), requests=requests, **grid)
    assert long.get_column("ttft_p95_s").item() > agreement.error_map(fleet(), **grid).get_column("ttft_p95_s").item()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"model": "absent"}, "no absent on any GPU"),
        ({"loads": ()}, "one of the lists is empty"),
        ({"loads": (-0.1,)}, "some load"),
        ({"loads": (math.nan,)}, "some load"),
        ({"replicas": (0,)}, "some load"),
    ],
)
def test_what_cannot_be_mapped_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(SimulationError, match=why):
        agreement.error_map(fleet(), **wrong)


def test_sums_cannot_be_compared() -> None:
    with pytest.raises(SimulationError, match="single requests"):
        agreement.compare(constant(1.0, 1.0), fleet=fleet(), policy=STILL, start=START, hours=1.0)
