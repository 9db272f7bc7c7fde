"""workbench.studies.limits: beside each strategy of a study the fewest GPU-hours at its service."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from workbench import studies
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies import limits


def test_nobody_lies_below_and_better_service_takes_more(small_study: Study) -> None:
    found = studies.least_gpu_hours(small_study)
    assert found.get_column("strategy").to_list() == [policy.key for policy in small_study.scenario.strategies]
    assert (found.get_column("least_gpu_hours") <= found.get_column("gpu_hours")).all()
    assert found.get_column("avoidable_fraction").is_between(0.0, 1.0).all()
    held = dict(found.select("strategy", "gpu_hours").iter_rows())
    totals = dict(small_study.scorecard.totals.select("strategy", "gpu_hours").iter_rows())
    assert held == totals
    alike = found.filter(pl.col("strategy") != "siloed").sort("slo_attainment_fraction")  # silos keep two floors
    assert (alike.get_column("least_gpu_hours").diff().drop_nulls() >= -0.5).all()
    assert set(found.get_column("tier")) == {"interactive_fast"}
    assert (found.get_column("least_at_home_gpu_hours") >= found.get_column("least_gpu_hours") - 0.5).all()
    shown = studies.readable_least(found)
    assert shown.columns[1] == "interactive_fast kept, %"
    assert shown.height == found.height


def test_hours_of_several_kinds_and_tiers_that_wait_have_no_bound(small_study: Study) -> None:
    fleet = small_study.fleet
    twice = replace(fleet, replicas=(*fleet.replicas, replace(fleet.replicas[0], gpu="a100_80gb")))
    with pytest.raises(StudyError, match=r"has no bound in GPU-hours: .* on h100_80gb, a100_80gb"):
        limits.least_gpu_hours(replace(small_study, fleet=twice))
    waiting = replace(fleet, tiers=tuple(tier for tier in fleet.tiers if tier.deferrable))
    with pytest.raises(StudyError, match="every tier may wait"):
        limits.least_gpu_hours(replace(small_study, fleet=waiting))
