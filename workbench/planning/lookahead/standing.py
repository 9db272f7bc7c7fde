"""What stands where: replicas started, lent, moved between models and kept, and the time that starts cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.options import START_KINDS
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.rows import Rows, Term, axes_of, numbered, only_first, rows

RECLAIM, SWAP, REMOTE = (START_KINDS.index(kind) for kind in ("reclaim", "swap", "remote"))


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
    yield rows("capacity", axes_of(outlook, "m", "r", "t"), "==", 0.0, terms)


def count_starts(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """What stands is what stood plus what is started, less what is stopped: starts >= n[t] - n[t-1]."""
    shape = chosen.replicas.shape
    row = numbered(*shape)
    yield rows(
        "starts",
        axes_of(outlook, "p", "t"),
        ">=",
        only_first(-outlook.serving_now, shape),
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
        axes_of(outlook, "p", "t"),
        "<=",
        only_first(outlook.lent_now + outlook.serving_now, shape),
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
        axes_of(outlook, "k", "t"),
        "<=",
        only_first(now, (len(outlook.keys), outlook.windows)),
        [
            (row, chosen.lent, gpus),
            (row, chosen.replicas, gpus),
            (row[:, 1:], chosen.lent[:, :-1], -gpus),
            (row[:, 1:], chosen.replicas[:, :-1], -gpus),
            (row, chosen.begun[REMOTE], -gpus),
        ],
    )


def keep_floor(outlook: Outlook, chosen: Columns) -> Iterator[Rows]:
    """A model keeps its floor of replicas in every region that can hold them: sum_g n + gap >= floor."""
    if chosen.floor_gap.size:
        row = numbered(*chosen.floor_gap.shape)
        yield rows(
            "floor",
            axes_of(outlook, "m", "r", "t"),
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
            first = only_first(sign * now, shape)
            yield rows(
                name,
                axes_of(outlook, "m", "r", "t"),
                "<=",
                limit + first,
                [(row, chosen.replicas, sign), (row[:, 1:], chosen.replicas[:, :-1], -sign)],
            )
