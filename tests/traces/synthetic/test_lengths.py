"""workbench.traces.synthetic.lengths: quantiles, means and the dependence of prompt and output survive the law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import TraceError
from workbench.traces.synthetic.laws import Hump
from workbench.traces.synthetic.lengths import (
    BAND_LEVELS,
    LEVELS,
    LengthLaw,
    law_of_humps,
    law_of_means,
    law_of_rows,
    mean_of,
    quantiles_of,
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_levels_run_from_zero_to_one() -> None:
    for levels in (LEVELS, BAND_LEVELS):
        assert (levels[0], levels[-1]) == (0.0, 1.0)
        assert np.all(np.diff(levels) > 0)


def test_one_lognormal_has_its_median_and_its_mean() -> None:
    """Median 1000 and sigma 0.5: the mean is 1000 exp(0.125), the 97.5th percentile 1000 exp(0.98)."""
    law = law_of_humps(
        [Hump(weight=1.0, median_tokens=1000, sigma=0.5)],
        [Hump(weight=1.0, median_tokens=100, sigma=0.2)],
        longest=(1e9, 1e9),
    )
    assert np.interp(0.5, LEVELS, law.prompt) == pytest.approx(1000, rel=1e-4)
    assert np.interp(0.975, LEVELS, law.prompt) == pytest.approx(1000 * np.exp(0.98), rel=0.005)
    assert mean_of(law.prompt, LEVELS) == pytest.approx(1000 * np.exp(0.125), rel=0.003)
    assert mean_of(law.output[0], BAND_LEVELS) == pytest.approx(100 * np.exp(0.02), rel=0.003)


def test_lengths_are_cut_at_the_longest() -> None:
    hump = [Hump(weight=1.0, median_tokens=1000, sigma=2.0)]
    law = law_of_humps(hump, hump, longest=(5000, 200))
    assert max(law.prompt) == 5000
    assert max(law.output[0]) == 200


@settings(deadline=None, max_examples=30)
@given(st.floats(3.0, 20_000.0), st.floats(3.0, 2000.0))
def test_a_law_of_means_has_these_means(prompt: float, output: float) -> None:
    law = law_of_means(prompt, output)
    assert mean_of(law.prompt, LEVELS) == pytest.approx(prompt, rel=1e-3)
    assert mean_of(law.output[0], BAND_LEVELS) == pytest.approx(output, rel=1e-3)


def test_the_mean_of_the_tail_is_kept() -> None:
    """A hundred thousand ones and one of a million: the mean is about 11, and no length of a million is in the law."""
    values = np.array([1] * 100_000 + [1_000_000])
    quantiles = quantiles_of(values, LEVELS)
    assert quantiles[-1] < 1_000_000
    assert max(quantiles[:-1]) == 1.0


def test_drawn_lengths_have_the_quantiles_of_the_rows(random: np.random.Generator) -> None:
    prompt = random.lognormal(7, 1, 50_000).astype(np.int64) + 1
    output = np.minimum(random.lognormal(4, 1, 50_000).astype(np.int64) + 1, 300)
    made, answered, cached = law_of_rows(prompt, output).drawn(100_000, random)
    assert cached is None
    for level in (0.05, 0.5, 0.95, 0.99):
        assert np.quantile(made, level) == pytest.approx(np.quantile(prompt, level), rel=0.03)
        assert np.quantile(answered, level) == pytest.approx(np.quantile(output, level), rel=0.06)
    assert made.mean() == pytest.approx(prompt.mean(), rel=0.02)
    assert answered.max() == 300
    assert np.mean(answered == 300) == pytest.approx(np.mean(output == 300), abs=0.02)  # a level is a fiftieth


def test_outputs_that_depend_on_prompts_still_do(random: np.random.Generator) -> None:
    prompt = random.integers(1, 4001, 40_000)
    output = np.abs(prompt - 2000) // 10 + random.integers(1, 20, prompt.size)
    made, answered, _ = law_of_rows(prompt, output).drawn(60_000, random)
    short, middle = answered[made < 400].mean(), answered[(made > 1800) & (made < 2200)].mean()
    assert short == pytest.approx(output[prompt < 400].mean(), rel=0.05)
    assert middle == pytest.approx(output[(prompt > 1800) & (prompt < 2200)].mean(), rel=0.25)
    assert (made * answered).mean() == pytest.approx((prompt * output).mean(), rel=0.03)


def test_cached_parts_are_kept_and_unknown_ones_stay_unknown(random: np.random.Generator) -> None:
    """Half of the requests say nothing of a cache; of the others three quarters find nothing and one finds half."""
    prompt = np.full(20_000, 1000)
    fraction = np.where(np.arange(prompt.size) % 4 == 0, 0.5, 0.0)
    fraction[::2] = np.where(np.arange(10_000) % 4 == 0, 0.5, 0.0)
    fraction[10_000:] = np.nan
    law = law_of_rows(prompt, prompt, fraction)
    _, _, cached = law.drawn(40_000, random)
    assert cached is not None
    assert np.mean(cached < 0) == pytest.approx(0.5, abs=0.01)
    known = cached[cached >= 0]
    assert known.max() <= 500
    assert known.mean() / 1000 == pytest.approx(np.nanmean(fraction), abs=0.01)


def test_few_rows_make_one_band_and_equal_rows_one_length(random: np.random.Generator) -> None:
    law = law_of_rows(np.array([7, 7, 7]), np.array([2, 2, 2]))
    assert len(law.output) == 1
    prompt, output, _ = law.drawn(10, random)
    assert set(prompt.tolist()) == {7}
    assert set(output.tolist()) == {2}
    with pytest.raises(TraceError, match="no requests"):
        law_of_rows(np.array([], dtype=np.int64), np.array([], dtype=np.int64))


def test_a_law_that_falls_or_is_below_one_is_refused() -> None:
    good = law_of_means(100.0, 10.0)
    with pytest.raises(TraceError, match="length law"):
        LengthLaw(prompt=tuple(reversed(good.prompt)), output=good.output)
    with pytest.raises(TraceError, match="length law"):
        LengthLaw(prompt=good.prompt[:-1], output=good.output)
    with pytest.raises(TraceError, match="length law"):
        LengthLaw(prompt=(0.0, *good.prompt[1:]), output=good.output)
