"""workbench.simulation.agreement.trust: which windows the promise covers, by hand and on a day of the fluid engine."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from tests.simulation.agreement_cases import day
from tests.simulation.simulation_cases import MIX, START, fleet, replica
from workbench import performance, simulation
from workbench.results import SimRun
from workbench.simulation.agreement import trust
from workbench.simulation.agreement.trials import STILL

LIMIT = performance.max_rps(replica(), MIX) * performance.work_s(replica(), MIX)


def run_of(ready: list[float], work: list[float], running: list[float]) -> SimRun:
    pools = pl.DataFrame(
        {
            "window_start": [START] * len(ready),
            "region": "east",
            "model": "m",
            "gpu": "h100",
            "silo": "shared",
            "ready": ready,
            "running": running,
            "waiting": [0.0] * len(ready),
            "work_fraction": work,
        }
    )
    empty = pl.DataFrame()
    return SimRun(
        strategy="hand",
        windows=empty,
        pools=pools,
        ttft=empty,
        scaling=empty,
        start=START,
        end=START,
        window_s=300.0,
        step_s=10.0,
    )


def test_small_full_and_idle_pools_by_hand() -> None:
    run = run_of([3.9, 4.0, 4.0, 0.0], [0.1, 0.8 * LIMIT, 0.91 * LIMIT, 0.0], [10.0, 60.0, 30.0, 0.0])
    seen = trust.trusted(run, fleet())
    assert seen.get_column("why").to_list() == [trust.FEW, "", trust.FULL, ""]
    assert seen.get_column("load_fraction").to_list() == pytest.approx([0.1 / LIMIT, 0.8, 0.91, 0.0])
    assert trust.trusted_fraction(run, fleet()) == pytest.approx(0.6)


def test_replicas_that_a_few_long_requests_fill_are_not_covered() -> None:
    # room for 19 mean requests, and prompts of mean square twice the square of their mean
    mix = dataclasses.replace(
        MIX, input_tokens=1500.0, output_tokens=300.0, input_square_ratio=2.0, output_square_ratio=1.0, cross_ratio=1.0
    )
    cramped = dataclasses.replace(replica(), kv_cache_tokens=19.0 * mix.kv_reserved_tokens)
    assert trust.long_requests(cramped, mix) == pytest.approx(9.5)
    world = dataclasses.replace(fleet(mix=mix), replicas=(cramped,))
    run = run_of([8.0], [0.1], [10.0])
    assert trust.trusted(run, world).get_column("why").to_list() == [trust.CRAMPED]
    roomy = dataclasses.replace(cramped, kv_cache_tokens=20.0 * mix.kv_reserved_tokens)
    assert trust.trusted_fraction(run, dataclasses.replace(world, replicas=(roomy,))) == 1.0


def test_clumped_arrivals_are_not_covered() -> None:
    run = run_of([8.0], [0.5], [10.0])
    clumped = fleet(mix=dataclasses.replace(MIX, dispersion=4.0))
    assert trust.trusted(run, clumped).get_column("why").to_list() == [trust.CLUMPED]
    assert trust.trusted_fraction(run, clumped) == 0.0
    assert trust.trusted_fraction(run_of([8.0], [0.0], [0.0]), clumped) == 1.0


def test_a_day_below_the_limit_is_covered_and_one_above_it_is_not_at_its_peak() -> None:
    for peak, covered in ((0.8, True), (1.0, False)):
        case = day(4, peak)
        run = simulation.run(case.requests, fleet=case.fleet, policy=STILL, start=START, hours=case.hours)
        seen = trust.trusted(run, case.fleet)
        assert (seen.get_column("is_trusted").all()) is covered
        assert seen.get_column("load_fraction").max() == pytest.approx(peak, rel=0.1)
        assert (trust.trusted_fraction(run, case.fleet) == 1.0) is covered
