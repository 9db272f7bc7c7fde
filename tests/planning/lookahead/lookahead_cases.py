"""Small worlds for the look-ahead programme; a replica is one GPU, serves 100 tokens a second and costs 1 USD an hour.

Every plan made here passes the check before a test sees it.
Nothing is in the way unless a test puts it there: starts take no time and cost nothing, no floor, no local share.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from tests.planning.planning_cases import fleet, rates, requirement
from workbench.planning.checking_ahead import check_ahead
from workbench.planning.lookahead import LookAhead, plan_ahead
from workbench.results import CapacityPlan

AT_ONCE = {"reclaim": 0.0, "swap": 0.0, "remote": 0.0}
USUAL = {"reclaim": 60.0, "swap": 600.0, "remote": 7200.0}
PLAIN: dict[str, object] = {"lead_s": AT_ONCE, "floor_replicas": 0, "local_fraction": 0.0, "start_cost_ratio": 1.0}
THETA = 100.0
Rows = list[tuple[int, str, str, str, float]]


def options(**changes: object) -> LookAhead:
    """Return options with everything off but what is named."""
    return LookAhead(**(PLAIN | changes))  # type: ignore[arg-type]


def plan(
    rows: Rows,
    *,
    stock: Mapping[tuple[str, str], int] | None = None,
    theta: Mapping[tuple[str, str], float] | None = None,
    initial: Mapping[tuple[str, str, str], int] | None = None,
    lent: Mapping[tuple[str, str, str], int] | None = None,
    usd: Mapping[tuple[str, str], float] | None = None,
    gap_fraction: float = 0.0,
    solver: str = "highs",
    waiting: pl.DataFrame | None = None,
    yesterday: CapacityPlan | None = None,
    **changes: object,
) -> CapacityPlan:
    """Plan rows of (hour, region, model, tier, input tokens/s), to the last cent unless said, and check the plan."""
    held = stock or {("east", "a100"): 10}
    served = theta or {("m", gpu): THETA for _, gpu in held}
    models = tuple(dict.fromkeys(model for model, _ in served))
    world = fleet(stock=held, models=models, initial=initial, usd=usd, lent=lent)
    asked = {"fleet": world, "rates": rates(served), "options": options(**changes), "waiting": waiting}
    made = plan_ahead(
        requirement(rows), **asked, gap_fraction=gap_fraction, time_limit_s=20.0, solver=solver, yesterday=yesterday
    )
    found = check_ahead(made, requirement=requirement(rows), **asked)
    assert found.is_empty(), found
    return made


def hourly(tps: list[float], *, region: str = "east", model: str = "m", tier: str = "fast") -> Rows:
    """Return the rows of one series, hour by hour."""
    return [(hour, region, model, tier, value) for hour, value in enumerate(tps)]


def replicas(made: CapacityPlan, *, region: str | None = None, model: str | None = None) -> list[int]:
    """Return how many replicas a plan holds, window by window."""
    chosen = made.allocation
    if region is not None:
        chosen = chosen.filter(pl.col("region") == region)
    if model is not None:
        chosen = chosen.filter(pl.col("model") == model)
    per_window = chosen.group_by("window_start").agg(pl.col("replicas").sum()).sort("window_start")
    return per_window.get_column("replicas").to_list()
