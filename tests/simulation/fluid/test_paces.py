"""workbench.simulation.fluid.paces: straight profiles as they are, bent ones by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.simulation.simulation_cases import MIX, replica
from workbench import performance
from workbench.simulation.agreement import drawing
from workbench.simulation.fluid import paces


def test_a_straight_profile_is_told_by_its_tokens() -> None:
    assert paces.pace_of(replica(), MIX) == paces.Pace()


def test_a_bent_profile_by_sampling(rng: np.random.Generator) -> None:
    bent = dataclasses.replace(replica(), prefill_tokens=(1.0, 1000.0, 8000.0), prefill_s=(0.03, 0.05, 0.75))
    prompts = rng.choice([200, 800, 4000], 9000)
    mix = drawing.moments_of(
        drawing.Lengths(input_tokens=prompts, output_tokens=np.full(prompts.size, 100)), dispersion=1.0
    )
    seconds = np.array([performance.prompt_s_per_token(bent, float(one)) * one for one in prompts])
    pace = paces.pace_of(bent, mix)
    mean_s = performance.prompt_s_per_token(bent, mix.input_tokens) * mix.input_tokens
    assert pace.mean == pytest.approx(seconds.mean() / mean_s, rel=0.03)
    assert pace.square * mix.input_square_ratio == pytest.approx((seconds**2).mean() / seconds.mean() ** 2, rel=0.05)
    tokens = prompts / prompts.mean() @ seconds / seconds.sum()
    assert pace.cross * mix.input_square_ratio == pytest.approx(tokens, rel=0.05)
    assert pace.cube * mix.input_cube_ratio == pytest.approx((seconds**3).mean() / seconds.mean() ** 3, rel=0.1)
