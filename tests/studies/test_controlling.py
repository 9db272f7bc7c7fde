"""workbench.studies.controlling and strategies: forecast as of now, plan, one hour, and again; no peeking ahead."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import timedelta

import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, START, demand, fleet
from workbench import forecasting, performance, scenarios, studies
from workbench.domain import FORESIGHTS, PROGRAMMES, Policy, Scenario
from workbench.errors import StudyError
from workbench.results import CapacityPlan, Forecast
from workbench.studies import controlling, strategies
from workbench.studies.controlling import World
from workbench.studies.strategies import Situation, Strategy

HOURS = 6
AT_ONCE = Policy(key="lt_i", label="LT-I", follow_plan="at_once", floor_replicas=1)
RATES_RPS = [4.0, 4.0, 12.0, 20.0, 8.0, 2.0]


def scenario() -> Scenario:
    return scenarios.parse({"trace": "t", "strategies": ["reactive", "lt_i"], "seed": 3}, source="test")


def world(future: Sequence[float] = RATES_RPS) -> World:
    """A day at four requests a second and what comes then, hour by hour."""
    windows = [4.0] * 144 + [rate for rate in future for _ in range(6)]
    load = demand({("east", "m", FAST): windows, ("east", "m", BATCH): [1.0] * len(windows)}, window_s=600.0)
    load = load.with_columns(pl.col("window_start") - timedelta(days=1))
    place = fleet(ready=3, lent=9, free_gpus=64)
    return World(
        scenario=scenario(),
        demand=load,
        demand_window_s=600.0,
        fleet=place,
        rates=performance.rates(place.replicas, place.mixes, signal_fraction=0.6, signal="largest"),
        start=START,
        hours=float(HOURS),
        peak_replicas={("east", "m", "h100"): 7},
    )


def last_values(place: World) -> Iterator[Forecast]:
    """The last hour's mean for the hour that begins, at every hour."""
    for origin in controlling.origins_of(place):
        yield forecasting.predict(
            place.demand, as_of=origin, horizon_s=3600.0, quantiles=(0.5, 0.7), method="last_value",
            measures=("input_tps", "output_tps"),
        )  # fmt: skip


def strategy(**changes: object) -> Strategy:
    return dataclasses.replace(strategies.strategy_of(AT_ONCE), **changes)  # type: ignore[arg-type]


def replicas(plan: CapacityPlan) -> list[int]:
    return plan.allocation.sort("window_start").get_column("replicas").to_list()


def test_every_hour_is_planned_from_the_hour_before() -> None:
    """With the last value as the forecast the plan follows the demand an hour late."""
    place = world()
    done = studies.control(strategy(), place, last_values(place), load=place.demand)
    assert done.plan is not None
    theta = place.rates.get_column("input_tps").item()
    planned, before = replicas(done.plan), [4.0, *RATES_RPS[:-1]]
    assert planned[0] == pytest.approx(4.0 * 1490.0 / theta, abs=1.1)
    by_need = [count for _, count in sorted(zip(before, planned, strict=True))]
    assert by_need == sorted(planned)
    assert planned[4] > 3 * planned[1]  # twenty requests a second came in the hour before
    hours = done.plan.hours.get_column("window_start").to_list()
    assert hours == [START + timedelta(hours=hour) for hour in range(HOURS)]
    assert done.plan.cost_usd == pytest.approx(done.plan.hours.get_column("cost_usd").sum())


def test_a_decision_sees_the_fleet_as_it_stands_and_the_queues() -> None:
    seen: list[Situation] = []

    def watching(now: Situation) -> CapacityPlan:
        seen.append(now)
        return strategies.hourly(now)

    place = world()
    done = studies.control(strategy(decide=watching), place, last_values(place), load=place.demand)
    assert done.plan is not None
    assert [now.at for now in seen] == controlling.origins_of(place)
    assert all(now.forecast.as_of == now.at for now in seen)
    held = [sum(now.fleet.initial_replicas.values()) for now in seen]
    assert held == [3, *replicas(done.plan)[:-1]]  # what was ordered stands when the next hour begins
    waiting = {now.last_hour_deferrable.get_column("input_tps").item() for now in seen}
    assert waiting == {1490.0}
    assert all(now.waiting.filter(pl.col("arrived_hour") >= now.at).is_empty() for now in seen)


@pytest.mark.parametrize("hour", [2, 4])
def test_what_comes_later_changes_no_decision(hour: int) -> None:
    """Another future, from an hour on: every decision up to that hour is the same, some later one is not."""
    plans = []
    for future in (RATES_RPS, [*RATES_RPS[:hour], *([30.0] * (HOURS - hour))]):
        place = world(future)
        plan = studies.control(strategy(), place, last_values(place), load=place.demand).plan
        assert plan is not None
        plans.append(replicas(plan))
    assert plans[0][: hour + 1] == plans[1][: hour + 1]
    assert plans[0] != plans[1]


def test_a_risk_that_keeps_recent_hours_plans_for_the_highest_of_them() -> None:
    """After hours of 20 and 8 a second, four fifths of the 20 stay servable: 16 in place of 8 and of 2."""
    plain, place = world(), world()
    risk = dataclasses.replace(place.scenario.risk, recent_peak_hours=3.0, recent_peak_fraction=0.8)
    place = dataclasses.replace(place, scenario=dataclasses.replace(place.scenario, risk=risk))
    without, kept = (studies.control(strategy(), one, last_values(one), load=one.demand).plan for one in (plain, place))
    assert without is not None
    assert kept is not None
    assert replicas(kept)[:5] == replicas(without)[:5]  # the load grew: the last hour is the highest of the last three
    theta = place.rates.get_column("input_tps").item()
    assert replicas(kept)[5] == pytest.approx(0.8 * 20.0 * 1490.0 / theta, abs=1.1)
    assert replicas(without)[5] == pytest.approx(8.0 * 1490.0 / theta, abs=1.1)


@pytest.mark.slow
def test_what_is_kept_ready_is_learned_from_the_hours_that_are_over() -> None:
    """Every second hour brings twenty requests a second, the others two, and the last value is always wrong.

    From the 24th hour that is over on, where missing is dear, the quiet hour is planned for the next loud one.
    """
    place = dataclasses.replace(world([20.0, 2.0] * 13), hours=26.0)
    risk = dataclasses.replace(place.scenario.risk, missed_cost_ratio=50.0)
    learning = dataclasses.replace(place, scenario=dataclasses.replace(place.scenario, risk=risk))
    plans = [studies.control(strategy(), one, last_values(one), load=one.demand).plan for one in (place, learning)]
    without, learned = (replicas(plan) for plan in plans if plan is not None)
    assert learned[:24] == without[:24]
    theta = place.rates.get_column("input_tps").item()
    assert without[24] < 20.0 * 1490.0 / theta <= learned[24]


def test_perfect_foresight_plans_for_what_comes() -> None:
    place = world()
    plan = studies.control(strategy(), place, last_values(place), load=place.demand).plan
    ahead = studies.control(strategy(), place, perfect(place), load=place.demand).plan
    assert plan is not None
    assert ahead is not None
    assert replicas(ahead)[:-1] == replicas(plan)[1:]  # an hour earlier


def perfect(place: World) -> Iterator[Forecast]:
    """The last value of an hour that has not been yet."""
    for origin in controlling.origins_of(place):
        shifted = place.demand.with_columns(pl.col("window_start") - timedelta(hours=1))
        made = forecasting.predict(
            shifted, as_of=origin, horizon_s=3600.0, quantiles=(0.5, 0.7), method="last_value",
            measures=("input_tps", "output_tps"),
        )  # fmt: skip
        yield made


@pytest.mark.parametrize("programme", ["sageserve", "lookahead"])
def test_a_strategy_may_plan_its_replicas_fuller_than_the_risk_says(programme: str) -> None:
    """Planned at 0.6 of its load a replica counts for less than at 0.9, so the same work takes fewer of them."""
    place, plans = world(), []
    for level in (None, 0.6, 0.9):
        policy = dataclasses.replace(AT_ONCE, programme=programme, planning_signal_fraction=level)
        own = strategies.strategy_of(policy)
        plan = studies.control(own, place, last_values(place), load=place.demand).plan
        assert plan is not None
        plans.append(replicas(plan))
    assert plans[0] == plans[1]
    assert sum(plans[2]) < sum(plans[1])
    assert all(full <= usual for full, usual in zip(plans[2], plans[1], strict=True))


def test_a_fleet_for_the_peak_never_scales() -> None:
    place = world()
    fixed = strategies.strategy_of(dataclasses.replace(AT_ONCE, programme="peak"))
    done = studies.control(fixed, place, last_values(place), load=place.demand)
    assert done.plan is not None
    assert replicas(done.plan) == [7] * HOURS
    events = done.run.scaling.filter(pl.col("replicas") > 0)
    assert set(events.get_column("window_start")) == {START}
    assert events.get_column("replicas").sum() == 4


def test_a_strategy_of_ones_own_is_three_functions() -> None:
    """Half of what stands, or one more than the floor: nonsense, but carried out."""

    def halving(now: Situation) -> CapacityPlan:
        plan = strategies.at_peak(now)
        half = max(sum(now.fleet.initial_replicas.values()) // 2, 1)
        return dataclasses.replace(plan, allocation=plan.allocation.with_columns(replicas=pl.lit(half, pl.Int64)))

    place = world()
    done = studies.control(strategy(decide=halving), place, last_values(place), load=place.demand)
    assert done.plan is not None
    assert replicas(done.plan) == [1] * HOURS  # three replicas, so one, and one for good


def test_forecasts_that_are_late_or_missing_are_refused() -> None:
    place = world()
    late = last_values(place)
    next(late)
    with pytest.raises(StudyError, match="foresee every hour in order"):
        studies.control(strategy(), place, late, load=place.demand)
    with pytest.raises(StudyError, match="follows a plan and got no forecasts"):
        studies.control(strategy(), place, None, load=place.demand)


def test_a_plan_for_another_hour_is_refused() -> None:
    def late(now: Situation) -> CapacityPlan:
        plan = strategies.at_peak(now)
        later = pl.col("window_start") + timedelta(hours=1)
        return dataclasses.replace(plan, hours=plan.hours.with_columns(later))

    place = world()
    with pytest.raises(StudyError, match="has 0 rows for the hour that begins then"):
        studies.control(strategy(decide=late), place, last_values(place), load=place.demand)


def test_what_a_policy_names_is_there() -> None:
    assert set(strategies.PROGRAMMES) == set(PROGRAMMES)
    assert set(strategies.FORESIGHTS) == set(FORESIGHTS)
    assert not strategies.strategy_of(Policy(key="reactive", label="Reactive")).is_planned
