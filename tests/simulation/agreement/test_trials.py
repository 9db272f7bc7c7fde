"""workbench.simulation.agreement.trials: one pool, alone, under the load that was asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, MIX, fleet
from workbench import performance
from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.simulation.agreement import drawing, trials

WORLD = fleet(regions=("east", "west"), models=("m", "other"), ready=3, lent=2, free_gpus=80)
LENGTHS = drawing.lengths_like(MIX, np.random.default_rng(1))


def drawn(**given: object) -> trials.Trial:
    asked = {"replicas": 4, "load_fraction": 0.5, "least_requests": 5000} | given
    return trials.steady(WORLD, trials.chosen(WORLD, "other", None), LENGTHS, **asked)  # type: ignore[arg-type]


def test_a_pool_stands_alone() -> None:
    bare: Fleet = drawn().fleet
    assert [region.key for region in bare.regions] == ["east"]
    assert [model.key for model in bare.models] == ["other"]
    assert [tier.key for tier in bare.tiers] == [FAST]
    assert dict(bare.initial_replicas) == {("east", "other", "h100"): 4}
    assert dict(bare.stock_gpus) == {("east", "h100"): 32}, "nothing to scale out to"


def test_the_load_is_a_share_of_what_the_pool_can_take() -> None:
    one = drawn()
    most = performance.max_rps(one.fleet.replicas[0], drawing.moments_of(LENGTHS, dispersion=1.0))
    assert one.load_fraction == 0.5
    assert one.requests.height / (one.hours * 3600.0) == pytest.approx(0.5 * 4 * most, rel=0.05)
    assert one.requests.height >= 4800
    assert one.fleet.mixes["other"].input_tokens == one.requests.get_column("input_tokens").mean()


def test_a_trial_lasts_a_quarter_of_an_hour_or_more() -> None:
    assert drawn(least_requests=1).hours >= 0.25


def test_the_same_seed_draws_the_same_requests() -> None:
    assert drawn(seed=(1, 2)).requests.equals(drawn(seed=(1, 2)).requests)
    assert not drawn(seed=(1, 2)).requests.equals(drawn(seed=(1, 3)).requests)


def test_a_burst_stands_where_it_was_asked_for() -> None:
    one = trials.burst(
        WORLD, trials.chosen(WORLD, "m", "h100"), LENGTHS, replicas=4, load_fraction=0.5, peak_fraction=1.5,
        minutes=20, first_minute=8, burst_minutes=4,
    )  # fmt: skip
    minute = (one.requests.get_column("arrived_at") - trials.START).dt.total_minutes().to_numpy()
    counts = np.bincount(minute, minlength=20)
    assert counts[8:12].mean() == pytest.approx(3.0 * counts[:8].mean(), rel=0.15)
    assert one.load_fraction == pytest.approx((16 * 0.5 + 4 * 1.5) / 20)


def test_what_is_no_trial_is_refused() -> None:
    with pytest.raises(SimulationError, match="no absent on any GPU"):
        trials.chosen(WORLD, "absent", None)
    with pytest.raises(SimulationError, match="some load"):
        drawn(load_fraction=0.0)
    waiting = dataclasses.replace(WORLD, tiers=(WORLD.tier(BATCH),))
    with pytest.raises(SimulationError, match="every tier of the fleet is deferrable"):
        trials.alone(waiting, waiting.replicas[0], replicas=1, mix=MIX)
