"""Random sweeps for the tests of the lanes: fleets, loads and policies drawn from a seed, run on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.simulation_cases import BATCH, FAST, START, allocation, demand, fleet
from workbench import simulation
from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan
from workbench.simulation.sweeps import Sweep
from workbench.simulation.sweeps.variations import Variation

HOURS = 6
SCENARIOS = 6


@dataclass(frozen=True, kw_only=True)
class Case:
    """One sweep: what it runs on and what it varies."""

    load: pl.DataFrame
    world: Fleet
    policy: Policy
    variations: tuple[Variation, ...]
    plan: CapacityPlan | None
    step_s: float

    def run(self, engine: str, variations: Sequence[Variation] | None = None, *, by_pool: bool = False) -> Sweep:
        """Run the sweep, or some of it, on an engine."""
        return simulation.run_many(
            self.load,
            fleet=self.world,
            policy=self.policy,
            variations=variations or self.variations,
            start=START,
            hours=HOURS,
            plan=self.plan,
            step_s=self.step_s,
            by_pool=by_pool,
            engine=engine,
        )


def policy_of(rng: np.random.Generator, *, floor: int, follow_plan: str) -> Policy:
    """A policy with every threshold that a slider has, drawn."""
    return Policy(
        key="drawn",
        label="drawn",
        follow_plan=follow_plan,
        signal=str(rng.choice(["largest", "kv_cache"])),
        route_below_fraction=float(rng.uniform(0.6, 0.9)),
        scale_out_above_fraction=float(rng.uniform(0.5, 0.8)),
        scale_in_below_fraction=float(rng.uniform(0.1, 0.4)),
        cooldown_s=float(rng.choice([15.0, 300.0])),
        floor_replicas=int(rng.integers(floor, 4)),
        swap_s=float(rng.choice([60.0, 600.0])),
        remote_s=float(rng.choice([300.0, 7200.0])),
    )


def case_of(
    seed: int,
    *,
    regions: Sequence[str] = ("east",),
    deferrable: bool = False,
    follow_plan: str = "no",
    floor: int = 0,
) -> Case:
    """Six hours of one model under six scenarios: waves or hourly jumps, calm to far too much."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(HOURS * 60)
    tiers = [(region, FAST) for region in regions] + ([(regions[0], BATCH)] if deferrable else [])
    rates = {}
    for region, tier in tiers:
        jumps = rng.uniform(0.0, 18.0, HOURS)[minutes // 60]
        wave = rng.uniform(1.0, 12.0) * (1.0 + 0.8 * np.sin(minutes / 50.0 + rng.uniform(0.0, 6.0)))
        rates[region, "m", tier] = (jumps if rng.random() < 0.5 else wave).tolist()
    policies = [policy_of(rng, floor=floor, follow_plan=follow_plan) for _ in range(SCENARIOS)]
    hourly = [{(region, "m"): int(rng.integers(1, 9)) for region in regions} for _ in range(HOURS)]
    return Case(
        load=demand(rates),
        world=fleet(
            regions=regions,
            ready=int(rng.integers(2, 8)),
            lent=int(rng.integers(0, 6)),
            free_gpus=8 * int(rng.integers(0, 9)),
            kv_cache_tokens=float(rng.choice([1e6, 2e5])),
        ),
        policy=policies[0],
        variations=tuple(
            Variation(
                load=float(rng.uniform(0.3, 1.3)),
                policy=policy,
                input_tokens=float(rng.uniform(0.5, 1.6)),
                output_tokens=float(rng.uniform(0.6, 1.5)),
            )
            for policy in policies
        ),
        plan=None if follow_plan == "no" else plan_of(allocation(hourly)),
        step_s=float(rng.choice([10.0, 60.0])),
    )


def errors(scalar: pl.DataFrame, lanes: pl.DataFrame, column: str) -> np.ndarray:
    """Relative differences of a column, row by row; rows that are null in both are left out."""
    left, right = scalar.get_column(column), lanes.get_column(column)
    assert left.is_null().to_list() == right.is_null().to_list(), column
    expected, found = left.drop_nulls().to_numpy(), right.drop_nulls().to_numpy()
    return np.abs(found - expected) / np.maximum(np.abs(expected), 1e-9)
