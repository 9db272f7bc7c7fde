"""The look-ahead programme, one named function per constraint; :data:`CONSTRAINTS` is the whole of it.

Every function takes the outlook and the columns and yields blocks of rows; one that is switched off yields none. What
serves work stands first, then what stands where, then what it may cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.options import START_KINDS
from workbench.planning.lookahead.outlook import Outlook, Places
from workbench.planning.lookahead.rows import Rows, Term, numbered, rows

RECLAIM, SWAP, REMOTE = (START_KINDS.index(kind) for kind in ("reclaim", "swap", "remote"))


def count_starts(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """What stands is what stood plus what is started, less what is stopped: starts >= n[t] - n[t-1]."""
    shape = chosen.replicas.shape
    row = numbered(*shape)
    yield rows(
        "starts",
        _axes(outlook, "p", "t"),
        ">=",
        _only_first(-outlook.serving_now, shape),
        [(row, chosen.begun, 1.0), (row, chosen.replicas, -1.0), (row[:, 1:], chosen.replicas[:, :-1], 1.0)],
    )


def keep_lent(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A replica is lent and still loaded only if it was so or was stopped, and was not reclaimed.

    lent[t] <= lent[t-1] + stopped[t] - reclaimed[t], where stopped = starts - (n[t] - n[t-1]).
    """
    shape = chosen.replicas.shape
    row = numbered(*shape)
    yield rows(
        "lent",
        _axes(outlook, "p", "t"),
        "<=",
        _only_first(outlook.lent_now + outlook.serving_now, shape),
        [
            (row, chosen.lent, 1.0),
            (row, chosen.replicas, 1.0),
            (row[:, 1:], chosen.lent[:, :-1], -1.0),
            (row[:, 1:], chosen.replicas[:, :-1], -1.0),
            (row, chosen.begun[SWAP], -1.0),
            (row, chosen.begun[REMOTE], -1.0),
        ],
    )


def take_swaps_from_lent(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """GPUs at hand (serving or lent, whatever the model) become more only by remote starts."""
    row = numbered(len(outlook.keys), outlook.windows)[outlook.place_key]
    gpus = outlook.place_gpus[:, None]
    now = np.zeros(len(outlook.keys))
    np.add.at(now, outlook.place_key, outlook.place_gpus * (outlook.serving_now + outlook.lent_now))
    yield rows(
        "at_hand",
        _axes(outlook, "k", "t"),
        "<=",
        _only_first(now, (len(outlook.keys), outlook.windows)),
        [
            (row, chosen.lent, gpus),
            (row, chosen.replicas, gpus),
            (row[:, 1:], chosen.lent[:, :-1], -gpus),
            (row[:, 1:], chosen.replicas[:, :-1], -gpus),
            (row, chosen.begun[REMOTE], -gpus),
        ],
    )


def lose_time_to_starts(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A region's capacity is the rate of its replicas, less those that are still starting.

    C[t] = sum_g theta (n[t] - sum over kinds and earlier windows of starts x share of this window not yet ready).
    """
    shape = chosen.capacity.shape
    row = numbered(*shape)[outlook.place_model, outlook.place_region]
    rate = outlook.rate[:, None]
    terms: list[Term] = [(numbered(*shape), chosen.capacity, 1.0), (row, chosen.replicas, -rate)]
    for kind, shares in enumerate(outlook.lost):
        for ago, share in enumerate(shares[: outlook.windows]):
            if share > 0:
                begun = chosen.begun[kind][:, : outlook.windows - ago]
                terms.append((row[:, ago:], begun, rate * share))
    yield rows("capacity", _axes(outlook, "m", "r", "t"), "==", 0.0, terms)


def route_bound_work(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Work bound to regions is sent somewhere or unmet: sum over regions of flow + unmet = demand."""
    shape = chosen.unmet_bound.shape
    row = numbered(*shape)
    yield rows(
        "route",
        _axes(outlook, "m", "r", "t"),
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
            _axes(outlook, "m", "r", "t"),
            ">=",
            epsilon * outlook.bound,
            [(row[:, outlook.pairs[own, 0]], chosen.flow[:, own], 1.0), (row, chosen.unmet_bound, epsilon)],
        )


def serve_flows(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """The flows into a region fit its capacity: sum over origins of flow <= C."""
    row = numbered(*chosen.capacity.shape)
    yield rows(
        "inflow",
        _axes(outlook, "m", "r", "t"),
        "<=",
        0.0,
        [(row[:, outlook.pairs[:, 1]], chosen.flow, 1.0), (row, chosen.capacity, -1.0)],
    )


def serve_pooled_work(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Any set of regions holds the work that may go nowhere else.

    sum_r (C - flows in) >= pooled interactive + deferrable served of the origins bound to the set. By the theorem of
    Gale and Hoffman on transport this is enough, for the sets that are unions of what origins may use; without
    residency rules the only such set is all regions.
    """
    for number, union in enumerate(_unions(outlook.classes)):
        inside = sorted(union)
        members = [c for c, allowed in enumerate(outlook.classes) if allowed <= union]
        into = np.flatnonzero(np.isin(outlook.pairs[:, 1], inside))
        demand = outlook.pooled[:, np.isin(outlook.class_of, members)].sum(axis=1)
        row = numbered(len(outlook.models), outlook.windows)
        yield rows(
            f"pooled{number}",
            _axes(outlook, "m", "t"),
            ">=",
            demand,
            [
                (row[:, None], chosen.capacity[:, inside], 1.0),
                (row[:, None], chosen.flow[:, into], -1.0),
                (row[:, None], chosen.unmet_pooled[:, members], 1.0),
                (row[outlook.deferring, None], chosen.served[:, members], -1.0),
            ],
        )


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
            _axes(outlook, "d", "c", "t"),
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
            _axes(outlook, "m", "r", "t"),
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
        _axes(outlook, "m", "r", "t"),
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
        _axes(outlook, "m", "t"),
        "<=",
        -firm * demand,
        [
            (row[:, None], chosen.unmet_bound, -firm),
            (row[:, None], chosen.unmet_pooled, -firm),
            (row[:, None], chosen.capacity, -1.0),
            (row[outlook.place_model], chosen.spot, rate),
        ],
    )


def keep_floor(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A model keeps its floor of replicas in every region that can hold them: sum_g n + gap >= floor."""
    if chosen.floor_gap.size:
        row = numbered(*chosen.floor_gap.shape)
        yield rows(
            "floor",
            _axes(outlook, "m", "r", "t"),
            ">=",
            np.broadcast_to(outlook.floors[:, :, None], row.shape),
            [(row, chosen.floor_gap, 1.0), (row[outlook.place_model, outlook.place_region], chosen.replicas, 1.0)],
        )


def limit_change(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A model in a region starts, and stops, no more replicas in a window than allowed."""
    shape = (len(outlook.models), len(outlook.regions), outlook.windows)
    row = numbered(*shape)[outlook.place_model, outlook.place_region]
    now = np.zeros(shape[:2])
    np.add.at(now, (outlook.place_model, outlook.place_region), outlook.serving_now)
    for name, limit, sign in (
        ("starts_limit", outlook.options.starts_per_window, 1.0),
        ("stops_limit", outlook.options.stops_per_window, -1.0),
    ):
        if limit is not None:
            first = _only_first(sign * now, shape)
            yield rows(
                name,
                _axes(outlook, "m", "r", "t"),
                "<=",
                limit + first,
                [(row, chosen.replicas, sign), (row[:, 1:], chosen.replicas[:, :-1], -sign)],
            )


def fit_stock(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """What serves and what is lent fits the GPUs of the region: sum_m gpus (n + lent) <= stock."""
    row = numbered(len(outlook.keys), outlook.windows)[outlook.place_key]
    gpus = outlook.place_gpus[:, None]
    yield rows(
        "stock",
        _axes(outlook, "k", "t"),
        "<=",
        np.broadcast_to(outlook.stock[:, None], (len(outlook.keys), outlook.windows)),
        [(row, chosen.replicas, gpus), (row, chosen.lent, gpus)],
    )


def fit_quota(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """What is not on spot fits the reservation and the quota for buying on demand; spot fits what is offered."""
    row = numbered(len(outlook.keys), outlook.windows)[outlook.place_key]
    gpus = outlook.place_gpus[:, None]
    shape = (len(outlook.keys), outlook.windows)
    if (outlook.quota + outlook.reserved < outlook.stock).any():
        terms: list[Term] = [(row, chosen.replicas, gpus)]
        if outlook.has_spot:
            terms.append((row, chosen.spot, -gpus))
        allowed = np.broadcast_to((outlook.quota + outlook.reserved)[:, None], shape)
        yield rows("quota", _axes(outlook, "k", "t"), "<=", allowed, terms)
    if outlook.has_spot:
        yield rows("spot_stock", _axes(outlook, "k", "t"), "<=", outlook.spot, [(row, chosen.spot, gpus)])
        each = numbered(*chosen.replicas.shape)
        yield rows(
            "spot_of",
            _axes(outlook, "p", "t"),
            "<=",
            0.0,
            [(each, chosen.spot, 1.0), (each, chosen.replicas, -1.0)],
        )


def use_reservations(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """GPUs in use that are not on spot are reserved or bought: sum_m gpus (n - spot) = reserved + bought - idle."""
    v = np.flatnonzero(outlook.reserved)
    if v.size:
        place = np.flatnonzero(outlook.reserved[outlook.place_key] > 0)
        row = numbered(v.size, outlook.windows)
        at = row[np.searchsorted(v, outlook.place_key[place])]
        gpus = outlook.place_gpus[place][:, None]
        terms: list[Term] = [(at, chosen.replicas[place], gpus), (row, chosen.bought, -1.0), (row, chosen.idle, 1.0)]
        if outlook.has_spot:
            terms.append((at, chosen.spot[place], -gpus))
        yield rows(
            "reservation",
            _axes(outlook, "v", "t"),
            "==",
            np.broadcast_to(outlook.reserved[v][:, None], row.shape),
            terms,
        )


def stay_below_carbon_cap(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """All replicas together emit no more than the cap: sum gpus kWh kg/kWh n <= cap."""
    cap = outlook.options.carbon_cap_kg
    if cap is not None:
        carbon = outlook.place_gpus[:, None] * outlook.carbon_kg[outlook.place_key]
        yield rows("carbon", (("cap",),), "<=", cap, [(np.zeros(1, dtype=np.int64), chosen.replicas, carbon)])


def stay_within_budget(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """Money for replicas, less what idle ones earn, stays within the budget, reservations included."""
    budget = outlook.options.budget_usd
    if budget is not None:
        paying = [block for block in chosen.blocks if block.name in ("replicas", "spot", "bought", "idle")]
        zero = np.zeros(1, dtype=np.int64)
        yield rows(
            "budget",
            (("usd",),),
            "<=",
            budget - reserved_usd(outlook),
            [(zero, block.index, block.cost) for block in paying],
        )


CONSTRAINTS: tuple[Callable[[Outlook, Columns], Iterator[Rows]], ...] = (
    route_bound_work,
    keep_local_share,
    serve_flows,
    serve_pooled_work,
    defer_until_due,
    survive_a_lost_region,
    limit_interactive_on_spot,
    lose_time_to_starts,
    count_starts,
    keep_lent,
    take_swaps_from_lent,
    keep_floor,
    limit_change,
    fit_stock,
    fit_quota,
    use_reservations,
    stay_below_carbon_cap,
    stay_within_budget,
)


def reserved_usd(outlook: Outlook) -> float:
    """Return what the reservations cost over the whole plan, used or not."""
    return float((outlook.reserved * outlook.usd_reserved).sum() * outlook.hours * outlook.windows)


def _unions(classes: tuple[frozenset[int], ...]) -> list[frozenset[int]]:
    """Return every union of the sets, the sets included."""
    found: dict[frozenset[int], None] = {}
    for one in classes:
        found |= dict.fromkeys([one, *(one | other for other in found)])
    return list(found)


def _only_first(values: Places | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return zeros of a shape whose first window holds the values."""
    first = np.zeros(shape)
    first[..., 0] = values
    return first


def _axes(outlook: Outlook, *names: str) -> tuple[tuple[str, ...], ...]:
    made = outlook.axes
    return tuple(made[name] for name in names)
