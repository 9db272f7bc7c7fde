"""workbench.scoring: cards, effort, service and latencies: percentiles of mixtures, savings against hand-worked runs.

Covers workbench.scoring.cards, workbench.scoring.effort, workbench.scoring.service and workbench.scoring.latencies.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import BATCH, FAST, START, allocation, constant, demand, fleet, tiers
from workbench import scoring, simulation
from workbench.domain import Policy
from workbench.results import Scorecard, SimRun
from workbench.scoring.latencies import weighted_percentiles
from workbench.tables import TTFT_HISTOGRAM

REACTIVE = Policy(key="reactive", label="Reactive")
STILL = Policy(key="still", label="Fixed fleet", scale_out_above_fraction=1.0, scale_in_below_fraction=0.0)


def histogram(*counts: tuple[float, float, float]) -> pl.DataFrame:
    """Rows of (low, high, requests)."""
    rows = [
        {
            "window_start": START,
            "region": "east",
            "model": "m",
            "tier": FAST,
            "ttft_low_s": low,
            "ttft_high_s": high,
            "requests": count,
        }
        for low, high, count in counts
    ]
    return TTFT_HISTOGRAM.conform(pl.DataFrame(rows, schema_overrides=TTFT_HISTOGRAM.schema))


def card(runs: dict[str, SimRun], *, baseline: str, warmup_hours: float = 0.0) -> Scorecard:
    return scoring.score(
        runs, tiers=tiers(), baseline=baseline, labels={key: key for key in runs}, warmup_hours=warmup_hours
    )


def test_percentile_interpolates_inside_its_bin_on_the_log_scale() -> None:
    frame = histogram((1.0, 4.0, 80.0), (4.0, 16.0, 20.0))
    median, high = scoring.percentiles(frame, [0.4, 0.9])
    assert median == pytest.approx(2.0)  # halfway through 1-4 on the log scale
    assert high == pytest.approx(8.0)


def test_percentile_of_no_requests_is_unknown() -> None:
    assert scoring.percentiles(TTFT_HISTOGRAM.empty(), [0.5, 0.95]) == [None, None]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0.1, 1e5)), min_size=1, max_size=30))
def test_percentiles_grow_with_their_level_and_lie_in_the_bins(cells: list[tuple[int, float]]) -> None:
    frame = histogram(*((1.1**place, 1.1 ** (place + 1), count) for place, count in cells))
    found = scoring.percentiles(frame, [0.05, 0.5, 0.95, 0.99])
    values = [value for value in found if value is not None]
    assert values == sorted(values)
    assert min(values) >= frame.get_column("ttft_low_s").min() * (1 - 1e-9)
    assert max(values) <= frame.get_column("ttft_high_s").max() * (1 + 1e-9)


def test_the_same_histogram_has_the_same_percentiles_to_the_last_bit(rng: np.random.Generator) -> None:
    """Threads that each sum a part of the rows would add them up in the order in which they happen to finish."""
    low_s = rng.integers(1, 60, 30_000) / 8.0
    frame = pl.DataFrame(
        {"ttft_low_s": low_s, "ttft_high_s": low_s + 0.125, "requests": rng.lognormal(0.0, 3.0, 30_000)}
    )
    assert len({tuple(scoring.percentiles(frame, [0.5, 0.9])) for _ in range(20)}) == 1


def test_a_mixture_is_not_a_mean_of_percentiles() -> None:
    """Nine quiet hours at 1-2 s and one busy hour at 10-20 s that holds half of all requests."""
    quiet, busy = histogram((1.0, 2.0, 100.0)), histogram((10.0, 20.0, 100.0))
    (of_all,) = scoring.percentiles(pl.concat([quiet, busy]), [0.95])
    assert of_all == pytest.approx(10.0 * 2.0**0.9)


def test_savings_and_costs_are_counted_against_the_baseline() -> None:
    load = constant(0.5, 2.0)
    runs = {
        key: simulation.run(load, fleet=fleet(ready=count, lent=10 - count), policy=STILL, start=START, hours=2.0)
        for key, count in (("many", 8), ("few", 6))
    }
    totals = card(runs, baseline="many").totals
    many, few = totals.to_dicts()
    assert (many["gpu_hours"], few["gpu_hours"]) == (pytest.approx(128.0), pytest.approx(96.0))
    assert few["gpu_hours_saved_fraction"] == pytest.approx(0.25)
    assert few["cost_saved_usd"] == pytest.approx(320.0)
    assert few["lent_gpu_hours"] == pytest.approx(64.0)
    assert few["lent_usd"] == pytest.approx(640.0)  # at the ten dollars that those held cost
    assert few["gpu_hours_saved_low_fraction"] is None  # two hours are no two days
    assert many["waste_saved_fraction"] is None  # nothing is wasted, so no share of it can be saved
    assert totals.get_column("keeps_service").to_list() == [True, True]


def test_a_saving_over_days_has_an_interval_and_people_see_it() -> None:
    load = constant(0.5, 50.0, window_s=3600.0)
    runs = {
        key: simulation.run(load, fleet=fleet(ready=count), policy=STILL, start=START, hours=50.0)
        for key, count in (("many", 8), ("few", 6))
    }
    found = card(runs, baseline="many", warmup_hours=2.0)
    _, few = found.totals.to_dicts()
    assert few["gpu_hours_saved_low_fraction"] == pytest.approx(0.25)  # every day is as the other
    assert few["gpu_hours_saved_high_fraction"] == pytest.approx(0.25)
    shown = scoring.tables_of(found, tiers())["Effort and money"]
    assert shown.get_column("interval over days, %").to_list() == ["0.0 to 0.0", "25.0 to 25.0"]
    assert shown.get_column("worth at most, USD").to_list() == found.totals.get_column("lent_usd").to_list()
    assert scoring.interval_column(found.totals.drop("gpu_hours_saved_low_fraction")) == []


def test_gaps_between_tokens_are_counted_by_arrivals() -> None:
    windows = pl.DataFrame({"itl_mean_s": [0.03, 0.01, None, 0.02], "arrived": [1.0, 6.0, 50.0, 3.0]})
    assert weighted_percentiles(windows, "itl_mean_s", [0.5, 0.6, 0.75, 0.95]) == [0.01, 0.01, 0.02, 0.03]
    assert weighted_percentiles(windows.clear(), "itl_mean_s", [0.5]) == [None]
    run = simulation.run(constant(2.0, 2.0), fleet=fleet(ready=4), policy=STILL, start=START, hours=2.0)
    row = card({"x": run}, baseline="x").tiers.filter(pl.col("tier") == FAST).row(0, named=True)
    assert 0 < row["itl_p50_s"] <= row["itl_p95_s"] <= row["itl_p99_s"]


def test_a_strategy_that_breaks_promises_does_not_keep_service() -> None:
    load = constant(30.0, 2.0)
    runs = {
        key: simulation.run(load, fleet=fleet(ready=count), policy=STILL, start=START, hours=2.0)
        for key, count in (("enough", 12), ("short", 3))
    }
    found = card(runs, baseline="enough")
    assert found.totals.get_column("keeps_service").to_list() == [True, False]
    short = found.tiers.filter((pl.col("strategy") == "short") & (pl.col("tier") == FAST)).row(0, named=True)
    assert short["slo_attainment_fraction"] < 0.1
    assert short["ttft_p95_s"] > 600.0  # those still waiting at the end are in it
    assert short["saturated_fraction"] > 0.9
    assert short["backlog"] > 0


def test_work_put_off_is_not_service_kept() -> None:
    """The same fleet, but one strategy never releases what may wait: no deadline falls into the span, work is left."""
    load = demand({("east", "m", FAST): [2.0] * 120, ("east", "m", BATCH): [2.0] * 120})
    lazy = Policy(key="lazy", label="Lazy", release_one_below_fraction=0.0, release_two_below_fraction=0.0)
    runs = {
        policy.key: simulation.run(load, fleet=fleet(ready=4), policy=policy, start=START, hours=2.0)
        for policy in (REACTIVE, lazy)
    }
    found = card(runs, baseline="reactive")
    assert found.totals.get_column("keeps_service").to_list() == [True, False]
    assert scoring.worse_tiers(found.tiers, "reactive").rows() == [("lazy", BATCH)]


def test_every_arrival_is_in_the_percentiles_the_unfinished_too() -> None:
    run = simulation.run(constant(30.0, 1.0), fleet=fleet(ready=1), policy=STILL, start=START, hours=1.0)
    tier = card({"x": run}, baseline="x").tiers.filter(pl.col("tier") == FAST).row(0, named=True)
    assert run.ttft.get_column("requests").sum() == pytest.approx(tier["arrived"])
    assert tier["served"] + tier["backlog"] == pytest.approx(tier["arrived"])


def test_warm_up_counts_for_nobody() -> None:
    rates = [20.0] * 60 + [1.0] * 120
    run = simulation.run(
        demand({("east", "m", FAST): rates}), fleet=fleet(ready=4), policy=STILL, start=START, hours=3.0
    )
    whole = card({"x": run}, baseline="x").tiers.filter(pl.col("tier") == FAST)
    late = card({"x": run}, baseline="x", warmup_hours=2.0).tiers.filter(pl.col("tier") == FAST)
    assert whole.get_column("slo_attainment_fraction")[0] < 0.5
    assert late.get_column("arrived")[0] == pytest.approx(3600.0)
    assert late.get_column("slo_attainment_fraction")[0] > 0.9


def test_deferrable_attainment_is_the_share_of_deadlines_kept() -> None:
    load = demand({("east", "m", BATCH): [0.5] * 26 * 6}, window_s=600.0)
    kept = simulation.run(load, fleet=fleet(ready=2), policy=REACTIVE, start=START, hours=26.0)
    tier = card({"x": kept}, baseline="x").tiers.filter(pl.col("tier") == BATCH).row(0, named=True)
    assert tier["slo_attainment_fraction"] == pytest.approx(1.0)
    assert tier["ttft_p95_s"] is None
    short = simulation.run(load, fleet=fleet(ready=2), policy=REACTIVE, start=START, hours=23.0)
    unknown = card({"x": short}, baseline="x").tiers.filter(pl.col("tier") == BATCH).row(0, named=True)
    assert unknown["slo_attainment_fraction"] is None  # no deadline falls into the span


def test_effort_counts_starts_and_refusals_since_an_instant() -> None:
    run = simulation.run(constant(30.0, 2.0), fleet=fleet(ready=2, lent=1), policy=REACTIVE, start=START, hours=2.0)
    effort = scoring.effort(run, START)
    assert effort["starts"] == 1.0
    assert effort["refused_starts"] > 0
    assert scoring.effort(run, START + timedelta(hours=1))["starts"] == 0.0


@pytest.mark.parametrize("engine", ["fluid", "replay"])
def test_waste_is_told_by_kind_of_start(engine: str) -> None:
    """Two become five at once: eight lent GPUs in a minute, eight of another model in ten, eight more in two hours."""
    plan = plan_of(allocation([{("east", "m"): 5, ("east", "other"): 2}] * 3))
    rows = [(60.0 * at, 100, 10, FAST, "east") for at in range(180)]
    run = simulation.run(
        requests(rows),
        fleet=fleet(models=("m", "other"), ready=2, lent=1, free_gpus=8),
        policy=Policy(key="lt_i", label="LT-I", follow_plan="at_once"),
        start=START,
        hours=3.0,
        plan=plan,
        engine=engine,
    )
    effort = scoring.effort(run, START)
    by_kind = [effort[f"waste_{kind}_gpu_hours"] for kind in ("reclaim", "swap", "remote")]
    assert by_kind == pytest.approx([8 / 60, 8 * 10 / 60, 8 * 2.0])
    assert sum(by_kind) == pytest.approx(effort["waste_gpu_hours"])
    assert effort["starts"] == 3.0


def test_nothing_started_is_nothing_wasted_of_any_kind() -> None:
    run = simulation.run(constant(1.0, 1.0), fleet=fleet(), policy=STILL, start=START, hours=1.0)
    effort = scoring.effort(run, START)
    assert {effort[key] for key in effort if key.startswith("waste")} == {0.0}


def test_tables_for_reading_show_percent_and_promises() -> None:
    run = simulation.run(constant(1.0, 1.0), fleet=fleet(), policy=REACTIVE, start=START, hours=1.0)
    shown = scoring.tables_of(card({"reactive": run}, baseline="reactive"), tiers())
    effort, service = shown.values()
    assert effort.get_column("saved vs reactive, %").to_list() == [0.0]
    promises = dict(service.select("tier", "promise").iter_rows())
    assert promises == {FAST: "TTFT 1 s", "interactive_normal": "TTFT 60 s", BATCH: "by 24 h"}
    assert service.filter(pl.col("tier") == FAST).get_column("kept, %")[0] > 95.0
