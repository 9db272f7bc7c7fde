"""workbench.studies.routed: pools by region and requests sent anywhere, by hand and beside every way to split them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, demand, fleet
from workbench import scoring, simulation
from workbench.domain import Policy
from workbench.errors import StudyError
from workbench.simulation.promises import Promises
from workbench.studies import bounding, routed
from workbench.studies.routed import Reach

WORLD = fleet(regions=("east", "west"), ready=4, lent=12)


def pools(kept: dict[int, list[float]], loads: tuple[float, ...] = (0.999999,)) -> Promises:
    """Replicas of one request a second, and by their number what they keep at loads."""
    return Promises(
        model="m", gpu="h100", gpus_per_replica=8, most_rps=1.0, sizes=tuple(kept), loads=loads,
        kept={FAST: np.array(list(kept.values()))},
    )  # fmt: skip


CERTAIN = pools({1: [1.0]})
LARGE_ONES = pools({1: [0.5], 4: [1.0]})
FALLING = pools({1: [0.9, 0.7, 0.4, 0.1], 4: [0.9, 0.85, 0.7, 0.3]}, loads=(0.1, 0.5, 0.7, 0.95))


def bound(
    rates: dict[str, list[float]], promise: Promises = CERTAIN, *, away: float = 0.0, kept: float = 1.0, world=WORLD,
    **given: float,
) -> float:  # fmt: skip
    """Return the replica-hours of an hour in windows of ten minutes."""
    load = demand({(region, "m", FAST): each for region, each in rates.items()}, window_s=600.0)
    known = {"m": Reach(promise=promise, away_fraction={FAST: away})}
    found = routed.fewest_gpu_hours_routed(
        load, fleet=world, known=known, tier=FAST, kept_fraction=kept, start=START, hours=1.0, **given
    )
    return found.gpu_hours / 8.0


def test_what_two_regions_leave_over_meets_in_one() -> None:
    """1.4 requests a second in each take two replicas each at home, and three where one takes the rest of both."""
    assert bound({"east": [1.4] * 6, "west": [1.4] * 6}) == pytest.approx(3.0, rel=5e-3)


def test_replicas_beside_one_another_stand_in_one_region() -> None:
    """Only four side by side keep all, and the other region's floor stands idle: five, not a joint pool's four."""
    rates = {"east": [1.0] * 6, "west": [1.0] * 6}
    assert bound(rates, LARGE_ONES, floor_replicas=1) == pytest.approx(5.0, rel=5e-3)
    assert bound(rates, LARGE_ONES) == pytest.approx(4.0, rel=5e-3)


def test_the_way_to_another_region_costs_promises() -> None:
    """0.4 in each fit one replica, but then half of them come from afar and a tenth of those is late."""
    rates = {"east": [0.4] * 6, "west": [0.4] * 6}
    assert bound(rates) == pytest.approx(1.0, rel=5e-3)
    assert bound(rates, away=0.1, kept=0.95) == pytest.approx(1.0, rel=1e-2)
    assert bound(rates, away=0.1) == pytest.approx(2.0, rel=1e-2)


def test_no_region_holds_more_than_its_stock() -> None:
    small = replace(WORLD, stock_gpus={("east", "h100"): 24, ("west", "h100"): 24}, initial_lent_replicas={},
                    initial_replicas={})  # fmt: skip
    rates = {"east": [1.0] * 6, "west": [1.0] * 6}
    with pytest.raises(StudyError, match=r"the most is 89\.62%"):
        bound(rates, LARGE_ONES, world=small, kept=0.95)


def test_deferrable_work_goes_where_there_is_room() -> None:
    """0.9 a second that may wait find a tenth of a replica in the east, none of the west's, and take one more."""
    rates = {("east", "m", FAST): [0.9] * 6, ("west", "m", FAST): [0.0] * 6, ("west", "m", BATCH): [0.9] * 6}
    found = routed.fewest_gpu_hours_routed(
        demand(rates, window_s=600.0), fleet=WORLD, known={"m": Reach(promise=CERTAIN, away_fraction={FAST: 0.0})},
        tier=FAST, kept_fraction=1.0, start=START, hours=1.0,
    )  # fmt: skip
    assert found.gpu_hours / 8.0 == pytest.approx(1.8, rel=2e-2)  # replicas are held for some windows only


def test_tiers_told_apart_take_no_more() -> None:
    """What a full pool keeps nothing of is kept by an emptier one beside it, where the full one has the other tier."""
    load = demand({(region, "m", tier): [0.5] * 6 for region in ("east", "west") for tier in (FAST, NORMAL)},
                  window_s=600.0)  # fmt: skip
    alike, apart = (
        routed.fewest_gpu_hours_routed(
            load, fleet=WORLD, known={"m": Reach(promise=FALLING, away_fraction={FAST: 0.0})}, tier=FAST,
            kept_fraction=0.8, start=START, hours=1.0, tiers_apart=is_apart,
        ).gpu_hours
        for is_apart in (False, True)
    )  # fmt: skip
    assert apart < 0.95 * alike


@pytest.mark.parametrize("seed", range(4))
def test_no_split_and_no_counts_lie_below_it(seed: int) -> None:
    """Every pair of counts with the best of two hundred splits of the load takes as much or more."""
    draw = np.random.default_rng(seed)
    east, west = draw.uniform(0.3, 2.5, 2)
    away, floor, asked = draw.uniform(0.0, 0.05), int(draw.integers(0, 3)), draw.uniform(0.4, 0.8)
    found = bound({"east": [east] * 6, "west": [west] * 6}, FALLING, away=away, kept=asked, floor_replicas=floor)
    all_rps, part = east + west, np.linspace(0.0, 1.0, 201)
    least = min(
        sum(counts)
        for counts in itertools.product(range(floor, 14), repeat=2)
        if (
            sum(
                (np.minimum(went, own) + (1.0 - away) * np.maximum(went - own, 0.0))
                * FALLING.kept_fraction(FAST, np.full(part.shape, float(n)), went)
                for n, own, went in zip(counts, (east, west), (part * all_rps, (1.0 - part) * all_rps), strict=True)
            )
            >= asked * all_rps
        ).any()
    )
    assert least - 1.0 < found <= least * (1.0 + 1e-3)


def test_it_lies_between_one_pool_and_regions_alone_and_below_what_was_run() -> None:
    wave = [6.0 + 5.0 * np.sin(hour / 4.0) for hour in range(12) for _ in range(6)]
    load = demand(
        {("east", "m", FAST): wave, ("west", "m", FAST): [0.4 * one for one in reversed(wave)],
         ("west", "m", BATCH): [1.0] * 72}, window_s=600.0,
    )  # fmt: skip
    met = routed.reach(WORLD, model="m")
    run = simulation.run(load, fleet=WORLD, policy=Policy(key="reactive", label="r"), start=START, hours=12.0)
    kept = float(scoring.service(run, WORLD.tiers[0], START)["slo_attainment_fraction"] or 0.0)
    asked = {"fleet": WORLD, "tier": FAST, "kept_fraction": kept, "start": START, "hours": 12.0, "hold_s": 600.0,
             "served_fraction": 0.9}  # fmt: skip
    apart = load.with_columns(model=pl.col("model") + "@" + pl.col("region"))
    each = {f"m@{region}": met.promise for region in ("east", "west")}
    pooled, anywhere, at_home = (
        bounding.fewest_gpu_hours(load, known={"m": met.promise}, floor_replicas=4, **asked).gpu_hours,
        routed.fewest_gpu_hours_routed(load, known={"m": met}, floor_replicas=2, **asked).gpu_hours,
        bounding.fewest_gpu_hours(apart, known=each, floor_replicas=2, **asked).gpu_hours,
    )
    assert pooled < anywhere < at_home < scoring.effort(run, START)["gpu_hours"]


def test_a_longer_way_keeps_less() -> None:
    far = replace(WORLD, network_latency_s={("east", "east"): 0.003, ("west", "west"): 0.006, ("east", "west"): 0.4,
                                            ("west", "east"): 0.3})  # fmt: skip
    near, met = routed.reach(WORLD, model="m"), routed.reach(far, model="m")
    assert near.away_fraction[FAST] <= met.away_fraction[FAST] < 0.1
    assert met.away_fraction[FAST] > 0.003
    alone = routed.reach(fleet(), model="m")
    assert alone.away_fraction == dict.fromkeys(alone.promise.kept, 0.0)
