"""workbench.simulation.replay.keeping: single requests on demand, with the times that the windows count."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from tests.simulation.replay.replay_cases import prepared, requests, run
from tests.simulation.replay.test_replay_engine import rush
from tests.simulation.replay.test_replay_reference import REGIONS, SCALING
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, fleet
from workbench import simulation
from workbench.errors import SimulationError
from workbench.tables import SIM_REQUESTS


def test_requests_are_kept_only_when_asked_for() -> None:
    load = rush()
    assert run(load, fleet(regions=REGIONS)).requests is None
    kept = run(load, fleet(regions=REGIONS), keep_requests=True).requests
    assert kept is not None
    assert SIM_REQUESTS.conform(kept).equals(kept)
    names = ("arrived_at", "region", "model", "tier", "input_tokens", "output_tokens")
    assert kept.select(names).equals(load.select(names))


def test_times_are_those_at_the_origin_and_outcomes_are_told() -> None:
    """An idle replica away: network, prefill and an iteration for each token; one too long; one that never ends."""
    world = fleet(regions=REGIONS, ready=1, kv_cache_tokens=60_000.0)
    away = dataclasses.replace(world, initial_replicas={("west", "m", "h100"): 1, ("east", "m", "h100"): 0})
    rows = [(1.0, 512, 1, FAST, "east"), (2.0, 70_000, 50, NORMAL, "west"), (3.0, 512, 50_000, FAST, "west")]
    never = dataclasses.replace(SCALING, release_one_below_fraction=0.0, release_two_below_fraction=0.0)
    still = dataclasses.replace(never, scale_out_above_fraction=1.0, scale_in_below_fraction=0.0, floor_replicas=0)
    still = dataclasses.replace(still, deferrable_ages_after_s=1e6)
    kept = run(requests([*rows, (4.0, 10, 10, BATCH, "west")]), away, still, hours=0.1, keep_requests=True).requests
    assert kept is not None
    assert kept["outcome"].to_list() == ["served", "shed", "inside", "queued"]
    assert kept["served_in"].to_list() == ["west", None, "west", None]
    prefill_s = 0.0299 + 512 * 55e-6
    assert kept["ttft_s"].to_list() == [
        pytest.approx(0.04 + prefill_s), None, pytest.approx(0.003 + prefill_s), None
    ]  # fmt: skip
    assert kept["e2e_s"].to_list() == [pytest.approx(0.04 + prefill_s), None, None, None]
    assert kept["wait_s"].to_list() == [0.0, None, 0.0, None]
    assert kept["itl_s"].null_count() == 4


def test_the_windows_count_what_the_requests_say() -> None:
    done = run(rush(), fleet(regions=REGIONS, ready=2), keep_requests=True)
    assert done.requests is not None
    here = (
        done.requests.filter(pl.col("tier") == FAST)
        .group_by("region")
        .agg(pl.len().alias("arrived"), pl.col("ttft_s").sum(), (pl.col("ttft_s") <= 1.0).mean().alias("kept"))
    )
    told = (
        done.windows.filter(pl.col("tier") == FAST)
        .group_by("region")
        .agg(
            pl.col("arrived").sum(),
            (pl.col("ttft_mean_s") * pl.col("arrived")).sum().alias("ttft_s"),
            (pl.col("slo_attainment_fraction") * pl.col("arrived")).sum() / pl.col("arrived").sum(),
        )
    )
    for found, expected in zip(told.sort("region").rows(), here.sort("region").rows(), strict=True):
        assert found == pytest.approx(expected)


def test_times_inside_the_pool_lack_the_network() -> None:
    made, *_, steps = prepared(rush(), fleet(regions=REGIONS, ready=2), keep_requests=True)
    made(0, steps)
    inside, outside = made.latencies(), made.requests()
    assert inside is not None
    assert outside is not None
    assert set((outside["ttft_s"] - inside["ttft_s"]).drop_nulls().round(9)) <= {0.003, 0.04}
    assert inside["wait_s"].equals(outside["wait_s"])


def test_the_fluid_engine_has_no_single_requests() -> None:
    with pytest.raises(SimulationError, match="keep_requests needs engine 'replay'"):
        simulation.run(rush(), fleet=fleet(regions=REGIONS), policy=SCALING, start=START, hours=0.5, keep_requests=True)
