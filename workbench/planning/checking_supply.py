"""Whether the GPUs of a look-ahead plan are there and their money adds up, re-computed from its frames alone.

GPUs in use and lent are summed by region and kind and put beside what stands, what is reserved, offered or may be
bought; money is their number times the prices, energy included. A part of :mod:`workbench.planning.checking_ahead`.
"""

from __future__ import annotations

import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.planning.findings import findings
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.work_ahead import window_s_of_plan
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

SLACK = 1e-4
ABSOLUTE = 1e-3
KEY = ("window_start", "region", "gpu")
COUNTED = ("gpus_reserved", "gpus_on_demand", "gpus_spot")


def gpus_at_hand(plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame, windows: pl.Series) -> pl.DataFrame:
    """Return where GPUs in use or lent become more without remote starts, from what stands at the beginning."""
    size = rates.select("model", "gpu", pl.col("gpus_per_replica").alias("each"))
    standing = pl.DataFrame(
        [
            (region, model, gpu, count)
            for counts in (fleet.initial_replicas, fleet.initial_lent_replicas)
            for (region, model, gpu), count in counts.items()
        ],
        schema={"region": tables.TEXT, "model": tables.TEXT, "gpu": tables.TEXT, "count": tables.NUMBER},
        orient="row",
    )
    first = (
        standing.join(size, on=("model", "gpu"))
        .group_by("region", "gpu")
        .agg((pl.col("count") * pl.col("each")).sum().alias("standing"))
    )
    remote = _frame(plan.starts).filter(pl.col("kind") == "remote").join(size, on=("model", "gpu"))
    new = remote.group_by(KEY).agg((pl.col("replicas") * pl.col("each")).sum().alias("remote"))
    held = (
        _frame(plan.supply)
        .filter(pl.col("window_start").is_in(windows.implode()))
        .join(first, on=("region", "gpu"), how="left")
        .join(new, on=KEY, how="left")
        .with_columns(pl.col("standing", "remote").fill_null(0.0), held=pl.sum_horizontal(*COUNTED, "gpus_lent"))
        .with_columns(
            before=pl.col("held").shift(1).over("region", "gpu", order_by="window_start").fill_null(pl.col("standing"))
        )
    )
    most = pl.col("before") + pl.col("remote")
    return findings("at_hand", held.filter(pl.col("held") > most + ABSOLUTE), found=pl.col("held"), allowed=most)


def floors(
    plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame, options: LookAhead, whole: pl.Series
) -> pl.DataFrame:
    """Return pools below their floor: a finding where free stock would hold one more of its replicas."""
    held = (
        plan.allocation.filter(pl.col("window_start").is_in(whole.implode()))
        .group_by("window_start", "region", "model", "gpu")
        .agg(pl.col("replicas").sum())
        .join(rates.select("model", "gpu", "gpus_per_replica"), on=("model", "gpu"))
        .join(_stock(fleet), on=("region", "gpu"))
        .with_columns(
            free=pl.col("stock") - (pl.col("replicas") * pl.col("gpus_per_replica")).sum().over(KEY),
            most=(pl.col("stock") / pl.col("gpus_per_replica")).floor(),
        )
    )
    pools = held.group_by("window_start", "region", "model").agg(
        pl.col("replicas", "most").sum(), (pl.col("free") >= pl.col("gpus_per_replica")).any().alias("fits")
    )
    allowed = pl.min_horizontal(pl.lit(float(options.floor_replicas)), pl.col("most"))
    return findings(
        "floor",
        pools.filter((pl.col("replicas") < allowed) & pl.col("fits")),
        found=pl.col("replicas"),
        allowed=allowed,
    )


def supplied_gpus(
    plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame, options: LookAhead, whole: pl.Series
) -> list[pl.DataFrame]:
    """Return where GPUs in use and lent exceed the stock, are not the allocation's, or come from where none are."""
    used = (
        plan.allocation.join(rates.select("model", "gpu", "gpus_per_replica"), on=("model", "gpu"))
        .group_by(KEY)
        .agg((pl.col("replicas") * pl.col("gpus_per_replica")).sum().alias("used"))
    )
    said = (
        _frame(plan.supply)
        .join(used, on=KEY, how="left")
        .join(_stock(fleet), on=("region", "gpu"), how="left")
        .with_columns(pl.col("used", "stock").fill_null(0), in_use=pl.sum_horizontal(COUNTED))
        .with_columns(
            reserved=_of_key(options.reserved_gpus, 0.0),
            quota=_of_key({**fleet.stock_gpus, **options.quota_gpus}, 0.0),
            is_whole=pl.col("window_start").is_in(whole.implode()),
        )
    )
    with_lent = pl.col("in_use") + pl.col("gpus_lent")
    spot = _spot_offered(options, plan)
    offered = said.join(spot, on=KEY, how="left").with_columns(pl.col("offered").fill_null(0.0))
    rules = (
        ("stock", said, pl.col("used"), pl.col("stock")),
        ("stock", said, with_lent, pl.col("stock")),
        ("quota", said, pl.col("gpus_reserved"), pl.col("reserved")),
        ("quota", said, pl.col("gpus_reserved") + pl.col("gpus_on_demand"), pl.col("reserved") + pl.col("quota")),
        ("quota", offered, pl.col("gpus_spot"), pl.col("offered")),
    )
    found = [
        findings(name, frame.filter(have > most + ABSOLUTE), found=have, allowed=most)
        for name, frame, have, most in rules
    ]
    differs = said.filter(pl.col("is_whole") & ((pl.col("used") - pl.col("in_use")).abs() > ABSOLUTE))
    return [*found, findings("supply", differs, found=pl.col("in_use"), allowed=pl.col("used"))]


def money(plan: CapacityPlan, *, fleet: Fleet, options: LookAhead, windows: pl.Series) -> list[pl.DataFrame]:
    """Return windows whose money is not what their supply costs with energy, and sums beyond the caps."""
    hours = window_s_of_plan(windows) / SECONDS_PER_HOUR
    said = _with_prices(plan, fleet=fleet, options=options, hours=hours)
    carbon = pl.col("kwh") * pl.col("kg_kwh")
    usd = (
        pl.col("gpus_on_demand") * pl.col("on_demand")
        + pl.col("gpus_spot") * pl.col("spot")
        + (pl.col("gpus_reserved") + pl.col("gpus_idle")) * pl.col("kept")
        - pl.col("gpus_idle") * pl.col("earned")
    ) * hours + pl.col("kwh") * pl.col("usd_kwh")
    paid = said.group_by("window_start").agg(
        (usd + options.carbon_usd_per_kg * carbon).sum().alias("usd"), carbon.sum().alias("kg")
    )
    each = plan.hours.select("window_start", "cost_usd").join(paid, on="window_start", how="full", coalesce=True)
    off = each.fill_null(0.0).filter(
        (pl.col("usd") - pl.col("cost_usd")).abs() > SLACK * pl.col("usd").abs() + ABSOLUTE
    )
    total = paid.select(pl.col("usd", "kg").sum()).with_columns(said=pl.lit(plan.cost_usd))
    wrong = (pl.col("said") - pl.col("usd")).abs() > SLACK * pl.col("usd").abs() + ABSOLUTE
    found = [
        findings("cost", off, found=pl.col("cost_usd"), allowed=pl.col("usd")),
        findings("cost", total.filter(wrong), found=pl.col("said"), allowed=pl.col("usd")),
    ]
    for name, cap, column in (("budget", options.budget_usd, "usd"), ("carbon", options.carbon_cap_kg, "kg")):
        if cap is not None:
            over = total.filter(pl.col(column) > cap * (1 + SLACK) + ABSOLUTE)
            found.append(findings(name, over, found=pl.col(column), allowed=pl.lit(cap)))
    return found


def _with_prices(plan: CapacityPlan, *, fleet: Fleet, options: LookAhead, hours: float) -> pl.DataFrame:
    """Return SUPPLY with the energy that is drawn and every price that holds there."""
    energy = pl.DataFrame(
        [
            (region.key, hour, _at(profile.usd_per_kwh, hour), _at(profile.carbon_kg_per_kwh, hour))
            for region in fleet.regions
            if (profile := options.energy.get(region.key)) is not None
            for hour in range(24)
        ],
        schema={"region": tables.TEXT, "hour": pl.Int8, "usd_kwh": tables.NUMBER, "kg_kwh": tables.NUMBER},
        orient="row",
    )
    kw = pl.DataFrame(list(options.kw_per_gpu.items()), schema={"gpu": tables.TEXT, "kw": tables.NUMBER}, orient="row")
    return (
        _frame(plan.supply)
        .with_columns(hour=pl.col("window_start").dt.hour())
        .join(energy, on=("region", "hour"), how="left")
        .join(kw, on="gpu", how="left")
        .with_columns(pl.col("usd_kwh", "kg_kwh", "kw").fill_null(0.0))
        .with_columns(
            on_demand=_of_key(fleet.usd_per_gpu_hour, 0.0),
            spot=_of_key(options.spot_usd_per_gpu_hour, 0.0),
            kept=_of_key(options.reserved_usd_per_gpu_hour, 0.0),
            earned=_of_key(options.idle_usd_per_gpu_hour, 0.0),
            kwh=pl.sum_horizontal(COUNTED) * pl.col("kw") * hours,
        )
    )


def _spot_offered(options: LookAhead, plan: CapacityPlan) -> pl.DataFrame:
    windows = _frame(plan.supply).get_column("window_start").unique().sort().to_list()
    rows = [
        (start, region, gpu, float(offer[place % len(offer)]) if isinstance(offer, tuple) else float(offer))
        for (region, gpu), offer in options.spot_gpus.items()
        for place, start in enumerate(windows)
    ]
    schema = {"window_start": tables.INSTANT, "region": tables.TEXT, "gpu": tables.TEXT, "offered": tables.NUMBER}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _of_key(values: object, default: float) -> pl.Expr:
    """Return what a mapping by (region, gpu) says of a row."""
    known = {"\x1f".join(key): float(value) for key, value in dict(values).items()}  # type: ignore[call-overload]
    joined = pl.concat_str("region", "gpu", separator="\x1f")
    return joined.replace_strict(known, default=default, return_dtype=pl.Float64) if known else pl.lit(default)


def _stock(fleet: Fleet) -> pl.DataFrame:
    return pl.DataFrame(
        [(region, gpu, float(gpus)) for (region, gpu), gpus in fleet.stock_gpus.items()],
        schema={"region": tables.TEXT, "gpu": tables.TEXT, "stock": tables.NUMBER},
        orient="row",
    )


def _at(profile: tuple[float, ...], hour: int) -> float:
    return profile[hour % len(profile)]


def _frame(frame: pl.DataFrame | None) -> pl.DataFrame:
    return pl.DataFrame() if frame is None else frame
