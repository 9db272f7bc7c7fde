"""What lies ahead, laid out as arrays: work by model, region and window, places where replicas may stand, prices.

Work is counted in units of a model: what a replica of it on its fastest GPU kind sustains. Every coefficient of the
programme is then near one, whatever the models' token rates are, which is what the solver needs.

Axes of the arrays: m models, r regions, t windows, p places (model, region, GPU kind with a rate and stock),
k keys (region, GPU kind with stock), q pairs of regions along which work may flow, c classes of work that may go to the
same regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.planning.lookahead.options import START_KINDS, Key, LookAhead
from workbench.units import SECONDS_PER_HOUR

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """One instance of the look-ahead programme.

    ``unit_input_tps`` [m] is what one unit of work is. ``bound`` and ``pooled`` [m, r, t] are interactive work at
    its peak, ``quiet`` [m, r, t] how much less of both it is on the mean of the window;
    ``arriving`` [m, c, t] deferrable work, ``not_due`` [m, c, t] how much of all that came by the end of a window may
    still wait then, ``waiting_now`` [m, c] what waits at the start. ``class_of`` and ``deferred_class_of`` [r] are the
    classes of a region's interactive and deferrable work. ``rate`` [p] is what a replica serves, in units,
    and ``hold_usd`` [p, t] what it costs for a window when bought on demand.
    """

    options: LookAhead
    starts: tuple[datetime, ...]
    window_s: float
    models: tuple[str, ...]
    regions: tuple[str, ...]
    gpus: tuple[str, ...]
    unit_input_tps: Numbers
    bound: Numbers
    pooled: Numbers
    quiet: Numbers
    arriving: Numbers
    not_due: Numbers
    waiting_now: Numbers
    classes: tuple[frozenset[int], ...]
    class_of: Places
    deferred_class_of: Places
    place_model: Places
    place_region: Places
    place_key: Places
    rate: Numbers
    place_gpus: Places
    serving_now: Places
    lent_now: Places
    keys: tuple[Key, ...]
    stock: Numbers
    quota: Numbers
    reserved: Numbers
    spot: Numbers
    usd_on_demand: Numbers
    usd_spot: Numbers
    usd_reserved: Numbers
    usd_idle: Numbers
    energy_usd: Numbers
    carbon_kg: Numbers
    pairs: Places
    latency_s: Numbers

    @property
    def windows(self) -> int:
        """How many windows are planned."""
        return len(self.starts)

    @property
    def hours(self) -> float:
        """The length of a window in hours."""
        return self.window_s / SECONDS_PER_HOUR

    @property
    def has_spot(self) -> bool:
        """Whether any spot GPU can be bought."""
        return bool(self.spot.any())

    @property
    def deferring(self) -> Places:
        """The models with deferrable work."""
        return np.flatnonzero(self.arriving.any(axis=(1, 2)) | self.waiting_now.any(axis=1))

    @property
    def hold_usd(self) -> Numbers:
        """[p, t] what a replica bought on demand costs in a window, energy included."""
        gpus = self.place_gpus[:, None]
        return gpus * (self.usd_on_demand[self.place_key, None] * self.hours + self.energy_usd[self.place_key])

    @property
    def start_usd(self) -> Numbers:
        """[kind, p] what a start of a kind costs."""
        usd = self.options.start_cost_ratio * self.place_gpus * self.usd_on_demand[self.place_key] / SECONDS_PER_HOUR
        return np.array([self.options.lead_s[kind] * usd for kind in START_KINDS])

    @property
    def lost(self) -> Numbers:
        """[kind, windows since the start] share of the window for which a start cannot serve yet."""
        leads = np.array([self.options.lead_s[kind] for kind in START_KINDS]) / self.window_s
        spans = max(1, int(np.ceil(leads.max() - 1e-9)))
        return np.clip(leads[:, None] - np.arange(spans), 0.0, 1.0)

    @property
    def whole_windows(self) -> int:
        """How many of the first windows are decided in whole replicas."""
        if self.options.integer_hours is None:
            return self.windows
        return min(self.windows, max(1, int(np.ceil(self.options.integer_hours / self.hours - 1e-9))))

    @cached_property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """The names along each axis; d counts the models with deferrable work, v the keys with a reservation."""
        gpu_of = [self.keys[k][1] for k in self.place_key]
        return {
            "p": tuple(
                f"{self.models[m]}|{self.regions[r]}|{gpu}"
                for m, r, gpu in zip(self.place_model, self.place_region, gpu_of, strict=True)
            ),
            "t": tuple(str(t) for t in range(self.windows)),
            "m": self.models,
            "d": tuple(self.models[m] for m in self.deferring),
            "r": self.regions,
            "k": tuple("|".join(key) for key in self.keys),
            "c": tuple(f"c{c}" for c in range(len(self.classes))),
            "q": tuple(f"{self.regions[o]}|{self.regions[r]}" for o, r in self.pairs),
            "v": tuple("|".join(self.keys[k]) for k in np.flatnonzero(self.reserved)),
            "kind": START_KINDS,
        }

    @property
    def floors(self) -> Numbers:
        """[m, r] replicas to keep: the floor, or what the region could hold at most."""
        fits = np.zeros((len(self.models), len(self.regions)))
        np.add.at(fits, (self.place_model, self.place_region), self.stock[self.place_key] // self.place_gpus)
        return np.minimum(self.options.floor_replicas, fits)
