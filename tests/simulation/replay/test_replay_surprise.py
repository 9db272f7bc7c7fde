"""workbench.simulation.replay.surprise: the last minute's input tokens over those expected, known step by step."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import BATCH, FAST, START, fleet
from workbench.errors import SimulationError
from workbench.simulation.loads import Span
from workbench.simulation.replay.arrivals import arrivals_of
from workbench.simulation.replay.surprise import Surprise

SPAN = Span(start=START, steps=12, step_s=10.0, window_s=60.0, demand_window_s=120.0)


def expecting(input_tps: float, *, region: str = "east") -> pl.DataFrame:
    return pl.DataFrame({"window_start": [START], "region": [region], "model": ["m"], "input_tps": [input_tps]})


def test_the_ratio_is_that_of_the_last_minute() -> None:
    """600 tokens in the first step, 1200 in the seventh; 10 a second are expected; deferrable ones do not count."""
    load = requests([(5.0, 600, 1, FAST, "east"), (6.0, 5000, 1, BATCH, "east"), (65.0, 1200, 1, FAST, "east")])
    seen = Surprise(expecting(10.0), fleet(), SPAN)
    for block in arrivals_of(load, fleet(), SPAN):
        seen.add(block)
    seen.tell(0, 8)
    ratio = seen.ratio
    assert ratio[:6, 0, 0] == pytest.approx([6.0 / n for n in range(1, 7)])
    assert ratio[6:8, 0, 0] == pytest.approx([2.0, 2.0])
    assert ratio[8:, 0, 0].tolist() == [1.0] * 4


def test_without_an_expectation_nothing_surprises() -> None:
    seen = Surprise(None, fleet(), SPAN)
    for block in arrivals_of(requests([(5.0, 600, 1, FAST, "east")]), fleet(), SPAN):
        seen.add(block)
    seen.tell(0, 12)
    assert seen.ratio.tolist() == [[[1.0]]]  # one step, which holds for all


def test_nothing_expected_and_nothing_come_is_no_surprise() -> None:
    seen = Surprise(expecting(0.0), fleet(), SPAN)
    seen.tell(0, 12)
    assert (seen.ratio == np.ones((12, 1, 1))).all()


def test_an_expectation_of_an_unknown_region_is_refused() -> None:
    with pytest.raises(SimulationError, match="the expectation names region moon"):
        Surprise(expecting(1.0, region="moon"), fleet(), SPAN)
