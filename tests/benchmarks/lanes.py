"""How long a thousand scenarios of a week on twelve pools take: side by side in lanes, and one by one with every rule.

CPU time of one core, from a load laid out before to frames, compiled code cached, steps of a minute; reactive with load
and threshold varied. The scalar simulator runs a sample, told for all, in turns with the lanes; the ratio is of both.
``python -m tests.benchmarks.lanes`` prints how the time grows with scenarios and pools.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from tests.benchmarks.timing import Figure, Spread, measure, side_by_side
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, demand, fleet
from workbench import simulation
from workbench.domain import Fleet, Policy
from workbench.simulation.loads import Laid
from workbench.simulation.sweeps.variations import Variation

REACTIVE = Policy(key="reactive", label="Reactive")
SHARES = {FAST: 10.0, NORMAL: 6.0, BATCH: 5.0}
REGIONS, MODELS = ("east", "central", "west"), ("a", "b", "c", "d")
WEEK_HOURS, SAMPLE = 168.0, 20


def variations(count: int) -> list[Variation]:
    """Loads from a half to one and a half, thresholds from 0.5 to 0.7."""
    thresholds = [0.5 + 0.2 * (7 * i % count) / count for i in range(count)]
    return [
        Variation(load=0.5 + i / count, policy=dataclasses.replace(REACTIVE, scale_out_above_fraction=threshold))
        for i, threshold in enumerate(thresholds)
    ]


def world(regions: int, models: int) -> tuple[Laid, Fleet]:
    """A week with a daily wave in so many regions and models."""
    places = [f"region{i}" for i in range(regions)] if regions != len(REGIONS) else list(REGIONS)
    served = [f"model{i}" for i in range(models)] if models != len(MODELS) else list(MODELS)
    wave = [1.0 + 0.8 * math.sin(2.0 * math.pi * minute / 1440.0) for minute in range(7 * 1440)]
    rates = {(r, m, tier): [rate * x for x in wave] for r in places for m in served for tier, rate in SHARES.items()}
    standing = fleet(regions=places, models=served, ready=10, lent=10)
    return simulation.lay_out(demand(rates), fleet=standing, start=START, hours=WEEK_HOURS), standing


def job(load: Laid, standing: Fleet, count: int, engine: str, step_s: float = 60.0) -> Callable[[], object]:
    """A sweep of so many scenarios on an engine."""
    varied = variations(count)

    def once() -> object:
        return simulation.run_many(
            load, fleet=standing, policy=REACTIVE, variations=varied, start=START, hours=WEEK_HOURS, engine=engine,
            step_s=step_s,
        )  # fmt: skip

    return once


def run() -> list[Figure]:
    """Measure a thousand scenarios; those of the scalar simulator are a sample of them, told for all."""
    load, standing = world(3, 4)
    whole = 1000 / SAMPLE
    scalar, lanes, ratio = side_by_side(
        job(load, standing, SAMPLE, "fluid"), job(load, standing, 1000, "lanes"), runs=3, clock=time.process_time
    )
    fine = measure(job(load, standing, SAMPLE, "fluid", 10.0), runs=3, clock=time.process_time)
    fine_lanes = measure(job(load, standing, 1000, "lanes", 10.0), runs=1, warmup=0, clock=time.process_time)
    return [
        Figure(metric="scenarios_1000_s", unit="s", spread=lanes, ratio=ratio * whole),
        Figure(metric="scenarios_1000_full_s", unit="s", spread=scalar.times(whole)),
        Figure(metric="scenarios_1000_10s_steps_s", unit="s", spread=fine_lanes),
        Figure(metric="scenarios_1000_full_10s_steps_s", unit="s", spread=fine.times(whole)),
    ]


def growth() -> Iterator[tuple[int, int, Spread]]:
    """Yield scenarios, pools and the seconds they take in lanes."""
    for count, regions, models in ((100, 3, 4), (1000, 3, 4), (10_000, 3, 4), (100, 10, 10), (100, 10, 40)):
        load, standing = world(regions, models)
        sweep = job(load, standing, count, "lanes")
        yield count, regions * models, measure(sweep, runs=1, clock=time.process_time, warmup=int(count <= 100))


if __name__ == "__main__":
    table = Table("scenarios", "pools", "s", "ns per scenario, pool and step")
    for scenarios, pools, spread in growth():
        each = spread.median / (scenarios * pools * WEEK_HOURS * 60.0) * 1e9
        table.add_row(f"{scenarios:,}", f"{pools}", f"{spread.median:.2f}", f"{each:.1f}")
    Console().print(table)
