"""workbench.studies.splitting: the best split of a window's load, beside every split, and prices beside each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.simulation.simulation_cases import FAST
from workbench.simulation.promises import Promises
from workbench.studies.splitting import Routed, split

DRAW = np.random.default_rng(5)


@pytest.mark.parametrize("regions", [1, 2, 3, 4])
def test_the_best_split_is_found(regions: int) -> None:
    """Of all ways to share six steps or fewer over the regions, in three windows."""
    value, total = DRAW.normal(size=(3, regions, 7)), np.array([6, 0, 4])
    (found,) = split(value, [total])
    assert (np.sum(found, axis=0) == total).all()
    for window in range(3):
        brought = sum(value[window, region, steps[window]] for region, steps in enumerate(found))
        ways = [way for way in itertools.product(range(7), repeat=regions) if sum(way) == total[window]]
        assert brought == pytest.approx(max(sum(value[window, range(regions), way]) for way in ways))


def two_regions() -> Routed:
    promise = Promises(
        model="m", gpu="h100", gpus_per_replica=8, most_rps=1.0, sizes=(1, 4), loads=(0.1, 0.5, 0.7, 0.95),
        kept={FAST: np.array([[0.9, 0.7, 0.4, 0.1], [0.9, 0.85, 0.7, 0.3]])},
    )  # fmt: skip
    load, count = np.array([[1.5, 0.7], [0.4, 0.0], [2.0, 2.5]]), np.arange(1.0, 15.0)
    return Routed(
        load_rps=load, promises=600.0 * load * [[0.9, 1.1]], promise=promise, tier=FAST, fewest=count, count=count,
        gpu_hours=count * 8.0 / 6.0, window_s=600.0, away_fraction=0.02, filled_to=0.95, waiting=600.0,
    )  # fmt: skip


def test_what_is_brought_is_how_the_bound_rises_with_a_price() -> None:
    """Promises kept and requests served are the slopes of what is left, by their prices."""
    routed = two_regions()
    for per_promise, per_request in DRAW.uniform((0.001, 0.0), (0.05, 0.01), (20, 2)):
        at = routed.decide(per_promise, per_request, 0.0)
        more = routed.decide(per_promise + 1e-8, per_request, 0.0)
        wait = routed.decide(per_promise, per_request + 1e-8, 0.0)
        assert (at.left - more.left) / 1e-8 == pytest.approx(at.kept, rel=1e-3, abs=1.0)
        assert (at.left - wait.left) / 1e-8 == pytest.approx(at.served, rel=1e-3, abs=1.0)
        assert 0.0 <= at.kept <= routed.most_kept() * 1.001


def test_no_decision_beats_what_prices_lead_to() -> None:
    """Cost less worth of counts and splits that are drawn, in every window, is no less than what is left."""
    routed = two_regions()
    for per_promise, per_request in DRAW.uniform((0.001, 0.0), (0.05, 0.01), (10, 2)):
        left = routed.decide(per_promise, per_request, 0.0).left
        for _ in range(50):
            drawn = 0.0
            for own, promises in zip(routed.load_rps, routed.promises, strict=True):
                counts, part = DRAW.integers(1, 15, 2).astype(float), DRAW.uniform()
                went = own.sum() * np.array([part, 1.0 - part])
                filled = np.maximum(went, DRAW.uniform(0.0, 0.95, 2) * counts)
                near = np.minimum(went, own) + 0.98 * np.maximum(went - own, 0.0)
                per_load = promises[own > 0] / own[own > 0]
                kept = routed.promise.kept_fraction(FAST, counts, filled) @ near * per_load.min()
                served = np.where(filled <= 0.95 * counts, filled - went, 0.0).sum() * 600.0
                drawn += 8.0 / 6.0 * counts.sum() - per_promise * kept - per_request * served
            assert drawn >= left - 1e-6
