"""What equal service costs: a strategy with a knob is a curve of cost over service; curves are compared, not points.

A strategy that saves money by serving worse has saved nothing. Turned to more headroom it serves better and costs more;
between two settings that were tried, a mixture of both is to be had (one on some days, the other on others), so the
lower edge of what was tried is the curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench.errors import StudyError

SERVICE, COST = "attainment_fraction", "cost_usd"


def undominated(points: pl.DataFrame, *, by: Sequence[str] = ("strategy",)) -> pl.DataFrame:
    """Return of tried settings those on the lower edge of their group: attainment_fraction, cost_usd, any others.

    No other setting or mixture of two others of the same group (columns ``by``) serves as well for less. Settings of
    unknown attainment are left out. Sorted by group and attainment. Raises StudyError where a column is missing.
    """
    _refuse(points, by)
    known = points.drop_nulls([SERVICE, COST]).sort(*by, SERVICE, COST)
    kept = [own[_lower_edge(own)] for _, own in known.group_by(*by, maintain_order=True)]
    return pl.concat(kept) if kept else known


def at_equal_service(
    points: pl.DataFrame,
    attainment_fraction: float,
    *,
    by: Sequence[str] = ("strategy",),
    figures: Sequence[str] = (COST,),
) -> pl.DataFrame:
    """Return what every group costs where it keeps that share of its promises: the columns ``by`` and ``figures``.

    Other figures than the cost are those of the settings, or the mixture, that it is had with. Null where no setting
    that was tried serves as well: nothing is extrapolated; where all serve better it is the cheapest.
    """
    edges = undominated(points, by=by).partition_by(*by, as_dict=True, maintain_order=True)
    rows = []
    for group in points.select(by).unique(maintain_order=True).iter_rows():
        own = edges.get(group, points.clear())
        kept = own.get_column(SERVICE).to_numpy()
        is_had = kept.size > 0 and attainment_fraction <= kept[-1]
        at = (np.interp(attainment_fraction, kept, own.get_column(name)) if is_had else None for name in figures)
        rows.append((*group, *at))
    schema = {name: points.schema[name] for name in by} | dict.fromkeys(figures, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _lower_edge(own: pl.DataFrame) -> list[int]:
    """Return the rows of the lower convex edge, of settings sorted by attainment and cost."""
    kept = own.get_column(SERVICE).to_numpy()
    cost = own.get_column(COST).to_numpy()
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


def _refuse(points: pl.DataFrame, by: Sequence[str]) -> None:
    wanted = (*by, SERVICE, COST)
    missing = [name for name in wanted if name not in points.columns]
    if missing:
        raise StudyError(
            f"a frontier needs {', '.join(wanted)}; {', '.join(missing)} missing among {', '.join(points.columns)}."
        )
