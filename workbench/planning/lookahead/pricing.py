"""What binds a look-ahead plan, and what one unit more of it would be worth.

Two prices are told for each limit. ``usd_per_unit`` is the dual of the relaxation: what a little more would save where
everything may be planned anew. ``usd_per_unit_fixed`` leaves the plan's whole counts as they are and asks what the best
single replica more would bring per unit of the limit that it uses up: nothing, where rounding up already left slack,
and the full price of the shortfall where work goes short. Only limits that hold no further replica have one. The share
of interactive work that may stand on spot is priced by the million tokens more that might.

Work is priced too: what a million input tokens more would cost at that hour (marginal cost), in the relaxation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.errors import PlanError
from workbench.planning.handover import to_pulp
from workbench.planning.lookahead.building import Programme, build
from workbench.planning.lookahead.laying_out import outlook
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.planning_ahead import counts_of
from workbench.planning.lookahead.rows import Rows
from workbench.planning.lookahead.sessions import Session
from workbench.results import CapacityPlan

PRICES = pl.Schema(
    {
        "limit": tables.TEXT,
        "window_start": tables.INSTANT,
        "region": tables.TEXT,
        "gpu": tables.TEXT,
        "model": tables.TEXT,
        "unit": tables.TEXT,
        "slack": tables.NUMBER,
        "usd_per_unit": tables.NUMBER,
        "usd_per_unit_fixed": tables.NUMBER,
    }
)
PER_MTOKEN = "million input tokens"
ON_SPOT = "million input tokens on spot"
UNITS = {
    "stock": "GPU",
    "quota": "GPU",
    "spot_stock": "GPU",
    "spot_share": ON_SPOT,
    "spot_share_all": ON_SPOT,
    "carbon": "kg",
    "budget": "USD",
    "starts_limit": "start",
    "stops_limit": "stop",
    "floor": "replica",
}
WORK = {
    "route": "bound work",
    "pooled0": "pooled work",
    "peak0": "pooled work at its peak",
    "deferred": "deferrable work",
    "local": "local share",
    "lost_region": "reserve for a lost region",
}
NAMES = {
    "stock": "The stock of {gpu} in {region}",
    "quota": "The quota for {gpu} bought by the hour in {region}",
    "spot_stock": "What the spot market offers of {gpu} in {region}",
    "spot_share": "The share of {model}'s interactive work in {region} that may stand on spot",
    "spot_share_all": "The share of all interactive work of {model} that may stand on spot",
    "carbon": "The cap on carbon",
    "budget": "The budget",
    "starts_limit": "The limit on starts of {model} in {region}",
    "stops_limit": "The limit on stops of {model} in {region}",
    "floor": "The floor of {model} in {region}",
}
ROOM = 1e-6
LP_LIMIT_S = 300.0


def prices(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return what limits and work are worth at the margin, one row per limit and window, dearest first.

    Takes what the plan was made from. Columns as PRICES; ``window_start``, ``region``, ``gpu`` and ``model`` are null
    where a limit is not about one. Limits that cost nothing are left out. Raises PlanError where the plan's counts do
    not fit the programme.
    """
    needed = tables.REQUIREMENT.conform(requirement)
    ahead = outlook(needed, fleet=fleet, rates=rates, options=options, waiting=waiting, quiet=quiet)
    programme = build(ahead)
    session = Session(programme.matrix, to_pulp(programme.matrix), whole=False, threads=options.threads)
    chosen = programme.columns
    # a count's own limit repeats the stock and the offer of spot, and would take their price away
    repeated = np.concatenate([block.ravel() for block in (chosen.replicas, chosen.lent, chosen.spot)])
    session.bound(repeated, programme.matrix.lower[repeated], np.full(repeated.size, np.inf))
    relaxed = session.run(time_limit_s=LP_LIMIT_S)
    if relaxed is None:
        raise PlanError("the prices of a plan: its relaxation was not solved; use fewer hours or models.")
    row_usd, _ = session.duals()
    replicas = chosen.replicas
    counts = counts_of(plan, ahead)
    session.bound(replicas, counts, counts)
    fixed = session.run(time_limit_s=LP_LIMIT_S)
    if fixed is None or not fixed.is_proven:
        raise PlanError("the prices of a plan: its counts break the limits given here; pass what it was made from.")
    fixed_usd, column_usd = session.duals()
    more_usd = np.maximum(0.0, -column_usd[replicas])
    rows = [
        row
        for block in programme.rows
        for row in (
            *_limits(programme, block, (row_usd, fixed_usd), fixed.values, more_usd),
            *_work(programme, block, row_usd),
        )
    ]
    found = pl.DataFrame(rows, schema=PRICES, orient="row")
    dear = pl.max_horizontal(pl.col("usd_per_unit"), pl.col("usd_per_unit_fixed"))
    return found.filter(dear > 1e-6).sort(dear, *PRICES.names()[:5], descending=[True, *[False] * 5], nulls_last=True)


def in_words(found: pl.DataFrame, *, most: int = 10) -> tuple[str, ...]:
    """Return the dearest limits of ``prices`` as sentences, one for each limit, region, GPU kind and model."""
    keys = ["limit", "region", "gpu", "model", "unit"]
    limits = found.filter(pl.col("unit") != PER_MTOKEN)
    grouped = (
        limits.group_by(keys, maintain_order=True)
        .agg(
            pl.col("usd_per_unit").max(),
            pl.col("usd_per_unit_fixed").max(),
            pl.col("window_start").first(),
            windows=pl.len(),
        )
        .head(most)
    )
    return tuple(_sentence(row) for row in grouped.iter_rows(named=True))


def _sentence(row: dict[str, object]) -> str:
    subject = NAMES[str(row["limit"])].format(**row)
    when = ""
    if row["window_start"]:
        often = "" if row["windows"] == 1 else f" in {row['windows']} windows, most"
        when = f"{often} at {row['window_start']:%d %b %H:%M}"
    change = "less" if row["limit"] == "floor" else "more"
    saves = f"one {row['unit']} {change} would save {row['usd_per_unit']:,.2f} USD if all were planned anew"
    at_once = f", {row['usd_per_unit_fixed']:,.2f} USD with the plan as it is"
    return f"{subject} binds{when}: {saves}{at_once}."


def _limits(
    programme: Programme,
    block: Rows,
    row_usd: tuple[Numbers, Numbers],
    values: Numbers,
    more_usd: Numbers,
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each limit that holds no further replica."""
    if block.name not in UNITS:
        return
    sign = 1.0 if block.sense == "<=" else -1.0
    duals, fixed = (-sign * usd[programme.rows_of(block.name)] for usd in row_usd)
    sums = np.zeros(block.right.size)
    np.add.at(sums, block.rows, block.coefficients * values[block.columns])
    slack = sign * (block.right - sums)
    # a row that keeps a fixed count from growing may carry its worth, or leave it to the count
    best = np.maximum(fixed, _best_replica(programme, block, slack, more_usd))
    for i in np.flatnonzero((duals > ROOM) | (best > ROOM)):
        names = _names(programme.outlook, block, int(i))
        size = _mtokens(programme.outlook, names[-1]) if UNITS[block.name] == ON_SPOT else 1.0
        yield (
            block.name,
            *names,
            UNITS[block.name],
            float(max(slack[i], 0.0)) * size,
            float(max(duals[i], 0.0)) / size,
            float(best[i]) / size,
        )


def _best_replica(programme: Programme, block: Rows, slack: Numbers, more_usd: Numbers) -> Numbers:
    """Return for each row what the best replica that it has no room for would bring, per unit of the row."""
    best = np.zeros(block.right.size)
    if block.sense == "<=":
        first = int(programme.columns.replicas.flat[0])
        replica = block.columns - first
        is_count = (replica >= 0) & (replica < more_usd.size)
        is_kept_out = is_count & (block.coefficients > slack[block.rows] + ROOM)
        gain = more_usd.ravel()[replica[is_kept_out]] / block.coefficients[is_kept_out]
        np.maximum.at(best, block.rows[is_kept_out], gain)
    return best


def _work(programme: Programme, block: Rows, row_usd: Numbers) -> Iterator[tuple[object, ...]]:
    """Yield what a million tokens more would cost, for each row that asks for work to be served."""
    if block.name not in WORK:
        return
    ahead = programme.outlook
    duals = row_usd[programme.rows_of(block.name)]
    for i in np.flatnonzero(duals > ROOM):
        start, region, gpu, model = _names(ahead, block, int(i))
        usd = float(duals[i]) / _mtokens(ahead, model)
        yield WORK[block.name], start, region, gpu, model, PER_MTOKEN, 0.0, usd, 0.0


def _mtokens(ahead: Outlook, model: object) -> float:
    """Return the million input tokens of one unit of a model's work in a window."""
    return float(ahead.unit_input_tps[ahead.models.index(str(model))]) * ahead.window_s / 1e6


def _names(ahead: Outlook, block: Rows, row: int) -> tuple[object, object, object, object]:
    """Return window, region, GPU kind and model that a row is about; None for those it is not about."""
    sizes = [len(axis) for axis in block.axes]
    index = np.unravel_index(row, sizes)
    parts = [part for axis, i in zip(block.axes, index, strict=True) for part in axis[i].split("|")]
    start = ahead.starts[int(parts[-1])] if len(block.axes) > 1 else None
    region = next((part for part in parts if part in ahead.regions), None)
    gpu = next((part for part in parts if part in ahead.gpus), None)
    model = next((part for part in parts if part in ahead.models), None)
    return start, region, gpu, model
