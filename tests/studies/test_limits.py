"""workbench.studies.limits: beside each strategy of a study the fewest GPU-hours at its service."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from workbench import studies
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies import limits


@pytest.fixture(scope="module")
def found(small_study: Study) -> pl.DataFrame:
    """The bounds of every strategy of the small study, whatever starts take."""
    return studies.least_gpu_hours(small_study)


@pytest.mark.slow
def test_nobody_lies_below_and_better_service_takes_more(small_study: Study, found: pl.DataFrame) -> None:
    assert found.get_column("strategy").to_list() == [policy.key for policy in small_study.scenario.strategies]
    assert (found.get_column("least_gpu_hours") <= found.get_column("gpu_hours")).all()
    assert found.get_column("avoidable_fraction").is_between(0.0, 1.0).all()
    held = dict(found.select("strategy", "gpu_hours").iter_rows())
    totals = dict(small_study.scorecard.totals.select("strategy", "gpu_hours").iter_rows())
    assert held == totals
    alike = found.filter(pl.col("strategy") != "siloed").sort("slo_attainment_fraction")  # silos keep two floors
    assert (alike.get_column("least_gpu_hours").diff().drop_nulls() >= -0.5).all()
    assert set(found.get_column("tier")) == {"interactive_fast"}
    hours = [found.get_column(f"least_{way}gpu_hours") for way in ("", "routed_", "at_home_")]
    assert (hours[1] >= hours[0]).all()
    assert (hours[2] >= 0.995 * hours[1]).all()  # prices are searched to a ten-thousandth
    assert (hours[1] <= found.get_column("gpu_hours")).all()
    shown = studies.readable_least(found)
    assert shown.columns[1] == "interactive_fast kept, %"
    assert shown.height == found.height


def test_starts_that_must_spare_waste_raise_it(small_study: Study, found: pl.DataFrame) -> None:
    one = small_study.scenario.strategies[1]
    alone = replace(small_study, scenario=replace(small_study.scenario, strategies=(one,)))
    spare = studies.least_gpu_hours(alone, waste_saved_fraction=0.8)
    free = found.filter(strategy=one.key)
    for column in ("least_gpu_hours", "least_at_home_gpu_hours"):
        assert spare.get_column(column).item() >= 0.999 * free.get_column(column).item()
    assert spare.get_column("least_gpu_hours").item() <= free.get_column("gpu_hours").item()


def test_hours_of_several_kinds_and_tiers_that_wait_have_no_bound(small_study: Study) -> None:
    fleet = small_study.fleet
    twice = replace(fleet, replicas=(*fleet.replicas, replace(fleet.replicas[0], gpu="a100_80gb")))
    with pytest.raises(StudyError, match=r"has no bound in GPU-hours: .* on h100_80gb, a100_80gb"):
        limits.least_gpu_hours(replace(small_study, fleet=twice))
    waiting = replace(fleet, tiers=tuple(tier for tier in fleet.tiers if tier.deferrable))
    with pytest.raises(StudyError, match="every tier may wait"):
        limits.least_gpu_hours(replace(small_study, fleet=waiting))
