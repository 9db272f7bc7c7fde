"""How long a week takes in the control loop: first, with forecasts at hand, by single requests, under nine strategies.

Twenty million requests over fourteen days (the published laws, four models and three regions): the second week is
simulated, with a forecast of the default method and a plan for every hour. Wall-clock time of ``studies.run`` on all
cores, from the trace in the store to the saved study, once each as every part takes minutes; kernels are compiled
before. ``week_first_s`` makes forecasts and sums, ``week_cached_s`` finds them, ``replay_week_s`` finds them and plays
ten million requests; ``nine_strategies_s`` has to make forecasts anew, as the look-ahead asks for a day ahead.
``python -m tests.benchmarks.study FOLDER`` keeps trace and studies in a folder and prints CPU seconds beside.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import Figure, Spread
from workbench import catalog, scenarios, studies
from workbench.results import Study
from workbench.traces import open_store, synthetic

NOW = datetime(2026, 1, 5)
REQUESTS, DAYS, HOURS = 20_000_000, 14, 168
ONE = ("lt_ua",)
NINE = ("siloed", "reactive", "lt_i", "lt_u", "lt_ua", "chiron", "lookahead", "lookahead_ua", "fixed")
PARTS: dict[str, dict[str, Any]] = {
    "week_first_s": {"strategies": ONE},
    "week_cached_s": {"strategies": ONE},
    "replay_week_s": {"strategies": ONE, "engine": "replay"},
    "nine_strategies_s": {"strategies": NINE},
}


def run() -> list[Figure]:
    """Generate the trace and measure the four, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        return [
            Figure(metric=metric, unit="s", spread=Spread(median=seconds, low=seconds, high=seconds))
            for metric, seconds, _ in measured(Path(scratch))
        ]


def measured(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield each figure with its wall-clock and its CPU seconds, those of worker processes included."""
    generate(folder)
    for engine in ("fluid", "replay"):
        once(folder / "warm", {"strategies": ONE, "engine": engine}, folder, hours=1)
    for metric, content in PARTS.items():
        cpu, wall = _cpu_s(), time.perf_counter()
        once(folder / "data", content, folder)
        yield metric, time.perf_counter() - wall, _cpu_s() - cpu


def generate(folder: Path) -> None:
    """Put the trace into a store of the folder, unless it is there."""
    with open_store(folder / "traces.duckdb") as store:
        synthetic.store_generated(
            synthetic.published(), store=store, name="weeks", seed=7, days=DAYS, requests=REQUESTS
        )


def once(root: Path, content: dict[str, Any], folder: Path, *, hours: int = HOURS) -> Study:
    """Run the study of some strategies over the last hours of the trace."""
    given = {"trace": "weeks", "baseline": content["strategies"][0], "span": {"simulate_hours": hours}, **content}
    given["strategies"] = list(content["strategies"])
    with open_store(folder / "traces.duckdb", read_only=True) as store:
        return studies.run(
            scenarios.parse(given, source="benchmark"),
            store,
            catalog=catalog.load(),
            root=root / "studies",
            now=NOW,
            workers=None,
        )


def _cpu_s() -> float:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for metric, wall_s, cpu_s in measured(place):
        print(f"{metric:20} {wall_s:8.1f} s wall {cpu_s:8.1f} s CPU", flush=True)
