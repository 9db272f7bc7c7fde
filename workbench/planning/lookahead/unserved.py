"""Who goes short in a look-ahead plan, told by region and tier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench import tables
from workbench.domain import Tier
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.solving import Solved
from workbench.planning.lookahead.working import bound_tiers

NEGLIGIBLE = 1e-6


def unserved(solved: Solved, *, requirement: pl.DataFrame, tiers: tuple[Tier, ...]) -> pl.DataFrame:
    """Return unmet work by region and tier as SHORTFALL.

    Work of bound tiers goes unmet where it comes from, other interactive work in proportion to what the origins ask;
    inside a region the tier that is served last gives way first. Late deferrable work counts in the window in which
    its deadline passes, spread like what the origins sent.
    """
    outlook, chosen = solved.programme.outlook, solved.programme.columns
    unit = outlook.unit_input_tps[:, None, None]
    tight = bound_tiers(tiers, outlook.options)
    bound = _clean(solved.values[chosen.unmet_bound] * unit, unit)
    pooled = np.zeros_like(bound)
    late = np.zeros_like(bound)
    lost_pooled = _clean(solved.values[chosen.unmet_pooled] * unit, unit)
    lost_late = _clean(solved.values[chosen.late] * unit[outlook.deferring], unit[outlook.deferring])
    came = _arrivals(requirement, outlook)
    for c in range(len(outlook.classes)):
        inside = np.flatnonzero(outlook.class_of == c)
        pooled[:, inside] = lost_pooled[:, c, None] * _shares(outlook.pooled[:, inside])
        inside = np.flatnonzero(outlook.deferred_class_of == c)
        late[np.ix_(outlook.deferring, inside)] = lost_late[:, c, None] * _shares(
            came[np.ix_(outlook.deferring, inside)].sum(axis=2, keepdims=True)
        )
    kinds = {
        "bound": (bound, [tier for tier in tiers if tier.key in tight]),
        "pooled": (pooled, [tier for tier in tiers if not tier.deferrable and tier.key not in tight]),
        "late": (late, [tier for tier in tiers if tier.deferrable]),
    }
    lost = [
        (outlook.starts[t], outlook.regions[r], outlook.models[m], tier.key, float(values[m, r, t]), order)
        for values, members in kinds.values()
        for m, r, t in np.argwhere(values > 0).tolist()
        for order, tier in enumerate(sorted(members, key=lambda tier: -tier.priority))
    ]
    return _given_up(lost, requirement)


def _given_up(lost: Sequence[tuple[object, ...]], requirement: pl.DataFrame) -> pl.DataFrame:
    """Return SHORTFALL: what a group of tiers lacks, taken from its tiers in order."""
    cell = ["window_start", "region", "model"]
    schema = {name: tables.SHORTFALL.schema[name] for name in (*cell, "tier")}
    frame = pl.DataFrame(lost, schema={**schema, "lost": pl.Float64, "order": pl.Int64}, orient="row")
    ratio = pl.col("output_tps").sum() / pl.col("input_tps").sum()
    outputs = requirement.filter(pl.col("input_tps") > 0).group_by("model", "tier").agg(ratio.alias("per_input"))
    asked = frame.join(requirement, on=[*cell, "tier"], how="left").join(outputs, on=("model", "tier"), how="left")
    need = pl.when(pl.col("is_deferrable").fill_null(value=True)).then(pl.col("lost")).otherwise(pl.col("input_tps"))
    before = need.cum_sum().over([*cell, "lost"], order_by="order") - need
    taken = pl.min_horizontal(need, (pl.col("lost") - before).clip(lower_bound=0.0))
    return tables.SHORTFALL.conform(
        asked.select(*cell, "tier", input_tps=taken.fill_null(0.0), per_input=pl.col("per_input").fill_null(0.0))
        .filter(pl.col("input_tps") > 0)
        .with_columns(output_tps=pl.col("input_tps") * pl.col("per_input"))
    ).sort(tables.SHORTFALL.key)


def _arrivals(requirement: pl.DataFrame, outlook: Outlook) -> Numbers:
    came = np.zeros((len(outlook.models), len(outlook.regions), 1))
    for row in (
        requirement.filter("is_deferrable").group_by("model", "region").agg(pl.col("input_tps").sum()).iter_rows()
    ):
        came[outlook.models.index(row[0]), outlook.regions.index(row[1]), 0] = row[2]
    return came


def _clean(values: Numbers, unit: Numbers) -> Numbers:
    return np.where(values < NEGLIGIBLE * unit, 0.0, values)


def _shares(parts: Numbers) -> Numbers:
    """Return what share of the sum over regions (axis 1) each part is; equal shares of nothing."""
    total = parts.sum(axis=1, keepdims=True)
    return np.where(total > 0, parts / np.where(total > 0, total, 1.0), 1.0 / max(1, parts.shape[1]))
