"""The work that lies ahead as arrays: interactive by region, deferrable by the regions that it may go to.

Work that may go to the same regions is one class. Interactive work goes where residency lets it; deferrable work too,
or it stays in the region where it queues (``defer_at_home``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from workbench import tables
from workbench.domain import Tier
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.lookahead.outlook import Numbers, Places
from workbench.units import SECONDS_PER_HOUR

NEVER_S = 1e12
WAITING = pl.Schema(
    {"region": tables.TEXT, "model": tables.TEXT, "input_tps_hours": tables.NUMBER, "serve_by_s": tables.NUMBER}
)


def classes_of(
    regions: tuple[str, ...], residency: Mapping[str, frozenset[str]], *, defer_at_home: bool = False
) -> tuple[tuple[frozenset[int], ...], Places, Places]:
    """Return the sets of regions that work may go to, which each origin's interactive work has, and its deferrable."""
    allowed = [
        frozenset(r for r, region in enumerate(regions) if region in residency[origin] or region == origin)
        if origin in residency
        else frozenset(range(len(regions)))
        for origin in regions
    ]
    deferred = [frozenset({r}) for r in range(len(regions))] if defer_at_home else allowed
    classes = tuple(dict.fromkeys([*allowed, *deferred]))
    index = [np.array([classes.index(one) for one in sets], dtype=np.int64) for sets in (allowed, deferred)]
    return classes, index[0], index[1]


def interactive(
    requirement: pl.DataFrame,
    tiers: tuple[Tier, ...],
    starts: tuple[datetime, ...],
    models: tuple[str, ...],
    regions: tuple[str, ...],
    options: LookAhead,
) -> tuple[Numbers, Numbers]:
    """Return interactive work as [m, r, t]: what is bound to regions, and the rest."""
    tight = bound_tiers(tiers, options)
    interactive = requirement.filter(~pl.col("is_deferrable"))
    is_bound = pl.col("tier").is_in(tight)
    return (
        _cube(interactive.filter(is_bound), starts, models, regions),
        _cube(interactive.filter(~is_bound), starts, models, regions),
    )


def below_peak(
    quiet: pl.DataFrame | None,
    peak: Numbers,
    starts: tuple[datetime, ...],
    models: tuple[str, ...],
    regions: tuple[str, ...],
) -> Numbers:
    """Return as [m, r, t] by how much interactive work is below its peak on the mean of a window; never below none."""
    if quiet is None:
        return np.zeros(peak.shape)
    ahead = quiet.filter(pl.col("window_start").is_in(list(starts)))
    return np.clip(_cube(ahead, starts, models, regions), 0.0, peak)


def bound_tiers(tiers: tuple[Tier, ...], options: LookAhead) -> list[str]:
    """Return the tiers whose work is sent along flows, because their first token cannot wait."""
    return [tier.key for tier in tiers if tier.ttft_slo_s is not None and tier.ttft_slo_s < options.bound_below_ttft_s]


def deferrable(
    requirement: pl.DataFrame,
    waiting: pl.DataFrame | None,
    *,
    starts: tuple[datetime, ...],
    window_s: float,
    models: tuple[str, ...],
    regions: tuple[str, ...],
    classes: int,
    class_of: Places,
) -> tuple[Numbers, Numbers, Numbers]:
    """Return what arrives, what may still wait at a window's end, and what waits now, in tokens/s times windows.

    Work counts as coming at the start of its window and is due when a window in which it could still be served ends
    after its deadline; a deadline shorter than the window counts as the window's end.
    """
    shape = (len(models), classes, len(starts))
    arriving, not_due, now = np.zeros(shape), np.zeros(shape), np.zeros(shape[:2])
    work = requirement.filter("is_deferrable").with_columns(pl.col("serve_by_s").fill_null(NEVER_S))
    for (serve_by_s,), rows in sorted(work.partition_by("serve_by_s", as_dict=True).items()):
        came = np.zeros(shape)
        for r in range(len(regions)):
            came[:, class_of[r]] += _cube(rows, starts, models, regions)[:, r]
        spans = max(1, int(float(serve_by_s) / window_s + 1e-9))
        total = np.cumsum(came, axis=2)
        due = np.zeros(shape)
        due[:, :, spans - 1 :] = total[:, :, : max(0, len(starts) - spans + 1)]
        arriving += came
        not_due += total - due
    for row in (
        ()
        if waiting is None
        else waiting.select(pl.col(name).cast(kind) for name, kind in WAITING.items()).iter_rows(named=True)
    ):
        place = models.index(row["model"]), class_of[regions.index(row["region"])]
        amount = row["input_tps_hours"] * SECONDS_PER_HOUR / window_s
        now[place] += amount
        spans = max(1, int(row["serve_by_s"] / window_s + 1e-9))
        not_due[(*place, slice(0, spans - 1))] += amount
    return arriving, not_due, now


def _cube(
    frame: pl.DataFrame, starts: tuple[datetime, ...], models: tuple[str, ...], regions: tuple[str, ...]
) -> Numbers:
    """Return the input rates of rows as [m, r, t]."""
    cube = np.zeros((len(models), len(regions), len(starts)))
    when = {start: t for t, start in enumerate(starts)}
    index = [
        frame.get_column(name).replace_strict(places, return_dtype=pl.Int64).to_numpy()
        for name, places in (
            ("model", {key: i for i, key in enumerate(models)}),
            ("region", {key: i for i, key in enumerate(regions)}),
            ("window_start", when),
        )
    ]
    np.add.at(cube, tuple(index), frame.get_column("input_tps").to_numpy())
    return cube
