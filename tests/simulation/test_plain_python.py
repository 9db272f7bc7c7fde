"""The compiled kernels of the fluid simulator, the replay and the lanes do what their plain Python says.

So these tests also show to a coverage report what compiled code does, which it cannot see.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numba
import numpy as np
import polars as pl
import pytest

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.lanes.lane_cases import HOURS, case_of
from tests.simulation.replay.replay_cases import TIERS, requests, uneven
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, allocation, demand, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.simulation.scheduling import Scheduling

POLICIES = (
    Policy(key="reactive", label="Reactive", deferrable_ages_after_s=600.0, swap_s=60.0, remote_s=120.0),
    Policy(key="siloed", label="Siloed", siloed=True),
    Policy(key="chiron", label="Chiron", siloed=True, mixed_share=0.3, scale_by="back_pressure", swap_s=60.0),
    Policy(key="lt_i", label="LT-I", follow_plan="at_once"),
    Policy(key="lt_ua", label="LT-UA", follow_plan="paced_with_override", signal="kv_cache"),
)


@contextmanager
def plain_python() -> Iterator[ModuleType]:
    """The simulation package imported anew with compilation switched off; the compiled one is put back afterwards.

    Inside, every import of the package finds the plain one: what is to run compiled must have run before.
    """
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


def test_plain_python_is_plain() -> None:
    fluid = importlib.import_module("workbench.simulation.fluid.engine")
    assert hasattr(fluid.simulate, "signatures")
    with plain_python():
        assert not hasattr(importlib.import_module("workbench.simulation.fluid.engine").simulate, "signatures")
    assert sys.modules["workbench.simulation.fluid.engine"] is fluid


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.key)
def test_compiled_and_plain_agree(policy: Policy) -> None:
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
    compiled = simulation.run(load, **arguments)
    with plain_python() as plainly:
        plain = plainly.run(load, **arguments)
    for name in ("windows", "pools", "scaling"):
        alike(getattr(compiled, name), getattr(plain, name), within=1e-7)
    assert compiled.ttft.get_column("requests").sum() == pytest.approx(plain.ttft.get_column("requests").sum())


def alike(left: pl.DataFrame, right: pl.DataFrame, *, within: float) -> None:
    """Assert that two frames are the same, numbers within a tolerance."""
    assert left.schema == right.schema
    for column in left.columns:
        if left.schema[column].is_numeric():
            assert left.get_column(column).fill_null(-1.0).to_numpy() == pytest.approx(
                right.get_column(column).fill_null(-1.0).to_numpy(), rel=within, abs=within
            ), column
        else:
            assert left.get_column(column).equals(right.get_column(column)), column


@pytest.mark.parametrize(
    ("policy", "how"),
    [
        (POLICIES[0], Scheduling()),
        (POLICIES[0], Scheduling(order="dpa", balance="requests", chunk_tokens=512)),
        (POLICIES[1], Scheduling(order="edf")),
        (POLICIES[2], Scheduling(order="pf")),
        (POLICIES[4], Scheduling()),
    ],
    ids=lambda value: value.key if isinstance(value, Policy) else value.order,
)
def test_compiled_and_plain_replay_agree(policy: Policy, how: Scheduling) -> None:
    """Twenty minutes of three tiers in two regions, too much for them in the middle, with few KV tokens."""
    rng = np.random.default_rng(11)
    at = np.sort(np.concatenate([rng.uniform(0.0, 1200.0, 250), rng.uniform(300.0, 420.0, 350)]))
    rows = [
        (float(time), int(rng.lognormal(7.0, 1.0)) + 1, int(rng.integers(1, 200)), TIERS[rng.integers(3)],
         ("east", "west")[rng.integers(2)])
        for time in at
    ]  # fmt: skip
    world = uneven(regions=("east", "west"), ready=3, lent=1, free_gpus=8, kv_cache_tokens=2e4, batch_cap=12)
    cells = [(region, "m") for region in ("east", "west")]
    plan = plan_of(allocation([dict.fromkeys(cells, 4)]))
    arguments = {"fleet": world, "policy": policy, "start": START, "hours": 1 / 3, "engine": "replay"}
    arguments |= {"plan": plan if policy.needs_plan else None, "scheduling": how, "keep_requests": True}
    load = requests(rows)
    compiled = simulation.run(load, **arguments)
    with plain_python() as plainly:
        plain = plainly.run(load, **arguments)
    for name in ("windows", "pools", "scaling", "requests"):
        alike(getattr(compiled, name), getattr(plain, name), within=1e-7)


@pytest.mark.parametrize("follow_plan", ["no", "paced_with_override"])
def test_compiled_and_plain_lanes_agree(follow_plan: str) -> None:
    """Single precision and fused products: the plain numbers are near, not equal."""
    case = case_of(3, regions=("east", "west"), deferrable=True, follow_plan=follow_plan, floor=1)
    arguments = {"fleet": case.world, "policy": case.policy, "start": START, "hours": min(HOURS, 1), "step_s": 60.0}
    arguments |= {"plan": case.plan, "engine": "lanes"}
    compiled = simulation.run_many(case.load, variations=case.variations, **arguments)
    with plain_python() as plainly:
        variation = importlib.import_module("workbench.simulation.sweeps.variations").Variation
        drawn = [variation(**vars(one)) for one in case.variations]
        plain = plainly.run_many(case.load, variations=drawn, **arguments)
    for column in ("gpu_hours", "kv_cache_used_fraction", "work_fraction"):
        assert compiled.scenarios.get_column(column).to_numpy() == pytest.approx(
            plain.scenarios.get_column(column).to_numpy(), rel=1e-3
        ), column
