"""workbench.studies.bounding: the fewest GPU-hours at a service, by hand and as a bound of what was run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, START, demand, fleet
from workbench import scoring, simulation
from workbench.domain import Policy
from workbench.errors import StudyError
from workbench.simulation import promises
from workbench.simulation.promises import Promises
from workbench.studies import Bound, bounding

WORLD = fleet(ready=4, lent=12)


def certain(most_rps: float = 1.0) -> Promises:
    """A replica keeps every promise up to its most, whatever stands beside it."""
    return Promises(
        model="m", gpu="h100", gpus_per_replica=8, most_rps=most_rps, sizes=(1,), loads=(0.999999,),
        kept={FAST: np.array([[1.0]])},
    )  # fmt: skip


def bound(load: pl.DataFrame, *, hours: float, kept_fraction: float, **given: float) -> Bound:
    return bounding.fewest_gpu_hours(
        load, fleet=WORLD, known={"m": certain()}, tier=FAST, kept_fraction=kept_fraction, start=START, hours=hours,
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def hourly(fast: Sequence[float], batch: Sequence[float] | None = None) -> pl.DataFrame:
    rates = {("east", "m", FAST): [one for rate in fast for one in [rate] * 6]}
    if batch is not None:
        rates["east", "m", BATCH] = [one for rate in batch for one in [rate] * 6]
    return demand(rates, window_s=600.0)


def test_every_hour_takes_what_its_load_needs() -> None:
    """3.5 requests a second take four replicas of eight GPUs, 1.5 take two: 48 GPU-hours to keep all."""
    found = bound(hourly([3.5, 1.5]), hours=2.0, kept_fraction=1.0)
    assert found.gpu_hours == pytest.approx(48.0, rel=1e-3)
    assert found.gpu_hours_per_promise > 0.0


def test_a_count_is_held_for_its_hour() -> None:
    """Half an hour at 3.5 keeps four replicas for the hour, and for half of it where counts change twice as often."""
    load = demand({("east", "m", FAST): [3.5] * 3 + [1.5] * 3}, window_s=600.0)
    assert bound(load, hours=1.0, kept_fraction=1.0).gpu_hours == pytest.approx(32.0, rel=1e-3)
    assert bound(load, hours=1.0, kept_fraction=1.0, hold_s=1800.0).gpu_hours == pytest.approx(24.0, rel=1e-3)


def test_less_service_takes_the_hours_in_which_it_is_cheapest() -> None:
    """A promise costs 4/3.5 replicas in the first hour and 2/1.5 in the second; 70 % of all are the first hour's."""
    load = hourly([3.5, 1.5])
    assert bound(load, hours=2.0, kept_fraction=0.7).gpu_hours == pytest.approx(32.0, rel=1e-3)
    assert bound(load, hours=2.0, kept_fraction=0.35).gpu_hours == pytest.approx(16.0, rel=1e-3)


def test_deferrable_work_waits_for_room() -> None:
    """What comes at one request a second in the first hour finds room for a half there, four replicas for 3.5.

    A third replica in the second hour takes the rest, as two leave a tenth: seven replica-hours. The least, if
    replicas could be cut, were 3.5 + 1.9 + 1, and levels of filling lie a sixteenth of a replica's most apart.
    """
    load = hourly([3.5, 1.9], batch=[1.0, 0.0])
    found = bound(load, hours=2.0, kept_fraction=1.0).gpu_hours
    assert 8.0 * 6.4 - 8.0 * 7.0 / 16 <= found <= 8.0 * 7.0 + 1e-6
    none = bound(load, hours=2.0, kept_fraction=1.0, served_fraction=0.0).gpu_hours
    assert none == pytest.approx(48.0, rel=1e-3)


def test_a_floor_stands_in_every_hour() -> None:
    """Three that stand whatever comes serve the second hour, which needs two: four and three replica-hours."""
    load = hourly([3.5, 1.5])
    assert bound(load, hours=2.0, kept_fraction=1.0, floor_replicas=3).gpu_hours == pytest.approx(56.0, rel=1e-3)
    assert bound(load, hours=2.0, kept_fraction=0.0, floor_replicas=3).gpu_hours == pytest.approx(48.0, rel=1e-3)


def test_what_starts_stands_before_it_serves() -> None:
    """From two back to four: half an hour of two more makes 11 replica-hours, two hours of them 14, staying at four 12.

    Where half of the former's waste is allowed, half of the time is spent each way.
    """
    load = hourly([3.5, 1.5, 3.5])
    asked = {"hours": 3.0, "kept_fraction": 1.0}
    assert bound(load, **asked).gpu_hours == pytest.approx(8.0 * 10.0, rel=1e-3)
    assert bound(load, starting_s=1800.0, **asked).gpu_hours == pytest.approx(8.0 * 11.0, rel=1e-3)
    assert bound(load, starting_s=7200.0, **asked).gpu_hours == pytest.approx(8.0 * 12.0, rel=1e-3)
    for wasted, replica_hours in ((0.0, 12.0), (4.0, 11.5), (8.0, 11.0), (80.0, 11.0)):
        found = bound(load, starting_s=1800.0, most_wasted_gpu_hours=wasted, **asked).gpu_hours
        assert found == pytest.approx(8.0 * replica_hours, rel=2e-3)


def test_work_that_may_not_fill_a_pool_takes_more() -> None:
    """Up to a signal of 0.3 pools stay emptier, so that replicas are held for deferrable work that would find room."""
    load = hourly([3.5, 1.9], batch=[1.0, 0.0])
    free, tight = (bound(load, hours=2.0, kept_fraction=1.0, fill_signal_fraction=level) for level in (1.0, 0.3))
    assert tight.gpu_hours > free.gpu_hours + 8.0


def test_no_strategy_that_was_run_lies_below_it() -> None:
    rates = [6.0 + 5.0 * np.sin(hour / 4.0) for hour in range(12) for _ in range(6)]
    load = demand({("east", "m", FAST): rates, ("east", "m", BATCH): [1.0] * 72}, window_s=600.0)
    known = {"m": promises.promises(WORLD, model="m")}
    run = simulation.run(load, fleet=WORLD, policy=Policy(key="reactive", label="r"), start=START, hours=12.0)
    service = scoring.service(run, WORLD.tiers[0], START)
    batch = scoring.service(run, WORLD.tiers[2], START)
    kept, share = (
        float(service["slo_attainment_fraction"] or 0),
        float(batch["served"] or 0) / float(batch["arrived"] or 1),
    )
    found = bounding.fewest_gpu_hours(
        load, fleet=WORLD, known=known, tier=FAST, kept_fraction=kept, start=START, hours=12.0, hold_s=600.0,
        served_fraction=share,
    )  # fmt: skip
    effort = scoring.effort(run, START)
    assert 0.2 * effort["gpu_hours"] < found.gpu_hours < effort["gpu_hours"]
    paced = bounding.fewest_gpu_hours(
        load, fleet=WORLD, known=known, tier=FAST, kept_fraction=kept, start=START, hours=12.0, hold_s=600.0,
        served_fraction=share, starting_s=60.0, most_wasted_gpu_hours=effort["waste_gpu_hours"],
    )  # fmt: skip
    assert found.gpu_hours * 0.999 < paced.gpu_hours < effort["gpu_hours"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(StudyError, match="does not hold a whole number"):
        bound(hourly([1.0]), hours=1.0, kept_fraction=0.9, hold_s=700.0)
    load = hourly([1.0])
    half = Promises(
        model="m",
        gpu="h100",
        gpus_per_replica=8,
        most_rps=1.0,
        sizes=(1,),
        loads=(0.9,),
        kept={FAST: np.array([[0.5]])},
    )
    with pytest.raises(StudyError, match=r"the most is 50\.00%"):
        bounding.fewest_gpu_hours(
            load, fleet=WORLD, known={"m": half}, tier=FAST, kept_fraction=0.9, start=START, hours=1.0
        )
    with pytest.raises(StudyError, match="the promises of every model"):
        bounding.fewest_gpu_hours(load, fleet=WORLD, known={}, tier=FAST, kept_fraction=0.9, start=START, hours=1.0)
