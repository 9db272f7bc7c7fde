"""Charts of simulated strategies: sums over pools, means weighted by replicas, percentiles that are not invented."""

from __future__ import annotations

import polars as pl
import pytest

from tests.charts.chart_cases import SOURCE, at, pools
from workbench.charts import simulations

WINDOWS = pl.DataFrame(
    {
        "window_start": [at(0), at(0), at(5), at(5)],
        "region": ["us_east", "us_west", "us_east", "us_west"],
        "model": "a",
        "tier": "interactive_fast",
        "backlog": [1.0, 2.0, 3.0, 4.0],
        "ttft_mean_s": [0.2, 0.3, 0.2, 9.0],
        "ttft_p95_s": [0.5, 0.8, 0.5, None],
        "is_saturated": [False, False, False, True],
    }
)
HISTOGRAM = pl.DataFrame(
    {
        "window_start": [at(0), at(0), at(60)],
        "tier": "interactive_fast",
        "model": "a",
        "ttft_high_s": [0.1, 1.0, 10.0],
        "requests": [50.0, 30.0, 20.0],
    }
)


def test_replicas_and_gpus_of_each_strategy() -> None:
    runs = {"reactive": pools(), "lt_i": pools().with_columns(pl.col("ready") / 2)}
    plan = pl.DataFrame({"window_start": [at(0), at(60)], "model": "a", "region": "us_east", "replicas": [3, 5]})
    figure = simulations.replicas_by_strategy(runs, source=SOURCE, plan=plan, labels={"lt_i": "LT-I"})
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn == {"reactive": [8.0, 8.0], "LT-I": [4.0, 4.0], "plan at the start": [3, 5, 5]}
    held = simulations.replicas_by_strategy(runs, source=SOURCE, measure="gpus", model="a", plan=plan)
    assert [list(trace.y) for trace in held.data] == [[16.0, 32.0]] * 2
    assert held.layout.yaxis.title.text == "GPUs held"


def test_one_frame_with_a_strategy_column_is_the_same() -> None:
    together = pools().with_columns(strategy=pl.lit("reactive"))
    alone = simulations.replicas_by_strategy(together, source=SOURCE)
    assert [list(trace.y) for trace in alone.data] == [[8.0, 8.0]]


def test_signals_are_weighted_by_ready_replicas() -> None:
    figure = simulations.signals_over_time(pools(), source=SOURCE, thresholds={"scale out": 0.7})
    drawn = {trace.name: [round(value, 9) for value in trace.y] for trace in figure.data}
    assert drawn == {"KV cache": [10.0, 30.0], "batch slots": [20.0, 20.0], "work": [50.0, 50.0]}
    assert any(note.text == "scale out 70%" for note in figure.layout.annotations)


def test_a_saturated_window_has_a_cross_and_no_percentile() -> None:
    line, crosses = simulations.ttft_over_time(WINDOWS, source=SOURCE, promise_s=1.0).data
    assert list(line.y) == [0.8, None]
    assert (list(crosses.x), list(crosses.y)) == ([at(5)], [9.0])
    assert "saturated" in crosses.name


def test_latency_of_nothing_says_so() -> None:
    figure = simulations.ttft_over_time(WINDOWS, source=SOURCE, tier="none")
    assert not figure.data


def test_backlog_adds_up_the_tiers_that_wait() -> None:
    (line,) = simulations.backlog_over_time({"reactive": WINDOWS}, source=SOURCE, tiers=["interactive_fast"]).data
    assert list(line.y) == [3.0, 7.0]
    assert not simulations.backlog_over_time({"reactive": WINDOWS}, source=SOURCE, tiers=[]).data


def test_the_distribution_is_cumulative_and_ends_at_everything() -> None:
    (line,) = simulations.ttft_distribution({"reactive": HISTOGRAM}, source=SOURCE, promise_s=1.0).data
    assert (list(line.x), list(line.y)) == ([0.1, 1.0, 10.0], [50.0, 80.0, 100.0])
    (later,) = simulations.ttft_distribution({"reactive": HISTOGRAM}, source=SOURCE, since=at(60)).data
    assert list(later.y) == [100.0]
    assert not simulations.ttft_distribution({"reactive": HISTOGRAM}, source=SOURCE, tier="none").data


def test_scaling_has_a_bar_per_kind_that_happened() -> None:
    events = pl.DataFrame({"window_start": [at(0)] * 3, "kind": ["in", "reclaim", "in"], "replicas": [1.0, 2.0, 3.0]})
    figure = simulations.scaling_events({"reactive": events, "lt_i": events.head(0)}, source=SOURCE)
    assert {bar.name: list(bar.y) for bar in figure.data} == {"start, same model": [2.0], "scale in": [4.0]}
    assert not simulations.scaling_events({}, source=SOURCE).data


@pytest.mark.parametrize("measure", ["replicas", "gpus"])
def test_units_stand_on_the_axis(measure: str) -> None:
    figure = simulations.replicas_by_strategy({"reactive": pools()}, source=SOURCE, measure=measure)
    assert figure.layout.yaxis.title.text in {"replicas ready to serve", "GPUs held"}
    assert figure.layout.xaxis.title.text == "time (UTC)"
