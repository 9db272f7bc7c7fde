"""Compile the kernels of engines before the tests: ``python -m tests.simulation.warming fluid replay lanes``.

Two workers that start at once would compile the same kernels twice, each in the time of the other.
"""

from __future__ import annotations

import sys

from tests.simulation.lanes.lane_cases import case_of
from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import FAST, START, constant, fleet
from workbench import simulation
from workbench.domain import Policy

REACTIVE = Policy(key="reactive", label="Reactive")


def warm(engine: str) -> None:
    """Run an engine once on next to nothing."""
    if engine == "lanes":
        case_of(1).run("lanes")
        return
    load = requests([(1.0, 100, 10, FAST, "east")]) if engine == "replay" else constant(1.0, 1.0)
    simulation.run(load, fleet=fleet(), policy=REACTIVE, start=START, hours=1.0, engine=engine)


if __name__ == "__main__":
    for named in sys.argv[1:]:
        warm(named)
