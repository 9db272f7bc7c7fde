"""The sentences and tables of the monthly report: no saving without its service, no figure without its caveat."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from workbench.reporting import monthly, tabulating, telling
from workbench.results import Scorecard, Study

MONTH = "2025-07"


def with_totals(study: Study, **columns: list[object]) -> Study:
    """Return a study whose totals have other columns."""
    totals = study.scorecard.totals.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
    card = Scorecard(totals=totals, tiers=study.scorecard.tiers, baseline=study.scorecard.baseline)
    return dataclasses.replace(study, scorecard=card)


def test_a_saving_that_keeps_the_service_is_named_with_it(small_study: Study) -> None:
    study = with_totals(
        small_study, keeps_service=[True, True, False, True], cost_saved_usd=[-1000.0, 0.0, 2000.0, 1000.0]
    )
    said = " ".join(telling.headline(study, MONTH))
    factor = monthly.month_factor(study, MONTH)
    assert f"LT-UA serves as well and costs {1000 * factor:,.0f} USD less" in said
    assert "of its promises against" in said
    assert f"LT-I would cost {2000 * factor:,.0f} USD less" in said
    assert "but serves worse: " in said
    assert f"Dearer than the baseline: Siloed by {1000 * factor:,.0f} USD." in said


def test_where_nothing_is_cheaper_at_the_same_service_it_is_said(small_study: Study) -> None:
    study = with_totals(small_study, keeps_service=[True] * 4, cost_saved_usd=[-1.0, 0.0, -1.0, -1.0])
    assert "No other strategy of this study costs less and serves as well as Reactive." in telling.headline(
        study, MONTH
    )


def test_the_extrapolation_is_said_in_headline_and_caveats(small_study: Study) -> None:
    assert f"extrapolate {small_study.hours:g} h (Friday" in telling.headline(small_study, MONTH)[-1]
    said = telling.caveats(small_study, MONTH)
    assert said[0].startswith(f"Extrapolated: the simulated {small_study.hours:g} h stand for the 744 hours")
    assert any("list price" in sentence for sentence in said)
    assert set(small_study.notes) <= set(said)


def test_a_cost_stated_for_another_month_than_the_load_says_so(small_study: Study) -> None:
    own, other = f"{small_study.as_of:%Y-%m}", "2031-02"
    assert not any("only the number of hours" in sentence for sentence in telling.caveats(small_study, own))
    assert any("stated for February 2031" in sentence for sentence in telling.caveats(small_study, other))


@pytest.mark.parametrize(("ratio", "told"), [(2.0, "overstated"), (0.5, "understated"), (1.0, "within 5%")])
def test_a_busy_or_quiet_span_is_told(small_study: Study, ratio: float, told: str) -> None:
    tokens = pl.when(pl.col("window_start") >= small_study.as_of).then(ratio).otherwise(1.0)
    demand = small_study.demand.with_columns(input_tokens=tokens, output_tokens=tokens)
    said = telling.caveats(dataclasses.replace(small_study, demand=demand), MONTH)
    assert any(told in sentence for sentence in said)


def test_the_plan_says_how_well_it_is_solved_and_what_it_leaves(small_study: Study) -> None:
    assert "no shortfall" in telling.plan_in_words(small_study)[-1]
    plan = dataclasses.replace(
        small_study.plan,
        gap_fraction=0.02,
        status="feasible",
        shortfall=pl.DataFrame(
            {
                "window_start": [small_study.as_of] * 2,
                "region": ["us_east", "us_west"],
                "model": ["a", "b"],
                "tier": ["t", "t"],
                "input_tps": [10.0, 5000.0],
                "output_tps": [1.0, 1.0],
            }
        ),
    )
    said = " ".join(telling.plan_in_words(dataclasses.replace(small_study, plan=plan)))
    assert "ended feasible: hour by hour, a better plan could cost at most 2.00% less" in said
    assert "falls short in 2 cells" in said
    assert "5,000 input tokens per second of b (t) in us_west" in said
    unknown = dataclasses.replace(small_study, plan=dataclasses.replace(plan, gap_fraction=None))
    assert "no bound is known" in telling.plan_in_words(unknown)[0]


def test_a_plan_made_anew_every_hour_is_told_with_its_costs(small_study: Study, small_study_once: Study) -> None:
    said = " ".join(telling.plan_in_words(small_study))
    assert f"LT-I {small_study.plans['lt_i'].cost_usd:,.0f} USD, LT-UA" in said
    assert "made every hour" not in " ".join(telling.plan_in_words(small_study_once))


def test_the_cost_table_has_the_service_beside_the_saving(small_study: Study) -> None:
    table = tabulating.cost_table(small_study, MONTH)
    assert table.get_column("strategy").to_list() == ["Siloed", "Reactive", "LT-I", "LT-UA"]
    assert {"saved, USD", "saved, %", "serves as well"} <= set(table.columns)
    assert any("promises kept, %" in name for name in table.columns)


@pytest.mark.parametrize("by", ["model", "region"])
def test_a_split_adds_up_to_the_whole(small_study: Study, by: str) -> None:
    split = tabulating.split_table(small_study, MONTH, by)
    whole = tabulating.cost_table(small_study, MONTH).get_column("cost, USD").to_list()
    *parts, total = split.drop(by).rows()
    assert split.get_column(by).to_list()[-1] == "all"
    assert list(total) == pytest.approx(whole, abs=1.0)
    assert [sum(column) for column in zip(*parts, strict=True)] == pytest.approx(whole, abs=len(parts))


def test_tables_name_tiers_and_models_by_their_labels(small_study: Study) -> None:
    tiers = {tier.label for tier in small_study.fleet.tiers}
    assert set(tabulating.service_table(small_study).get_column("tier")) == tiers
    models = [model.label for model in small_study.fleet.models]
    assert sorted(tabulating.forecast_table(small_study).get_column("model")) == sorted(models)
    assumed = tabulating.assumptions_table(small_study)
    assert tiers | set(models) <= set(assumed.get_column("what"))
    assert any("USD per GPU-hour" in value for value in assumed.get_column("value"))


def test_a_forecast_that_nothing_can_be_compared_with_is_an_empty_table(small_study: Study) -> None:
    before = small_study.demand.filter(pl.col("window_start") < small_study.as_of)
    assert tabulating.forecast_table(dataclasses.replace(small_study, demand=before)).is_empty()


def test_idle_hours_and_what_is_drawn_over_time(small_study: Study) -> None:
    assert tabulating.idle_table(small_study, MONTH).height == 4
    assert list(tabulating.pools(small_study)) == list(tabulating.windows(small_study)) == list(small_study.runs)
    assert tabulating.deferrable(small_study) == ["non_interactive"]
    assert telling.subtitle(small_study, MONTH)[0].startswith("July 2025 · ")
