"""How long a move of a slider takes, from the new value to the new sentence, figure and tables, without the browser.

On a day of twelve pools under a strategy that follows a plan. Every move has a value that was not seen before, so no
plan or run is found again: a threshold costs one simulation, a quantile or a load a plan and a simulation, and demand a
plan and two simulations, as the baseline meets the same demand.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from tests.benchmarks.timing import Figure, measure
from workbench import catalog, scenarios, studies
from workbench.dashboards import answers
from workbench.dashboards.app import Page
from workbench.results import Study
from workbench.traces import ingest_frame, open_store, synthetic

REQUESTS = 1_000_000
MOVES = 7


def run() -> list[Figure]:
    """Move one slider after another on the page of the quickstart's day, forecast without a fit."""
    with tempfile.TemporaryDirectory() as name:
        study = _study(Path(name))
    page = Page(study)
    loads = (0.30 + 0.01 * step for step in range(60))
    moves = {
        "threshold_ms": _mover(page, "scale_out_above_fraction", (0.60 + 0.005 * step for step in range(60))),
        "replan_ms": _mover(page, "planning_signal_fraction", loads),
        "demand_ms": _mover(page, "demand_factor", (0.90 + 0.005 * step for step in range(60))),
    }
    parts = {
        "plan_ms": lambda: _plan(study),
        "simulate_ms": lambda: answers.simulate(study, page.choices),
    }
    figures = {metric: measure(job, runs=MOVES) for metric, job in (moves | parts).items()}
    return [Figure(metric=metric, unit="ms", spread=spread.times(1000.0)) for metric, spread in figures.items()]


def _study(folder: Path) -> Study:
    content = scenarios.quickstart(trace="week", requests=REQUESTS) | {"forecast": {"method": "seasonal_naive"}}
    with open_store(folder / "traces.duckdb") as store:
        week = synthetic.week(seed=7, requests=REQUESTS, start=scenarios.QUICKSTART_START)
        ingest_frame(week, store=store, name="week", source="synthetic")
        return studies.run(
            scenarios.parse(content, source="slider"),
            store,
            catalog=catalog.load(),
            root=folder / "studies",
            now=datetime(2026, 1, 5),
        )


def _mover(page: Page, name: str, values: Iterator[float]) -> Callable[[], None]:
    def move() -> None:
        page.controls[name].value = next(values)

    return move


def _plan(study: Study) -> None:
    answers._plan.cache_clear()
    answers.plan_of(study, answers.state.of_study(study))
