"""Whether a plan keeps what it promises, re-computed from its frames alone.

Nothing here comes from the programme: what must be served, capacity, coverage, stock and cost are sums over the
requirement, and over the allocation joined with rates and prices. A plan that passes is right whatever the solver said.
Findings are data: an empty frame means fine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench import tables
from workbench.domain import Fleet, RiskPolicy
from workbench.planning.findings import findings
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from workbench.planning.lookahead.options import LookAhead

RELATIVE_SLACK = 1e-5
ABSOLUTE_SLACK = 1e-5
WORTH_A_REPLICA = 1e-3
POOL = ("window_start", "region", "model")


def check(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    rates: pl.DataFrame,
    risk: RiskPolicy,
    epsilon_fraction: float,
    floor_replicas: int = 2,
    last_hour_deferrable: pl.DataFrame | None = None,
    options: LookAhead | None = None,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return what is wrong with a plan, one row per finding; no rows when nothing is.

    A look-ahead plan is checked by :func:`workbench.planning.checking_ahead.check_ahead` with its ``options``, what
    was ``waiting`` and the ``quiet`` minutes that it counted on; of an hourly plan:

    ``check`` is integrality, hours, local_cover (C2), global_cover (C3), floor, stock or cost; ``found`` is what the
    plan has and ``allowed`` the limit it breaks (tokens per second, replicas, GPUs, hours or USD). Demand counts minus
    the plan's shortfall. A region that lacks some of its local share is no finding when its free stock holds no
    further replica of the model, or when what it lacks is less than a thousandth of what such a replica does: the
    price of a missing local share is a thousand times that of capacity, so a replica for less would cost more.
    """
    if plan.programme == "lookahead":
        from workbench.planning.checking_ahead import check_ahead  # its options bring the solver along
        from workbench.planning.lookahead.options import LookAhead

        chosen = options or LookAhead(local_fraction=epsilon_fraction, floor_replicas=floor_replicas)
        return check_ahead(
            plan, requirement=requirement, fleet=fleet, rates=rates, options=chosen, waiting=waiting, quiet=quiet
        )
    if not plan.allocation.schema["replicas"].is_integer():
        broken = plan.allocation.filter(pl.col("replicas") != pl.col("replicas").round())
        return findings("integrality", broken, found=pl.col("replicas"), allowed=pl.col("replicas").round())
    demand = _demand(requirement, buffer_fraction=risk.deferrable_buffer_fraction, last_hour=last_hour_deferrable)
    held = _held(plan, rates=rates, fleet=fleet)
    need = _need(demand, held=held, shortfall=plan.shortfall, epsilon_fraction=epsilon_fraction)
    window_s = _window_s(demand)
    return pl.concat(
        [
            _hours(plan, demand=demand),
            _negative(plan),
            _local_cover(need, held=held),
            _global_cover(need),
            _floor(held, demand=demand, floor_replicas=floor_replicas),
            _stock(held),
            _cost(plan, held=held, window_s=window_s),
        ]
    )


def _demand(requirement: pl.DataFrame, *, buffer_fraction: float, last_hour: pl.DataFrame | None) -> pl.DataFrame:
    """Return what a window, region and model must serve: interactive work and a share of the deferrable before it.

    Before the first window came ``last_hour`` or, where that is not known, as much deferrable work as in the first.
    """
    waits = pl.col("is_deferrable")
    sums = requirement.group_by(POOL).agg(
        pl.col("input_tps").filter(~waits).sum().alias("now"), pl.col("input_tps").filter(waits).sum().alias("later")
    )
    windows = requirement.select("window_start").unique().sort("window_start").with_row_index("number")
    pools = requirement.select("region", "model").unique()
    every = (
        windows.join(pools, how="cross")
        .join(sums, on=POOL, how="left")
        .with_columns(pl.col("now", "later").fill_null(0))
    )
    place = ["number", "region", "model"]
    before = every.select(pl.col("number") + 1, "region", "model", "later")
    known = every.filter(pl.col("number") == 0).select(*place, "later")
    if last_hour is not None:
        tokens = last_hour.group_by("region", "model").agg(pl.col("input_tps").sum().alias("later"))
        known = known.drop("later").join(tokens, on=["region", "model"], how="left")
    known = known.with_columns(pl.col("later").fill_null(0.0))
    earlier = pl.concat([known, before.select(known.columns)]).rename({"later": "earlier"})
    return every.join(earlier, on=place, how="left").select(
        *POOL, input_tps=pl.col("now") + buffer_fraction * pl.col("earlier")
    )


def _held(plan: CapacityPlan, *, rates: pl.DataFrame, fleet: Fleet) -> pl.DataFrame:
    """Return the allocation with what a replica does, costs and occupies, and the stock it stands in."""
    stock = pl.DataFrame(
        [
            (region, gpu, float(gpus), fleet.usd_per_gpu_hour.get((region, gpu)))
            for (region, gpu), gpus in fleet.stock_gpus.items()
        ],
        schema={"region": tables.TEXT, "gpu": tables.TEXT, "stock": tables.NUMBER, "usd_per_gpu_hour": tables.NUMBER},
        orient="row",
    )
    counts = plan.allocation.group_by(*POOL, "gpu").agg(pl.col("replicas").sum())
    joined = counts.join(rates, on=("model", "gpu"), how="left").join(stock, on=("region", "gpu"), how="left")
    gpus = pl.col("replicas") * pl.col("gpus_per_replica").fill_null(0)
    return joined.with_columns(
        capacity=pl.col("replicas") * pl.col("input_tps").fill_null(0.0),
        gpus=gpus,
        stock=pl.col("stock").fill_null(0.0),
        free=pl.col("stock").fill_null(0.0) - gpus.sum().over("window_start", "region", "gpu"),
    )


def _need(
    demand: pl.DataFrame, *, held: pl.DataFrame, shortfall: pl.DataFrame, epsilon_fraction: float
) -> pl.DataFrame:
    capacity = held.group_by(POOL).agg(pl.col("capacity").sum())
    short = shortfall.group_by(POOL).agg(pl.col("input_tps").sum().alias("short"))
    joined = demand.join(capacity, on=POOL, how="left").join(short, on=POOL, how="left")
    return joined.with_columns(pl.col("capacity", "short").fill_null(0.0)).with_columns(
        local_need=epsilon_fraction * pl.col("input_tps") - pl.col("short")
    )


def _local_cover(need: pl.DataFrame, *, held: pl.DataFrame) -> pl.DataFrame:
    one_more = (
        held.filter(pl.col("free") >= pl.col("gpus_per_replica")).group_by(POOL).agg(one_more=pl.col("input_tps").min())
    )
    lacks = pl.col("local_need") - pl.col("capacity")
    lacking = need.filter(lacks > _slack("input_tps")).join(one_more, on=POOL)
    worth_it = lacking.filter(lacks >= WORTH_A_REPLICA * pl.col("one_more"))
    return findings("local_cover", worth_it, found=pl.col("capacity"), allowed=pl.col("local_need"))


def _global_cover(need: pl.DataFrame) -> pl.DataFrame:
    whole = need.group_by("window_start", "model").agg(pl.col("capacity", "short", "input_tps").sum())
    left = pl.col("input_tps") - pl.col("short")
    lacking = whole.filter(pl.col("capacity") < left - _slack("input_tps"))
    return findings("global_cover", lacking, found=pl.col("capacity"), allowed=left)


def _floor(held: pl.DataFrame, *, demand: pl.DataFrame, floor_replicas: int) -> pl.DataFrame:
    room = (pl.col("stock") / pl.col("gpus_per_replica")).floor()
    pools = held.group_by(POOL).agg(pl.col("replicas").sum(), most=room.sum())
    allowed = pl.min_horizontal(pl.lit(float(floor_replicas)), pl.col("most"))
    below = pools.join(demand.select("window_start").unique(), on="window_start", how="semi").filter(
        pl.col("replicas") < allowed
    )
    return findings("floor", below, found=pl.col("replicas"), allowed=allowed)


def _stock(held: pl.DataFrame) -> pl.DataFrame:
    used = held.group_by("window_start", "region", "gpu").agg(pl.col("gpus").sum(), pl.col("stock").first())
    return findings(
        "stock", used.filter(pl.col("gpus") > pl.col("stock")), found=pl.col("gpus"), allowed=pl.col("stock")
    )


def _cost(plan: CapacityPlan, *, held: pl.DataFrame, window_s: float) -> pl.DataFrame:
    usd = pl.col("gpus") * pl.col("usd_per_gpu_hour").fill_null(0.0) * (window_s / SECONDS_PER_HOUR)
    paid = held.group_by("window_start").agg(usd.sum().alias("usd"))
    hours = plan.hours.select("window_start", "cost_usd").join(paid, on="window_start", how="full", coalesce=True)
    off = hours.fill_null(0.0).filter((pl.col("usd") - pl.col("cost_usd")).abs() > _slack("usd"))
    found = [findings("cost", off, found=pl.col("cost_usd"), allowed=pl.col("usd"))]
    total = float(paid.get_column("usd").sum())
    if abs(total - plan.cost_usd) > RELATIVE_SLACK * total + ABSOLUTE_SLACK:
        sums = pl.DataFrame({"found": [plan.cost_usd], "usd": [total]})
        found.append(findings("cost", sums, found=pl.col("found"), allowed=pl.col("usd")))
    return pl.concat(found)


def _hours(plan: CapacityPlan, *, demand: pl.DataFrame) -> pl.DataFrame:
    planned = plan.allocation.select("window_start").unique()
    asked = demand.select("window_start").unique()
    missing = asked.join(planned, on="window_start", how="anti")
    surplus = planned.join(asked, on="window_start", how="anti")
    return pl.concat(
        [
            findings("hours", missing, found=pl.lit(0), allowed=pl.lit(1)),
            findings("hours", surplus, found=pl.lit(1), allowed=pl.lit(0)),
        ]
    )


def _negative(plan: CapacityPlan) -> pl.DataFrame:
    below = plan.allocation.filter(pl.col("replicas") < 0)
    return findings("integrality", below, found=pl.col("replicas"), allowed=pl.lit(0))


def _slack(column: str) -> pl.Expr:
    return RELATIVE_SLACK * pl.col(column) + ABSOLUTE_SLACK


def _window_s(demand: pl.DataFrame) -> float:
    return tables.window_s_of(demand) if demand.get_column("window_start").n_unique() > 1 else SECONDS_PER_HOUR
