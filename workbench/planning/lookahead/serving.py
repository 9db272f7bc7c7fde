"""How work is served: routed, pooled, deferred, and still servable when a region is lost or spot is taken back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.rows import Rows, Term, axes_of, numbered, rows


def route_bound_work(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Work bound to regions is sent somewhere or unmet: sum over regions of flow + unmet = demand."""
    shape = chosen.unmet_bound.shape
    row = numbered(*shape)
    yield rows(
        "route",
        axes_of(outlook, "m", "r", "t"),
        "==",
        outlook.bound,
        [(row, chosen.unmet_bound, 1.0), (row[:, outlook.pairs[:, 0]], chosen.flow, 1.0)],
    )


def keep_local_share(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A region serves epsilon of its own bound work itself: own flow + epsilon unmet >= epsilon demand."""
    epsilon = outlook.options.local_fraction
    if epsilon > 0:
        own = np.flatnonzero(outlook.pairs[:, 0] == outlook.pairs[:, 1])
        row = numbered(*chosen.unmet_bound.shape)
        yield rows(
            "local",
            axes_of(outlook, "m", "r", "t"),
            ">=",
            epsilon * outlook.bound,
            [(row[:, outlook.pairs[own, 0]], chosen.flow[:, own], 1.0), (row, chosen.unmet_bound, epsilon)],
        )


def serve_flows(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """The flows into a region fit its capacity: sum over origins of flow <= C."""
    row = numbered(*chosen.capacity.shape)
    yield rows(
        "inflow",
        axes_of(outlook, "m", "r", "t"),
        "<=",
        0.0,
        [(row[:, outlook.pairs[:, 1]], chosen.flow, 1.0), (row, chosen.capacity, -1.0)],
    )


def serve_pooled_work(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Any set of regions holds the work that may go nowhere else.

    sum_r (C - flows in) >= pooled interactive + deferrable served of the origins bound to the set. Where interactive
    work is quieter on the mean of a window than at its peak, deferrable work may have the difference: its row then has
    that less of interactive work, and one more row holds the peak without it. By the theorem of
    Gale and Hoffman on transport this is enough, for the sets that are unions of what origins may use; without
    residency rules the only such set is all regions.
    """
    for number, union in enumerate(unions(outlook.classes)):
        inside = sorted(union)
        members = [c for c, allowed in enumerate(outlook.classes) if allowed <= union]
        into = np.flatnonzero(np.isin(outlook.pairs[:, 1], inside))
        demand = outlook.pooled[:, np.isin(outlook.class_of, members)].sum(axis=1)
        quiet = outlook.quiet[:, inside].sum(axis=1)
        row = numbered(len(outlook.models), outlook.windows)
        interactive: list[Term] = [
            (row[:, None], chosen.capacity[:, inside], 1.0),
            (row[:, None], chosen.flow[:, into], -1.0),
            (row[:, None], chosen.unmet_pooled[:, members], 1.0),
        ]
        deferrable = (row[outlook.deferring, None], chosen.served[:, members], -1.0)
        axes = axes_of(outlook, "m", "t")
        yield rows(f"pooled{number}", axes, ">=", demand - quiet, [*interactive, deferrable])
        if quiet.any():
            yield rows(f"peak{number}", axes, ">=", demand, interactive)


def defer_until_due(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Deferrable work waits, is served or is late: waiting[t] = waiting[t-1] + arriving - served - late.

    The bound of the waiting column says how much may still wait: what has come and is not yet due.
    """
    d = outlook.deferring
    if d.size:
        row = numbered(*chosen.waiting.shape)
        right = outlook.arriving[d].copy()
        right[:, :, 0] += outlook.waiting_now[d]
        yield rows(
            "deferred",
            axes_of(outlook, "d", "c", "t"),
            "==",
            right,
            [
                (row, chosen.waiting, 1.0),
                (row[:, :, 1:], chosen.waiting[:, :, :-1], -1.0),
                (row, chosen.served, 1.0),
                (row, chosen.late, 1.0),
            ],
        )


def survive_a_lost_region(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Without any one region the others still hold the share: sum over other regions of C + gap >= eta demand."""
    share = outlook.options.lost_region_fraction
    if share > 0 and len(outlook.regions) > 1:
        demand = (outlook.bound + outlook.pooled).sum(axis=1)
        shape = (len(outlook.models), len(outlook.regions), outlook.windows)
        row = numbered(*shape)
        others = [[s for s in range(len(outlook.regions)) if s != r] for r in range(len(outlook.regions))]
        yield rows(
            "lost_region",
            axes_of(outlook, "m", "r", "t"),
            ">=",
            np.broadcast_to(share * demand[:, None, :], shape),
            [
                (row[:, :, None, :], chosen.capacity[:, others], 1.0),
                (row, chosen.reserve_gap[:, None, :], 1.0),
            ],
        )


def limit_interactive_on_spot(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Of a model's interactive work at most a share stands on spot, in all and of the flows into each region.

    (1 - share) x interactive served <= theta (n - spot), where replicas that are starting count as what they will be.
    """
    if not outlook.has_spot:
        return
    firm = 1.0 - outlook.options.interactive_on_spot_fraction
    rate = outlook.rate[:, None]
    shape = chosen.capacity.shape
    row = numbered(*shape)
    at = row[outlook.place_model, outlook.place_region]
    yield rows(
        "spot_share",
        axes_of(outlook, "m", "r", "t"),
        "<=",
        0.0,
        [
            (row[:, outlook.pairs[:, 1]], chosen.flow, firm),
            (row, chosen.capacity, -1.0),
            (at, chosen.spot, rate),
        ],
    )
    row = numbered(len(outlook.models), outlook.windows)
    demand = (outlook.bound + outlook.pooled).sum(axis=1)
    yield rows(
        "spot_share_all",
        axes_of(outlook, "m", "t"),
        "<=",
        -firm * demand,
        [
            (row[:, None], chosen.unmet_bound, -firm),
            (row[:, None], chosen.unmet_pooled, -firm),
            (row[:, None], chosen.capacity, -1.0),
            (row[outlook.place_model], chosen.spot, rate),
        ],
    )


def unions(classes: tuple[frozenset[int], ...]) -> list[frozenset[int]]:
    """Return every union of sets that hang together, the sets included.

    A union of parts that share no region asks no more than its parts do, unless another set ties them together; then
    it is found through that one.
    """
    found = dict.fromkeys(classes)
    while more := {one | other for one in found for other in classes if one & other} - found.keys():
        found |= dict.fromkeys(sorted(more, key=sorted))
    return list(found)
