"""Compile the kernels of all engines before the tests: ``python -m tests.simulation.warming``.

Two workers that start at once would compile the same kernels twice, each in the time of the other.
"""

from __future__ import annotations

from tests.simulation.lanes.lane_cases import case_of
from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import FAST, START, constant, fleet
from workbench import simulation
from workbench.domain import Policy

REACTIVE = Policy(key="reactive", label="Reactive")


def warm() -> None:
    """Run each engine once on next to nothing."""
    single = requests([(1.0, 100, 10, FAST, "east")])
    for load, engine in ((constant(1.0, 1.0), "fluid"), (single, "replay")):
        simulation.run(load, fleet=fleet(), policy=REACTIVE, start=START, hours=1.0, engine=engine)
    for engine in ("fluid", "lanes"):
        case_of(1).run(engine)


if __name__ == "__main__":
    warm()
