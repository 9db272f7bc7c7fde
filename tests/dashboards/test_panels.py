"""What the page shows of an answer: the sentence, the figure and the tables, against numbers known by hand."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from workbench import scoring
from workbench.dashboards import answers, panels, state
from workbench.results import Study


@pytest.fixture(scope="module")
def own(study: Study) -> answers.Answer:
    """The answer to the choices of the study."""
    return answers.answer(study, state.of_study(study))


def told(found: answers.Answer, *, chosen: float, base: float, own: float, keeps: bool = True) -> answers.Answer:
    """The same answer with other GPU-hours; costs are ten times as many USD."""
    hours = {"chosen": chosen, "baseline": base, "study": own}
    return dataclasses.replace(
        found,
        is_own=False,
        totals={
            case: dict(found.totals[case]) | {"gpu_hours": value, "cost_usd": 10 * value, "keeps_service": keeps}
            for case, value in hours.items()
        },
        tiers={
            key: dict(row) | {"slo_attainment_fraction": None if key[1] == "non_interactive" else 0.814}
            for key, row in found.tiers.items()
        },
    )


def test_the_sentence_states_effort_and_service_together(study: Study, own: answers.Answer) -> None:
    assert panels.summary(study, told(own, chosen=5000.0, base=4000.0, own=6250.0)) == (
        "LT-UA would hold 5,000 GPU-hours (50,000 USD) in 24 h, 25.0 % more than Reactive on the same demand and "
        "20.0 % fewer than with the study's choices. Promises kept: 81.4 % for Interactive, fast (IW-F) (study: "
        "81.4 %), 81.4 % for Interactive, normal (IW-N) (study: 81.4 %)."
    )


def test_a_saving_at_worse_service_says_so(study: Study, own: answers.Answer) -> None:
    text = panels.summary(study, told(own, chosen=3000.0, base=4000.0, own=3000.0, keeps=False))
    assert "25.0 % fewer than Reactive on the same demand and as many as with the study's choices" in text
    assert text.endswith("Some tier is served worse than under Reactive.")


def test_the_own_choices_are_told_as_what_is(study: Study, own: answers.Answer) -> None:
    assert panels.summary(study, own).startswith("With the study's own choices LT-UA holds ")
    reactive = answers.answer(study, state.of_study(study, "reactive"))
    assert "Reactive holds" in panels.summary(study, reactive)
    assert "than" not in panels.summary(study, reactive).split(". Promises")[0]


def test_a_changed_baseline_is_compared_with_itself_as_it_was(study: Study) -> None:
    choices = state.of_study(study, "reactive")
    choices.scale_out_above_fraction = 0.9
    assert "than the study's Reactive on the same demand" in panels.summary(study, answers.answer(study, choices))


def test_a_stock_that_is_too_small_is_told(study: Study) -> None:
    choices = state.of_study(study)
    choices.demand_factor, choices.planning_signal_fraction = 2.0, 0.3
    found = answers.answer(study, choices)
    assert found.plan is not None
    hours = found.plan.shortfall.get_column("window_start").n_unique()
    assert hours > 0
    assert f"The stock of GPUs is too small for the plan in {hours} h." in panels.summary(study, found)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.8136, "81.4 %"),
        (0.9951, "99.51 %"),
        (0.99996, "99.99 %"),
        (1.0, "100 %"),
        (1 - 1e-12, "100 %"),
        (0.0, "0.0 %"),
    ],
)
def test_a_share_is_never_rounded_up_to_a_whole(fraction: float, text: str) -> None:
    assert panels.percent(fraction) == text


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123 s"), (61.55, "61.5 s"), (990_000.0, "over 1 h")])
def test_a_latency_is_written_short(value: float, text: str) -> None:
    assert panels.seconds(value) == text


def test_the_percentile_by_hour_is_that_of_the_scorecard(study: Study) -> None:
    tier, run = study.fleet.tier("interactive_fast"), study.runs["reactive"]
    by_hour = dict(panels.hourly_p95(run, tier).iter_rows())
    assert len(by_hour) == 24
    for hour, found in by_hour.items():
        bins = run.ttft.filter((pl.col("tier") == tier.key) & (pl.col("window_start") == hour))
        assert found == pytest.approx(scoring.percentiles(bins, [0.95])[0])


def test_the_figure_shows_each_case_once(study: Study, own: answers.Answer) -> None:
    names = [trace.name for trace in panels.figure(study, own).data if trace.showlegend is not False]
    assert names == ["LT-UA, as chosen", "Reactive, same demand"]
    choices = state.of_study(study)
    choices.quantile = 0.9
    moved = panels.figure(study, answers.answer(study, choices))
    names = [trace.name for trace in moved.data if trace.showlegend is not False]
    assert names == ["LT-UA, as chosen", "LT-UA, study's own run", "Reactive, same demand"]
    reactive = panels.figure(study, answers.answer(study, state.of_study(study, "reactive")))
    assert [trace.name for trace in reactive.data if trace.showlegend is not False] == ["Reactive, as chosen"]


def test_the_tables_put_the_cases_side_by_side(study: Study, own: answers.Answer) -> None:
    effort = panels.effort_table(told(own, chosen=5000.0, base=4000.0, own=6250.0))
    assert effort.get_column("GPU-hours").to_list() == ["5,000", "6,250", "4,000"]
    assert effort.get_column("Saved against the baseline, USD")[2] == "–"
    service = panels.service_table(study, told(own, chosen=1.0, base=1.0, own=1.0))
    assert service.get_column("Promise").to_list() == [
        "first token within 1 s",
        "first token within 60 s",
        "done within 24 h",
    ]
    assert service.get_column("Kept, chosen").to_list()[:2] == ["81.4 %", "81.4 %"]
    assert service.get_column("Kept, chosen")[2].startswith("none due (oldest ")
    assert service.get_column("P95, chosen")[2] == "–"


def test_a_saving_of_the_own_run_is_not_stated_against_another_demand(study: Study) -> None:
    choices = state.of_study(study)
    choices.demand_factor = 1.1
    saved = panels.effort_table(answers.answer(study, choices)).get_column("Saved against the baseline, USD")
    assert saved[0] != "–"
    assert saved[1] == "–"
    assert "-" not in saved[0], "a minus sign, not a hyphen"


def test_the_note_names_the_study(study: Study) -> None:
    assert study.id in panels.note(study)
