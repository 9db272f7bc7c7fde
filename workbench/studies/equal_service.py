"""A sweep read at equal service: the frontier of every strategy, and what each saves where all serve equally well.

A sweep over headroom, thresholds or quantiles turns every strategy into a curve of cost over service
(:mod:`workbench.scoring.frontier`). Strategies are then held against each other at levels of service that all of them
reach, so that none is praised for serving worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench import scoring
from workbench.studies.sweeps import Sweep, service_points

LEVELS = 4
FIGURES = ("gpu_hours", "cost_usd")


def frontier(made: Sweep, *, deferrable: Sequence[str] = ()) -> pl.DataFrame:
    """Return the settings of a sweep that are worth having: per strategy those on the lower edge of cost over service.

    Columns are those of the sweep's totals and ``attainment_fraction``, the share of promises kept to requests that
    cannot wait; ``deferrable`` names the tiers that can.
    """
    return scoring.undominated(service_points(made, deferrable=deferrable))


def at_levels(
    made: Sweep, *, baseline: str, deferrable: Sequence[str] = (), levels: Sequence[float] | None = None
) -> pl.DataFrame:
    """Return what every strategy takes at some levels of service: one row per level and strategy.

    ``attainment_fraction`` is the level, ``gpu_hours`` and ``cost_usd`` what it takes (null where no setting that was
    tried serves so well), ``gpu_hours_saved_fraction`` the share saved against the baseline at that level. ``levels``
    are, unless given, four from the lowest to the highest that all strategies reach with settings worth having; none
    where there is no such level.
    """
    points = service_points(made, deferrable=deferrable)
    parts = []
    for level in levels if levels is not None else shared_levels(scoring.undominated(points)):
        found = scoring.at_equal_service(points, level, figures=FIGURES)
        base = pl.col("gpu_hours").filter(pl.col("strategy") == baseline).first()
        saved = pl.when(base > 0).then(1.0 - pl.col("gpu_hours") / base)
        parts.append(
            found.select(
                pl.lit(level).alias(scoring.SERVICE), "strategy", *FIGURES, saved.alias("gpu_hours_saved_fraction")
            )
        )
    names = (*FIGURES, "gpu_hours_saved_fraction")
    schema = {scoring.SERVICE: pl.Float64, "strategy": pl.String} | dict.fromkeys(names, pl.Float64)
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def shared_levels(edges: pl.DataFrame, *, count: int = LEVELS) -> list[float]:
    """Return levels of service, evenly spaced, that every strategy of a frontier reaches; none where there are none."""
    ends = edges.group_by("strategy").agg(
        pl.col(scoring.SERVICE).min().alias("worst"), pl.col(scoring.SERVICE).max().alias("best")
    )
    if ends.is_empty():
        return []
    low, high = ends.select(pl.col("worst").max(), pl.col("best").min()).row(0)
    return [float(level) for level in np.linspace(low, high, count)] if low < high else [float(high)]


def readable(levels: pl.DataFrame, made: Sweep) -> pl.DataFrame:
    """Return what :func:`at_levels` gives as a table for people: labels, shares in percent, no number anew."""
    labels = dict(made.totals.select("strategy", "label").unique().iter_rows())
    return levels.select(
        (pl.col(scoring.SERVICE) * 100).round(2).alias("promises kept, %"),
        pl.col("strategy").replace(labels),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        (pl.col("gpu_hours_saved_fraction") * 100).round(1).alias("saved, %"),
    )
