"""workbench.studies.sweeps: a grid of one scenario, each point once, in one frame."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.studies.test_competing import TALL
from workbench import scoring, studies
from workbench.errors import ScenarioError
from workbench.studies import sweeps

NOW = datetime(2026, 1, 1)
FEW = {**TALL, "strategies": ["reactive", "lt_ua"], "span": {"as_of": datetime(2025, 7, 11, 14), "simulate_hours": 2}}
OVER = {"risk.headroom_fraction": (0.0, 0.5), "policy.cooldown_s": (15.0, 240.0)}


def swept(small_store: Path, data_dir: Path, over: sweeps.Axes, told: list[tuple[int, int]]) -> studies.Sweep:
    return studies.sweep(
        FEW, over, source="test", store=small_store / "traces.duckdb", data_dir=data_dir, now=NOW, workers=1,
        progress=lambda *done: told.append(done),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def made(small_store: Path, folder: Path) -> studies.Sweep:
    """Two shares of headroom by two cooldowns."""
    return swept(small_store, folder, OVER, [])


def test_every_combination_is_a_point_of_one_frame(made: studies.Sweep) -> None:
    found = made.totals.select(*OVER, "strategy").rows()
    assert found == [(h, c, s) for h in (0.0, 0.5) for c in (15.0, 240.0) for s in ("reactive", "lt_ua")]
    assert made.tiers.height == 3 * made.totals.height
    assert made.axes == OVER


def test_more_headroom_holds_more_for_those_who_plan_and_changes_nothing_for_others(made: studies.Sweep) -> None:
    hours = {row[:3]: row[3] for row in made.totals.select(*OVER, "strategy", "gpu_hours").rows()}
    for cooldown in (15.0, 240.0):
        assert hours[0.5, cooldown, "lt_ua"] >= hours[0.0, cooldown, "lt_ua"]
        assert hours[0.5, cooldown, "reactive"] == hours[0.0, cooldown, "reactive"]


def test_a_sweep_goes_on_where_it_was_and_one_value_more_is_made_alone(
    small_store: Path, folder: Path, made: studies.Sweep
) -> None:
    told: list[tuple[int, int]] = []
    again = swept(small_store, folder, OVER, told)
    assert told == [(4, 4)]
    assert again.totals.equals(made.totals)
    assert again.tiers.equals(made.tiers)
    told.clear()
    swept(small_store, folder, {"risk.headroom_fraction": (0.0, 0.5), "policy.cooldown_s": (15.0, 60.0)}, told)
    assert told == [(2, 4), (3, 4), (4, 4)]
    assert not any((folder / "studies").glob("*"))  # what is kept are scorecards


def test_equal_service_is_read_off_the_points(made: studies.Sweep) -> None:
    points = studies.service_points(made, deferrable=["non_interactive"])
    kept = points.get_column(scoring.SERVICE)
    assert kept.is_between(0.0, 1.0).all()
    found = sweeps.at_equal_service(made, 0.0, deferrable=["non_interactive"])
    cheapest = points.group_by("strategy").agg(pl.col("cost_usd").min()).sort("strategy")
    assert found.sort("strategy").get_column("cost_usd").to_list() == cheapest.get_column("cost_usd").to_list()


def test_wrong_axes_are_refused_before_anything_is_run(small_store: Path, tmp_path: Path) -> None:
    for over, message in (
        ({}, "write KEY=V1,V2"),
        ({"risk.headroom_fraction": ()}, r"found none for risk\.headroom_fraction"),
        ({"risk.headrom_fraction": (0.1,)}, "did you mean 'headroom_fraction'"),
    ):
        with pytest.raises(ScenarioError, match=message):
            swept(small_store, tmp_path, over, [])
    assert not any(tmp_path.iterdir())
