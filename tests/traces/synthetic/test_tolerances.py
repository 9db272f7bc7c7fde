"""workbench.traces.synthetic.tolerances: what chance does to counts and dispersions, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from workbench.traces.synthetic import TOLERANCES, Noise, published
from workbench.traces.synthetic.tolerances import allowed, dispersion_variance, noise_variance


def test_every_tolerance_says_why() -> None:
    assert all(0 < tolerance.relative <= 0.4 and tolerance.reason for tolerance in TOLERANCES)


def test_what_is_allowed_by_hand() -> None:
    """Without noise 10,000 requests may differ by 3 % and three times 1 %, a mean prompt by 4 % whatever the count."""
    quiet = dataclasses.replace(
        published(), streams=tuple(dataclasses.replace(s, noise=()) for s in published().streams)
    )
    group = ("llama2_70b", "interactive_fast")
    words = {"counted": 10_000.0, "workload": quiet, "window_s": 3600.0}
    assert allowed("requests", group, **words) == pytest.approx(0.06)
    assert allowed("requests per window", group, **words) == pytest.approx(0.08 + 1.2 * 0.01)
    assert allowed("input tokens, mean", group, **words) == 0.04
    assert allowed("output tokens p99", group, **words) == 0.10
    assert allowed("requests per window", group, **words | {"workload": published()}) > 0.1


def test_the_chance_of_a_dispersion_by_hand() -> None:
    """Gamma noise of CV 1 has squared deviations that vary by sqrt(2 + 6): over 800 draws, by a tenth."""
    noisy = dataclasses.replace(published().streams[0], noise=(Noise(dwell_s=10.0, cv=1.0),))
    assert dispersion_variance([noisy], 8000.0) == pytest.approx(0.01)
    assert dispersion_variance([dataclasses.replace(noisy, noise=())], 8000.0) == 0.0


def test_the_variance_of_noise_by_hand() -> None:
    """Noise of CV 0.5 for a minute: an hour averages over 60 draws, 0.25 / 60; a minute has all of it.

    Two equal streams halve it. Over a whole span in which all comes in a quarter of the time, four times as much.
    """
    stream = published().streams[0]
    noisy = dataclasses.replace(stream, noise=(Noise(dwell_s=60.0, cv=0.5),))
    other = dataclasses.replace(noisy, region="elsewhere")
    flat = dataclasses.replace(noisy, rhythm=dataclasses.replace(noisy.rhythm, relative=(0.0, 0.0, 4.0, 0.0)))
    assert noise_variance([noisy], 3600.0, is_whole=False) == pytest.approx(0.25 / 60)
    assert noise_variance([noisy], 60.0, is_whole=False) == pytest.approx(0.25)
    assert noise_variance([noisy, other], 3600.0, is_whole=False) == pytest.approx(0.125 / 60)
    assert noise_variance([flat], 3600.0, is_whole=True) == pytest.approx(4 * 0.25 / 60)
