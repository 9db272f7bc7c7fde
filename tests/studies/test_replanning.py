"""A saved study is planned again, and the plans lie beside its own: workbench.studies.replanning."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from workbench import studies
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies.replanning import (
    PlanChoices,
    check_again,
    open_plan,
    plan_again,
    plan_labels,
    risk_of,
    save_plan,
)


@pytest.fixture
def own_study(small_study: Study, tmp_path: Path) -> Study:
    """The small study in a folder of its own."""
    shutil.copytree(small_study.folder, tmp_path / small_study.id)
    return studies.open_study(small_study.id, root=tmp_path)


def test_the_same_choices_give_the_same_plan(own_study: Study) -> None:
    again = plan_again(own_study, PlanChoices())
    assert again.allocation.equals(own_study.plan.allocation)
    assert again.cost_usd == pytest.approx(own_study.plan.cost_usd)


def test_a_higher_quantile_costs_no_less_and_passes_its_check(own_study: Study) -> None:
    choices = PlanChoices(quantile=0.95, epsilon_fraction=0.5, floor_replicas=1)
    again = plan_again(own_study, choices)
    assert risk_of(own_study, choices).quantile == 0.95
    assert check_again(own_study, again, choices).is_empty()
    assert not check_again(own_study, dataclasses.replace(again, cost_usd=0.0), choices).is_empty()


def test_a_kept_plan_is_what_was_made(own_study: Study) -> None:
    choices = PlanChoices(model="lookahead", integer_hours=1.0, epsilon_fraction=0.4)
    made = plan_again(own_study, choices)
    save_plan(own_study, "ahead", made, choices)
    assert plan_labels(own_study) == ("study", "ahead")
    opened, read = open_plan(own_study, "ahead")
    assert read == choices
    assert opened.cost_usd == made.cost_usd
    assert opened.whole_windows == made.whole_windows == 1
    assert opened.flows is not None
    assert made.flows is not None
    assert opened.flows.equals(made.flows)
    assert check_again(own_study, opened, read).is_empty()


def test_the_own_plan_and_unknown_ones_are_told_apart(own_study: Study) -> None:
    plan, choices = open_plan(own_study)
    assert plan is own_study.plan
    assert choices.model == "sageserve"
    with pytest.raises(StudyError, match="has no plan ahaed"):
        open_plan(own_study, "ahaed")
    with pytest.raises(StudyError, match="cannot be kept as 'study'"):
        save_plan(own_study, "study", plan, choices)
    save_plan(own_study, "kept", plan, choices)
    (own_study.folder / "plans" / "kept" / "hours.parquet").unlink()
    with pytest.raises(StudyError, match="is damaged"):
        open_plan(own_study, "kept")
