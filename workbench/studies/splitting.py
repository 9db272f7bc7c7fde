"""How the load of a window is split over the regions' pools: the most that prices allow, tried in steps of a grid.

With prices on promises and on deferrable requests, a window's worth is a sum over regions of what its share of the load
brings, each at its own best count. Shares are tried in steps of a grid and summed up region by region (a max-plus
convolution). Between steps nothing is lost: at a given count and filling, what a region brings is straight in its
share, or, where its requests alone fill it, rises above the straight line by at most a quarter of a step times what the
share kept falls over it, which is added. A sum of such functions, at a total between two steps of the grid, lies under
the line between its values there. Shares kept are read at the steps and taken as straight between. Origins bring as
many promises to a request as the least of them does; what others bring above that counts as kept as by an idle pool.
All this can only lower the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.promises import Promises
from workbench.studies.pricing import Decision

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEPS = 192  # of the highest load of a window that cannot wait
WORTHS = 256  # of the promises of a share, between which the best count's gain is taken as straight
CHEAPEST, DEAREST = 1e-4, 1e3  # of them, in GPU-hours of a replica's window
BEYOND = 1e9  # the last of them, so that no price lies above


@dataclass(frozen=True, kw_only=True, eq=False)
class Routed:
    """What may be decided for a model that stands in several regions, in windows that counts are held for.

    ``load_rps`` and ``promises`` [window, region] are what cannot wait and the promises of the tier among it, by where
    they come from; ``fewest`` and ``count`` [n] are the ranges of replicas that a region may hold, ``gpu_hours`` [n]
    what the fewest of each take in a window of ``window_s``. ``away_fraction`` is the least part of its promises that a
    pool loses on requests from another region. ``filled_to`` is the load, as a share of the most, up to which
    deferrable work may fill a pool.
    """

    load_rps: Floats
    promises: Floats
    promise: Promises
    tier: str
    fewest: Floats
    count: Floats
    gpu_hours: Floats
    window_s: float
    away_fraction: float
    filled_to: float
    waiting: float

    @property
    def promised(self) -> float:
        """Return the promises of the whole span."""
        return float(self.promises.sum())

    @property
    def dearest(self) -> float:
        """Return a price of a deferrable request at which it is worth replicas."""
        most = self.filled_to * self.count[-1] * self.promise.most_rps * self.window_s
        return float(self.gpu_hours[-1]) / max(float(most), 1e-9)

    def most_kept(self) -> float:
        """Return the most promises that can be kept: those that an idle pool keeps, as large as one may be."""
        idle = self.promise.kept_fraction(self.tier, self.count, np.zeros(self.count.size))
        return float(idle.max()) * self.promised

    def decide(self, per_promise: float, per_request: float, per_wasted: float) -> Decision:
        """Return what is decided at such prices; starts take no time, so that the last one is not asked for."""
        del per_wasted
        gained = self._gained(per_request)
        worth = per_promise * self._per_load[:, None, None] * self._near_load  # [window, region, step]
        value, place, part = gained.at(worth)
        at, over = self._total
        window = np.arange(at.size)
        kept, served, found = np.zeros(at.size), np.zeros(at.size), np.zeros(at.size)
        for shares, share in zip(split(value, (at, at + 1)), (1.0 - over, over), strict=True):
            found += share * sum(value[window, r, k] for r, k in enumerate(shares))
            for r, k in enumerate(shares):
                slope, filled = gained.brings(place[window, r, k], part[window, r, k], k)
                kept += share * slope * self._per_load * self._near_load[window, r, k]
                served += share * filled
        always = float(self._above.sum())
        return Decision(
            left=float(-found.sum()) - per_promise * always,
            kept=float(kept.sum()) + always,
            served=float(served.sum()),
        )

    @cached_property
    def _step_rps(self) -> float:
        return max(float(self.load_rps.sum(axis=1).max()) / STEPS, 1e-9)

    @cached_property
    def _total(self) -> tuple[Ints, Floats]:
        """Return the step below a window's load, and how far it is from there to the next."""
        steps = self.load_rps.sum(axis=1) / self._step_rps
        below = np.minimum(np.floor(steps).astype(np.int64), STEPS)
        return below, steps - below

    @cached_property
    def _per_load(self) -> Floats:
        """Return the promises of a window to a request a second, where they are fewest."""
        each = np.divide(
            self.promises, self.load_rps, out=np.full_like(self.promises, np.inf), where=self.load_rps > 0.0
        ).min(axis=1)
        return np.where(np.isfinite(each), each, 0.0)

    @cached_property
    def _above(self) -> Floats:
        """Return the promises of each window above the fewest to a request, kept as by an idle pool."""
        more: Floats = self.promises.sum(axis=1) - self._per_load * self.load_rps.sum(axis=1)
        return self._idle * np.maximum(more, 0.0)

    @cached_property
    def _idle(self) -> float:
        return float(self.promise.kept[self.tier].max())

    @cached_property
    def _near_load(self) -> Floats:
        """Return for each step of a region's load what of it counts: all of its own, less of what comes from afar."""
        own = np.ceil(self.load_rps / self._step_rps)[:, :, None]
        step = np.arange(STEPS + 2.0)
        near: Floats = np.minimum(step, own) + (1.0 - self.away_fraction) * np.maximum(step - own, 0.0)
        return near * self._step_rps

    @cached_property
    def _best_counts(self) -> tuple[Floats, Floats, Floats]:
        """Return worths, and for each [worth, step] the most that a pool gains on them, its GPU-hours paid.

        First where requests alone fill it to the step, then where deferrable work does.
        """
        room_rps = self.filled_to * self.count * self.promise.most_rps
        filled = np.ceil(room_rps / self._step_rps).astype(np.int64)
        steps = np.arange(max(int(filled[-1]), STEPS + 1) + 2)
        each = float(self.gpu_hours[-1] / max(float(self.fewest[-1]), 1.0))
        worth = np.concatenate(
            [[0.0], each * np.geomspace(CHEAPEST, DEAREST * self.count[-1], WORTHS - 2), [each * BEYOND]]
        )
        alone = np.full((worth.size, STEPS + 2), -np.inf)
        shared = np.full((worth.size, steps.size), -np.inf)
        for n in range(self.count.size):
            kept = self._kept(n, steps[: STEPS + 3] * self._step_rps)
            falls = np.maximum(kept[:-1] - kept[1:], 0.0)
            above = np.maximum(np.append(0.0, falls[:-1]), falls)
            above /= np.where(steps[: STEPS + 2] == 1, 1.0, 4.0 * np.maximum(steps[: STEPS + 2], 1))
            np.maximum(alone, worth[:, None] * (kept[:-1] + above) - self.gpu_hours[n], out=alone)
            to = steps[: filled[n] + 1]
            full = self._kept(n, np.minimum(to * self._step_rps, room_rps[n]))
            np.maximum(shared[:, : to.size], worth[:, None] * full - self.gpu_hours[n], out=shared[:, : to.size])
        return worth, alone, shared

    def _kept(self, n: int, rps: NDArray[Any]) -> Floats:
        return self.promise.kept_fraction(self.tier, np.full_like(rps, self.count[n]), rps)

    def _gained(self, per_request: float) -> Gained:
        """Return what a region gains at a price of a deferrable request, by the worth of its promises and its load."""
        worth, alone, shared = self._best_counts
        requests, steps = self._step_rps * self.window_s * np.arange(shared.shape[1]), alone.shape[1]
        worth_of = shared + per_request * requests
        beyond = steps + worth_of[:, steps:].argmax(axis=1)
        wait = np.column_stack([worth_of[:, 1:steps], worth_of[np.arange(worth.size), beyond]])
        to = np.where(np.arange(1, steps + 1) < steps, np.arange(1, steps + 1), beyond[:, None])
        best = np.maximum.accumulate(wait[:, ::-1], axis=1)[:, ::-1]
        place = np.where(wait >= best, np.arange(steps), steps)
        to = np.take_along_axis(to, np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1], axis=1)
        filled = best - per_request * requests[:steps]
        is_filled = filled > alone
        served = np.where(is_filled, requests[to] - requests[:steps], 0.0)
        return Gained(worth=worth, value=np.where(is_filled, filled, alone), served=served)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gained:
    """What a region gains: ``value`` and deferrable requests ``served`` [worth, step], by the worth of its promises.

    The value is convex in the worth, so that it lies under the lines between the worths that are tried.
    """

    worth: Floats
    value: Floats
    served: Floats

    def at(self, worth: Floats) -> tuple[Floats, Ints, Floats]:
        """Return the values at worths [window, region, step], with the places of those below and the parts beyond."""
        ratio = np.log(self.worth[2] / self.worth[1])
        over = np.log(np.maximum(worth, self.worth[1]) / self.worth[1]) / ratio
        place = np.where(worth < self.worth[1], 0, 1 + np.minimum(over, self.worth.size - 3).astype(np.int64))
        part = (worth - self.worth[place]) / (self.worth[place + 1] - self.worth[place])
        step = np.arange(worth.shape[2])
        found: Floats = (1.0 - part) * self.value[place, step] + part * self.value[place + 1, step]
        return found, place, part

    def brings(self, place: Ints, part: Floats, step: Ints) -> tuple[Floats, Floats]:
        """Return the share kept and the deferrable requests served there."""
        rise = (self.value[place + 1, step] - self.value[place, step]) / (self.worth[place + 1] - self.worth[place])
        served: Floats = (1.0 - part) * self.served[place, step] + part * self.served[place + 1, step]
        return rise, served


def split(value: Floats, totals: Sequence[Ints]) -> list[list[Ints]]:
    """Return for each of ``totals`` [window] the steps of the regions' loads that sum to it and bring the most.

    ``value`` [window, region, step] is what a region brings at a step of its load, the first at none.
    """
    together = [value[:, 0]]  # of the first regions at each step of their load
    for region in range(1, value.shape[1] - 1):
        more = np.full_like(together[-1], -np.inf)
        for step in range(value.shape[2]):
            reach = value.shape[2] - step
            more[:, step:] = np.maximum(more[:, step:], together[-1][:, :reach] + value[:, region, step, None])
        together.append(more)
    return [_traced(value, together, total) for total in totals]


def _traced(value: Floats, together: list[Floats], total: Ints) -> list[Ints]:
    """Return the best step of each region, the last one's first, by what the regions before it bring of the rest."""
    window, own, left, found = np.arange(total.size)[:, None], np.arange(value.shape[2]), total, []
    for region in range(value.shape[1] - 1, 0, -1):
        rest = left[:, None] - own
        sums = np.where(rest >= 0, together[region - 1][window, rest.clip(0)] + value[:, region], -np.inf)
        found.append(sums.argmax(axis=1))
        left = left - found[-1]
    return [left, *reversed(found)]
