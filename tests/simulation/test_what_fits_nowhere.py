"""Requests larger than the KV room of every replica, on both engines and both kinds of sweep: shed, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, MIX, START, constant, demand, fleet
from workbench import simulation
from workbench.domain import Fleet, Policy
from workbench.simulation.latency import UNSERVED_S
from workbench.simulation.sweeps.variations import Variation
from workbench.tables import REQUESTS

REACTIVE = Policy(key="reactive", label="Reactive")
HOURS, ROOM = 3.0, 20_000.0
RPS = {BATCH: 0.2, FAST: 2.0}


def world() -> Fleet:
    """A fleet whose deferrable tier has an hour, so that deadlines fall into the run."""
    made = fleet(ready=6, kv_cache_tokens=ROOM)
    tiers = tuple(replace(tier, deadline_s=3600.0) if tier.key == BATCH else tier for tier in made.tiers)
    return replace(made, tiers=tiers)


def requests(*, too_long: float, seed: int = 1) -> pl.DataFrame:
    """Poisson arrivals of short requests, of which a share has a prompt that no replica has room for."""
    rng = np.random.default_rng(seed)
    frames = []
    for tier, rps in RPS.items():
        count = int(rps * HOURS * 3600)
        prompts = np.where(rng.random(count) < too_long, 30_000, 900)
        frames.append(
            pl.DataFrame(
                {
                    "arrived_at": pl.Series(np.sort(rng.random(count)) * HOURS * 3600 * 1e6).cast(pl.Duration("us"))
                    + START,
                    "region": ["east"] * count,
                    "model": ["m"] * count,
                    "tier": [tier] * count,
                    "input_tokens": prompts,
                    "output_tokens": [60] * count,
                }
            ).with_columns(app=pl.lit(None), tenant=pl.lit(None), cached_tokens=pl.lit(None))
        )
    return REQUESTS.conform(pl.concat(frames).sort("arrived_at"))


@pytest.mark.parametrize("too_long", [0.03, 0.10])
def test_both_engines_shed_the_same_requests(too_long: float) -> None:
    load = requests(too_long=too_long)
    fluid, replay = (
        simulation.run(load, fleet=world(), policy=REACTIVE, start=START, hours=HOURS, engine=engine, window_s=3600.0)
        for engine in ("fluid", "replay")
    )
    told = ["arrived", "shed", "missed_deadlines"]
    ours, theirs = (run.windows.sort("window_start", "tier").select("tier", *told) for run in (fluid, replay))
    assert ours["shed"].sum() > 100
    for column in ("arrived", "shed"):
        assert ours[column].to_list() == pytest.approx(theirs[column].to_list())
    batch = pl.col("tier") == BATCH
    assert ours.filter(batch)["missed_deadlines"].to_list() == pytest.approx(
        theirs.filter(batch)["missed_deadlines"].to_list(), abs=2.0
    )
    for run in (fluid, replay):
        assert any("were shed" in note for note in run.notes)
        fast = run.windows.filter(pl.col("tier") == FAST)
        balance = fast["arrived"].sum() - fast["served"].sum() - fast["shed"].sum()
        assert balance == pytest.approx(fast.sort("window_start")["backlog"][-1], abs=1e-6)
        assert (fast["slo_attainment_fraction"] <= 1.0 - 0.5 * too_long).all()
        assert (fast["ttft_p95_s"] > 0.9 * UNSERVED_S).all() == (too_long > 0.05)
        assert fast["itl_mean_s"].max() < 1.0
    means = [run.windows.filter(pl.col("tier") == FAST)["ttft_mean_s"].to_numpy() for run in (fluid, replay)]
    assert means[0] == pytest.approx(means[1], rel=0.02)  # of ages, mostly


@pytest.mark.parametrize("engine", ["fluid", "lanes"])
def test_a_sweep_counts_them_as_a_run_does(engine: str) -> None:
    load, there = requests(too_long=0.03), world()
    run = simulation.run(load, fleet=there, policy=REACTIVE, start=START, hours=HOURS)
    swept = simulation.run_many(
        load, fleet=there, policy=REACTIVE, variations=[Variation(), Variation(load=2.0)], start=START, hours=HOURS,
        engine=engine, step_s=10.0,
    )  # fmt: skip
    whole = run.windows.group_by("tier").agg(pl.col("arrived", "shed", "missed_deadlines").sum()).sort("tier")
    for scenario, factor in ((0, 1.0), (1, 2.0)):
        tiers = swept.tiers.filter((pl.col("scenario") == scenario) & pl.col("tier").is_in(whole["tier"])).sort("tier")
        tiers = tiers.join(whole.select("tier"), on="tier")
        for column in ("arrived", "shed"):
            found = dict(tiers.select("tier", column).iter_rows())
            expected = dict(whole.select("tier", column).iter_rows())
            assert found == pytest.approx({tier: factor * count for tier, count in expected.items()}, rel=1e-4)
    first = swept.tiers.filter((pl.col("scenario") == 0) & (pl.col("tier") == FAST)).row(0, named=True)
    judged = run.windows.filter(pl.col("tier") == FAST)
    kept = (judged["slo_attainment_fraction"] * judged["arrived"]).sum() / judged["arrived"].sum()
    assert first["slo_attainment_fraction"] == pytest.approx(kept, abs=2e-3)
    assert first["arrived"] == pytest.approx(first["served"] + first["shed"] + first["backlog"])


def test_demand_that_is_too_long_on_average_is_shed_in_its_hours_alone() -> None:
    long = replace(MIX, input_tokens=30_000.0)
    load = pl.concat(
        [
            constant(1.0, 1.0),
            demand({("east", "m", FAST): [1.0] * 60}, mix=long).with_columns(
                pl.col("window_start") + timedelta(hours=1)
            ),
        ]
    )
    run = simulation.run(load, fleet=world(), policy=REACTIVE, start=START, hours=2.0, window_s=3600.0)
    fast = run.windows.filter(pl.col("tier") == FAST).sort("window_start")
    assert fast["shed"].to_list() == pytest.approx([0.0, 3600.0])
    assert fast["arrived"].to_list() == pytest.approx([3600.0, 3600.0])


def test_what_is_shed_of_a_load_without_any_is_nothing() -> None:
    laid = simulation.lay_out(constant(1.0, 1.0), fleet=world(), start=START, hours=1.0)
    assert laid.shed_rps.shape[0] == 0
    assert laid.times(2.0).shed_rps.shape[0] == 0
