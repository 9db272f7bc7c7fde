"""What forecasts are worth, on a small study and by hand: workbench.studies.deciding, workbench.studies.weighing and
workbench.studies.histories.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from workbench import studies, tables
from workbench.errors import StudyError, TraceError
from workbench.results import DecisionValue, Study
from workbench.studies.deciding import HEADROOMS
from workbench.traces import open_store


@pytest.fixture(scope="module")
def value(small_study: Study) -> DecisionValue:
    """The small study decided by the last value and by its own method, at its own quantile."""
    own = small_study.scenario.risk.quantile
    return studies.decision_value(
        small_study, methods=["seasonal_naive", "last_value"], quantiles=[own], strategies=["lt_i"], workers=1
    )


def only(value: DecisionValue, **chosen: Any) -> dict[str, Any]:
    """The one row of the totals with these values."""
    return value.totals.filter(**chosen).row(0, named=True)


def test_the_studys_own_method_decides_as_the_study_planned_once_did(
    small_study_once: Study, value: DecisionValue
) -> None:
    made = only(value, method=small_study_once.forecast.method)
    scored = small_study_once.scorecard.totals.filter(strategy="lt_i").row(0, named=True)
    assert (made["gpu_hours"], made["cost_usd"]) == (
        pytest.approx(scored["gpu_hours"]),
        pytest.approx(scored["cost_usd"]),
    )
    assert made["plan_cost_usd"] == pytest.approx(small_study_once.plan.cost_usd)
    tiers = small_study_once.scorecard.tiers.filter(strategy="lt_i").select(
        "tier", "slo_attainment_fraction", "backlog"
    )
    same = value.tiers.filter(method=small_study_once.forecast.method).select(tiers.columns)
    assert_frame_equal(same, tiers, rel_tol=1e-9)


def test_the_oracle_is_never_wrong_and_costs_what_its_headroom_costs(value: DecisionValue) -> None:
    oracle = value.totals.filter(method="oracle").sort("headroom_fraction")
    assert oracle.get_column("headroom_fraction").to_list() == list(HEADROOMS)
    assert set(oracle.get_column("wape")) == {0.0}
    assert set(oracle.get_column("under_planned_fraction")) == {0.0}
    assert oracle.get_column("over_planned_fraction").to_list() == pytest.approx(list(HEADROOMS))
    assert oracle.get_column("plan_cost_usd").is_sorted()
    wrong = value.totals.filter(pl.col("method") != "oracle")
    assert wrong.select((pl.col("wape") > 0).all()).item()


def test_the_frames_conform(value: DecisionValue) -> None:
    assert_frame_equal(tables.DECISION_TOTALS.conform(value.totals), value.totals)
    assert_frame_equal(tables.DECISION_TIERS.conform(value.tiers), value.tiers)
    assert (value.hours, value.every_s, value.quantile) == (24.0, 86_400.0, 0.7)
    told = studies.readable_value(value)
    assert [frame.height for frame in told.values()] == [3, value.totals.height, value.tiers.height]
    asked, *_ = studies.readable_value(value, attainment_fraction=0.5).values()
    assert asked.get_column("promises kept, %").to_list() == [50.0] * 3


@pytest.mark.slow
def test_a_plan_every_few_hours_knows_more_than_one_a_day(small_study: Study, value: DecisionValue) -> None:
    """The last value ages: planned from every six hours it errs less than planned from all day."""
    often = studies.decision_value(
        small_study, methods=["last_value"], every_s=6 * 3600.0, quantiles=[0.7], strategies=["lt_i"], workers=1
    )
    assert only(often, method="last_value")["wape"] < only(value, method="last_value")["wape"]


def test_what_came_is_never_seen_by_a_method(small_study: Study, value: DecisionValue) -> None:
    """Ten times the load in the span changes what the simulation meets, not a cent of what was planned."""
    later = pl.col("window_start") >= small_study.as_of
    tokens = ("requests", "input_tokens", "output_tokens")
    busier = small_study.demand.with_columns(
        pl.when(later).then(pl.col(name) * 10.0).otherwise(pl.col(name)).alias(name) for name in tokens
    )
    study = dataclasses.replace(small_study, demand=busier)
    busy = studies.decision_value(study, methods=["last_value"], quantiles=[0.7], strategies=["lt_i"], workers=1)
    calm, met = only(value, method="last_value"), only(busy, method="last_value")
    assert met["plan_cost_usd"] == calm["plan_cost_usd"]
    assert met["slo_attainment_fraction"] < calm["slo_attainment_fraction"]
    assert only(busy, method="oracle")["plan_cost_usd"] > 2 * only(value, method="oracle")["plan_cost_usd"]


def tried(method: str, *points: tuple[float, float]) -> list[dict[str, Any]]:
    """Totals of one method: cost and service at two or three risks."""
    rest = dict.fromkeys(tables.DECISION_TOTALS.columns, 0.0)
    return [
        rest
        | {"method": method, "strategy": "lt_i", "quantile": 0.1 * place, "cost_usd": cost, "gpu_hours": cost / 10.0}
        | {"slo_attainment_fraction": kept, "deferrable_backlog": cost / 100.0}
        for place, (cost, kept) in enumerate(points, start=1)
    ]


def test_equal_service_by_hand() -> None:
    """At 0.95: the oracle between 100 and 200; a half way from 300 to 400; b is cheaper where it serves better; c
    never serves so well; d serves better at its cheapest.
    """
    rows = [
        *tried("oracle", (100.0, 0.90), (200.0, 1.00)),
        *tried("a", (300.0, 0.94), (400.0, 0.96)),
        *tried("b", (500.0, 0.94), (180.0, 0.96)),
        *tried("c", (100.0, 0.5), (900.0, 0.949)),
        *tried("d", (600.0, 0.97), (700.0, 0.98)),
    ]
    totals = tables.DECISION_TOTALS.conform(pl.DataFrame(rows))
    value = DecisionValue(
        totals=totals,
        tiers=tables.DECISION_TIERS.empty(),
        as_of=datetime(2026, 1, 1),
        hours=24.0,
        every_s=86_400.0,
        quantile=0.7,
    )
    equal = studies.at_equal_service(value, attainment_fraction=0.95)
    assert equal.get_column("method").to_list() == ["oracle", "b", "a", "d", "c"]
    assert equal.get_column("cost_usd").to_list() == pytest.approx([150.0, 180.0, 350.0, 600.0, None])
    assert equal.get_column("over_oracle_fraction").head(4).to_list() == pytest.approx([0.0, 0.2, 4 / 3, 3.0])
    assert equal.get_column("gpu_hours").head(2).to_list() == pytest.approx([15.0, 18.0])
    assert equal.get_column("deferrable_backlog").head(2).to_list() == pytest.approx([1.5, 1.8])
    assert studies.at_equal_service(value).get_column("attainment_fraction").unique().to_list() == [0.995]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["profet"]}, "did you mean 'prophet'"),
        ({"strategies": ["reactive"]}, "no strategy of the study that follows a plan is called 'reactive'"),
        ({"strategies": []}, "no strategy of the study follows a plan"),
        ({"every_s": 1800.0}, "every_s must be whole hours"),
        ({"quantiles": [1.0]}, "quantiles must lie between 0 and 1"),
    ],
)
def test_mistakes_are_told(small_study: Study, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        studies.decision_value(small_study, **changes)


def test_a_history_has_whole_windows_of_what_was_asked_for(small_store: Path) -> None:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        info = store.describe("small")
        history = studies.history_of(store, "small", window_s=3600.0, tiers=["interactive_fast"], scale=2.0)
        assert history.get_column("tier").unique().to_list() == ["interactive_fast"]
        assert history.get_column("window_start").max() <= info.last_at
        assert tables.window_s_of(studies.history_of(store, "small")) == 900.0
        with pytest.raises(TraceError, match="did you mean 'interactive_fast'"):
            studies.history_of(store, "small", tiers=["interactive_fasst"])
