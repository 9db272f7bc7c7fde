"""A look-ahead plan re-computed from its frames by plain loops: what it breaks, as sentences.

No code of the planner is used. Counts come from the allocation, starts from STARTS; a started replica serves when its
lead time is over; everything else is arithmetic on the frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from workbench.domain import Fleet
from workbench.planning.lookahead import LookAhead
from workbench.results import CapacityPlan

SLACK = 1e-4
HOUR_S = 3600.0


def broken(
    plan: CapacityPlan, *, requirement: pl.DataFrame, fleet: Fleet, rates: pl.DataFrame, options: LookAhead
) -> list[str]:
    """Return one sentence for everything that a plan breaks."""
    capacity = _capacity(plan, rates=rates, options=options)
    return [
        *_stock(plan, fleet=fleet, rates=rates),
        *_lineage(plan, fleet=fleet),
        *_coverage(plan, requirement=requirement, capacity=capacity, fleet=fleet, options=options),
        *_deadlines(plan, requirement=requirement),
        *_money(plan, rates=rates, fleet=fleet),
    ]


def _held(plan: CapacityPlan) -> Mapping[tuple[object, ...], int]:
    held: dict[tuple[object, ...], int] = defaultdict(int)
    for row in plan.allocation.iter_rows(named=True):
        held[row["window_start"], row["region"], row["model"], row["gpu"]] += row["replicas"]
    return held


def _rates(rates: pl.DataFrame) -> Mapping[tuple[str, str], tuple[float, int]]:
    return {(row["model"], row["gpu"]): (row["input_tps"], row["gpus_per_replica"]) for row in rates.to_dicts()}


def _windows(plan: CapacityPlan) -> list[object]:
    return plan.hours.get_column("window_start").to_list()


def _capacity(
    plan: CapacityPlan, *, rates: pl.DataFrame, options: LookAhead
) -> Mapping[tuple[object, str, str], float]:
    """Return what (window, region, model) can serve, replicas that are starting left out for as long as they do."""
    known, windows = _rates(rates), _windows(plan)
    capacity: dict[tuple[object, str, str], float] = defaultdict(float)
    for (start, region, model, gpu), count in _held(plan).items():
        capacity[start, region, model] += count * known[model, gpu][0]
    assert plan.starts is not None
    for row in plan.starts.iter_rows(named=True):
        left_s = options.lead_s[row["kind"]]
        for window in windows[windows.index(row["window_start"]) :]:
            lost_s = min(HOUR_S, left_s)
            rate = known[row["model"], row["gpu"]][0]
            capacity[window, row["region"], row["model"]] -= row["replicas"] * rate * lost_s / HOUR_S
            left_s -= lost_s
    return capacity


def _stock(plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame) -> list[str]:
    used: dict[tuple[object, ...], float] = defaultdict(float)
    for (start, region, model, gpu), count in _held(plan).items():
        used[start, region, gpu] += count * _rates(rates)[model, gpu][1]
    wrong = [f"stock {key} {gpus}" for key, gpus in used.items() if gpus > fleet.stock_gpus[key[1], key[2]]]  # type: ignore[index]
    assert plan.supply is not None
    for row in plan.supply.iter_rows(named=True):
        key = row["window_start"], row["region"], row["gpu"]
        bought = row["gpus_reserved"] + row["gpus_on_demand"] + row["gpus_spot"]
        if abs(bought - used[key]) > SLACK or bought + row["gpus_lent"] > row["gpus_stock"] + SLACK:
            wrong.append(f"supply {row} against {used[key]} in use")
    return wrong


def _lineage(plan: CapacityPlan, *, fleet: Fleet) -> list[str]:
    """Every replica more than before was started, and what was reclaimed had been lent."""
    held, windows = _held(plan), _windows(plan)
    begun: dict[tuple[object, ...], float] = defaultdict(float)
    reclaimed: dict[tuple[object, ...], float] = defaultdict(float)
    assert plan.starts is not None
    for row in plan.starts.iter_rows(named=True):
        key = row["window_start"], row["region"], row["model"], row["gpu"]
        begun[key] += row["replicas"]
        reclaimed[key] += row["replicas"] if row["kind"] == "reclaim" else 0.0
    wrong = []
    for place in {key[1:] for key in held}:
        before = fleet.initial_replicas.get(place, 0)  # type: ignore[arg-type]
        lent = float(fleet.initial_lent_replicas.get(place, 0))  # type: ignore[arg-type]
        for window in windows:
            key = (window, *place)
            if held[key] - before > begun[key] + SLACK:
                wrong.append(f"{key} has {held[key]} after {before} with {begun[key]} starts")
            stopped = begun[key] - (held[key] - before)
            lent += stopped - reclaimed[key]
            if lent < -SLACK:
                wrong.append(f"{key} reclaims more than was lent")
            before = held[key]
    return wrong


def _coverage(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    capacity: Mapping[tuple[object, str, str], float],
    fleet: Fleet,
    options: LookAhead,
) -> list[str]:
    assert plan.flows is not None
    assert plan.deferred is not None
    short = {tuple(row[:4]): row[4] for row in plan.shortfall.iter_rows()}
    need: dict[tuple[object, ...], float] = defaultdict(float)
    for row in requirement.filter(~pl.col("is_deferrable")).iter_rows(named=True):
        key = row["window_start"], row["region"], row["model"], row["tier"]
        need[key] += row["input_tps"] - short.get(key, 0.0)
    out: dict[tuple[object, ...], float] = defaultdict(float)
    into: dict[tuple[object, ...], float] = defaultdict(float)
    wrong = []
    for row in plan.flows.iter_rows(named=True):
        out[row["window_start"], row["origin_region"], row["model"], row["tier"]] += row["input_tps"]
        into[row["window_start"], row["region"], row["model"]] += row["input_tps"]
        at_home = row["origin_region"] == row["region"]
        if at_home and row["input_tps"] < options.local_fraction * need[_origin(row)] - SLACK * 10:
            wrong.append(f"local share of {row}")
    bound = {tier.key for tier in fleet.tiers if (tier.ttft_slo_s or 1e9) < options.bound_below_ttft_s}
    wrong += [
        f"flow of {key}: {out[key]} of {tps}" for key, tps in need.items() if key[3] in bound and _off(out[key], tps)
    ]
    wrong += [f"into {key}: {tps} over {capacity[key]}" for key, tps in into.items() if _over(tps, capacity[key])]  # type: ignore[index]
    served = {(row["window_start"], row["model"]): row["served_input_tps"] for row in plan.deferred.to_dicts()}
    for window in _windows(plan):
        for model in {key[2] for key in need}:
            asked = sum(tps for key, tps in need.items() if (key[0], key[2]) == (window, model))
            has = sum(tps for key, tps in capacity.items() if (key[0], key[2]) == (window, model))
            if _over(asked + served.get((window, model), 0.0), has):  # type: ignore[arg-type]
                wrong.append(f"{model} at {window}: {asked} + {served.get((window, model))} over {has}")  # type: ignore[arg-type]
    return wrong


def _origin(row: Mapping[str, object]) -> tuple[object, ...]:
    return row["window_start"], row["origin_region"], row["model"], row["tier"]


def _deadlines(plan: CapacityPlan, *, requirement: pl.DataFrame) -> list[str]:
    """Serve what came first, first: nothing may be served later than its deadline, and the backlog adds up."""
    assert plan.deferred is not None
    wrong = []
    windows = _windows(plan)
    for (model,), rows in plan.deferred.sort("window_start").partition_by("model", as_dict=True).items():
        queue: list[list[float]] = []
        work = requirement.filter(pl.col("is_deferrable") & (pl.col("model") == model))
        for now, row in enumerate(rows.iter_rows(named=True)):
            came = work.filter(pl.col("window_start") == row["window_start"])
            queue += [
                [now + max(1, int(one["serve_by_s"] / HOUR_S)), one["input_tps"] * HOUR_S] for one in came.to_dicts()
            ]
            queue.sort()
            for left, what in ((row["served_input_tps"] * HOUR_S, "served"), (row["late_input_tokens"], "late")):
                for item in queue:
                    taken = min(item[1], left)
                    item[1] -= taken
                    left -= taken
                if left > SLACK * HOUR_S:
                    wrong.append(f"{model} {what} more than waits at {windows[now]}")
            waiting = sum(item[1] for item in queue)
            overdue = sum(item[1] for item in queue if item[0] <= now + 1)
            if overdue > SLACK * HOUR_S or abs(waiting - row["backlog_input_tokens"]) > SLACK * HOUR_S * 10:
                wrong.append(f"{model} at {windows[now]}: {overdue} overdue, {waiting} waiting, {row}")
    return wrong


def _money(plan: CapacityPlan, *, rates: pl.DataFrame, fleet: Fleet) -> list[str]:
    known = _rates(rates)
    usd = sum(
        count * known[model, gpu][1] * fleet.usd_per_gpu_hour[region, gpu]  # type: ignore[index]
        for (_, region, model, gpu), count in _held(plan).items()
    )
    return [f"cost {plan.cost_usd} against {usd}"] if abs(usd - plan.cost_usd) > SLACK * (1 + usd) else []


def _over(found: float, allowed: float) -> bool:
    return found > allowed + SLACK * (1 + abs(allowed))


def _off(found: float, wanted: float) -> bool:
    return abs(found - wanted) > SLACK * (1 + abs(wanted))
