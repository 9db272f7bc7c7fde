"""What replicas stand on and may cost: stock, quota, spot, reservations, carbon and money."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.rows import Rows, Term, axes_of, numbered, rows


def fit_stock(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """What serves and what is lent fits the GPUs of the region: sum_m gpus (n + lent) <= stock."""
    row = numbered(len(outlook.keys), outlook.windows)[outlook.place_key]
    gpus = outlook.place_gpus[:, None]
    yield rows(
        "stock",
        axes_of(outlook, "k", "t"),
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
        yield rows("quota", axes_of(outlook, "k", "t"), "<=", allowed, terms)
    if outlook.has_spot:
        yield rows("spot_stock", axes_of(outlook, "k", "t"), "<=", outlook.spot, [(row, chosen.spot, gpus)])
        each = numbered(*chosen.replicas.shape)
        yield rows(
            "spot_of",
            axes_of(outlook, "p", "t"),
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
            axes_of(outlook, "v", "t"),
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


def reserved_usd(outlook: Outlook) -> float:
    """Return what the reservations cost over the whole plan, used or not."""
    return float((outlook.reserved * outlook.usd_reserved).sum() * outlook.hours * outlook.windows)
