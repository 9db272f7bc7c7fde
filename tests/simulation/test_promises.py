"""workbench.simulation.promises: what share of its promises a pool keeps, by its size and its load."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simulation.simulation_cases import FAST, NORMAL, START, constant, fleet
from workbench import performance, simulation
from workbench.errors import SimulationError
from workbench.simulation import outset, promises
from workbench.simulation.agreement.trials import STILL
from workbench.simulation.promises import Promises

WORLD = fleet(regions=("east", "west"), models=("m", "other"), ready=3)
SIZES, LOADS = (2, 8, 32), (0.3, 0.6, 0.9)


@pytest.fixture(scope="module")
def known() -> Promises:
    return promises.promises(WORLD, model="other", sizes=SIZES, loads=LOADS)


def literal() -> Promises:
    """All is kept to half load by one replica, to nine tenths by four; a half of it from there on."""
    return Promises(
        model="m", gpu="h100", gpus_per_replica=8, most_rps=2.0, sizes=(1, 4), loads=(0.5, 0.9),
        kept={FAST: np.array([[1.0, 0.5], [1.0, 0.9]])},
    )  # fmt: skip


def test_between_what_is_known_it_is_interpolated() -> None:
    """Two replicas lie half way from one to four; 1.4 of 2 requests a second are half way from .5 to .9."""

    def kept(replicas: float, rps: float) -> float:
        return float(literal().kept_fraction(FAST, np.array(replicas), np.array(rps)))

    assert kept(1.0, 0.4) == 1.0
    assert kept(1.0, 1.4) == pytest.approx(0.75)
    assert kept(4.0, 5.6) == pytest.approx(0.95)
    assert kept(2.0, 2.8) == pytest.approx(0.85)
    assert kept(100.0, 140.0) == pytest.approx(0.95)
    assert kept(1.0, 1.9) == pytest.approx(0.25)
    assert kept(1.0, 2.0) == kept(1.0, 99.0) == 0.0
    assert kept(0.0, 1.0) == 0.0


def test_it_is_what_the_engine_says_of_one_pool(known: Promises) -> None:
    kind, mix = WORLD.replica("other", "h100"), WORLD.mixes["other"]
    assert known.most_rps == performance.max_rps(kind, mix)
    place = fleet(ready=8)
    done = simulation.run(constant(0.6 * 8 * known.most_rps, 1.0), fleet=place, policy=STILL, start=START, hours=1.0)
    last = done.windows.sort("window_start").filter(tier=FAST).get_column("slo_attainment_fraction")[-1]
    assert known.kept[FAST][1, 1] == pytest.approx(last, abs=2e-3)


def test_large_pools_and_little_load_keep_more(known: Promises) -> None:
    for tier in (FAST, NORMAL):
        assert (np.diff(known.kept[tier], axis=0) >= -1e-9).all()
        assert (np.diff(known.kept[tier], axis=1) <= 1e-9).all()
    assert known.kept[FAST][0, 2] < known.kept[FAST][2, 2] - 0.004
    assert known.kept[NORMAL].min() > 0.99


def test_the_pools_of_all_sizes_and_loads_run_on_the_engine_that_is_compiled_for_every_fleet() -> None:
    """Forty thousand replicas stand there; wider calendars would have it compiled once more."""
    bare = promises._side_by_side(
        WORLD, WORLD.replicas[0], sizes=promises.SIZES, loads=promises.LOADS, network_latency_s=None
    )
    assert outset._calendar_of(bare) is outset._calendar_of(WORLD)


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(SimulationError, match="loads must lie between 0 and 1"):
        promises.promises(WORLD, model="m", loads=(0.5, 1.2))
    with pytest.raises(SimulationError, match="has no nobody"):
        promises.promises(WORLD, model="nobody")
