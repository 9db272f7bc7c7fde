"""The compiled kernels of workbench.simulation.fluid, rules and latency do what their plain Python says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numba
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, allocation, demand, fleet
from tests.simulation.test_fluid import plan_of
from workbench import simulation
from workbench.domain import Policy

POLICIES = (
    Policy(key="reactive", label="Reactive", deferrable_ages_after_s=600.0, swap_s=60.0, remote_s=120.0),
    Policy(key="siloed", label="Siloed", siloed=True),
    Policy(key="chiron", label="Chiron", siloed=True, mixed_share=0.3, scale_by="back_pressure", swap_s=60.0),
    Policy(key="lt_i", label="LT-I", follow_plan="at_once"),
    Policy(key="lt_ua", label="LT-UA", follow_plan="paced_with_override", signal="kv_cache"),
)


@pytest.fixture
def plain_python() -> Iterator[ModuleType]:
    """The simulation package imported anew with compilation switched off; the compiled one is put back afterwards."""
    compiled = {name: module for name, module in sys.modules.items() if name.startswith("workbench.simulation")}
    for name in compiled:
        del sys.modules[name]
    numba.config.DISABLE_JIT = True
    try:
        yield importlib.import_module("workbench.simulation")
    finally:
        numba.config.DISABLE_JIT = False
        for name in [name for name in sys.modules if name.startswith("workbench.simulation")]:
            del sys.modules[name]
        sys.modules.update(compiled)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.key)
def test_compiled_and_plain_agree(policy: Policy, plain_python: ModuleType) -> None:
    rates = [3.0] * 20 + [25.0] * 30 + [1.0] * 25
    load = demand(
        {
            ("east", "m", FAST): rates,
            ("east", "other", NORMAL): [4.0] * 75,
            ("west", "m", BATCH): [6.0] * 75,
            ("west", "other", FAST): rates[::-1],
        }
    )
    world = fleet(regions=("east", "west"), models=("m", "other"), ready=4, lent=1, free_gpus=8)
    cells = [(region, model) for region in ("east", "west") for model in ("m", "other")]
    plan = plan_of(allocation([dict.fromkeys(cells, 6), dict.fromkeys(cells, 3)]))
    arguments = {"fleet": world, "policy": policy, "start": START, "hours": 1.25}
    arguments |= {"plan": plan if policy.needs_plan else None}
    compiled, plain = simulation.run(load, **arguments), plain_python.run(load, **arguments)
    for name in ("windows", "pools", "scaling"):
        left, right = getattr(compiled, name), getattr(plain, name)
        assert left.schema == right.schema
        for column in left.columns:
            if left.schema[column].is_numeric():
                assert left.get_column(column).fill_null(-1.0).to_numpy() == pytest.approx(
                    right.get_column(column).fill_null(-1.0).to_numpy(), rel=1e-7, abs=1e-7
                ), (name, column)
            else:
                assert left.get_column(column).equals(right.get_column(column)), (name, column)
    assert compiled.ttft.get_column("requests").sum() == pytest.approx(plain.ttft.get_column("requests").sum())
