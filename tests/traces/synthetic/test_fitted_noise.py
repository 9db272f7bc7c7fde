"""workbench.traces.synthetic.fitted_noise: noise at each scale from sums of squares, hand-solved and found again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.synthetic.fitting_cases import kept
from tests.traces.synthetic.test_generating import START, plain
from workbench.traces import open_store
from workbench.traces.synthetic import Noise, generate
from workbench.traces.synthetic.fitted_noise import noise_of, noise_of_squares


def test_noise_of_one_scale_by_hand() -> None:
    """A million seconds in which every tenth block of 10 s holds 10 requests per second, the others none.

    Pairs in one second: 100,000 x 10 x 9 = 9 million, 9 per second; pairs in one block but not one second:
    10,000 x (100^2 - 10 x 10^2) = 90 million, 10 per second and partner (9 of them): ratio 0.9, no noise of 1 s.
    Pairs in one minute but not one block, with every busy block alone in its minute (a tenth of six is less than one):
    none, so the noise of 10 s cannot be told.
    """
    row = {"requests": 1e6, "bins": 1e6, "q1": 1e5 * 100, "q10": 1e4 * 100**2, "q60": 1e4 * 100**2}
    first, second = noise_of_squares(row, [1.0, 10.0, 60.0])
    assert first == Noise(dwell_s=1.0, cv=0.0)
    assert second is None


def test_noise_of_ten_seconds_by_hand() -> None:
    """As above, but busy blocks fall where they like: each minute has 0.6 on average, pairs as if independent.

    1 request per second on average: 50 partners in the other blocks of the minute at 1 pair each make q60 - q10 = 50
    per second; 9 partners in the block at 10 each make q10 - q1 = 90: cv^2 = 10 - 1 = 9.
    """
    q1, q10 = 1e5 * 100, 1e4 * 100**2
    row = {"requests": 1e6, "bins": 1e6, "q1": q1, "q10": q10, "q60": q10 + 50e6}
    second = noise_of_squares(row, [1.0, 10.0, 60.0])[1]
    assert second is not None
    assert (second.dwell_s, second.cv) == (10.0, pytest.approx(3.0))


def test_too_few_pairs_say_nothing() -> None:
    row = {"requests": 100.0, "bins": 1e5, "q1": 110.0, "q10": 120.0}
    assert noise_of_squares(row, [1.0, 10.0]) == (None,)


def test_the_noise_of_a_made_trace_is_found_again(tmp_path: Path) -> None:
    wanted = (Noise(dwell_s=1.0, cv=0.6), Noise(dwell_s=60.0, cv=0.4))
    workload = plain(rps=3.0, noise=wanted)
    made = pl.concat(generate(workload, seed=3, days=1.0))
    with open_store(tmp_path / "traces.duckdb") as store:
        trace = kept(store, made)
        found = noise_of(store, trace, since=START, until=START + timedelta(days=1), slot_s=3600.0)
    by_dwell = {noise.dwell_s: noise.cv for noise in found["here", "m", "t"]}
    assert by_dwell[1.0] == pytest.approx(0.6, abs=0.06)
    assert by_dwell[60.0] == pytest.approx(0.4, abs=0.06)
    assert by_dwell.get(10.0, 0.0) < 0.15


def test_a_poisson_process_has_no_noise(tmp_path: Path) -> None:
    made = pl.concat(generate(dataclasses.replace(plain(rps=2.0)), seed=5, days=0.5))
    with open_store(tmp_path / "traces.duckdb") as store:
        trace = kept(store, made)
        found = noise_of(store, trace, since=START, until=START + timedelta(hours=12), slot_s=3600.0)
    assert all(noise.cv < 0.12 for noise in found["here", "m", "t"])
