"""Where the work of a look-ahead plan goes, followed from its frames alone: along flows and through the queue.

Interactive work that cannot wait for its first token is sent along flows; the other tiers are pooled over the regions;
deferrable work is served any time before its deadline. Each part must add up to what was asked for, less what the plan
says it leaves unserved, and fit what the replicas can do while others are still starting.
"""

from __future__ import annotations

import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.planning.findings import findings
from workbench.planning.lookahead.options import START_KINDS, LookAhead
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

SLACK = 1e-4
PLACE = ("region", "model", "gpu")
POOL = ("window_start", "region", "model")


def window_s_of_plan(windows: pl.Series) -> float:
    """Return the length of the windows in seconds; an hour where there is only one."""
    frame = pl.DataFrame({"window_start": windows})
    return tables.window_s_of(frame) if windows.len() > 1 else SECONDS_PER_HOUR


def capacity_ahead(
    plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame, options: LookAhead, windows: pl.Series
) -> pl.DataFrame:
    """Return one row per window and place: ``replicas``, those ``before``, those ``begun``, and ``able`` in tokens/s.

    A replica that is started serves nothing for the lead time of its kind of start, in the windows that this covers.
    """
    places = plan.allocation.select(PLACE).unique()
    held = plan.allocation.group_by("window_start", *PLACE).agg(pl.col("replicas").sum().cast(pl.Float64))
    standing = pl.DataFrame(
        [(*place, float(count)) for place, count in fleet.initial_replicas.items()],
        schema={"region": tables.TEXT, "model": tables.TEXT, "gpu": tables.TEXT, "standing": tables.NUMBER},
        orient="row",
    )
    begun = pl.DataFrame() if plan.starts is None else plan.starts
    lost = _lost(begun, options=options, windows=windows)
    every = begun.group_by("window_start", *PLACE).agg(pl.col("replicas").sum().alias("begun"))
    grid = pl.DataFrame({"window_start": windows}).join(places, how="cross")
    return (
        grid.join(held, on=("window_start", *PLACE), how="left")
        .join(every, on=("window_start", *PLACE), how="left")
        .join(lost, on=("window_start", *PLACE), how="left")
        .join(standing, on=PLACE, how="left")
        .join(rates.select("model", "gpu", pl.col("input_tps").alias("theta")), on=("model", "gpu"), how="left")
        .with_columns(pl.col("replicas", "begun", "lost", "standing", "theta").fill_null(0.0))
        .with_columns(
            before=pl.col("replicas").shift(1).over(PLACE, order_by="window_start").fill_null(pl.col("standing")),
            able=pl.col("theta") * (pl.col("replicas") - pl.col("lost")),
        )
    )


def _lost(begun: pl.DataFrame, *, options: LookAhead, windows: pl.Series) -> pl.DataFrame:
    """Return how many replicas' worth of each window is lost to starts of this window and of those before."""
    length = window_s_of_plan(windows)
    order = pl.DataFrame({"window_start": windows}).with_row_index("number")
    numbered = begun.join(order, on="window_start").with_columns(pl.col("number").cast(pl.Int64))
    parts = []
    for kind in START_KINDS:
        lead, ago = options.lead_s[kind] / length, 0
        while lead - ago > 1e-12:
            share = min(1.0, lead - ago)
            parts.append(
                numbered.filter(pl.col("kind") == kind).select(
                    pl.col("number") + ago, *PLACE, (pl.col("replicas") * share).alias("lost")
                )
            )
            ago += 1
    schema = {"number": pl.Int64, **dict.fromkeys(PLACE, pl.String), "lost": pl.Float64}
    spread = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    located = spread.join(order.with_columns(pl.col("number").cast(pl.Int64)), on="number")
    return located.group_by("window_start", *PLACE).agg(pl.col("lost").sum())


def flow_work(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    options: LookAhead,
    able: pl.DataFrame,
    whole: pl.Series,
    quiet: pl.DataFrame | None = None,
) -> list[pl.DataFrame]:
    """Return what is wrong with flows and with the coverage of interactive and deferrable work."""
    bound = [t.key for t in fleet.tiers if t.ttft_slo_s is not None and t.ttft_slo_s < options.bound_below_ttft_s]
    flows = tables.FLOWS.empty() if plan.flows is None else plan.flows
    asked = requirement.join(
        plan.shortfall.select(*POOL, "tier", pl.col("input_tps").alias("short")), on=(*POOL, "tier"), how="left"
    ).with_columns(pl.col("short").fill_null(0.0))
    pools = able.group_by(POOL).agg(pl.col("able").sum(), pl.col("theta").max())
    return [
        *_sent(asked.filter(pl.col("tier").is_in(bound)), flows=flows, pools=pools, options=options),
        _pairs(flows, options=options),
        _served_in_region(flows, pools=pools, whole=whole),
        _served_together(plan, asked=asked, flows=flows, pools=pools, whole=whole, bound=bound, quiet=quiet),
    ]


def _sent(asked: pl.DataFrame, *, flows: pl.DataFrame, pools: pl.DataFrame, options: LookAhead) -> list[pl.DataFrame]:
    """What an origin sends and lacks is what it asks for, and its own share is served at home."""
    own = pl.col("input_tps").filter(pl.col("region") == pl.col("origin_region"))
    sent = flows.group_by("window_start", "model", "tier", "origin_region").agg(
        pl.col("input_tps").sum().alias("sent"), own.sum().alias("own")
    )
    told = (
        asked.join(sent.rename({"origin_region": "region"}), on=(*POOL, "tier"), how="full", coalesce=True)
        .with_columns(pl.col("sent", "own", "input_tps", "short").fill_null(0.0))
        .join(pools.select(*POOL, "theta"), on=POOL, how="left")
        .with_columns(slack=SLACK * (pl.col("input_tps") + pl.col("theta").fill_null(0.0)))
    )
    whole = pl.col("sent") + pl.col("short")
    off = told.filter((whole - pl.col("input_tps")).abs() > pl.col("slack"))
    home = told.group_by(POOL).agg(pl.col("own", "short", "input_tps", "slack").sum())
    need = options.local_fraction * (pl.col("input_tps") - pl.col("short"))
    lacking = home.filter(pl.col("own") < need - pl.col("slack"))
    return [
        findings("flow_balance", off, found=whole, allowed=pl.col("input_tps")),
        findings("local_cover", lacking, found=pl.col("own"), allowed=need),
    ]


def _pairs(flows: pl.DataFrame, *, options: LookAhead) -> pl.DataFrame:
    """Work goes only along pairs that are allowed, and stays where it must."""
    used = flows.filter(pl.col("origin_region") != pl.col("region"), pl.col("input_tps") > 0)
    refused = [
        (origin, region)
        for origin, region in used.select("origin_region", "region").unique().iter_rows()
        if (options.pairs is not None and (origin, region) not in options.pairs)
        or (origin in options.residency and region not in options.residency[origin])
    ]
    wrong = pl.DataFrame(refused, schema={"origin_region": tables.TEXT, "region": tables.TEXT}, orient="row")
    sent = used.join(wrong, on=("origin_region", "region"), how="semi")
    return findings("flow_pair", sent, found=pl.col("input_tps"), allowed=pl.lit(0.0))


def _served_in_region(flows: pl.DataFrame, *, pools: pl.DataFrame, whole: pl.Series) -> pl.DataFrame:
    """The flows into a region fit what it can serve."""
    into = flows.group_by(POOL).agg(pl.col("input_tps").sum())
    both = into.join(pools, on=POOL, how="left").with_columns(pl.col("able", "theta").fill_null(0.0))
    over = both.filter(
        pl.col("window_start").is_in(whole.implode())
        & (pl.col("input_tps") > pl.col("able") + SLACK * (pl.col("able").abs() + pl.col("theta")))
    )
    return findings("flow_capacity", over, found=pl.col("input_tps"), allowed=pl.col("able"))


def _served_together(
    plan: CapacityPlan,
    *,
    asked: pl.DataFrame,
    flows: pl.DataFrame,
    pools: pl.DataFrame,
    whole: pl.Series,
    bound: list[str],
    quiet: pl.DataFrame | None,
) -> pl.DataFrame:
    """All regions together serve a model's flows, its pooled tiers less what they lack, and its deferrable work.

    Deferrable work counts as far as it is more than interactive work leaves room for below its peak.
    """
    by = ("window_start", "model")
    pooled = asked.filter(~pl.col("is_deferrable") & ~pl.col("tier").is_in(bound))
    deferred = tables.DEFERRED.empty() if plan.deferred is None else plan.deferred
    parts = [
        flows.select(*by, "input_tps"),
        pooled.select(*by, pl.col("input_tps") - pl.col("short")),
        beyond_quiet(deferred, quiet).select(*by, pl.col("served_input_tps").alias("input_tps")),
    ]
    need = pl.concat(parts).group_by(by).agg(pl.col("input_tps").sum())
    have = pools.group_by(by).agg(pl.col("able").sum(), pl.col("theta").max())
    both = need.join(have, on=by, how="left").with_columns(pl.col("able", "theta").fill_null(0.0))
    over = both.filter(
        pl.col("window_start").is_in(whole.implode())
        & (pl.col("input_tps") > pl.col("able") + SLACK * (pl.col("able").abs() + pl.col("theta")))
    )
    return findings("global_cover", over, found=pl.col("able"), allowed=pl.col("input_tps"))


def beyond_quiet(deferred: pl.DataFrame, quiet: pl.DataFrame | None) -> pl.DataFrame:
    """Return DEFERRED with of what is served only what finds no room in the quiet minutes of its window and model."""
    if quiet is None:
        return deferred
    room = quiet.group_by("window_start", "model").agg(pl.col("input_tps").sum().alias("room"))
    both = deferred.join(room, on=("window_start", "model"), how="left")
    beyond = pl.col("served_input_tps") - pl.col("room").fill_null(0.0)
    return both.with_columns(served_input_tps=pl.max_horizontal(pl.lit(0.0), beyond)).drop("room")


def deferred_work(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    options: LookAhead,
    waiting: pl.DataFrame | None,
) -> list[pl.DataFrame]:
    """Return what is wrong with the queue: its balance, its deadlines, and whether what is late is owned up to."""
    windows = requirement.get_column("window_start").unique().sort()
    seconds = window_s_of_plan(windows)
    queue = tables.DEFERRED.empty() if plan.deferred is None else plan.deferred
    came = _arrivals(requirement, waiting=waiting, windows=windows, seconds=seconds)
    grid = pl.DataFrame({"window_start": windows}).join(came.select("model").unique(), how="cross")
    first = came.filter(pl.col("number") < 0).group_by("model").agg(pl.col("tokens").sum().alias("from_before"))
    arrived = came.filter(pl.col("number") >= 0).group_by("window_start", "model").agg(pl.col("tokens").sum())
    due = (
        came.filter(pl.col("due_at").is_not_null()).group_by("due_at", "model").agg(pl.col("tokens").sum().alias("due"))
    )
    told = (
        grid.join(queue, on=("window_start", "model"), how="left")
        .join(arrived, on=("window_start", "model"), how="left")
        .join(due.rename({"due_at": "window_start"}), on=("window_start", "model"), how="left")
        .join(first, on="model", how="left")
        .with_columns(pl.exclude("window_start", "model").fill_null(0.0))
        .with_columns(left=pl.col("served_input_tps") * seconds + pl.col("late_input_tokens"))
        .with_columns(
            before=pl.col("backlog_input_tokens")
            .shift(1)
            .over("model", order_by="window_start")
            .fill_null(pl.col("from_before")),
            gone=pl.col("left").cum_sum().over("model", order_by="window_start"),
            must=pl.col("due").cum_sum().over("model", order_by="window_start"),
            slack=SLACK * (pl.col("tokens") + pl.col("left")).sum().over("model") + 1.0,
        )
    )
    balance = pl.col("before") + pl.col("tokens") - pl.col("left")
    late = _late(plan, fleet=fleet, seconds=seconds, windows=windows)
    return [
        findings(
            "deferred",
            told.filter((balance - pl.col("backlog_input_tokens")).abs() > pl.col("slack")),
            found=pl.col("backlog_input_tokens"),
            allowed=balance,
        ),
        findings(
            "deadline",
            told.filter(pl.col("gone") < pl.col("must") - pl.col("slack")),
            found=pl.col("gone"),
            allowed=pl.col("must"),
        ),
        late,
    ]


def _arrivals(
    requirement: pl.DataFrame, *, waiting: pl.DataFrame | None, windows: pl.Series, seconds: float
) -> pl.DataFrame:
    """Return deferrable tokens as they come, number -1 for what waited, with the window by whose end they must go."""
    order = (
        pl.DataFrame({"window_start": windows}).with_row_index("number").with_columns(pl.col("number").cast(pl.Int64))
    )
    work = requirement.filter("is_deferrable").join(order, on="window_start")
    came = work.select(
        "window_start", "model", "number", "serve_by_s", tokens=pl.col("input_tps") * seconds, begins=pl.col("number")
    )
    if waiting is not None and waiting.height:
        kept = waiting.select(
            pl.lit(None, tables.INSTANT).alias("window_start"),
            "model",
            pl.lit(-1, pl.Int64).alias("number"),
            pl.col("serve_by_s").cast(pl.Float64),
            tokens=pl.col("input_tps_hours") * SECONDS_PER_HOUR,
            begins=pl.lit(0, pl.Int64),
        )
        came = pl.concat([came, kept])
    spans = pl.max_horizontal(pl.lit(1), (pl.col("serve_by_s") / seconds + 1e-9).floor().cast(pl.Int64))
    last = came.with_columns(last=pl.col("begins") + spans - 1)
    return last.join(order.rename({"number": "last", "window_start": "due_at"}), on="last", how="left")


def _late(plan: CapacityPlan, *, fleet: Fleet, seconds: float, windows: pl.Series) -> pl.DataFrame:
    """What is given up as late is told as shortfall of the deferrable tiers."""
    waits = [tier.key for tier in fleet.tiers if tier.deferrable]
    queue = tables.DEFERRED.empty() if plan.deferred is None else plan.deferred
    by = ("window_start", "model")
    said = plan.shortfall.filter(pl.col("tier").is_in(waits)).group_by(by).agg(pl.col("input_tps").sum() * seconds)
    both = (
        queue.select(*by, "late_input_tokens")
        .join(said, on=by, how="full", coalesce=True)
        .with_columns(pl.exclude(by).fill_null(0.0))
    )
    most = pl.max_horizontal("late_input_tokens", "input_tps")
    off = both.filter((pl.col("late_input_tokens") - pl.col("input_tps")).abs() > SLACK * most + 1.0)
    return findings("late", off, found=pl.col("input_tps"), allowed=pl.col("late_input_tokens"))
