"""The hourly control loop: forecast as of now, plan, one hour of simulation, and again.

The simulator asks at the begin of every hour and is answered with the first hour of a plan that is made from what was
known by then: the history of the demand, and the fleet and the queues as this strategy has left them. Whatever was
carried out is kept as one plan, hour by hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from workbench import planning, simulation
from workbench.domain import Fleet, Scenario
from workbench.errors import StudyError
from workbench.results import CapacityPlan, Forecast, Orders, SimRun, SoFar, Standing
from workbench.simulation.intake import Load
from workbench.simulation.scheduling import Scheduling
from workbench.studies.strategies import Place, Situation, Strategy, as_it_stands, whole_hours
from workbench.tables import ALLOCATION, REQUIREMENT, SHORTFALL

STATUSES = ("optimal", "feasible", "heuristic")
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """What all strategies of a study share: the demand, the fleet at the start, and what a replica is worth."""

    scenario: Scenario
    demand: pl.DataFrame
    demand_window_s: float
    fleet: Fleet
    rates: pl.DataFrame
    start: datetime
    hours: float
    peak_replicas: Mapping[Place, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Controlled:
    """One strategy over the span: the run, and the plan that was carried out where it followed one."""

    run: SimRun
    plan: CapacityPlan | None = None


class Controller:
    """Answers the simulator hour by hour; ``plans`` holds what was decided so far, of each plan its first hour."""

    def __init__(self, strategy: Strategy, world: World, forecasts: Iterator[Forecast]) -> None:
        self.plans: list[CapacityPlan] = []
        self._strategy, self._world, self._forecasts = strategy, world, forecasts
        self._past: list[planning.PastHour] = []
        self._before: Forecast | None = None
        self._pools = [
            (region.key, one.model, one.gpu) for region in world.fleet.regions for one in world.fleet.replicas
        ]

    def __call__(self, standing: Standing) -> Orders:
        """Decide the hour that begins."""
        forecast = next(self._forecasts)
        if forecast.as_of != standing.at:
            raise StudyError(
                f"the forecast for {standing.at} is one from {forecast.as_of}; foresee every hour in order."
            )
        plan = first_hour(self._strategy.decide(self._situation(standing, forecast)), standing.at)  # type: ignore[misc]
        self.plans.append(plan)
        wanted = dict.fromkeys(self._pools, 0)
        for region, model, gpu, replicas in (
            plan.allocation.group_by("region", "model", "gpu").agg(pl.col("replicas").sum()).iter_rows()
        ):
            wanted[region, model, gpu] = replicas
        return Orders(replicas=wanted, expected=expected_input_tps(forecast, self._world.fleet))

    def _situation(self, standing: Standing, forecast: Forecast) -> Situation:
        world = self._world
        return Situation(
            at=standing.at,
            scenario=world.scenario,
            policy=self._strategy.policy,
            fleet=as_it_stands(world.fleet, standing.pools),
            rates=world.rates,
            forecast=forecast,
            waiting=standing.waiting,
            last_hour_deferrable=last_hour_deferrable(
                world.demand, world.fleet, as_of=standing.at, window_s=world.demand_window_s
            ),
            peak_replicas=world.peak_replicas,
            observed=self._observed(standing.at),
            reserves=self._learned(forecast),
        )

    def _learned(self, forecast: Forecast) -> dict[str, tuple[planning.Reserve, ...]] | None:
        """Return what each model keeps ready, learned from the hours of this run so far where the risk asks for it."""
        world, risk = self._world, self._world.scenario.risk
        if risk.missed_cost_ratio == 0:
            return None
        before, self._before = self._before, forecast
        if before is not None:
            self._past.append(
                planning.past_hour(
                    before, risk=risk, tiers=world.fleet.tiers, observed=self._since(DAY, forecast.as_of)
                )
            )
        return planning.learn_reserves(self._past, rates=world.rates, missed_cost_ratio=risk.missed_cost_ratio)

    def _observed(self, at: datetime) -> pl.DataFrame | None:
        """Return what was seen of late where the risk asks for it, and a day more: to read off how long windows are."""
        risk = self._world.scenario.risk
        hours = risk.recent_peak_hours
        if hours == 0 and risk.missed_cost_ratio == 0:
            return None
        return self._since(timedelta(hours=hours) + DAY, at)

    def _since(self, span: timedelta, at: datetime) -> pl.DataFrame:
        return self._world.demand.filter(pl.col("window_start").is_between(at - span, at, closed="left"))


def control(
    strategy: Strategy,
    world: World,
    forecasts: Iterator[Forecast] | None,
    *,
    load: Load,
    progress: Callable[[SoFar], None] | None = None,
) -> Controlled:
    """Simulate a strategy over the span, in the loop where it follows a plan.

    ``forecasts`` holds one from every hour's begin, in order. ``load`` is what the scenario's engine takes: the demand,
    or single requests, which the replay plays hour by hour with what is inside the fleet handed on. Raises the errors
    of the stages, and StudyError where a forecast is missing.
    """
    controller = None
    if strategy.is_planned:
        if forecasts is None:
            raise StudyError(f"strategy {strategy.policy.key} follows a plan and got no forecasts; hand them over.")
        controller = Controller(strategy, world, forecasts)
    run = simulation.run(
        load,
        fleet=world.fleet,
        policy=strategy.policy,
        start=world.start,
        hours=world.hours,
        demand_window_s=world.demand_window_s,
        steer=controller,
        progress=progress,
        **engine_of(world),
    )
    return Controlled(run=run, plan=together(controller.plans) if controller else None)


def engine_of(world: World) -> dict[str, Any]:
    """Return how the scenario simulates: the arguments of ``simulation.run`` about the engine."""
    scenario = world.scenario
    if scenario.engine != "replay":
        return {"engine": scenario.engine}
    scheduling = Scheduling(order=scenario.scheduler, chunk_tokens=world.fleet.chunk_tokens)
    return {"engine": scenario.engine, "scheduling": scheduling}


def origins_of(world: World) -> list[datetime]:
    """Return the instants at which the hours of the span begin."""
    return [world.start + timedelta(hours=hour) for hour in range(whole_hours(world.hours))]


def expected_input_tps(forecast: Forecast, fleet: Fleet) -> pl.DataFrame:
    """Return the median forecast of interactive input tokens per second by window, region and model."""
    waiting = [tier.key for tier in fleet.tiers if tier.deferrable]
    return (
        forecast.frame.filter(
            (pl.col("measure") == "input_tps")
            & ((pl.col("quantile") - 0.5).abs() < 1e-9)
            & ~pl.col("tier").is_in(waiting)
        )
        .group_by("window_start", "region", "model")
        .agg(pl.col("value").sum().alias("input_tps"))
        .sort("window_start", "region", "model")
    )


def last_hour_deferrable(demand: pl.DataFrame, fleet: Fleet, *, as_of: datetime, window_s: float) -> pl.DataFrame:
    """Return the deferrable input tokens per second of the hour before ``as_of``, by region and model.

    The plan adds a share of it as a buffer (beta of sageserve.md section 6.1); ``window_s`` is that of the demand.
    """
    waiting = [tier.key for tier in fleet.tiers if tier.deferrable]
    hour = (pl.col("window_start") < as_of) & (pl.col("window_start") >= as_of - timedelta(hours=1))
    known = demand.filter(hour & pl.col("tier").is_in(waiting)).drop_nulls("input_tokens")
    seconds = pl.col("window_start").n_unique() * window_s
    return known.group_by("region", "model").agg((pl.col("input_tokens").sum() / seconds).alias("input_tps"))


def first_hour(plan: CapacityPlan, at: datetime) -> CapacityPlan:
    """Return the first hour of a plan: what is carried out before the next one is made.

    Raises StudyError where the plan has no allocation for the hour.
    """
    now = pl.col("window_start") == at
    hours = plan.hours.filter(now)
    if hours.height != 1:
        raise StudyError(f"the plan made at {at} has {hours.height} rows for the hour that begins then; it needs one.")
    row = hours.row(0, named=True)
    return CapacityPlan(
        allocation=plan.allocation.filter(now),
        shortfall=plan.shortfall.filter(now),
        hours=hours,
        cost_usd=row["cost_usd"],
        bound_usd=row["bound"],
        gap_fraction=row["gap_fraction"],
        status=row["status"],
        solver=plan.solver,
        programme=plan.programme,
        requirement=None if plan.requirement is None else plan.requirement.filter(now),
    )


def together(plans: list[CapacityPlan]) -> CapacityPlan:
    """Return the first hours of many plans as the one that was carried out.

    Its bound is the sum of what each hour could have cost at least by itself; null where one hour has none.
    """
    bounds = [plan.bound_usd for plan in plans]
    needed = [plan.requirement for plan in plans if plan.requirement is not None]
    known = [bound for bound in bounds if bound is not None]
    hours = pl.concat([plan.hours for plan in plans], how="diagonal_relaxed")
    objective = float(hours.get_column("objective").sum())
    is_bounded = len(known) == len(bounds)
    gap = max(0.0, (objective - sum(known)) / abs(objective)) if objective else 0.0
    return CapacityPlan(
        allocation=ALLOCATION.conform(pl.concat([plan.allocation for plan in plans])).sort(ALLOCATION.key),
        shortfall=SHORTFALL.conform(pl.concat([plan.shortfall for plan in plans])).sort(SHORTFALL.key),
        hours=hours,
        cost_usd=sum(plan.cost_usd for plan in plans),
        bound_usd=sum(known) if is_bounded else None,
        gap_fraction=gap if is_bounded else None,
        status=max((plan.status for plan in plans), key=STATUSES.index),
        solver=plans[0].solver,
        programme=plans[0].programme,
        requirement=REQUIREMENT.conform(pl.concat(needed)).sort(REQUIREMENT.key) if needed else None,
    )
