"""workbench.scoring.intervals and effort: savings by day, drawn again, and effort by model, region and GPU kind."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest

from tests.simulation.simulation_cases import START, constant, fleet
from workbench import scoring, simulation
from workbench.domain import Policy
from workbench.errors import StudyError
from workbench.results import SimRun

STILL = Policy(key="still", label="Fixed fleet", scale_out_above_fraction=1.0, scale_in_below_fraction=0.0)


@pytest.fixture(scope="module")
def run() -> SimRun:
    """Three and a half days of four replicas of eight GPUs: 768 GPU-hours a day."""
    return simulation.run(
        constant(1.0, 84.0, window_s=3600.0), fleet=fleet(ready=4), policy=STILL, start=START, hours=84.0
    )


def times(run: SimRun, factors: list[float]) -> SimRun:
    """The run with the GPU-hours of each day multiplied."""
    day = (pl.col("window_start") - START).dt.total_days()
    factor = day.replace_strict(dict(enumerate(factors)), default=1.0, return_dtype=pl.Float64)
    return dataclasses.replace(run, pools=run.pools.with_columns(pl.col("gpu_hours") * factor))


def test_days_are_summed_and_a_part_of_one_is_left_out(run: SimRun) -> None:
    assert scoring.daily_effort([run], START).tolist() == pytest.approx([768.0] * 3)
    assert scoring.daily_effort([run], START + timedelta(hours=12)).tolist() == pytest.approx([768.0] * 3)
    assert scoring.daily_effort([run, run], START).size == 6


def test_the_same_saving_every_day_is_certain(run: SimRun) -> None:
    found = scoring.saving_interval([times(run, [0.75] * 4)], [run], since=START)
    assert (found.saved_fraction, found.low_fraction, found.high_fraction) == pytest.approx((0.25, 0.25, 0.25))
    assert found.days == 3


def test_days_that_differ_widen_the_interval_and_hold_the_saving(run: SimRun) -> None:
    found = scoring.saving_interval([times(run, [0.5, 0.8, 0.9, 1.0])], [run], since=START)
    assert found.saved_fraction == pytest.approx((0.5 + 0.2 + 0.1) / 3)
    assert found.low_fraction is not None
    assert found.high_fraction is not None
    assert 0.1 <= found.low_fraction < found.saved_fraction < found.high_fraction <= 0.5
    assert scoring.saving_interval([times(run, [0.5, 0.8, 0.9, 1.0])], [run], since=START) == found


def test_one_day_gives_no_interval(run: SimRun) -> None:
    day = dataclasses.replace(
        run, pools=run.pools.filter(pl.col("window_start") < START + timedelta(days=1)), end=START + timedelta(days=1)
    )
    found = scoring.saving_interval([times(day, [0.9])], [day], since=START)
    assert (found.saved_fraction, found.low_fraction, found.days) == (pytest.approx(0.1), None, 1)


def test_other_days_are_refused(run: SimRun) -> None:
    with pytest.raises(StudyError, match="needs the same days of both: 3 of the strategy, 6 of the baseline"):
        scoring.saving_interval([run], [run, run], since=START)


def test_effort_by_place_adds_up_to_the_whole(run: SimRun) -> None:
    parts = scoring.effort_by(run, START, ["region", "model", "gpu"])
    whole = scoring.effort(run, START)
    assert parts.select("region", "model", "gpu").rows() == [("east", "m", "h100")]
    for name in ("gpu_hours", "cost_usd", "waste_gpu_hours", "lent_gpu_hours"):
        assert parts.get_column(name).sum() == pytest.approx(whole[name])
