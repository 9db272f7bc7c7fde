"""From the values of columns to the frames of a capacity plan.

Counts of whole windows are rounded (they are whole to a hundred-thousandth); those beyond are rounded up as far as the
stock goes and only indicate. Money, supply, flows and backlog are read as the programme planned them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.domain import Tier
from workbench.planning.lookahead.options import START_KINDS
from workbench.planning.lookahead.outlook import Numbers, Outlook, Places
from workbench.planning.lookahead.solving import Solved
from workbench.planning.lookahead.unserved import unserved
from workbench.planning.lookahead.working import bound_tiers
from workbench.results import CapacityPlan

SMALL = 1e-7


def read(solved: Solved, *, requirement: pl.DataFrame, tiers: tuple[Tier, ...], solver: str) -> CapacityPlan:
    """Return a solved programme as a plan."""
    hours = _hours(solved)
    outlook = solved.programme.outlook
    is_bounded = bool(np.isfinite(solved.bound_usd))
    short = unserved(solved, requirement=requirement, tiers=tiers)
    return CapacityPlan(
        allocation=_allocation(solved),
        shortfall=short,
        hours=hours,
        cost_usd=float(hours.get_column("cost_usd").sum()),
        bound_usd=solved.bound_usd if is_bounded else None,
        gap_fraction=solved.gap_fraction if is_bounded else None,
        status=solved.status,
        solver=solver,
        programme="lookahead",
        flows=_flows(solved, requirement=requirement, short=short, tiers=tiers),
        deferred=_deferred(solved),
        supply=_supply(solved),
        starts=_starts(solved),
        whole_windows=None if outlook.whole_windows == outlook.windows else outlook.whole_windows,
    )


def counts(solved: Solved) -> tuple[Places, Places]:
    """Return replicas [p, t] and how many of them stand on spot, in whole numbers."""
    outlook, chosen = solved.programme.outlook, solved.programme.columns
    values = solved.values[chosen.replicas]
    whole = np.round(values).astype(np.int64)
    for k in range(len(outlook.keys)):
        places = np.flatnonzero(outlook.place_key == k)
        for t in range(outlook.whole_windows, outlook.windows):
            whole[places, t] = _rounded_up(values[places, t], outlook.place_gpus[places], outlook.stock[k])
    spot = np.zeros_like(whole)
    if chosen.spot.size:
        spot = np.minimum(np.round(solved.values[chosen.spot]).astype(np.int64), whole)
    return whole, spot


def _rounded_up(values: Numbers, gpus: Places, stock: float) -> Places:
    """Return counts rounded up, those with the largest fractions first, as long as the stock holds them."""
    found = np.floor(values + SMALL).astype(np.int64)
    left = stock - float(found @ gpus)
    for i in np.argsort(found - values, kind="stable"):
        if values[i] - found[i] > 1e-6 and gpus[i] <= left:
            found[i] += 1
            left -= float(gpus[i])
    return found


def _frame(table: tables.Table, columns: Mapping[str, object]) -> pl.DataFrame:
    return table.conform(pl.DataFrame(columns, strict=False).cast({name: table.schema[name] for name in columns})).sort(
        table.key
    )


def _at(names: tuple[object, ...], index: NDArray[Any]) -> list[object]:
    return [names[i] for i in index.tolist()]


def _place_columns(outlook: Outlook, place: NDArray[Any]) -> dict[str, list[object]]:
    return {
        "region": _at(outlook.regions, outlook.place_region[place]),
        "model": _at(outlook.models, outlook.place_model[place]),
        "gpu": [outlook.keys[k][1] for k in outlook.place_key[place].tolist()],
    }


def _allocation(solved: Solved) -> pl.DataFrame:
    outlook = solved.programme.outlook
    whole, spot = counts(solved)
    firm = whole - spot
    reserved = np.zeros_like(firm)
    for k in np.flatnonzero(outlook.reserved):
        left = np.full(outlook.windows, outlook.reserved[k])
        for place in np.flatnonzero(outlook.place_key == k):
            reserved[place] = np.minimum(firm[place], left // outlook.place_gpus[place])
            left = left - reserved[place] * outlook.place_gpus[place]
    parts = {"on_demand": firm - reserved, "reserved": reserved, "spot": spot}
    frames = []
    for acquired, values in parts.items():
        # one way of acquiring names every place, so that none is missing from the plan
        listed = values > 0 if acquired != "on_demand" else np.ones(values.shape, dtype=bool)
        p, t = np.nonzero(listed)
        columns = {"window_start": _at(outlook.starts, t), **_place_columns(outlook, p)}
        columns |= {"acquired": [acquired] * p.size, "replicas": values[p, t].tolist()}
        frames.append(_frame(tables.ALLOCATION, columns))
    return pl.concat(frames).sort(tables.ALLOCATION.key)


def _starts(solved: Solved) -> pl.DataFrame:
    outlook = solved.programme.outlook
    values = solved.values[solved.programme.columns.begun]
    kind, p, t = np.nonzero(values > 1e-6)
    columns = {
        "window_start": _at(outlook.starts, t),
        **_place_columns(outlook, p),
        "kind": _at(START_KINDS, kind),
        "replicas": values[kind, p, t].tolist(),
    }
    return _frame(tables.STARTS, columns)


def _flows(solved: Solved, *, requirement: pl.DataFrame, short: pl.DataFrame, tiers: tuple[Tier, ...]) -> pl.DataFrame:
    """Return flows by tier: what a pair carries is split as the tiers are served in the region of origin."""
    outlook, chosen = solved.programme.outlook, solved.programme.columns
    values = solved.values[chosen.flow] * outlook.unit_input_tps[:, None, None]
    m, q, t = np.nonzero(values > SMALL * outlook.unit_input_tps[:, None, None])
    pairs = pl.DataFrame(
        {
            "window_start": _at(outlook.starts, t),
            "model": _at(outlook.models, m),
            "origin_region": _at(outlook.regions, outlook.pairs[q, 0]),
            "region": _at(outlook.regions, outlook.pairs[q, 1]),
            "all_tps": values[m, q, t],
        },
        schema={
            **{n: tables.FLOWS.schema[n] for n in ("window_start", "model", "origin_region", "region")},
            "all_tps": pl.Float64,
        },
    )
    cell = ("window_start", "model", "region")
    asked = requirement.filter(pl.col("tier").is_in(bound_tiers(tiers, outlook.options)))
    unmet = short.select(*cell, "tier", pl.col("input_tps").alias("unmet"))
    served = (
        asked.join(unmet, on=(*cell, "tier"), how="left")
        .with_columns(served=pl.col("input_tps") - pl.col("unmet").fill_null(0.0))
        .filter(pl.col("served") > SMALL * pl.col("input_tps"))
    )
    share = served.select(*cell, "tier", share=pl.col("served") / pl.col("served").sum().over(cell)).rename(
        {"region": "origin_region"}
    )
    split = pairs.join(share, on=("window_start", "model", "origin_region")).with_columns(
        input_tps=pl.col("all_tps") * pl.col("share")
    )
    return tables.FLOWS.conform(split).sort(tables.FLOWS.key)


def _deferred(solved: Solved) -> pl.DataFrame:
    outlook, chosen = solved.programme.outlook, solved.programme.columns
    d = outlook.deferring
    unit = outlook.unit_input_tps[d][:, None]
    served, waiting, late = (
        np.maximum(solved.values[block].sum(axis=1), 0.0) * unit
        for block in (chosen.served, chosen.waiting, chosen.late)
    )
    i, t = np.indices(served.shape).reshape(2, -1)
    columns = {
        "window_start": _at(outlook.starts, t),
        "model": _at(outlook.models, d[i]),
        "arriving_input_tps": (outlook.arriving[d].sum(axis=1) * unit)[i, t],
        "served_input_tps": served[i, t],
        "backlog_input_tokens": waiting[i, t] * outlook.window_s,
        "late_input_tokens": np.where(late < SMALL * unit, 0.0, late)[i, t] * outlook.window_s,
    }
    return _frame(tables.DEFERRED, columns)


def _used(solved: Solved) -> dict[str, Numbers]:
    """Return GPUs [k, t]: in use, of these on spot, lent, reserved and idle."""
    outlook, chosen = solved.programme.outlook, solved.programme.columns

    def by_key(block: Places) -> Numbers:
        """Return the GPUs of a block of counts, by region and GPU kind."""
        sums: Numbers = np.zeros((len(outlook.keys), outlook.windows))
        if block.size:
            np.add.at(sums, outlook.place_key, outlook.place_gpus[:, None] * solved.values[block])
        return np.maximum(sums, 0.0).round(6)

    used, spot = by_key(chosen.replicas), by_key(chosen.spot)
    firm = np.maximum(used - spot, 0.0)
    reserved = np.minimum(firm, outlook.reserved[:, None])
    return {
        "gpus_reserved": reserved,
        "gpus_on_demand": firm - reserved,
        "gpus_spot": spot,
        "gpus_lent": by_key(chosen.lent),
        "gpus_idle": outlook.reserved[:, None] - reserved,
    }


def _supply(solved: Solved) -> pl.DataFrame:
    outlook = solved.programme.outlook
    k, t = np.indices((len(outlook.keys), outlook.windows)).reshape(2, -1)
    columns: dict[str, object] = {
        "window_start": _at(outlook.starts, t),
        "region": [outlook.keys[i][0] for i in k.tolist()],
        "gpu": [outlook.keys[i][1] for i in k.tolist()],
        **{name: values[k, t] for name, values in _used(solved).items()},
        "gpus_stock": outlook.stock[k],
    }
    return _frame(tables.SUPPLY, columns)


def _hours(solved: Solved) -> pl.DataFrame:
    """Return the plan window by window: money, starts, energy, what lacks of the reserve, the objective's share."""
    outlook, programme = solved.programme.outlook, solved.programme
    used = _used(solved)
    money = (
        used["gpus_on_demand"] * outlook.usd_on_demand[:, None]
        + used["gpus_spot"] * outlook.usd_spot[:, None]
        + outlook.reserved[:, None] * outlook.usd_reserved[:, None]
        - used["gpus_idle"] * outlook.usd_idle[:, None]
    ) * outlook.hours
    gpus = used["gpus_reserved"] + used["gpus_on_demand"] + used["gpus_spot"]
    objective = np.full(outlook.windows, programme.matrix.constant / outlook.windows)
    for block in programme.columns.blocks:
        if block.index.size:
            spent = block.cost * solved.values[block.index]
            objective += spent.reshape(-1, outlook.windows).sum(axis=0)
    begun = (outlook.start_usd[:, :, None] * solved.values[programme.columns.begun]).sum(axis=(0, 1))
    gap = programme.columns.reserve_gap
    reserve = np.maximum(solved.values[gap], 0.0) * outlook.unit_input_tps[:, None] if gap.size else np.zeros((1, 1))
    kw = np.array([outlook.options.kw_per_gpu.get(gpu, 0.0) for _, gpu in outlook.keys])
    columns = {
        "window_start": list(outlook.starts),
        "cost_usd": (money + gpus * outlook.energy_usd).sum(axis=0),
        "start_cost_usd": begun,
        "energy_kwh": (gpus * kw[:, None]).sum(axis=0) * outlook.hours,
        "carbon_kg": (gpus * outlook.carbon_kg).sum(axis=0),
        "reserve_gap_input_tps": np.broadcast_to(reserve.sum(axis=0), outlook.windows),
        "objective": objective,
        "bound": [None] * outlook.windows,
        "gap_fraction": [None] * outlook.windows,
        "status": [solved.status] * outlook.windows,
        "solve_s": [(solved.build_s + solved.solve_s) / outlook.windows] * outlook.windows,
    }
    return pl.DataFrame(columns).cast({"window_start": tables.INSTANT, "bound": pl.Float64, "gap_fraction": pl.Float64})
