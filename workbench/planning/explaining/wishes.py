"""What each wish costs: the plan made again as if it were another, and the difference in money and service.

A cost is only understood beside another one. So the same forecast is planned under one changed wish at a time: a
quantile further up or down, no headroom, every region for itself, work free to go anywhere, no price on its way there,
no floor, one region fewer.
The answer is money and what goes short, because a cheaper plan may be one that serves less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from workbench import tables
from workbench.domain import Fleet, RiskPolicy
from workbench.errors import PlanError, nearest
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.requirement import require
from workbench.planning.solving import solve
from workbench.results import CapacityPlan, Forecast

COSTS = pl.Schema(
    {
        "wish": tables.TEXT,
        "cost_usd": tables.NUMBER,
        "difference_usd": tables.NUMBER,
        "difference_fraction": tables.NUMBER,
        "start_cost_usd": tables.NUMBER,
        "unserved_fraction": tables.NUMBER,
        "gap_fraction": tables.NUMBER,
    }
)
OPTION_OF = {"epsilon_fraction": "local_fraction", "floor_replicas": "floor_replicas"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One change of what is asked for: of the risk, of how a plan is made, or a region that is given up."""

    label: str
    risk: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    without_region: str | None = None


def wishes(
    forecast: Forecast,
    *,
    fleet: Fleet,
    risk: RiskPolicy,
    epsilon_fraction: float,
    options: LookAhead | None = None,
) -> tuple[Wish, ...]:
    """Return the wishes that most people ask about, those that change nothing left out.

    Quantiles are the next ones that the forecast has, so nothing is fitted again. ``options`` are those of a look-ahead
    plan, which alone prices the way to another region.
    """
    known = forecast.frame.get_column("quantile").unique().sort().to_list()
    above = [q for q in known if q > risk.quantile + 1e-9]
    below = [q for q in known if q < risk.quantile - 1e-9]
    found = [Wish(label=f"less risk: quantile {q:g}", risk={"quantile": q}) for q in above[:1]]
    found += [Wish(label=f"more risk: quantile {q:g}", risk={"quantile": q}) for q in below[-1:]]
    if risk.headroom_fraction > 0:
        found.append(Wish(label="no headroom", risk={"headroom_fraction": 0.0}))
    if risk.recent_peak_hours > 0:
        found.append(Wish(label="recent hours not kept", risk={"recent_peak_hours": 0.0}))
    if epsilon_fraction < 1:
        found.append(Wish(label="every region for itself", plan={"epsilon_fraction": 1.0}))
    if epsilon_fraction > 0:
        found.append(Wish(label="work may go to any region", plan={"epsilon_fraction": 0.0}))
    if options is not None and options.latency_usd_per_mtoken_s > 0 and any(fleet.network_latency_s.values()):
        found.append(Wish(label="no price on the way to other regions", plan={"latency_usd_per_mtoken_s": 0.0}))
    found.append(Wish(label="no floor of replicas", plan={"floor_replicas": 0}))
    if len(fleet.regions) > 1:
        found += [Wish(label=f"without {region.key}", without_region=region.key) for region in fleet.regions]
    return tuple(found)


def wish_costs(
    forecast: Forecast,
    asked: Sequence[Wish],
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    risk: RiskPolicy,
    observed: pl.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
    **how: Any,
) -> pl.DataFrame:
    """Plan once as asked and once for each wish; one row each, the plan as it is first.

    ``observed`` is the demand, for risks that keep recent hours servable; ``how`` are the further arguments of
    :func:`workbench.planning.solve` (model, epsilon_fraction, solver, options ...). A look-ahead plan takes a wish
    about epsilon, the floor or any other of its options in these. A region that is given up keeps its customers: their
    work is spread over the other regions in proportion to what these have. ``unserved_fraction`` is the share of the
    input tokens asked for that goes short. A difference below ``gap_fraction`` of the cost means nothing.

    Raises PlanError for a region the fleet does not have, and whatever planning raises.
    """
    rows: list[tuple[object, ...]] = []
    base = 0.0
    for number, wish in enumerate((Wish(label="as planned"), *asked)):
        wished = dataclasses.replace(risk, **wish.risk)
        needed, world = require(forecast, risk=wished, tiers=fleet.tiers, observed=observed), fleet
        if wish.without_region is not None:
            needed, world = without_region(needed, fleet, wish.without_region)
        plan = solve(needed, fleet=world, rates=rates, risk=wished, **_changed(how, wish.plan))
        base = plan.cost_usd if number == 0 else base
        rows.append(_row(wish.label, plan, needed, base))
        if progress is not None:
            progress(number + 1, len(asked) + 1)
    return pl.DataFrame(rows, schema=COSTS, orient="row")


def without_region(requirement: pl.DataFrame, fleet: Fleet, region: str) -> tuple[pl.DataFrame, Fleet]:
    """Return a requirement and a fleet that have one region fewer and the same work."""
    names = [other.key for other in fleet.regions]
    if region not in names:
        raise PlanError(f"there is no region '{region}' to plan without; {nearest(region, names)}")
    kept = requirement.filter(pl.col("region") != region)
    cell = ["window_start", "model", "tier", "is_deferrable", "serve_by_s"]
    rates = ("input_tps", "output_tps")
    moved = requirement.filter(pl.col("region") == region).select(
        *cell, *(pl.col(r).alias(f"{r}_moved") for r in rates)
    )
    others = pl.DataFrame({"region": [name for name in names if name != region]})
    grid = requirement.select(cell).unique().join(others, how="cross")
    full = grid.join(kept, on=[*cell, "region"], how="left", nulls_equal=True).join(
        moved, on=cell, how="left", nulls_equal=True
    )
    totals = {r: pl.col(r).fill_null(0.0).sum().over(cell) for r in rates}
    shares = {
        r: pl.when(total > 0).then(pl.col(r).fill_null(0.0) / total).otherwise(1.0 / others.height)
        for r, total in totals.items()
    }
    spread = full.with_columns(
        (pl.col(r).fill_null(0.0) + shares[r] * pl.col(f"{r}_moved").fill_null(0.0)).alias(r) for r in rates
    )
    left: dict[str, Any] = {
        name: {key: value for key, value in getattr(fleet, name).items() if region not in key}
        for name in ("stock_gpus", "initial_replicas", "initial_lent_replicas", "usd_per_gpu_hour", "network_latency_s")
    }
    fewer = dataclasses.replace(fleet, regions=tuple(one for one in fleet.regions if one.key != region), **left)
    return tables.REQUIREMENT.conform(spread).sort(tables.REQUIREMENT.key), fewer


def _changed(how: Mapping[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a plan under a wish; one about the options of a look-ahead plan goes into these."""
    options = how.get("options")
    if not isinstance(options, LookAhead):
        return {**how, **wish}
    in_options = {OPTION_OF.get(name, name): value for name, value in wish.items()}
    shared = {name: value for name, value in wish.items() if name in OPTION_OF}
    return {**how, **shared, "options": dataclasses.replace(options, **in_options)}


def _row(label: str, plan: CapacityPlan, requirement: pl.DataFrame, base_usd: float) -> tuple[object, ...]:
    asked = float(requirement.get_column("input_tps").sum())
    return (
        label,
        plan.cost_usd,
        plan.cost_usd - base_usd,
        plan.cost_usd / base_usd - 1.0 if base_usd else None,
        float(plan.hours.get_column("start_cost_usd").sum()),
        float(plan.shortfall.get_column("input_tps").sum()) / asked if asked else 0.0,
        plan.gap_fraction,
    )
