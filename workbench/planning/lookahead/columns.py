"""The variables of the look-ahead programme: blocks of columns with bounds, price and what they mean.

Prices of what goes wrong stand far above any replica and in the order in which a planner gives way: interactive work
bound to regions, other interactive work, floors, late deferrable work, and last the reserve for a lost region. They
are multiples of what the dearest capacity of the model costs, so that the stock is used up before anything goes short.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.planning.lookahead.options import START_KINDS
from workbench.planning.lookahead.outlook import Numbers, Outlook, Places

BOUND_RATIO = 1e4
POOLED_RATIO = 4e3
FLOOR_RATIO = 2e3
LATE_RATIO = 1e3
RESERVE_RATIO = 1e2
REMOTE_TIE_RATIO = 1e-5


Add = Callable[..., Places]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Columns of one kind, numbered by an array of their shape; an empty array where the programme has none."""

    name: str
    index: Places
    axes: tuple[tuple[str, ...], ...]
    lower: Numbers
    upper: Numbers
    cost: Numbers
    is_whole: NDArray[np.bool_]

    @property
    def labels(self) -> list[str]:
        """A name for each column, in their order."""
        return [f"{self.name}|" + "|".join(parts) for parts in itertools.product(*self.axes)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Every block of the programme: ``columns.replicas`` is an array of column numbers.

    replicas [p, t] hold, starting ones included, and of these ``spot`` [p, t] on spot; ``begun`` [kind, p, t] starts;
    ``lent`` [p, t] replicas given back and still loaded; ``capacity`` [m, r, t]; ``flow`` [m, q, t] of bound work;
    ``unmet_bound`` [m, r, t] and ``unmet_pooled`` [m, c, t]; ``served``, ``waiting`` and ``late`` [d, c, t] of
    deferrable work (d counts the models that have any); ``floor_gap`` [m, r, t]; ``reserve_gap`` [m, t];
    ``bought`` and ``idle`` [v, t] GPUs on demand and reserved ones let (v counts the keys with a reservation).
    """

    blocks: tuple[Block, ...]
    replicas: Places
    spot: Places
    begun: Places
    lent: Places
    capacity: Places
    flow: Places
    unmet_bound: Places
    unmet_pooled: Places
    served: Places
    waiting: Places
    late: Places
    floor_gap: Places
    reserve_gap: Places
    bought: Places
    idle: Places

    @property
    def count(self) -> int:
        """How many columns there are."""
        return sum(block.index.size for block in self.blocks)


def columns(outlook: Outlook) -> Columns:
    """Return the variables of an outlook."""
    blocks: list[Block] = []

    def add(
        name: str,
        axes: tuple[tuple[str, ...], ...],
        *,
        cost: Numbers | float,
        upper: Numbers | float = np.inf,
        lower: Numbers | float = 0.0,
        whole_windows: int = 0,
    ) -> Places:
        """Add a block of variables and return their numbers, in its shape."""
        shape = tuple(len(axis) for axis in axes)
        first = sum(block.index.size for block in blocks)
        index = np.arange(first, first + int(np.prod(shape)), dtype=np.int64).reshape(shape)
        is_whole = np.broadcast_to(np.arange(shape[-1]) < whole_windows, shape)
        sized = (np.broadcast_to(np.asarray(values, dtype=float), shape) for values in (lower, upper, cost))
        low, high, price = sized
        blocks.append(Block(name=name, index=index, axes=axes, lower=low, upper=high, cost=price, is_whole=is_whole))
        return index

    found = _standing(outlook, add) | _work(outlook, add) | _gaps(outlook, add) | _paying(outlook, add)
    return Columns(blocks=tuple(blocks), **found)


def dear_usd(outlook: Outlook) -> Numbers:
    """Return [m]: what a unit of a model's work costs for a window on its dearest place, a start included."""
    start = outlook.start_usd.max(axis=0)
    per_unit = (outlook.hold_usd.max(axis=1) + start) / outlook.rate
    dear = np.zeros(len(outlook.models))
    np.maximum.at(dear, outlook.place_model, per_unit)
    return np.maximum(dear, 1e-6)


def cheap_usd(outlook: Outlook) -> Numbers:
    """Return [m]: what a unit of a model's work costs for a window on its cheapest place, on average over time."""
    per_unit = outlook.hold_usd.mean(axis=1) / outlook.rate
    cheap = np.full(len(outlook.models), np.inf)
    np.minimum.at(cheap, outlook.place_model, per_unit)
    return cheap


def _standing(outlook: Outlook, add: Add) -> dict[str, Places]:
    axes, options = outlook.axes, outlook.options
    pt = (axes["p"], axes["t"])
    most = outlook.stock[outlook.place_key] // outlook.place_gpus
    firm_usd = outlook.hold_usd
    is_reserved = outlook.reserved[outlook.place_key] > 0
    gpu_usd = outlook.usd_on_demand[outlook.place_key] * outlook.place_gpus * outlook.hours
    firm_usd = np.where(is_reserved[:, None], firm_usd - gpu_usd[:, None], firm_usd)
    begin_most = np.full((len(START_KINDS), len(axes["p"]), 1), np.inf)
    if options.weights_in is not None:
        held = {(outlook.regions.index(r), outlook.models.index(m)) for r, m in options.weights_in}
        without = [(r, m) not in held for m, r in zip(outlook.place_model, outlook.place_region, strict=True)]
        begin_most[START_KINDS.index("swap"), without] = 0.0
    found = {
        "replicas": add("replicas", pt, cost=firm_usd, upper=most[:, None], whole_windows=outlook.whole_windows),
        "begun": add("begun", (axes["kind"], *pt), cost=outlook.start_usd[:, :, None], upper=begin_most),
        "lent": add("lent", pt, cost=0.0, upper=most[:, None]),
        "capacity": add("capacity", (axes["m"], axes["r"], axes["t"]), cost=0.0),
    }
    spot_usd = outlook.usd_spot[outlook.place_key] * outlook.place_gpus * outlook.hours
    has = outlook.has_spot
    found["spot"] = add(
        "spot",
        pt if has else ((), ("0",)),
        cost=np.where(is_reserved, spot_usd, spot_usd - gpu_usd)[:, None] if has else 0.0,
        upper=(outlook.spot[outlook.place_key] // outlook.place_gpus[:, None]) if has else 0.0,
        whole_windows=outlook.whole_windows,
    )
    return found


def _work(outlook: Outlook, add: Add) -> dict[str, Places]:
    axes, options = outlook.axes, outlook.options
    d = outlook.deferring
    mtokens = outlook.unit_input_tps * outlook.window_s / 1e6
    latency_usd = options.latency_usd_per_mtoken_s * mtokens[:, None] * outlook.latency_s[None, :]
    is_away = outlook.pairs[:, 0] != outlook.pairs[:, 1]
    latency_usd = latency_usd + REMOTE_TIE_RATIO * dear_usd(outlook)[:, None] * is_away
    not_due = outlook.not_due[d]
    leftover = np.zeros(not_due.shape)
    leftover[:, :, -1:] = (options.leftover_cost_ratio * cheap_usd(outlook)[d])[:, None, None]
    late_usd = LATE_RATIO * dear_usd(outlook)[d][:, None, None]
    dct = (axes["d"], axes["c"], axes["t"])
    return {
        "flow": add("flow", (axes["m"], axes["q"], axes["t"]), cost=latency_usd[:, :, None]),
        "served": add("served", dct, cost=0.0),
        "waiting": add("waiting", dct, cost=leftover, upper=not_due),
        "late": add("late", dct, cost=late_usd),
    }


def _gaps(outlook: Outlook, add: Add) -> dict[str, Places]:
    axes = outlook.axes
    dear = dear_usd(outlook)[:, None, None]
    per_replica = np.zeros(len(outlook.models))
    np.maximum.at(per_replica, outlook.place_model, (outlook.hold_usd.max(axis=1) + outlook.start_usd.max(axis=0)))
    has_floor, has_reserve = bool(outlook.floors.any()), outlook.options.lost_region_fraction > 0
    none: tuple[str, ...] = ()
    pooled = np.zeros((len(outlook.models), len(outlook.classes), outlook.windows))
    for c in range(len(outlook.classes)):
        pooled[:, c] = outlook.pooled[:, outlook.class_of == c].sum(axis=1)
    return {
        "unmet_bound": add(
            "unmet_bound", (axes["m"], axes["r"], axes["t"]), cost=BOUND_RATIO * dear, upper=outlook.bound
        ),
        "unmet_pooled": add("unmet_pooled", (axes["m"], axes["c"], axes["t"]), cost=POOLED_RATIO * dear, upper=pooled),
        "floor_gap": add(
            "floor_gap",
            (axes["m"] if has_floor else none, axes["r"], axes["t"]),
            cost=FLOOR_RATIO * per_replica[:, None, None] if has_floor else 0.0,
            upper=outlook.floors[:, :, None] if has_floor else 0.0,
        ),
        "reserve_gap": add(
            "reserve_gap",
            (axes["m"] if has_reserve else none, axes["t"]),
            cost=RESERVE_RATIO * dear[:, :, 0] if has_reserve else 0.0,
        ),
    }


def _paying(outlook: Outlook, add: Add) -> dict[str, Places]:
    axes = outlook.axes
    v = np.flatnonzero(outlook.reserved)
    return {
        "bought": add("bought", (axes["v"], axes["t"]), cost=(outlook.usd_on_demand[v] * outlook.hours)[:, None]),
        "idle": add(
            "idle",
            (axes["v"], axes["t"]),
            cost=(-outlook.usd_idle[v] * outlook.hours)[:, None],
            upper=outlook.reserved[v][:, None],
        ),
    }
