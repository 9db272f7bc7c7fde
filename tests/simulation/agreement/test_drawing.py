"""workbench.simulation.agreement.drawing: drawn lengths and arrivals have the moments and rates asked for."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, MIX, START, demand, fleet
from workbench.domain import TokenMix
from workbench.errors import SimulationError
from workbench.simulation.agreement import drawing
from workbench.tables import DEMAND, REQUESTS

PAIRS = drawing.Lengths(input_tokens=np.array([100, 300]), output_tokens=np.array([10, 30]))


def test_moments_by_hand() -> None:
    mix = drawing.moments_of(PAIRS, dispersion=2.0)
    assert (mix.input_tokens, mix.output_tokens, mix.dispersion) == (200.0, 20.0, 2.0)
    assert mix.input_square_ratio == pytest.approx((1 + 9) / 2 / 4)
    assert mix.input_cube_ratio == pytest.approx((1 + 27) / 2 / 8)
    assert mix.output_square_ratio == pytest.approx(1.25)
    assert mix.cross_ratio == pytest.approx((1 + 9) / 2 / 4)


def test_lengths_have_the_moments_of_the_mix(rng: np.random.Generator) -> None:
    asked = TokenMix(
        input_tokens=1000.0, output_tokens=200.0, input_square_ratio=1.5, output_square_ratio=2.0, cross_ratio=1.2
    )
    got = drawing.moments_of(drawing.lengths_like(asked, rng, 400_000), dispersion=1.0)
    for name in ("input_tokens", "output_tokens", "input_square_ratio", "output_square_ratio", "cross_ratio"):
        assert getattr(got, name) == pytest.approx(getattr(asked, name), rel=0.02), name
    alike = drawing.lengths_like(TokenMix(input_tokens=7.0, output_tokens=3.0), rng, 10)
    assert set(alike.input_tokens) == {7}
    assert set(alike.output_tokens) == {3}


@pytest.mark.parametrize("cv_square", [0.0, 1.0, 4.0])
def test_arrivals_follow_the_rate_and_clump_as_asked(cv_square: float, rng: np.random.Generator) -> None:
    at_s = drawing.arrivals(rng, np.array([10.0, 40.0, 0.0, 10.0]), 600.0, cv_square=cv_square)
    assert (np.diff(at_s) >= 0).all()
    counts = np.bincount((at_s / 600.0).astype(int), minlength=4)
    assert counts == pytest.approx([6000, 24_000, 0, 6000], rel=0.1, abs=1)
    gaps = np.diff(at_s[(at_s > 600.0) & (at_s < 1200.0)])
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(max(cv_square, drawing.LEAST_CV_SQUARE), rel=0.15)


def test_no_rate_brings_nothing(rng: np.random.Generator) -> None:
    assert drawing.arrivals(rng, np.zeros(3), 60.0).size == 0


def test_dispersion_at_a_second_leaves_the_trend_of_minutes_out() -> None:
    def at(seconds: list[float]) -> pl.DataFrame:
        stamps = [START + timedelta(seconds=second) for second in seconds]
        return pl.DataFrame({"arrived_at": stamps, "input_tokens": 5, "output_tokens": 5})

    one_each = [float(second) for second in range(120)]
    assert drawing.mix_of(at(one_each)).dispersion == pytest.approx(0.0)
    rising = one_each + [second + 0.5 for second in one_each[60:]]
    assert drawing.mix_of(at(sorted(rising))).dispersion == pytest.approx(0.0), "twice as many in the second minute"
    assert drawing.mix_of(at([0.0, 1.0])).dispersion == 1.0, "too short to tell"


def test_requests_of_sums_are_as_many_as_the_sums_in_every_series() -> None:
    load = demand({("east", "m", FAST): [2.0] * 30 + [6.0] * 30, ("east", "m", BATCH): [1.0] * 60})
    drawn = drawing.requests_like(load, fleet(), start=START + timedelta(minutes=10), hours=0.5)
    assert REQUESTS.conform(drawn).get_column("arrived_at").is_sorted()
    counts = dict(drawn.group_by("tier").len().iter_rows())
    assert counts == pytest.approx({FAST: (20 * 2 + 10 * 6) * 60, BATCH: 1800}, rel=0.05)
    late = drawn.filter((pl.col("tier") == FAST) & (pl.col("arrived_at") >= START + timedelta(minutes=30)))
    assert late.height == pytest.approx(3600, rel=0.1)
    assert drawn.get_column("input_tokens").mean() == pytest.approx(MIX.input_tokens, rel=0.05)
    again = drawing.requests_like(load, fleet(), start=START + timedelta(minutes=10), hours=0.5)
    assert again.equals(drawn)
    other = drawing.requests_like(load, fleet(), start=START + timedelta(minutes=10), hours=0.5, seed=8)
    assert not other.equals(drawn)


def test_a_gap_brings_no_request() -> None:
    load = demand({("east", "m", FAST): [5.0] * 10}).with_columns(
        pl.when(pl.col("window_start") < START + timedelta(minutes=5)).then(pl.col("requests")).alias("requests")
    )
    drawn = drawing.requests_like(DEMAND.conform(load), fleet(), start=START, hours=1.0)
    assert drawn.get_column("arrived_at").max() < START + timedelta(minutes=5)


def test_lengths_come_from_the_models_requests_or_are_refused() -> None:
    given = pl.DataFrame({"model": ["m", "other"], "input_tokens": [5, 9], "output_tokens": [1, 2]})
    assert drawing.lengths_for(MIX, given, model="m", seed=1).input_tokens.tolist() == [5]
    with pytest.raises(SimulationError, match="how long requests are"):
        drawing.lengths_for(MIX, given, model="absent", seed=1)
