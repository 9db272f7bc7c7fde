"""workbench.simulation.fluid.shapes: what a lognormal lacks, against sampling, and what it does to counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.simulation.simulation_cases import MIX
from workbench.domain import TokenMix
from workbench.errors import ScenarioError
from workbench.simulation.agreement import drawing
from workbench.simulation.fluid import shapes
from workbench.simulation.latency import BIN_RATIO, BINS, LEVELS, lognormal_of, note_percentiles, share_within

TWO_SIZES = np.repeat([400, 1000, 4000], [3000, 5500, 1500])


def mix_of(prompts: np.ndarray) -> TokenMix:
    return drawing.moments_of(
        drawing.Lengths(input_tokens=prompts, output_tokens=np.full(prompts.size, 100)), dispersion=1.0
    )


def test_quantiles_of_prompts_by_hand() -> None:
    ratios = mix_of(np.array([100, 300])).input_quantile_ratios
    assert len(ratios) == 24
    assert ratios[0] == pytest.approx((100 + 200 / 48) / 200)
    assert ratios[-1] == pytest.approx((300 - 200 / 48) / 200)
    with pytest.raises(ScenarioError, match="positive and rise"):
        dataclasses.replace(MIX, input_quantile_ratios=(1.0, 0.5))


def test_prompts_have_the_mean_of_their_mix(rng: np.random.Generator) -> None:
    prompts = shapes.prompts_of(mix_of(rng.lognormal(6.0, 1.0, 20_000).astype(int) + 1))
    assert prompts.mean() == pytest.approx(1.0, abs=1e-6)
    assert (prompts**2).mean() == pytest.approx(np.e, rel=0.15), "the tail is that of an exponential"
    assert (np.diff(prompts) >= 0.0).all()


def test_lognormal_prompts_lack_nothing(rng: np.random.Generator) -> None:
    assert not shapes.shape_of(mix_of(rng.lognormal(6.0, 1.0, 20_000).astype(int) + 1)).any()
    assert not shapes.shape_of(MIX).any(), "no quantiles are known"
    assert not shapes.shape_of(mix_of(np.full(100, 700))).any(), "all alike"
    assert shapes.shapes_of([MIX, MIX]).shape[:2] == (2, 0)
    assert shapes.shapes_of([MIX, mix_of(TWO_SIZES)]).shape[:2] == (2, shapes.SHARES)


@pytest.mark.parametrize("wait_s", [0.01, 0.03, 0.1])
def test_prompts_of_two_sizes_with_a_wait_match_sampling(wait_s: float, rng: np.random.Generator) -> None:
    read_s, mix = 55e-6 * TWO_SIZES, mix_of(TWO_SIZES)
    sample = rng.choice(read_s, 200_000) + rng.gamma(4.0, 0.25 * wait_s, 200_000) + 0.04
    mean, variance = sample.mean(), sample.var()
    third = float(((sample - mean) ** 3).mean())
    fitted, table = lognormal_of(float(mean), float(variance), third), shapes.shapes_of([mix])
    share, deviation = float(read_s.var() / variance), float(np.sqrt(variance))
    bins, touched = np.zeros((1, 1, 1, BINS)), np.array([[[BINS, -1]]])
    shapes.add_shaped(bins, touched, 0, 0, np.array([1000.0]), *fitted, table, share, deviation)
    assert bins.sum() == pytest.approx(1000.0)
    assert np.flatnonzero(bins[0, 0, 0])[[0, -1]].tolist() == touched[0, 0].tolist()
    noted = np.full((1, 1, 1, 1, 3), np.nan)
    note_percentiles(bins, np.zeros(BINS), noted, 0, 0, 0, 0, touched[0, 0, 0], touched[0, 0, 1])
    true = np.quantile(sample, LEVELS)
    assert noted[0, 0, 0, 0] == pytest.approx(true, rel=0.06)
    for limit_s in (0.05, 0.08, 0.18, 0.5):  # between the sizes, where a promise can be judged
        seen_s = shapes.limit_seen(table, 0, share, deviation, limit_s, *fitted)
        assert share_within(seen_s, *fitted) == pytest.approx(float((sample <= limit_s).mean()), abs=0.05), limit_s
    plain = fitted[0] + np.exp(fitted[1] + 1.645 * fitted[2])
    if wait_s < 0.02:
        assert abs(plain / true[1] - 1.0) > 0.06, "which the lognormal alone misses"


def test_a_shape_of_noughts_is_the_lognormal() -> None:
    table, fitted = np.zeros((1, shapes.SHARES, shapes.POINTS.size)), lognormal_of(0.5, 0.04, 0.01)
    assert shapes.limit_seen(table, 0, 0.5, 0.2, 0.7, *fitted) == pytest.approx(0.7, rel=0.002)
    bins, touched = np.zeros((1, 1, 1, BINS)), np.array([[[BINS, -1]]])
    shapes.add_shaped(bins, touched, 0, 0, np.array([1.0]), *fitted, table, 0.5, 0.2)
    noted = np.full((1, 1, 1, 1, 3), np.nan)
    note_percentiles(bins, np.zeros(BINS), noted, 0, 0, 0, 0, touched[0, 0, 0], touched[0, 0, 1])
    assert noted[0, 0, 0, 0, 0] == pytest.approx(fitted[0] + np.exp(fitted[1]), rel=BIN_RATIO - 1.0)
