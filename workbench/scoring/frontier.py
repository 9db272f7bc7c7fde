"""What equal service costs: a strategy with a knob is a curve of cost over service; curves are compared, not points.

A strategy that saves money by serving worse has saved nothing. Turned to more headroom it serves better and costs more;
between two settings that were tried, a mixture of both is to be had (one on some days, the other on others), so the
lower edge of what was tried is the curve.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.errors import StudyError

COLUMNS = ("strategy", "attainment_fraction", "cost_usd")


def undominated(points: pl.DataFrame) -> pl.DataFrame:
    """Return of tried settings (strategy, attainment_fraction, cost_usd, ...) those on their strategy's lower edge.

    No other setting or mixture of two others of the same strategy serves as well for less. Sorted by strategy and
    attainment. Raises StudyError where a column is missing.
    """
    _refuse(points)
    kept = []
    for _, own in points.sort("strategy", "attainment_fraction", "cost_usd").group_by("strategy", maintain_order=True):
        kept.append(own[_lower_edge(own)])
    return pl.concat(kept) if kept else points


def at_equal_service(points: pl.DataFrame, attainment_fraction: float) -> pl.DataFrame:
    """Return what every strategy costs where it keeps that share of its promises: strategy and cost_usd.

    Null where no setting that was tried serves as well: nothing is extrapolated.
    """
    edges = undominated(points)
    rows = []
    for (strategy,), own in edges.group_by("strategy", maintain_order=True):
        kept = own.get_column("attainment_fraction").to_numpy()
        cost = own.get_column("cost_usd").to_numpy()
        is_had = attainment_fraction <= kept[-1]
        rows.append((strategy, float(np.interp(attainment_fraction, kept, cost)) if is_had else None))
    return pl.DataFrame(rows, schema={"strategy": pl.String, "cost_usd": pl.Float64}, orient="row")


def _lower_edge(own: pl.DataFrame) -> list[int]:
    """Return the rows of the lower convex edge, of settings sorted by attainment and cost."""
    kept = own.get_column("attainment_fraction").to_numpy()
    cost = own.get_column("cost_usd").to_numpy()
    edge: list[int] = []
    for i in range(own.height):
        while edge and cost[edge[-1]] >= cost[i]:  # this one serves as well for no more
            edge.pop()
        if edge and kept[edge[-1]] == kept[i]:
            continue
        while len(edge) > 1 and _is_above(edge[-2], edge[-1], i, kept, cost):
            edge.pop()
        edge.append(i)
    return edge


def _is_above(a: int, b: int, c: int, x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether b lies on or above the line from a to c."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a]))


def _refuse(points: pl.DataFrame) -> None:
    missing = [name for name in COLUMNS if name not in points.columns]
    if missing:
        raise StudyError(
            f"a frontier needs {', '.join(COLUMNS)}; {', '.join(missing)} missing among {', '.join(points.columns)}."
        )
