"""workbench.simulation.expectations: what came beside what was expected, and what no expectation can be."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import START, allocation, constant, fleet
from tests.simulation.test_fluid import REACTIVE, plan_of
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import loads, setup


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "mars"}, "the expectation names region mars, which the fleet lacks; it has east"),
        ({"model": "gpt"}, "the expectation names model gpt"),
        ({"input_tps": -1.0}, "rates below nought"),
    ],
)
def test_an_impossible_expectation_is_refused(changes: dict[str, object], message: str) -> None:
    row = {"window_start": START, "region": "east", "model": "m", "input_tps": 1.0} | changes
    plan = plan_of(allocation([{("east", "m"): 3}]))
    policy = Policy(key="ua", label="ua", follow_plan="paced_with_override")
    with pytest.raises(SimulationError, match=message):
        simulation.run(
            constant(1.0, 1.0), fleet=fleet(), policy=policy, start=START, hours=1.0, plan=plan,
            expected=pl.DataFrame([row]),
        )  # fmt: skip


def test_surprise_is_observed_over_expected_and_one_where_nothing_is_known() -> None:
    span = loads.Span(start=START, steps=720, step_s=10.0, window_s=300.0, demand_window_s=60.0)
    expected = pl.DataFrame(
        {
            "window_start": [START + timedelta(hours=1)],
            "region": ["east"],
            "model": ["m"],
            "input_tps": [2.0 * 1490.0],
        }
    )
    inputs = setup.inputs_of(
        loads.grid_of(constant(10.0, 2.0), fleet(), span),
        fleet=fleet(),
        policy=REACTIVE,
        pools=setup.pools_of(fleet(), REACTIVE),
        span=span,
        plan=None,
        expected=expected,
    )
    ratio = inputs.observed_over_forecast[:, 0, 0]
    assert np.all(ratio[:360] == 1.0)
    assert ratio[360:] == pytest.approx(5.0)
