"""A study of the strategy chiron, end to end: workbench.studies, the catalog's row, both engines, the scorecard."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from workbench import catalog, scenarios, scoring, simulation, studies
from workbench.results import Study
from workbench.traces import open_store

COPIES = 20


@pytest.fixture(scope="module")
def study(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    content = {"name": "pressed", "trace": "small", "forecast": {"method": "seasonal_naive"}}
    changes = {"strategies": ["reactive", "chiron"], "demand.scale": float(COPIES)}
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        return studies.run(
            scenarios.parse(content, overrides=changes, source="test"),
            store,
            catalog=catalog.load(),
            root=tmp_path_factory.mktemp("pressed"),
            now=datetime(2026, 1, 1),
        )


def test_chiron_is_simulated_scored_and_saved(study: Study) -> None:
    again = studies.open_study(study.id, root=study.folder.parent)
    assert list(again.runs) == ["reactive", "chiron"]
    totals = {row["strategy"]: row for row in again.scorecard.totals.iter_rows(named=True)}
    assert totals["chiron"]["label"] == "Chiron"
    assert totals["chiron"]["gpu_hours"] > totals["reactive"]["gpu_hours"]  # it holds spare replicas by design
    pools = again.runs["chiron"].pools
    assert set(pools["silo"]) == {"interactive", "deferrable", "mixed"}
    running = dict(pools.group_by("silo").agg(pl.col("running").sum()).iter_rows())
    assert min(running["interactive"], running["deferrable"]) > 0.0  # the mixed pool waits for what overflows


def test_the_start_holds_three_floors_for_every_model_and_region(study: Study) -> None:
    chiron = next(policy for policy in study.scenario.strategies if policy.key == "chiron")
    start = study.runs["chiron"].pools.filter(pl.col("window_start") == study.as_of)
    held = start.select(pl.sum_horizontal("ready", "starting_reclaim", "lent", "draining")).to_series()
    assert held.min() >= chiron.floor_replicas - 1e-9
    assert start["ready"].min() >= chiron.floor_replicas - 1e-9


def test_both_engines_score_it_alike(study: Study, small_store: Path) -> None:
    """The study's demand is that of the trace twenty times over; the replay gets every request twenty times.

    Trains of twenty equal requests are the burstiest arrivals there are: the fluid engine is held to 8 points of them.
    """
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        single = store.requests("small")
    load = pl.concat(
        [single.with_columns(pl.col("arrived_at") + timedelta(milliseconds=487 * copy)) for copy in range(COPIES)]
    )
    chiron = next(policy for policy in study.scenario.strategies if policy.key == "chiron")
    runs = {
        engine: simulation.run(
            load, fleet=study.fleet, policy=chiron, start=study.as_of, hours=study.hours, engine=engine
        )
        for engine in ("fluid", "replay")
    }
    card = scoring.score(
        runs,
        tiers=study.fleet.tiers,
        baseline="fluid",
        labels={engine: engine for engine in runs},
        warmup_hours=0.0,
    )
    fluid, replayed = card.totals.to_dicts()
    assert fluid["gpu_hours"] == pytest.approx(replayed["gpu_hours"], rel=0.05)
    assert fluid["waste_gpu_hours"] < 0.05 * fluid["gpu_hours"]
    for tier in study.fleet.tiers:
        kept = card.tiers.filter(pl.col("tier") == tier.key)["slo_attainment_fraction"].to_list()
        if None not in kept:
            assert kept[0] == pytest.approx(kept[1], abs=0.08)
