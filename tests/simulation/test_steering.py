"""workbench.simulation.steering and running: a controller asked every hour sees the fleet as it is and is obeyed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import BATCH, FAST, MIX, START, allocation, constant, demand, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.results import Orders, SimRun, SoFar, Standing
from workbench.simulation import compiling, running

AT_ONCE = Policy(key="lt_i", label="LT-I", follow_plan="at_once", floor_replicas=1)
OVERRIDE = Policy(key="lt_ua", label="LT-UA", follow_plan="paced_with_override")
POOL = ("east", "m", "h100")
ENGINES = ("fluid", "replay")


def load_of(engine: str, rate: float = 4.0, hours: int = 3) -> pl.DataFrame:
    """The same steady load as sums or as single requests."""
    if engine == "fluid":
        return constant(rate, hours)
    return requests([(i / rate, 1490, 299, FAST, "east") for i in range(int(rate * 3600 * hours))])


def same(left: SimRun, right: SimRun) -> None:
    for name in ("windows", "pools", "ttft", "scaling"):
        assert getattr(left, name).equals(getattr(right, name)), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", [AT_ONCE, OVERRIDE], ids=lambda policy: policy.key)
def test_orders_hour_by_hour_are_a_plan_made_beforehand(engine: str, policy: Policy) -> None:
    wanted = [6, 3, 5]
    expected = pl.DataFrame(
        {
            "window_start": [START + timedelta(hours=hour) for hour in range(3)],
            "region": "east",
            "model": "m",
            "input_tps": [4.0 * 1490.0, 1000.0, 20_000.0],
        }
    )
    arguments = {"fleet": fleet(ready=4, lent=6), "policy": policy, "start": START, "hours": 3.0, "engine": engine}
    beforehand = simulation.run(
        load_of(engine), plan=plan_of(allocation([{("east", "m"): n} for n in wanted])), expected=expected, **arguments
    )

    def steer(standing: Standing) -> Orders:
        hour = (standing.at - START) // timedelta(hours=1)
        return Orders(replicas={POOL: wanted[hour]}, expected=expected.slice(hour, 1))

    same(simulation.run(load_of(engine), steer=steer, **arguments), beforehand)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_controller_sees_the_fleet_as_it_stands(engine: str) -> None:
    """Two more are ordered for the first hour, of which one comes from another kind of start; then two less."""
    seen: list[Standing] = []

    def steer(standing: Standing) -> Orders:
        seen.append(standing)
        return Orders(replicas={POOL: [6, 4, 4][len(seen) - 1]})

    world = fleet(ready=4, lent=1, free_gpus=8)
    simulation.run(load_of(engine), fleet=world, policy=AT_ONCE, start=START, hours=3.0, engine=engine, steer=steer)
    assert [standing.at for standing in seen] == [START + timedelta(hours=hour) for hour in range(3)]
    states = [standing.pools.row(0, named=True) for standing in seen]
    assert [(s["ready"], s["starting_remote"], s["lent"]) for s in states] == [(4, 0, 1), (5, 1, 0), (3, 1, 2)]
    assert all(standing.waiting.is_empty() for standing in seen)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_controller_sees_what_waits_by_hour_of_arrival(engine: str) -> None:
    """A pool too full to take deferrable work: all of two hours waits, by the hour in which it came."""
    per_hour = 360
    if engine == "fluid":
        load = demand({("east", "m", FAST): [20.0] * 180, ("east", "m", BATCH): [per_hour / 3600] * 180})
    else:
        busy = [(i / 20.0, 1490, 299, FAST, "east") for i in range(20 * 10_800)]
        batch = [(i * 10.0 + 0.5, 1490, 299, BATCH, "east") for i in range(3 * per_hour)]
        load = requests(sorted(busy + batch))
    seen: list[Standing] = []

    def steer(standing: Standing) -> Orders:
        seen.append(standing)
        return Orders(replicas={POOL: 2})

    world = fleet(ready=2, mix=MIX)
    simulation.run(load, fleet=world, policy=AT_ONCE, start=START, hours=3.0, engine=engine, steer=steer)
    last = seen[-1].waiting
    assert last.get_column("arrived_hour").to_list() == [START, START + timedelta(hours=1)]
    assert last.get_column("tier").to_list() == [BATCH] * 2
    waiting = last.get_column("requests").to_list()
    assert waiting[1] == pytest.approx(per_hour, rel=1e-6)
    assert 0.9 * per_hour <= waiting[0] <= per_hour + 1e-6  # some got in before the pool had filled
    assert last.get_column("input_tokens").to_list() == pytest.approx([n * 1490.0 for n in waiting])
    assert last.get_column("output_tokens").to_list() == pytest.approx([n * 299.0 for n in waiting])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"policy": Policy(key="reactive", label="Reactive")},
            "reactive follows no plan",
        ),
        ({"plan": plan_of(allocation([{("east", "m"): 3}]))}, "a steered run gets its plan"),
        ({"steer": lambda standing: Orders(replicas={})}, "hour 0 have no replicas for m on h100 in east"),
        ({"steer": lambda standing: Orders(replicas={POOL: -2})}, "have -2 replicas"),
        ({"steer": None}, "follows a plan and got none"),
    ],
)
def test_contradictory_orders_are_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"policy": AT_ONCE, "steer": lambda standing: Orders(replicas={POOL: 3})} | changes
    with pytest.raises(SimulationError, match=message):
        simulation.run(constant(1.0, 1.0), fleet=fleet(), start=START, hours=1.0, **arguments)  # type: ignore[arg-type]


def test_progress_is_told_once_a_block() -> None:
    told: list[SoFar] = []
    run = simulation.run(
        constant(1.0, 3.0), fleet=fleet(), policy=AT_ONCE, start=START, hours=3.0,
        steer=lambda standing: Orders(replicas={POOL: 2}), progress=told.append,
    )  # fmt: skip
    told = [had for had in told if not had.note]  # compiling is told too, where the code is not kept yet
    assert [had.done_fraction for had in told] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert told[-1].gpu_hours == pytest.approx(run.pools.get_column("gpu_hours").sum())
    kept = run.windows.filter(pl.col("tier") == FAST)
    attained = (kept["slo_attainment_fraction"] * kept["arrived"]).sum() / kept["arrived"].sum()
    assert told[-1].kept_fraction == pytest.approx({FAST: attained})
    assert running.BLOCK_HOURS == 24


def test_compiling_is_told_once_as_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller's own kernel was never compiled, so that this holds where those of the engine are kept."""
    monkeypatch.setattr(compiling, "_folder", lambda file: str(tmp_path))
    told: list[SoFar] = []

    @compiling.kernel
    def double(replicas: int) -> int:
        return 2 * replicas

    simulation.run(
        constant(1.0, 2.0), fleet=fleet(), policy=AT_ONCE, start=START, hours=2.0,
        steer=lambda standing: Orders(replicas={POOL: double(1)}), progress=told.append,
    )  # fmt: skip
    assert [had.note for had in told] == [running.COMPILING, "", ""]
    assert (told[0].done_fraction, told[0].gpu_hours) == (0.0, 0.0)
