"""A strategy as a value: how its pools scale, what it foresees, how it decides; and the ones that are named.

Three functions make one. ``policy`` says how the simulator scales the pools, and whether it follows orders. ``foresee``
gives a forecast for the hour that begins from what was known then. ``decide`` turns it, and the fleet as it stands,
into a plan, of which the first hour is carried out. A strategy of one's own is another :class:`Strategy`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from workbench import performance, planning, tables
from workbench.domain import Fleet, Policy, Scenario
from workbench.results import CapacityPlan, Forecast
from workbench.studies import foreseeing
from workbench.studies.foreseeing import History
from workbench.units import SECONDS_PER_HOUR

Place = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Situation:
    """What a decision is made from at the begin of an hour; nothing in it is younger than ``at``.

    ``fleet`` has as initial replicas what is ready or starting now, and as lent ones what is lent now. ``waiting`` is
    the deferrable work in the queues (``WAITING``); ``last_hour_deferrable`` what came of it in the last hour, in input
    tokens per second. ``peak_replicas`` is what the peak of the history needed; ``observed`` the
    demand of late, where the risk keeps recent hours servable or learns, and ``reserves`` what it learned, by model.
    """

    at: datetime
    scenario: Scenario
    policy: Policy
    fleet: Fleet
    rates: pl.DataFrame
    forecast: Forecast
    waiting: pl.DataFrame
    last_hour_deferrable: pl.DataFrame
    peak_replicas: Mapping[Place, int]
    observed: pl.DataFrame | None = None
    reserves: Mapping[str, Sequence[planning.Reserve]] | None = None


Foresee = Callable[[History], Iterator[Forecast]]
Decide = Callable[[Situation], CapacityPlan]


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How pools scale, and for those that follow orders how these come about; ``horizon_h`` is how far is foreseen."""

    policy: Policy
    foresee: Foresee | None = None
    decide: Decide | None = None
    horizon_h: float = 1.0

    @property
    def is_planned(self) -> bool:
        """Whether anything is foreseen and decided for it."""
        return self.foresee is not None and self.decide is not None


def hourly(now: Situation) -> CapacityPlan:
    """Plan the hour that begins by Programme S, as SageServe does (sageserve.md section 6)."""
    scenario, ends = now.scenario, now.at + timedelta(hours=1)
    hour = dataclasses.replace(now.forecast, frame=now.forecast.frame.filter(pl.col("window_start") < ends))
    return planning.solve(
        planning.require(hour, risk=scenario.risk, tiers=now.fleet.tiers, observed=now.observed, reserves=now.reserves),
        fleet=now.fleet,
        rates=rates_of(now),
        risk=scenario.risk,
        epsilon_fraction=scenario.epsilon_fraction,
        solver=scenario.solver,
        gap_fraction=scenario.solver_gap_fraction,
        time_limit_s=scenario.solver_time_limit_s,
        floor_replicas=now.policy.floor_replicas,
        last_hour_deferrable=now.last_hour_deferrable,
        model="sageserve",
    )


def look_ahead(now: Situation) -> CapacityPlan:
    """Plan the hours that are foreseen together by Programme L, in whole replicas for the first of them.

    What waits in the queues counts with what is left until its deadline, by the hour in which it came, and finds room
    in the minutes that interactive work leaves below the peak of its hour. Work is planned where it comes from: the
    rules release deferrable work in the region where it queues, and route interactive work elsewhere only over the
    threshold, so what a plan would serve elsewhere would wait.
    """
    scenario = now.scenario
    options = planning.LookAhead(
        integer_hours=1.0,
        local_fraction=scenario.epsilon_fraction,
        floor_replicas=now.policy.floor_replicas,
        residency={region.key: frozenset([region.key]) for region in now.fleet.regions},
        lead_s={"reclaim": now.policy.reclaim_s, "swap": now.policy.swap_s, "remote": now.policy.remote_s},
    )
    needed = planning.require(
        now.forecast, risk=scenario.risk, tiers=now.fleet.tiers, observed=now.observed, reserves=now.reserves
    )
    return planning.solve(
        needed,
        fleet=now.fleet,
        rates=rates_of(now),
        risk=scenario.risk,
        epsilon_fraction=scenario.epsilon_fraction,
        solver=scenario.solver,
        time_limit_s=scenario.solver_time_limit_s,
        model="lookahead",
        options=options,
        waiting=left_to_serve(now),
        quiet=planning.quiet_minutes(needed, now.forecast, risk=scenario.risk, tiers=now.fleet.tiers),
    )


def rates_of(now: Situation) -> pl.DataFrame:
    """Return what each replica counts for in a plan, as REPLICA_RATES: at the policy's own load where it has one."""
    level = now.policy.planning_signal_fraction
    if level is None:
        return now.rates
    return performance.rates(now.fleet.replicas, now.fleet.mixes, signal_fraction=level, signal="largest")


def left_to_serve(now: Situation) -> pl.DataFrame:
    """Return what waits as the look-ahead takes it: tokens/s for an hour, and seconds until it has to be served."""
    deadlines = {tier.key: tier.deadline_s or 0.0 for tier in now.fleet.tiers}
    waited_s = (pl.lit(now.at, tables.INSTANT) - pl.col("arrived_hour")).dt.total_seconds()
    left_s = pl.col("tier").replace_strict(deadlines, return_dtype=pl.Float64) - waited_s
    return now.waiting.select(
        "region",
        "model",
        (pl.col("input_tokens") / SECONDS_PER_HOUR).alias("input_tps_hours"),
        left_s.clip(lower_bound=0.0).alias("serve_by_s"),
    )


def at_peak(now: Situation) -> CapacityPlan:
    """Hold what the peak of the history needed, whatever comes: the fleet of someone who never scales."""
    rows = [(now.at, *place, "on_demand", count) for place, count in now.peak_replicas.items()]
    price = sum(
        count * now.fleet.replica(place[1], place[2]).gpus * now.fleet.usd_per_gpu_hour[place[0], place[2]]
        for place, count in now.peak_replicas.items()
    )
    hours = pl.DataFrame(
        {
            "window_start": [now.at], "cost_usd": [price], "start_cost_usd": [0.0], "objective": [price],
            "bound": [None], "gap_fraction": [None], "status": ["heuristic"], "solve_s": [0.0],
        },
        schema_overrides={"window_start": tables.INSTANT, "bound": pl.Float64, "gap_fraction": pl.Float64},
    )  # fmt: skip
    return CapacityPlan(
        allocation=tables.ALLOCATION.conform(pl.DataFrame(rows, schema=tables.ALLOCATION.schema, orient="row")),
        shortfall=tables.SHORTFALL.empty(),
        hours=hours,
        cost_usd=price,
        bound_usd=None,
        gap_fraction=None,
        status="heuristic",
        solver="none",
        programme="peak",
    )


#: What a policy's ``programme`` and ``foresight`` name.
PROGRAMMES: Mapping[str, tuple[Decide, float]] = {
    "sageserve": (hourly, 1.0),
    "lookahead": (look_ahead, 24.0),
    "peak": (at_peak, 1.0),
}
FORESIGHTS: Mapping[str, Foresee] = {"forecast": foreseeing.forecasts, "perfect": foreseeing.perfect}


def strategy_of(policy: Policy) -> Strategy:
    """Return the strategy that a policy names; one that follows no plan foresees and decides nothing."""
    if not policy.needs_plan:
        return Strategy(policy=policy)
    decide, horizon_h = PROGRAMMES[policy.programme]
    return Strategy(policy=policy, foresee=FORESIGHTS[policy.foresight], decide=decide, horizon_h=horizon_h)


def as_it_stands(fleet: Fleet, pools: pl.DataFrame) -> Fleet:
    """Return the fleet with what stands now (``STANDING``): ready and starting replicas, and lent ones."""
    held, lent = {}, {}
    for row in pools.iter_rows(named=True):
        key = (row["region"], row["model"], row["gpu"])
        held[key] = sum(row[name] for name in ("ready", "starting_reclaim", "starting_swap", "starting_remote"))
        lent[key] = row["lent"]
    return dataclasses.replace(fleet, initial_replicas=held, initial_lent_replicas=lent)


def whole_hours(hours: float) -> int:
    """Return the hours that are begun."""
    return math.ceil(hours - 1e-9)
