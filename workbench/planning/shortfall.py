"""Who goes short when the stock is too small: unmet demand of a model, told by region and tier.

The programme knows how much of a model's demand no region serves. It is attributed to regions in proportion to what
each lacks, because what one region lacks is what it would have sent elsewhere; and inside a region to tiers in the
order in which a router gives them up: deferrable tiers first, as they can wait, then the tier that is served last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from workbench import tables
from workbench.domain import Tier
from workbench.planning.problem import Pool, Problem
from workbench.planning.programme import HourPlan

Row = Mapping[str, Any]


def shortfall_rows(
    problem: Problem, plan: HourPlan, *, window_start: datetime, required: Sequence[Row], tiers: Sequence[Tier]
) -> pl.DataFrame:
    """Return the hour's unmet need as SHORTFALL: no row where everything is served.

    ``required`` holds the hour's REQUIREMENT rows. What a region's demand exceeds its interactive tiers by is the
    buffer for deferrable work. Output tokens go unmet in the proportion of the tier's (else the model's) need.
    """
    rows = []
    for region, model in problem.pools:
        short = _by_region(problem, plan, model).get((region, model), 0.0)
        here = {row["tier"]: row for row in required if (row["region"], row["model"]) == (region, model)}
        needs = _needs(problem.demand_input_tps[region, model], here, tiers)
        for tier, need in needs:
            taken = min(short, need)
            if taken > 0:
                rows.append((window_start, region, model, tier, taken, taken * _output_ratio(tier, here)))
            short -= taken
    return tables.SHORTFALL.conform(pl.DataFrame(rows, schema=tables.SHORTFALL.schema, orient="row"))


def _by_region(problem: Problem, plan: HourPlan, model: str) -> dict[Pool, float]:
    lacks = {
        pool: max(0.0, tps - problem.capacity(plan.replicas, model, pool[0]))
        for pool, tps in problem.demand_input_tps.items()
        if pool[1] == model
    }
    total = sum(lacks.values())
    return {pool: plan.unmet_input_tps[model] * lack / total for pool, lack in lacks.items() if total > 0}


def _needs(demand: float, here: Mapping[str, Row], tiers: Sequence[Tier]) -> list[tuple[str, float]]:
    """Return what each tier has at stake, the first to give up first."""
    given_up = sorted(tiers, key=lambda tier: (not tier.deferrable, -tier.priority))
    interactive = {tier.key: here[tier.key]["input_tps"] for tier in tiers if not tier.deferrable and tier.key in here}
    buffer = max(0.0, demand - sum(interactive.values()))
    first_deferrable = next((tier.key for tier in given_up if tier.deferrable), None)
    return [(tier.key, buffer if tier.key == first_deferrable else interactive.get(tier.key, 0.0)) for tier in given_up]


def _output_ratio(tier: str, here: Mapping[str, Row]) -> float:
    rows = [here[tier]] if tier in here and here[tier]["input_tps"] > 0 else list(here.values())
    inputs = sum(row["input_tps"] for row in rows)
    return sum(row["output_tps"] for row in rows) / inputs if inputs > 0 else 0.0
