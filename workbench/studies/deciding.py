"""Judge forecasts by what they save: effort and service when planner and simulator are fed each method in turn.

An error of a forecast costs nothing where it changes no decision. So every method makes the plans of the same days, for
the same fleet from the same start, and each plan is simulated on what really came. A forecast is made every day (or
hour) from what was known by then and planned from until the next; the plans follow each other hour by hour, as a
planner would have issued them, and are then simulated in one run. A cheap plan may serve badly, so each method is
planned for several quantiles of its forecast, and methods are compared at equal service. The perfect forecast stands
beside them, with several shares of headroom, as it has no quantiles: what is left under it is not the forecast's fault.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from workbench import compute, forecasting, planning, scoring, simulation, tables
from workbench.domain import Fleet, Policy, RiskPolicy, Scenario
from workbench.errors import StudyError, nearest, together
from workbench.results import CapacityPlan, DecisionValue, Forecast, Study
from workbench.studies import preparing, running
from workbench.studies.controlling import expected_input_tps
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, after

MEDIAN = 0.5
QUANTILES = (0.5, 0.7, 0.9, 0.95)
HEADROOMS = (0.0, 0.1, 0.25, 0.5)  # of the perfect forecast: even that needs room for starts and bursts in the hour
MEASURE = "input_tps"
POOL = ("window_start", "region", "model")


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One forecast method to be decided by, with everything a decision takes; ``forecast`` where it is made already."""

    method: str
    scenario: Scenario
    fleet: Fleet
    rates: pl.DataFrame
    demand: pl.DataFrame
    span: preparing.Span
    every_s: float
    risks: tuple[RiskPolicy, ...]
    policies: tuple[Policy, ...]
    forecast: Forecast | None = None

    def __str__(self) -> str:
        return f"decisions by {self.method}"


def decision_value(
    study: Study,
    *,
    methods: Sequence[str] | None = None,
    every_s: float = SECONDS_PER_DAY,
    quantiles: Sequence[float] = QUANTILES,
    strategies: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DecisionValue:
    """Plan and simulate the span of a study anew with each forecast method, and with the perfect forecast.

    Every ``every_s`` (whole hours; default: each day) a forecast is made from the demand before and planned from until
    the next, for each of the ``quantiles`` (the study's own is always among them). ``methods`` are all unless named;
    ``oracle``, the perfect forecast, is always added: its quantiles are all the same, so it stands at the study's own
    and is planned with several shares of headroom instead. ``strategies`` are those of the study that follow a plan
    unless named; hours that the study does not score are not scored here. ``workers`` is the most processes to use;
    ``progress`` is called with methods done and methods in all.

    Raises StudyError for unknown methods or strategies that follow no plan, and the errors of the stages.
    """
    named = [*(methods if methods is not None else forecasting.METHODS)]
    following = {policy.key: policy for policy in study.scenario.strategies if policy.needs_plan}
    chosen = tuple(following if strategies is None else strategies)
    own = study.scenario.risk
    _refuse(named, chosen, following, every_s=every_s, quantiles=quantiles)
    span = preparing.Span(
        since=study.demand.get_column("window_start").min(),  # type: ignore[arg-type]
        as_of=study.as_of,
        hours=study.hours,
        demand_window_s=study.manifest["demand_window_s"],
        forecast_window_s=study.forecast.window_s,
        notes=(),
    )
    tasks = [
        Task(
            method=method,
            scenario=study.scenario,
            fleet=study.fleet,
            rates=study.rates,
            demand=study.demand,
            span=span,
            every_s=every_s,
            risks=risks_of(method, own, quantiles),
            policies=tuple(following[key] for key in chosen),
            forecast=_at_hand(study, method, every_s=every_s, quantiles=quantiles),
        )
        for method in dict.fromkeys([*named, forecasting.PERFECT])
    ]
    made = compute.map_tasks(decide, tasks, workers=workers, progress=progress)
    return DecisionValue(
        totals=tables.DECISION_TOTALS.conform(pl.concat([totals for totals, _ in made])),
        tiers=tables.DECISION_TIERS.conform(pl.concat([tiers for _, tiers in made])),
        as_of=study.as_of,
        hours=study.hours,
        every_s=every_s,
        quantile=own.quantile,
    )


def _at_hand(study: Study, method: str, *, every_s: float, quantiles: Sequence[float]) -> Forecast | None:
    """Return the study's own forecast where it is the one that would be made: method, one origin and all quantiles."""
    held = set(study.forecast.frame.get_column("quantile").unique())
    is_one = method == study.forecast.method and every_s >= study.hours * SECONDS_PER_HOUR
    return study.forecast if is_one and held >= {MEDIAN, study.scenario.risk.quantile, *quantiles} else None


def risks_of(method: str, own: RiskPolicy, quantiles: Sequence[float]) -> tuple[RiskPolicy, ...]:
    """Return the risks that are planned for: quantiles of a method, shares of headroom over the perfect forecast."""
    if method == forecasting.PERFECT:
        headrooms = sorted({own.headroom_fraction + extra for extra in HEADROOMS})
        return tuple(dataclasses.replace(own, headroom_fraction=headroom) for headroom in headrooms)
    return tuple(dataclasses.replace(own, quantile=quantile) for quantile in sorted({own.quantile, *quantiles}))


def decide(task: Task) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Forecast, plan and simulate with one method: its rows of the totals and of the tiers."""
    span, fleet = task.span, task.fleet
    forecast = task.forecast or rolling_forecast(task, method=task.method)
    came = _hourly(rolling_forecast(task, method=forecasting.PERFECT), fleet)
    load = simulation.lay_out(
        task.demand, fleet=fleet, start=span.as_of, hours=span.hours, demand_window_s=span.demand_window_s
    )
    expected = expected_input_tps(forecast, fleet)
    wape = _wape(forecast, task)
    totals, tiers = [], []
    for risk in task.risks:
        requirement = planning.require(forecast, risk=risk, tiers=fleet.tiers, observed=task.demand)
        scenario = dataclasses.replace(
            task.scenario, risk=risk, quantiles=tuple(sorted({*task.scenario.quantiles, risk.quantile, MEDIAN}))
        )
        plan = running.plan_for(scenario, fleet, requirement, task.rates, task.demand, span, running.silent)
        planned = _planned(plan, requirement, came) | {"wape": wape}
        for policy in task.policies:
            run = simulation.run(
                load, fleet=fleet, policy=policy, start=span.as_of, hours=span.hours, plan=plan, expected=expected
            )
            since = after(span.as_of, scenario.warmup_hours * SECONDS_PER_HOUR)
            row = {"method": task.method, "quantile": risk.quantile, "headroom_fraction": risk.headroom_fraction}
            row |= {"strategy": policy.key}
            served = [row | {"tier": tier.key, **scoring.service(run, tier, since)} for tier in fleet.tiers]
            totals.append(row | scoring.effort(run, since) | planned | _service(served, fleet))
            tiers += served
    return (
        tables.DECISION_TOTALS.conform(pl.DataFrame(totals, infer_schema_length=None)),
        tables.DECISION_TIERS.conform(pl.DataFrame(tiers, infer_schema_length=None)),
    )


def rolling_forecast(task: Task, *, method: str) -> Forecast:
    """Return what a planner had in hand hour by hour: of each window, the forecast made last before its day began."""
    span = task.span
    hours = math.ceil(span.hours)
    count = math.ceil(hours * SECONDS_PER_HOUR / task.every_s)
    origins = [span.as_of + index * timedelta(seconds=task.every_s) for index in range(count)]
    made = list(
        forecasting.roll_or_perfect(
            task.demand,
            origins=origins,
            horizon_s=task.every_s,
            window_s=span.forecast_window_s,
            quantiles=tuple(sorted({MEDIAN, *(risk.quantile for risk in task.risks)})),
            method=method,
            seed=task.scenario.seed,
            measures=("input_tps", "output_tps"),
        )
    )
    within = pl.col("window_start") < after(span.as_of, hours * SECONDS_PER_HOUR)
    return Forecast(
        frame=pl.concat([each.frame for each in made]).filter(within),
        notes=made[0].notes,
        as_of=span.as_of,
        window_s=made[0].window_s,
        method=method,
    )


def _hourly(forecast: Forecast, fleet: Fleet) -> pl.DataFrame:
    """Return what came of the tiers that cannot wait: forecast windows with their hour and input tokens/s."""
    waits = [tier.key for tier in fleet.tiers if tier.deferrable]
    rows = forecast.frame.filter(
        (pl.col("measure") == MEASURE) & (pl.col("quantile") == MEDIAN) & ~pl.col("tier").is_in(waits)
    )
    hour = (pl.col("window_start") - forecast.as_of).dt.total_microseconds() // 3_600_000_000
    start = pl.lit(forecast.as_of, tables.INSTANT) + pl.duration(hours=hour)
    sums = rows.group_by(*POOL).agg(pl.col("value").sum().alias("came"))
    return sums.with_columns(window_start=start).sort(POOL)


def _planned(plan: CapacityPlan, requirement: pl.DataFrame, came: pl.DataFrame) -> dict[str, float]:
    """Return what the plan alone costs and lacks, and how far what was required lay from what came."""
    needed = requirement.filter(~pl.col("is_deferrable")).group_by(*POOL).agg(pl.col(MEASURE).sum().alias("needed"))
    joined = came.join(needed, on=POOL, how="left").with_columns(pl.col("needed").fill_null(0.0))
    total = max(float(joined.get_column("came").sum()), 1e-9)
    short = pl.max_horizontal(pl.col("came") - pl.col("needed"), 0.0).sum() / total
    spare = pl.max_horizontal(pl.col("needed") - pl.col("came"), 0.0).sum() / total
    return {
        "plan_cost_usd": plan.cost_usd,
        "shortfall_tokens": float(plan.shortfall.get_column(MEASURE).sum()) * SECONDS_PER_HOUR,
        "under_planned_fraction": joined.select(short).item(),
        "over_planned_fraction": joined.select(spare).item(),
    }


def _wape(forecast: Forecast, task: Task) -> float | None:
    waits = [tier.key for tier in task.fleet.tiers if tier.deferrable]
    judged = forecasting.accuracy(forecast, task.demand).filter(
        (pl.col("measure") == MEASURE) & (pl.col("quantile") == MEDIAN) & ~pl.col("tier").is_in(waits)
    )
    mean = judged.get_column("wape").mean()
    return None if mean is None else float(mean)  # type: ignore[arg-type]


def _service(served: Sequence[dict[str, Any]], fleet: Fleet) -> dict[str, float | None]:
    """Return the attainment of all requests of the tiers that cannot wait, and what is left of those that can."""
    waits = {tier.key for tier in fleet.tiers if tier.deferrable}
    urgent = [row for row in served if row["tier"] not in waits and row["slo_attainment_fraction"] is not None]
    arrived = sum(row["arrived"] for row in urgent)
    kept = sum(row["slo_attainment_fraction"] * row["arrived"] for row in urgent)
    return {
        "slo_attainment_fraction": kept / arrived if arrived else None,
        "deferrable_backlog": sum(row["backlog"] for row in served if row["tier"] in waits),
    }


def _refuse(
    methods: Sequence[str],
    strategies: Sequence[str],
    following: dict[str, Policy],
    *,
    every_s: float,
    quantiles: Sequence[float],
) -> None:
    known = [*forecasting.METHODS, forecasting.PERFECT]
    wrong = [f"there is no forecast method '{name}'; {nearest(name, known)}" for name in methods if name not in known]
    wrong += [
        f"no strategy of the study that follows a plan is called '{name}'; {nearest(name, following)}"
        for name in strategies
        if name not in following
    ]
    if not strategies:
        wrong.append("no strategy of the study follows a plan, so no forecast decides anything; add lt_i or lt_ua")
    if every_s <= 0 or every_s % SECONDS_PER_HOUR:
        wrong.append(f"every_s must be whole hours, got {every_s:g} s")
    if not all(0.0 < quantile < 1.0 for quantile in quantiles):
        wrong.append(f"quantiles must lie between 0 and 1, got {tuple(quantiles)}")
    if wrong:
        raise StudyError("the value of forecasts: " + together(wrong))
