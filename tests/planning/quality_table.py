"""Cost and shortfall of plans on real weeks, side by side: ``python -m tests.planning.quality_table``.

Every hour of the last two days of each record is decided with what is known then, at several levels of headroom
(``--until 6 --days 4``: the last four of the first six days, with forecasts from what came before each hour as always):
reactive sizes each pool for the highest ten minutes of the hour before; S (SageServe's programme) and L (the look-ahead
programme over 24 hours, the first whole) plan on the median of the default forecast, made anew every hour from what
came before it; "kept" means that four fifths of what the last three hours asked for stay servable
(``RiskPolicy.recent_peak_hours``). Perfect is L on the demand as it came, its bound below every plan that holds each
hour's peak; the row "bound" is the least that counts held by the hour cost which miss no more, everything known, and
"best rule in hindsight" the least that any sum of nondecreasing functions of the forecast's, the last hour's and the
last three hours' peaks costs, fitted on the judged days themselves: what such rules leave of the distance to the bound.
"L learned" keeps for each model the mean of many rules, weighted by how little its past hours would have cost with each
(:mod:`workbench.planning.reserves`), "L, reserves in hindsight" all along the one by the judged hours.
:mod:`tests.planning.quality_loop` judges. A word names a source; ``level`` after it takes a simple forecast instead:
the hour around the same time a week ago, or a day ago where the record holds no week before, brought to the level of
the last hour, which fades over six hours.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from tests.planning.planning_cases import BATCH, TIERS, requirement
from tests.planning.quality_bounds import best_rule_usd, cheapest_usd
from tests.planning.quality_loop import (
    FLOOR,
    PER_HOUR,
    Decide,
    Moment,
    Outcome,
    Pool,
    first_hour,
    interactive,
    judged_hours,
    pools,
    run_loop,
)
from tests.planning.quality_worlds import (
    DAY,
    JUDGED_DAYS,
    LATEST_CLOCK,
    SHARES,
    START,
    WINDOW_S,
    Numbers,
    World,
    worlds,
)
from workbench import forecasting, planning, tables
from workbench.domain import RiskPolicy
from workbench.planning import PastHour, Reserve
from workbench.planning.lookahead import LookAhead
from workbench.results import CapacityPlan, Forecast

HEADROOMS = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.7)
KEPT = RiskPolicy(quantile=0.5, recent_peak_hours=3.0, recent_peak_fraction=0.8)
MISSED_COST_RATIOS = (1.5, 2.0, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0)
LEARNED_DAYS = 2
REACTIVE_HEADROOMS = (0.0, 0.2, 0.4, 0.8, 1.5)
EQUAL_SHORTFALLS = (0.02, 0.01, 0.005, 0.003, 0.001)
FADES_OVER_H = 6.0
AHEAD_HOURS = 24
HOUR = timedelta(hours=1)
EPSILON = 0.5
Foreseen = Mapping[int, Mapping[tuple[str, str, str], Numbers]]
AHEAD = LookAhead(integer_hours=1.0, local_fraction=EPSILON, floor_replicas=FLOOR)


def tabulate(world: World, forecast: str = "default") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every policy and headroom with its outcome; and the cost of each policy at equal shortfall."""
    outcomes: dict[tuple[str, float], Outcome] = {}
    foreseen = at_level(world) if forecast == "level" else foreseen_by_hour(world)
    for headroom in REACTIVE_HEADROOMS:
        outcomes["reactive", headroom] = run_loop(world, reactive(world, headroom))
    for headroom in HEADROOMS:
        for name, hours in (("S", 1), ("L", AHEAD_HOURS)):
            for kept, policy in ((RiskPolicy(quantile=0.5), name), (KEPT, f"{name} kept")):
                risk = dataclasses.replace(kept, headroom_fraction=headroom)
                outcomes[policy, headroom] = run_loop(world, planned(world, foreseen, risk, hours=hours))
    past = past_hours(world, foreseen)
    for ratio in MISSED_COST_RATIOS:
        for name, hours in (("S", 1), ("L", AHEAD_HOURS)):
            decide = planned(world, foreseen, RiskPolicy(quantile=0.5), hours=hours, learned=(past, ratio))
            outcomes[f"{name} learned", ratio] = run_loop(world, decide)
    judged = past[-len(judged_hours(world)) :]
    for ratio in MISSED_COST_RATIOS:
        fixed = planning.learn_reserves(
            judged, rates=world.replica_rates(), missed_cost_ratio=ratio, half_life_h=float("inf")
        )
        decide = planned(world, foreseen, RiskPolicy(quantile=0.5), hours=AHEAD_HOURS, fixed=fixed)
        outcomes["L, reserves in hindsight", ratio] = run_loop(world, decide)
    bound, outcomes["perfect", 0.0] = perfect(world)
    rows = [
        {"source": world.name, "policy": policy, "headroom": headroom, **dataclasses.asdict(outcome)}
        for (policy, headroom), outcome in outcomes.items()
    ]
    equal = [
        {"source": world.name, "policy": policy}
        | {f"{short:.1%} short": _at(outcomes, policy, short) for short in EQUAL_SHORTFALLS}
        | {"bound": bound / 1e3}
        for policy in ("reactive", "S", "S kept", "S learned", "L", "L kept", "L learned", "L, reserves in hindsight")
    ]
    known = known_by_model(world, foreseen)
    rule = {f"{short:.1%} short": best_rule_usd(world, short, known) / 1e3 for short in EQUAL_SHORTFALLS}
    equal.append({"source": world.name, "policy": "best rule in hindsight"} | rule | {"bound": bound / 1e3})
    least = {f"{short:.1%} short": cheapest_usd(world, short) / 1e3 for short in EQUAL_SHORTFALLS}
    equal.append({"source": world.name, "policy": "bound"} | least | {"bound": bound / 1e3})
    return pl.DataFrame(rows), pl.DataFrame(equal)


def reactive(world: World, headroom: float) -> Decide:
    """Pools sized for the hour before, each for itself."""

    def decide(now: Moment) -> dict[Pool, int]:
        before = slice((now.hour - 1) * PER_HOUR, now.hour * PER_HOUR)
        return {
            (region, model): max(
                FLOOR,
                int(
                    np.ceil(
                        (
                            interactive(world, region, model)[before].max() * (1 + headroom)
                            + 0.1 * world.rates[region, model, BATCH.key][before].mean()
                        )
                        / world.theta[model]
                    )
                ),
            )
            for region, model in pools(world)
        }

    return decide


def foreseen_by_hour(world: World) -> Foreseen:
    """The median of the default forecast for the day after each hour to learn from or to judge, by series.

    Clocks are shifted by rolling the record, so its end stands at the beginning of later regions: that is cut off.
    """
    hours = hours_foreseen(world)
    rolled = forecasting.roll(
        world.demand().filter(pl.col("window_start") >= START + timedelta(seconds=LATEST_CLOCK * WINDOW_S)),
        origins=[START + timedelta(hours=hour) for hour in hours],
        horizon_s=AHEAD_HOURS * 3600.0,
        window_s=WINDOW_S,
        quantiles=(0.5,),
        measures=("input_tps",),
    )
    return {
        hour: {
            (str(region), str(model), str(tier)): series.sort("window_start").get_column("value").to_numpy()
            for (region, model, tier), series in forecast.frame.partition_by(
                "region", "model", "tier", as_dict=True
            ).items()
        }
        for hour, forecast in zip(hours, rolled, strict=True)
    }


def at_level(world: World) -> Foreseen:
    """The shape of a week or a day ago at the level of the last hour, for the day after each of the same hours."""
    lead_h = np.arange(AHEAD_HOURS * PER_HOUR) / PER_HOUR
    found: dict[int, dict[tuple[str, str, str], Numbers]] = {}
    for hour in hours_foreseen(world):
        now, found[hour] = hour * PER_HOUR, {}
        ago = 7 * DAY if now - 7 * DAY >= PER_HOUR and world.windows >= 14 * DAY else DAY
        for (region, model, tier), values in world.rates.items():
            base = values if tier == BATCH.key else interactive(world, region, model)
            seen, then = base[now - PER_HOUR : now].sum(), base[now - ago - PER_HOUR : now - ago].sum()
            level = np.clip(seen / then, 0.2, 5.0) if then > 0 else 1.0
            around = now - ago + np.arange(lead_h.size)[:, None] + np.arange(-3, 4)
            shape = values[np.clip(around, 0, now - 1)].mean(axis=1)
            found[hour][region, model, tier] = shape * (1 + (level - 1) * np.exp(-lead_h / FADES_OVER_H))
    return found


def hours_foreseen(world: World) -> range:
    """The judged hours, and before them those that reserves are learned from."""
    judged = judged_hours(world)
    return range(max(24, judged.start - 24 * LEARNED_DAYS), judged.stop)


def past_hours(world: World, foreseen: Foreseen) -> list[PastHour]:
    """What the hours needed by the forecasts made at their begin, beside what came."""
    demand, risk = world.demand(), RiskPolicy(quantile=0.5)
    forecasts = [_as_forecast(foreseen[hour], hour, 1) for hour in hours_foreseen(world)]
    return [
        planning.past_hour(
            one, risk=risk, tiers=TIERS, observed=_between(demand, one.as_of - 6 * HOUR, one.as_of + HOUR)
        )
        for one in forecasts
    ]


def known_by_model(world: World, foreseen: Foreseen) -> dict[str, list[Numbers]]:
    """By model what is known as each judged hour begins: the foreseen peak, and those of the last and last three."""

    def seen(region: str, model: str, hour: int, hours: int) -> float:
        return float(interactive(world, region, model)[(hour - hours) * PER_HOUR : hour * PER_HOUR].max())

    def ahead(region: str, model: str, hour: int) -> float:
        tiers = [v for (r, m, t), v in foreseen[hour].items() if (r, m) == (region, model) and t != BATCH.key]
        return float(np.asarray(sum(tiers))[:PER_HOUR].max())

    return {
        model: [
            np.array([sum(rule(region, hour) for region in SHARES) for hour in judged_hours(world)])
            for rule in (
                lambda region, hour, model=model: ahead(region, model, hour),
                lambda region, hour, model=model: seen(region, model, hour, 1),
                lambda region, hour, model=model: seen(region, model, hour, 3),
            )
        ]
        for model in world.theta
    }


def planned(
    world: World,
    foreseen: Foreseen,
    risk: RiskPolicy,
    *,
    hours: int,
    learned: tuple[Sequence[PastHour], float] | None = None,
    fixed: Mapping[str, Sequence[Reserve]] | None = None,
) -> Decide:
    """The first hour of a plan made anew each hour: Programme S for one hour, else Programme L.

    ``learned`` is every hour that is foreseen, of which those that are over are learned from, and the price of what is
    missed; ``fixed`` are reserves that hold throughout.
    """
    demand, rates = world.demand(), world.replica_rates()

    def decide(now: Moment) -> dict[Pool, int]:
        ahead = _as_forecast(foreseen[now.hour], now.hour, hours)
        past = [one for one in learned[0] if one.as_of < ahead.as_of] if learned else []
        reserves = planning.learn_reserves(past, rates=rates, missed_cost_ratio=learned[1]) if learned else fixed
        near = _between(demand, ahead.as_of - 6 * HOUR, ahead.as_of)
        needed = planning.require(ahead, risk=risk, tiers=TIERS, observed=near, reserves=reserves)
        last = [
            (
                region,
                model,
                float(world.rates[region, model, BATCH.key][(now.hour - 1) * PER_HOUR : now.hour * PER_HOUR].mean()),
            )
            for region, model in pools(world)
        ]
        plan = planning.solve(
            needed,
            fleet=world.fleet({(region, model, "h100"): count for (region, model), count in now.standing.items()}),
            rates=rates,
            risk=risk,
            epsilon_fraction=EPSILON,
            floor_replicas=FLOOR,
            model="sageserve" if hours == 1 else "lookahead",
            last_hour_deferrable=pl.DataFrame(last, schema=["region", "model", "input_tps"], orient="row"),
            options=None if hours == 1 else AHEAD,
            waiting=None if hours == 1 else _waiting(world, now),
            quiet=None if hours == 1 else planning.quiet_minutes(needed, ahead, risk=risk, tiers=TIERS),
        )
        return _first_hour(plan)

    return decide


def perfect(world: World) -> tuple[float, Outcome]:
    """The bound of a look-ahead plan of all days that knows the demand, and what its counts come to."""
    begin = first_hour(world)
    needed = _requirement(
        {series: values[begin * PER_HOUR :] for series, values in world.rates.items()}, 24 * world.judged_days
    )
    hourly: dict[int, dict[Pool, int]] = {}
    state: dict[str, float] = {}

    def decide(now: Moment) -> dict[Pool, int]:
        if not hourly:
            fleet = world.fleet({(region, model, "h100"): count for (region, model), count in now.standing.items()})
            plan = planning.solve(
                needed,
                fleet=fleet,
                rates=world.replica_rates(),
                risk=RiskPolicy(),
                epsilon_fraction=EPSILON,
                model="lookahead",
                options=AHEAD,
            )
            state["bound"] = float(plan.bound_usd or 0.0)
            for place, start in enumerate(plan.allocation.get_column("window_start").unique().sort()):
                held = plan.allocation.filter(pl.col("window_start") == start)
                hourly[begin + place] = _by_pool(held)
        return hourly[now.hour]

    outcome = run_loop(world, decide)
    return state["bound"], outcome


def _between(demand: pl.DataFrame, since: datetime, until: datetime) -> pl.DataFrame:
    return demand.filter(pl.col("window_start").is_between(since, until, closed="left"))


def _as_forecast(rates: Mapping[tuple[str, str, str], Numbers], hour: int, hours: int) -> Forecast:
    """The medians of the hours from one on, a tenth as many tokens generated as read."""
    as_of = START + timedelta(hours=hour)
    starts = [as_of + timedelta(seconds=WINDOW_S * i) for i in range(hours * PER_HOUR)]
    frames = [
        pl.DataFrame(
            {
                "window_start": starts,
                "region": region,
                "model": model,
                "tier": tier,
                "measure": measure,
                "quantile": 0.5,
                "value": np.maximum(values[: len(starts)], 0.0) * share,
            }
        )
        for (region, model, tier), values in rates.items()
        for measure, share in (("input_tps", 1.0), ("output_tps", 0.1))
    ]
    frame = tables.FORECAST.conform(pl.concat(frames))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=as_of, window_s=WINDOW_S, method="median")


def _requirement(rates: Mapping[tuple[str, str, str], Numbers], hours: int) -> pl.DataFrame:
    """Interactive tiers at the highest ten minutes of their sum, deferrable work as its mean."""
    rows = []
    for region, model in dict.fromkeys((r, m) for r, m, _ in rates):
        live = {t: v for (r, m, t), v in rates.items() if (r, m) == (region, model) and t != BATCH.key}
        for hour in range(hours):
            here = slice(hour * PER_HOUR, (hour + 1) * PER_HOUR)
            peak = int(np.argmax(np.asarray(sum(live.values()))[here]))
            rows += [(hour, region, model, t, float(v[here][peak])) for t, v in live.items()]
            rows.append((hour, region, model, BATCH.key, float(rates[region, model, BATCH.key][here].mean())))
    return requirement(rows)


def _waiting(world: World, now: Moment) -> pl.DataFrame:
    """What waits, by model and hours left, in tokens / 3600."""
    rows = []
    for model, queue in now.queue.items():
        for at in np.flatnonzero(queue > 1e-6):
            left_s = (DAY - (now.hour * PER_HOUR - int(at))) * 600.0
            if left_s > 0:
                rows.append(
                    ("east", model, float(queue[at]) * 600.0 / 3600.0, float(np.ceil(left_s / 3600.0) * 3600.0))
                )
    frame = pl.DataFrame(rows, schema=["region", "model", "input_tps_hours", "serve_by_s"], orient="row")
    return (
        frame.group_by("region", "model", "serve_by_s").agg(pl.col("input_tps_hours").sum()) if rows else frame.clear()
    )


def _first_hour(plan: CapacityPlan) -> dict[Pool, int]:
    return _by_pool(plan.allocation.filter(pl.col("window_start") == pl.col("window_start").min()))


def _by_pool(allocation: pl.DataFrame) -> dict[Pool, int]:
    sums = allocation.group_by("region", "model").agg(pl.col("replicas").sum())
    return {(region, model): count for region, model, count in sums.iter_rows()}


def _at(outcomes: Mapping[tuple[str, float], Outcome], policy: str, short: float) -> float | None:
    """The cost in thousands at a shortfall, between the headrooms around it; None outside of them."""
    points = sorted((one.short_fraction, one.cost_usd) for (name, _), one in outcomes.items() if name == policy)
    shorts, costs = [p[0] for p in points], [p[1] for p in points]
    return float(np.interp(short, shorts, costs)) / 1e3 if shorts[0] <= short <= shorts[-1] else None


def main(argv: Sequence[str] | None = None) -> None:
    """Print both tables for every source, or those whose name begins as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="", help="how the name of a source begins")
    parser.add_argument("forecast", nargs="?", default="default", choices=("default", "level"))
    parser.add_argument("--until", type=int, help="cut the record after so many days")
    parser.add_argument("--days", type=int, default=JUDGED_DAYS, help="judge so many days, the last of what is left")
    asked = parser.parse_args(argv)
    chosen = [one.cut(asked.until, asked.days) for one in worlds() if one.name.startswith(asked.source)]
    if not chosen:
        sys.stdout.write("The shared data is not there, or no source is named so: nothing to judge.\n")
        return
    found = [tabulate(world, asked.forecast) for world in chosen]
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, float_precision=4, tbl_hide_column_data_types=True):
        for frames in zip(*found, strict=True):
            sys.stdout.write(f"{pl.concat(frames, how='diagonal')}\n")
        sys.stdout.write(
            f"Cost of {asked.days} days in USD, then in thousands at equal shortfall of interactive work.\n"
        )


if __name__ == "__main__":
    main()
