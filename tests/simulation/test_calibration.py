"""workbench.simulation.calibration: what is measured, where it is applied, and where it is refused or told."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest

from tests.simulation import agreement_cases as cases
from tests.simulation.agreement_table import SHIFTS
from tests.simulation.simulation_cases import FAST, MIX, START, fleet
from workbench import simulation
from workbench.errors import SimulationError
from workbench.simulation import agreement, calibration
from workbench.simulation.agreement.trials import STILL
from workbench.simulation.calibration import Calibration, calibrate
from workbench.simulation.fluid import correcting

WORLD = fleet()
EVEN = tuple((1.0,) * correcting.SIZES.size for _ in correcting.LOADS)


def given(mean: float = 1.0, spread: float = 1.0, **other: Any) -> Calibration:
    """A calibration with the same two factors everywhere."""
    even = Calibration(
        replica=WORLD.replicas[0],
        mix=MIX,
        lengths_from="a test",
        seed=1,
        requests=1,
        mean_factor=tuple(tuple(mean * one for one in row) for row in EVEN),
        spread_factor=tuple(tuple(spread * one for one in row) for row in EVEN),
    )
    return dataclasses.replace(even, **other)


@pytest.fixture(scope="module")
def measured() -> Calibration:
    return calibrate(WORLD)


def run(with_: Calibration | list[Calibration] | None, world: Any = WORLD) -> simulation.SimRun:
    requests = cases.drawn({FAST: cases.peaking(0.7)[:120]}, 4, "chat", 1.0, 3)
    return simulation.run(requests, fleet=world, policy=STILL, start=START, hours=2.0, calibration=with_)


def measure(run_: simulation.SimRun, name: str) -> float:
    found = agreement.measures(run_, WORLD)[name]
    assert found is not None
    return found


def test_factors_of_one_change_nothing() -> None:
    alone, corrected = run(None), run(given())
    assert corrected.ttft.equals(alone.ttft)
    assert corrected.pools.equals(alone.pools)
    assert corrected.notes == alone.notes == ()


def test_the_mean_and_the_spread_are_scaled_as_asked() -> None:
    alone, network_s = run(None), 0.003
    longer = run(given(mean=2.0))
    for name in ("ttft_mean_s", "ttft_p50_s", "ttft_p95_s"):  # a time twice as long, all of it but the network
        assert measure(longer, name) - network_s == pytest.approx(2.0 * (measure(alone, name) - network_s), rel=0.03)
    narrow = run(given(spread=0.5))
    assert measure(narrow, "ttft_mean_s") == pytest.approx(measure(alone, "ttft_mean_s"))
    before, after = (measure(one, "ttft_p95_s") - measure(one, "ttft_mean_s") for one in (alone, narrow))
    assert after == pytest.approx(0.5 * before, rel=0.08)


def test_nothing_but_the_time_to_first_token_is_touched() -> None:
    alone, longer = run(None), run(given(mean=2.0))
    for name in ("kv_cache_used_fraction", "running", "gpu_hours", "itl_mean_s"):
        assert measure(longer, name) == measure(alone, name)


def test_a_calibration_says_what_it_was_made_from(measured: Calibration) -> None:
    assert measured.replica == WORLD.replicas[0]
    assert measured.requests > 1_000_000
    assert measured.mix.input_tokens == pytest.approx(MIX.input_tokens, rel=0.02)
    table = measured.frame()
    assert table.height == correcting.LOADS.size * correcting.SIZES.size
    assert table.select(pl.col("mean_factor", "spread_factor").is_between(0.5, 2.0).all()).row(0) == (True, True)
    assert table.filter((pl.col("load_fraction") == 0.35) & (pl.col("replicas") == 4)).row(0)[2:] == (
        measured.mean_factor[1][2],
        measured.spread_factor[1][2],
    )


@pytest.mark.slow
def test_the_same_seed_measures_the_same() -> None:
    told: list[float] = []
    first = calibrate(WORLD, least_requests=200, seed=3, progress=told.append)
    assert first == calibrate(WORLD, least_requests=200, seed=3)
    assert (len(told), told[-1]) == (36, 1.0)


def test_on_the_lengths_it_was_measured_with_it_is_nearer(measured: Calibration) -> None:
    grid: dict[str, Any] = {"replicas": (1, 4, 16), "loads": (0.6, 0.85), "seed": 99, "least_requests": 30_000}
    alone = agreement.error_map(WORLD, **grid).get_column("ttft_p95_s_error").abs()
    corrected = agreement.error_map(WORLD, **grid, calibration=measured).get_column("ttft_p95_s_error").abs()
    assert corrected.mean() < alone.mean()
    assert corrected.max() <= 0.10


@pytest.mark.parametrize(("prompts", "outputs"), [SHIFTS[1], SHIFTS[2], SHIFTS[5], SHIFTS[6]])
def test_on_other_lengths_it_holds_too(measured: Calibration, prompts: float, outputs: float) -> None:
    mix = dataclasses.replace(MIX, input_tokens=prompts * MIX.input_tokens, output_tokens=outputs * MIX.output_tokens)
    table = agreement.error_map(
        fleet(mix=mix), replicas=(4, 16), loads=(0.6, 0.85), seed=5, least_requests=20_000, calibration=measured
    )
    assert table.get_column("ttft_p95_s_error").abs().max() <= cases.P95_TOLERANCE


@pytest.mark.skipif(not cases.AZURE.is_dir(), reason="needs the Azure 2023 traces beside the checkout")
@pytest.mark.parametrize(("replicas", "load"), [(4, 0.46), (4, 0.7), (8, 0.46), (16, 0.46), (16, 0.7)])
def test_on_the_public_conversations_it_holds(replicas: int, load: float) -> None:
    case = cases.azure("conv", replicas, load)
    corrected = case.compared(conversations(case))
    assert abs(corrected["ttft_p95_s"]["relative_error"]) <= cases.P95_TOLERANCE


CONVERSATIONS: list[Calibration] = []


def conversations(case: cases.Case) -> Calibration:
    """One calibration for the lengths of that trace, measured once."""
    if not CONVERSATIONS:
        CONVERSATIONS.append(calibrate(case.fleet, requests=case.requests, least_requests=30_000))
    return CONVERSATIONS[0]


def test_another_mix_is_told() -> None:
    other = fleet(mix=dataclasses.replace(MIX, output_tokens=2.0 * MIX.output_tokens, dispersion=4.0))
    (note,) = run(given(), other).notes
    assert "output_tokens 299, dispersion 1; now 598, 4" in note
    assert "input_tokens" not in note


def test_pools_beyond_the_sizes_and_replicas_without_one_are_told() -> None:
    large = fleet(ready=41)
    assert any("up to 41 replicas" in note for note in calibration.notes_for((given(),), large))
    two = fleet(models=("m", "other"))
    assert any("other on h100 are not corrected" in note for note in calibration.notes_for((given(),), two))
    assert calibration.notes_for((), two) == ()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (given(replica=dataclasses.replace(WORLD.replicas[0], model="absent")), "one is for absent on h100"),
        (given(replica=dataclasses.replace(WORLD.replicas[0], gpu="absent")), "one is for m on absent"),
        (given(replica=dataclasses.replace(WORLD.replicas[0], decode_base_s=1.0)), "other figures"),
        ([given(), given()], "two are for the same"),
    ],
)
def test_what_was_measured_for_something_else_is_refused(wrong: Any, why: str) -> None:
    with pytest.raises(SimulationError, match=why):
        run(wrong)


def test_the_replay_needs_none() -> None:
    requests = cases.drawn({FAST: cases.peaking(0.7)[:10]}, 4, "chat", 1.0, 3)
    with pytest.raises(SimulationError, match="leave it out"):
        simulation.run(
            requests, fleet=WORLD, policy=STILL, start=START, hours=1.0, engine="replay", calibration=given()
        )
