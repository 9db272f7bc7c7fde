"""Sweeps on the scalar fluid simulator: they are the runs one by one, and what they refuse.

Covers workbench.simulation.sweeps.sweeping, workbench.simulation.sweeps and workbench.simulation.sweeps.variations.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta

import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, MIX, NORMAL, START, constant, demand, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import ScenarioError, SimulationError
from workbench.simulation.sweeps import SWEEP, SWEEP_POOLS, SWEEP_TIERS, Sweep
from workbench.simulation.sweeps.variations import Variation, fleet_of

REACTIVE = Policy(key="reactive", label="Reactive")
STILL = Policy(key="still", label="fixed fleet", scale_out_above_fraction=1.0, scale_in_below_fraction=0.0)
LOAD = demand({("east", "m", FAST): [4.0, 9.0, 1.0] * 40, ("east", "m", BATCH): [3.0] * 120})


def sweep(*variations: Variation, policy: Policy = REACTIVE, hours: float = 2.0, **more: object) -> Sweep:
    arguments = {"fleet": fleet(ready=3, lent=3), "start": START, "by_pool": True} | more
    return simulation.run_many(LOAD, policy=policy, variations=variations, hours=hours, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["fluid", "lanes"])
def test_a_fixed_fleet_costs_its_replicas_times_hours_times_price(engine: str) -> None:
    """3 replicas of 8 GPUs for 2 hours at 10 USD: 480 USD; at 4 USD 192; 5 replicas 800."""
    varied = (Variation(), Variation(usd_per_gpu_hour=4.0), Variation(initial_replicas=5))
    found = sweep(*varied, policy=STILL, engine=engine, fleet=fleet(ready=3, free_gpus=16))
    assert found.scenarios.get_column("gpu_hours").to_list() == pytest.approx([48.0, 48.0, 80.0])
    assert found.scenarios.get_column("cost_usd").to_list() == pytest.approx([480.0, 192.0, 800.0])
    assert found.pools.get_column("ready").to_list() == pytest.approx([3.0, 3.0, 5.0])


def test_the_scenario_as_it_is_has_the_totals_of_a_run() -> None:
    found = sweep(Variation(), step_s=10.0)
    run = simulation.run(LOAD, fleet=fleet(ready=3, lent=3), policy=REACTIVE, start=START, hours=2.0, window_s=3600.0)
    row = found.scenarios.row(0, named=True)
    for column in ("gpu_hours", "waste_gpu_hours", "lent_gpu_hours", "cost_usd"):
        assert row[column] == pytest.approx(run.pools.get_column(column).sum())
    assert row["kv_cache_used_fraction"] == pytest.approx(run.pools.get_column("kv_cache_used_fraction").mean())
    fast = found.tiers.filter(pl.col("tier") == FAST).row(0, named=True)
    windows = run.windows.filter(pl.col("tier") == FAST)
    mean = (windows.get_column("ttft_mean_s") * windows.get_column("arrived")).sum() / windows.get_column(
        "arrived"
    ).sum()
    assert fast["ttft_mean_s"] == pytest.approx(mean)
    counts = run.ttft.filter(pl.col("tier") == FAST).group_by("ttft_high_s").agg(pl.col("requests").sum())
    below = counts.sort("ttft_high_s").with_columns(share=pl.col("requests").cum_sum() / pl.col("requests").sum())
    assert fast["ttft_p95_s"] <= below.filter(pl.col("share") >= 0.95).get_column("ttft_high_s").min()
    assert fast["ttft_p95_s"] == pytest.approx(
        below.filter(pl.col("share") >= 0.95).get_column("ttft_high_s").min(), rel=0.05
    )
    totals = run.windows.group_by("tier").agg(pl.col("arrived").sum(), pl.col("backlog").sort_by("window_start").last())
    assert found.tiers.select("tier", "arrived", "backlog").sort("tier").equals(totals.sort("tier"))


def test_a_variation_is_the_run_of_the_changed_world() -> None:
    """Twice the load of longer requests under another policy, against a run on frames changed by hand."""
    policy = dataclasses.replace(REACTIVE, scale_out_above_fraction=0.5, cooldown_s=300.0)
    found = sweep(
        Variation(load=0.5, load_by_model={"m": 2.0}, load_by_tier={FAST: 2.0}, output_tokens=1.5, policy=policy),
        step_s=10.0,
    )
    is_fast = pl.col("tier") == FAST
    load = LOAD.with_columns(
        requests=pl.col("requests") * pl.when(is_fast).then(2.0).otherwise(1.0),
        input_tokens=pl.col("input_tokens") * pl.when(is_fast).then(2.0).otherwise(1.0),
        output_tokens=pl.col("output_tokens") * pl.when(is_fast).then(2.0).otherwise(1.0) * 1.5,
    )
    mix = dataclasses.replace(MIX, output_tokens=1.5 * MIX.output_tokens)
    run = simulation.run(
        load, fleet=fleet(ready=3, lent=3, mix=mix), policy=policy, start=START, hours=2.0, window_s=3600.0
    )
    assert found.scenarios.get_column("gpu_hours")[0] == pytest.approx(run.pools.get_column("gpu_hours").sum())
    work = run.pools.get_column("work_fraction").mean()
    assert found.scenarios.get_column("work_fraction")[0] == pytest.approx(work)


@pytest.mark.parametrize("engine", ["fluid", "lanes"])
def test_a_stricter_promise_is_kept_less_often_by_the_same_fleet(engine: str) -> None:
    found = sweep(*(Variation(ttft_slo_s={FAST: limit}) for limit in (0.05, 0.2, 0.4, 5.0)), engine=engine)
    kept = found.tiers.filter(pl.col("tier") == FAST).get_column("slo_attainment_fraction").to_list()
    assert kept == sorted(kept)
    assert kept[0] < 0.2
    assert kept[3] == pytest.approx(1.0, abs=1e-3)
    assert found.scenarios.get_column("gpu_hours").n_unique() == 1


@pytest.mark.parametrize("engine", ["fluid", "lanes"])
def test_frames_have_their_tables(engine: str) -> None:
    found = sweep(Variation(), Variation(load=0.0), engine=engine)
    assert SWEEP.conform(found.scenarios).height == 2
    assert SWEEP_TIERS.conform(found.tiers).height == 6
    assert SWEEP_POOLS.conform(found.pools).height == 2
    nothing = found.tiers.filter((pl.col("scenario") == 1) & (pl.col("tier") == FAST)).row(0, named=True)
    assert (nothing["arrived"], nothing["ttft_p95_s"], nothing["slo_attainment_fraction"]) == (0.0, None, None)
    assert sweep(Variation(), by_pool=False, engine=engine).pools.is_empty()


def test_requests_are_summed_as_for_a_run() -> None:
    requests = pl.DataFrame(
        {
            "arrived_at": [START + timedelta(seconds=5 * i) for i in range(400)],
            "region": "east", "model": "m", "tier": NORMAL, "app": None, "tenant": None, "input_tokens": 1000,
            "output_tokens": 100, "cached_tokens": None,
        }
    )  # fmt: skip
    found = simulation.run_many(
        requests, fleet=fleet(), policy=STILL, variations=[Variation(load=2.0)], start=START, hours=1.0
    )
    assert found.tiers.get_column("arrived").to_list() == [0.0, 800.0, 0.0]


def test_progress_is_told_after_every_scenario() -> None:
    told: list[float] = []
    sweep(Variation(), Variation(load=2.0), hours=1.0, progress=told.append)
    assert told == [0.5, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"load": math.nan}, "load must be a number from 0 up, got nan"),
        ({"load": -1.0}, "load must be a number from 0 up, got -1.0"),
        ({"load_by_tier": {FAST: math.inf}}, f"load of {FAST} must be a number from 0 up, got inf"),
        ({"output_tokens": 0.0}, "output_tokens must be a number above 0, got 0.0"),
        ({"ttft_slo_s": {FAST: -1.0}}, f"ttft_slo_s of {FAST} must be a number above 0, got -1.0"),
        ({"usd_per_gpu_hour": -2.0}, "usd_per_gpu_hour must be a number from 0 up, got -2.0"),
        ({"initial_replicas": -1}, "initial_replicas must be a whole number from 0 up, got -1"),
    ],
)
def test_a_variation_refuses_what_describes_no_scenario(values: dict[str, object], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        Variation(**values)  # type: ignore[arg-type]


def test_several_mistakes_of_a_variation_are_told_together() -> None:
    with pytest.raises(SimulationError, match=r"(?s)load must be .*input_tokens must be"):
        Variation(load=-1.0, input_tokens=math.nan)


@pytest.mark.parametrize("engine", ["fluid", "lanes"])
@pytest.mark.parametrize(
    ("variations", "message"),
    [
        ((), "needs one variation or more and got none"),
        ((Variation(load_by_tier={"interactive_fst": 2.0}),), "did you mean 'interactive_fast'"),
        ((Variation(), Variation(policy=Policy(key="s", label="s", siloed=True))), "variation 1: policy s has other"),
    ],
)
def test_a_sweep_refuses_what_cannot_be_swept(variations: tuple[Variation, ...], message: str, engine: str) -> None:
    with pytest.raises(SimulationError, match=message):
        sweep(*variations, engine=engine)


def test_unknown_engines_missing_plans_and_bad_steps_are_refused() -> None:
    with pytest.raises(SimulationError, match="unknown engine 'lane' for a sweep: did you mean 'lanes'"):
        sweep(Variation(), engine="lane")
    with pytest.raises(SimulationError, match="follows a plan and got none"):
        sweep(Variation(), policy=Policy(key="i", label="i", follow_plan="at_once"))
    with pytest.raises(SimulationError, match="must be a whole number of steps"):
        sweep(Variation(), step_s=7.0)
    with pytest.raises(ScenarioError, match="stock"):
        sweep(Variation(initial_replicas=50))


def test_a_variation_of_nothing_leaves_the_fleet_as_it_is() -> None:
    world = fleet()
    assert fleet_of(world, Variation()) is world
    assert (
        simulation.run_many(
            constant(1.0, 1.0), fleet=world, policy=STILL, variations=[Variation()], start=START, hours=1.0
        ).scenarios.height
        == 1
    )
