"""workbench.simulation.intake: each kind of load finds the span's grid, and what does not fit it is refused."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation import agreement_cases as cases
from tests.simulation.fluid.test_fluid import REACTIVE
from tests.simulation.simulation_cases import START, constant, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import agreement, intake, loads
from workbench.simulation.agreement import drawing, trials
from workbench.simulation.loads import noise_seen_in
from workbench.tables import REQUESTS


def singles(seconds: list[float]) -> pl.DataFrame:
    rows = [
        {
            "arrived_at": START + timedelta(seconds=at),
            "region": "east",
            "model": "m",
            "tier": "interactive_fast",
            "app": None,
            "tenant": None,
            "input_tokens": 1000,
            "output_tokens": 100,
            "cached_tokens": None,
        }
        for at in seconds
    ]
    return REQUESTS.conform(pl.DataFrame(rows, schema=REQUESTS.schema))


def test_requests_of_one_frame_or_several_are_laid_out_alike() -> None:
    world, frames = fleet(), [singles([3.0, 14.0]), singles([15.0, 599.0])]
    span = intake.span_of(frames, start=START, hours=1.0, step_s=10.0, window_s=300.0, demand_window_s=None)
    assert (span.steps, span.demand_window_s) == (360, 10.0)
    several, one = (intake.laid_of(load, world, span) for load in (frames, pl.concat(frames)))
    assert several.rps.tolist() == one.rps.tolist()
    assert (one.rps[:3, 0, 0, 0] * 10.0).tolist() == [1.0, 2.0, 0.0]
    assert one.prompt_mean[0, 0, 0, 0] == 1000.0


def test_the_replay_takes_single_requests_alone_and_only_it_keeps_them() -> None:
    assert intake.is_replayed(singles([1.0]), "replay", keep_requests=True)
    assert not intake.is_replayed(constant(1.0, 1.0), "fluid", keep_requests=False)
    with pytest.raises(SimulationError, match="the replay takes single requests"):
        intake.is_replayed(constant(1.0, 1.0), "replay", keep_requests=False)
    with pytest.raises(SimulationError, match="the fluid engine knows no single requests"):
        intake.is_replayed(singles([1.0]), "fluid", keep_requests=True)
    with pytest.raises(SimulationError, match="unknown engine 'fluit': did you mean 'fluid'"):
        intake.is_replayed(singles([1.0]), "fluit", keep_requests=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hours": 0.0}, "hours and step_s must be positive"),
        ({"step_s": 7.0}, "whole number of steps"),
        ({"window_s": 5.0}, "whole number of steps"),
        ({"window_s": 90.0}, "divide an hour and be whole minutes"),
        ({"window_s": 420.0}, "divide an hour and be whole minutes"),
        ({"window_s": 7200.0}, "divide an hour and be whole minutes"),
        ({"start": START + timedelta(seconds=30)}, "edge of the demand's windows"),
        ({"policy": Policy(key="i", label="i", follow_plan="at_once")}, "follows a plan and got none"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"fleet": fleet(), "policy": REACTIVE, "start": START, "hours": 1.0} | changes
    with pytest.raises(SimulationError, match=message):
        simulation.run(constant(1.0, 1.0), **arguments)  # type: ignore[arg-type]


def test_a_load_laid_out_once_runs_as_its_frame_does_and_in_multiples() -> None:
    world, frame = fleet(ready=3), constant(3.0, 2.0)
    laid = simulation.lay_out(frame, fleet=world, start=START, hours=2.0)
    doubled = constant(6.0, 2.0)
    for load, same in ((laid, frame), (laid.times(2.0), doubled)):
        first, second = (simulation.run(x, fleet=world, policy=REACTIVE, start=START, hours=2.0) for x in (load, same))
        assert first.windows.equals(second.windows)
    part = simulation.run(laid, fleet=world, policy=REACTIVE, start=START, hours=1.0)
    assert part.windows.get_column("arrived").sum() == pytest.approx(3.0 * 3600.0)


def test_a_load_laid_out_for_another_span_or_fleet_is_refused() -> None:
    laid = simulation.lay_out(constant(3.0, 2.0), fleet=fleet(), start=START, hours=2.0)
    for words, world, start, hours in (
        ("laid out for start", fleet(), START + timedelta(hours=1), 1.0),
        ("laid out for regions", fleet(regions=("west",)), START, 1.0),
        ("laid out for 120 windows", fleet(), START, 3.0),
    ):
        with pytest.raises(SimulationError, match=words):
            simulation.run(laid, fleet=world, policy=REACTIVE, start=start, hours=hours)
    with pytest.raises(SimulationError, match="from nought up, got -1"):
        laid.times(-1.0)


def test_a_load_says_how_much_of_the_noise_of_arrivals_it_shows(rng: np.random.Generator) -> None:
    """Counts show all of it, means of ten windows a tenth and doubled ones twice; a straight line shows none."""
    counts = rng.poisson(50.0, (4000, 1, 1, 2)).astype(float)
    line = np.linspace(10.0, 90.0, 4000).reshape(-1, 1, 1, 1)
    means = np.repeat(counts.reshape(400, 10, 1, 1, 2).mean(axis=1), 10, axis=0)
    assert noise_seen_in(counts, [1.0]).item() == pytest.approx(1.0, rel=0.1)
    assert noise_seen_in(counts, [4.0]).item() == pytest.approx(0.25, rel=0.1)
    assert noise_seen_in(2.0 * counts, [1.0]).item() == pytest.approx(2.0, rel=0.1)
    assert noise_seen_in(means, [1.0]).item() < 0.1
    assert noise_seen_in(line, [1.0]).item() == pytest.approx(0.0, abs=1e-9)
    by_hand = np.array([0.0, 6.0, 0.0] * 4).reshape(-1, 1, 1, 1)  # bends of -12, 6 and 6 round a mean of 2
    bends = [144.0, 36.0, 36.0, 144.0, 36.0, 36.0, 144.0, 36.0, 36.0, 144.0]
    assert noise_seen_in(by_hand, [1.0]).item() == pytest.approx(sum(bends) / 10.0 / 6.0 / 2.0)
    assert noise_seen_in(counts[:9], [1.0]).item() == noise_seen_in(0.0 * counts, [1.0]).item() == 0.0


def test_what_a_pool_runs_is_the_same_whether_noise_is_shown_or_told() -> None:
    """A pool that forgets slowly: counts of every ten seconds, or their mean with the noise that they had."""
    case = next(one for one in cases.readers() if one[0].startswith("llama31_70b h200"))
    replica = case[1].replicas[0]
    lengths = drawing.lengths_for(case[1].mixes[replica.model], None, model=replica.model, seed=7)
    trial = trials.steady(case[1], replica, lengths, replicas=4, load_fraction=0.7, seed=(3,))
    steps = int(trial.hours * 360)
    counted = loads.summed(trial.requests, start=trials.START, steps=steps, step_s=10.0)
    smooth = counted.with_columns(pl.col("requests", "input_tokens", "output_tokens").mean())
    shown, told = (
        agreement.measures(
            simulation.run(load, fleet=trial.fleet, policy=trials.STILL, start=trials.START, hours=trial.hours),
            trial.fleet,
        )
        for load in (counted, smooth)
    )
    assert told["kv_cache_used_fraction"] == pytest.approx(shown["kv_cache_used_fraction"], rel=0.06)
