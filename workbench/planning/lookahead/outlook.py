"""What lies ahead, laid out as arrays: work by model, region and window, places where replicas may stand, prices.

Work is counted in units of a model: what a replica of it on its fastest GPU kind sustains. Every coefficient of the
programme is then near one, whatever the models' token rates are, which is what the solver needs.

Axes of the arrays: m models, r regions, t windows, p places (model, region, GPU kind with a rate and stock),
k keys (region, GPU kind with stock), q pairs of regions along which work may flow, c classes of origins whose work may
go to the same regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.domain import Fleet, Tier
from workbench.errors import PlanError, together
from workbench.planning.lookahead.options import START_KINDS, Key, LookAhead
from workbench.units import SECONDS_PER_HOUR

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
NEVER_S = 1e12
WAITING = pl.Schema(
    {"region": tables.TEXT, "model": tables.TEXT, "input_tps_hours": tables.NUMBER, "serve_by_s": tables.NUMBER}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """One instance of the look-ahead programme.

    ``unit_input_tps`` [m] is what one unit of work is. ``bound`` and ``pooled`` [m, r, t] are interactive work;
    ``arriving`` [m, c, t] deferrable work, ``not_due`` [m, c, t] how much of all that came by the end of a window may
    still wait then, ``waiting_now`` [m, c] what waits at the start. ``rate`` [p] is what a replica serves, in units,
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
    arriving: Numbers
    not_due: Numbers
    waiting_now: Numbers
    classes: tuple[frozenset[int], ...]
    class_of: Places
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


def outlook(
    requirement: pl.DataFrame,
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    waiting: pl.DataFrame | None = None,
) -> Outlook:
    """Lay out what must be served and with what; demand as REQUIREMENT, rates as REPLICA_RATES.

    ``waiting`` is deferrable work left from before, in ``input_tps_hours`` (tokens / 3600) with ``serve_by_s`` counted
    from the first window. Raises PlanError listing every model without a rate, every missing price, every option that
    names a region or GPU kind the fleet does not have, and standing replicas over the quota.
    """
    known = {(row["model"], row["gpu"]): row for row in rates.iter_rows(named=True)}
    models, regions = tuple(model.key for model in fleet.models), tuple(region.key for region in fleet.regions)
    gpus = tuple(dict.fromkeys(gpu for _, gpu in fleet.stock_gpus))
    keys = tuple(key for key, stock in fleet.stock_gpus.items() if stock > 0)
    places = [
        (m, regions.index(region), k, known[model, gpu])
        for m, model in enumerate(models)
        for k, (region, gpu) in enumerate(keys)
        if (model, gpu) in known
    ]
    _refuse(fleet, known=known, keys=keys, options=options)
    starts = tuple(requirement.get_column("window_start").unique().sort().to_list())
    window_s = tables.window_s_of(requirement) if len(starts) > 1 else SECONDS_PER_HOUR
    unit = np.array([max(row["input_tps"] for (name, _), row in known.items() if name == model) for model in models])
    classes, class_of = _classes(regions, options.residency)
    bound, pooled = _interactive(requirement, fleet.tiers, starts, models, regions, options)
    arriving, not_due, waiting_now = _deferrable(
        requirement, waiting, starts=starts, window_s=window_s, models=models, regions=regions, class_of=class_of
    )
    pairs = [
        (o, r)
        for o, origin in enumerate(regions)
        for r, region in enumerate(regions)
        if o == r or ((options.pairs is None or (origin, region) in options.pairs) and r in classes[class_of[o]])
    ]
    return Outlook(
        options=options,
        starts=starts,
        window_s=window_s,
        models=models,
        regions=regions,
        gpus=gpus,
        unit_input_tps=unit,
        bound=bound / unit[:, None, None],
        pooled=pooled / unit[:, None, None],
        arriving=arriving / unit[:, None, None],
        not_due=not_due / unit[:, None, None],
        waiting_now=waiting_now / unit[:, None],
        classes=classes,
        class_of=class_of,
        place_model=np.array([m for m, *_ in places], dtype=np.int64),
        place_region=np.array([r for _, r, *_ in places], dtype=np.int64),
        place_key=np.array([k for *_, k, _ in places], dtype=np.int64),
        rate=np.array([row["input_tps"] / unit[m] for m, _, _, row in places]),
        place_gpus=np.array([row["gpus_per_replica"] for *_, row in places], dtype=np.int64),
        serving_now=_standing(fleet.initial_replicas, places, models, keys),
        lent_now=_standing(fleet.initial_lent_replicas, places, models, keys),
        keys=keys,
        pairs=np.array(pairs, dtype=np.int64),
        latency_s=np.array([fleet.network_latency_s.get((regions[o], regions[r]), 0.0) for o, r in pairs]),
        **_supply(fleet, keys=keys, starts=starts, window_s=window_s, options=options),
    )


def _supply(
    fleet: Fleet, *, keys: tuple[Key, ...], starts: tuple[datetime, ...], window_s: float, options: LookAhead
) -> dict[str, Numbers]:
    stock = np.array([float(fleet.stock_gpus[key]) for key in keys])
    usd = np.array([fleet.usd_per_gpu_hour[key] for key in keys])
    drawn_kwh = [options.kw_per_gpu.get(gpu, 0.0) * window_s / SECONDS_PER_HOUR for _, gpu in keys]
    of_day = [start.hour for start in starts]

    def hourly(name: str) -> Numbers:
        found = [getattr(options.energy[region], name) if region in options.energy else (0.0,) for region, _ in keys]
        return np.array([[row[hour % len(row)] for hour in of_day] for row in found]).reshape(len(keys), len(starts))

    def spot(key: Key) -> Numbers:
        return np.resize(np.atleast_1d(np.asarray(options.spot_gpus.get(key, 0.0), dtype=float)), len(starts))

    kwh = np.array(drawn_kwh)[:, None]
    carbon = kwh * hourly("carbon_kg_per_kwh")
    reserved = np.array([float(options.reserved_gpus.get(key, 0)) for key in keys])
    return {
        "stock": stock,
        "reserved": reserved,
        "quota": np.array([float(options.quota_gpus.get(key, fleet.stock_gpus[key])) for key in keys]),
        "spot": np.array([spot(key) for key in keys]).reshape(len(keys), len(starts)),
        "usd_on_demand": usd,
        "usd_spot": np.array([options.spot_usd_per_gpu_hour.get(key, 0.0) for key in keys]),
        "usd_reserved": np.array([options.reserved_usd_per_gpu_hour.get(key, 0.0) for key in keys]),
        "usd_idle": np.array([options.idle_usd_per_gpu_hour.get(key, 0.0) for key in keys]),
        "energy_usd": kwh * hourly("usd_per_kwh") + options.carbon_usd_per_kg * carbon,
        "carbon_kg": carbon,
    }


def _standing(
    counts: Mapping[tuple[str, str, str], int],
    places: list[tuple[int, int, int, dict[str, float]]],
    models: tuple[str, ...],
    keys: tuple[Key, ...],
) -> Places:
    return np.array([counts.get((keys[k][0], models[m], keys[k][1]), 0) for m, _, k, _ in places], dtype=np.int64)


def _classes(
    regions: tuple[str, ...], residency: Mapping[str, frozenset[str]]
) -> tuple[tuple[frozenset[int], ...], Places]:
    """Return the sets of regions that work may go to, and which of them each origin has."""
    allowed = [
        frozenset(r for r, region in enumerate(regions) if region in residency[origin] or region == origin)
        if origin in residency
        else frozenset(range(len(regions)))
        for origin in regions
    ]
    classes = tuple(dict.fromkeys(allowed))
    return classes, np.array([classes.index(one) for one in allowed], dtype=np.int64)


def _cube(
    frame: pl.DataFrame, starts: tuple[datetime, ...], models: tuple[str, ...], regions: tuple[str, ...]
) -> Numbers:
    """Return the input rates of rows as [m, r, t]."""
    cube = np.zeros((len(models), len(regions), len(starts)))
    when = {start: t for t, start in enumerate(starts)}
    index = [
        frame.get_column(name).replace_strict(places, return_dtype=pl.Int64).to_numpy()
        for name, places in (
            ("model", {key: i for i, key in enumerate(models)}),
            ("region", {key: i for i, key in enumerate(regions)}),
            ("window_start", when),
        )
    ]
    np.add.at(cube, tuple(index), frame.get_column("input_tps").to_numpy())
    return cube


def _interactive(
    requirement: pl.DataFrame,
    tiers: tuple[Tier, ...],
    starts: tuple[datetime, ...],
    models: tuple[str, ...],
    regions: tuple[str, ...],
    options: LookAhead,
) -> tuple[Numbers, Numbers]:
    tight = bound_tiers(tiers, options)
    interactive = requirement.filter(~pl.col("is_deferrable"))
    is_bound = pl.col("tier").is_in(tight)
    return (
        _cube(interactive.filter(is_bound), starts, models, regions),
        _cube(interactive.filter(~is_bound), starts, models, regions),
    )


def bound_tiers(tiers: tuple[Tier, ...], options: LookAhead) -> list[str]:
    """Return the tiers whose work is sent along flows, because their first token cannot wait."""
    return [tier.key for tier in tiers if tier.ttft_slo_s is not None and tier.ttft_slo_s < options.bound_below_ttft_s]


def _deferrable(
    requirement: pl.DataFrame,
    waiting: pl.DataFrame | None,
    *,
    starts: tuple[datetime, ...],
    window_s: float,
    models: tuple[str, ...],
    regions: tuple[str, ...],
    class_of: Places,
) -> tuple[Numbers, Numbers, Numbers]:
    """Return what arrives, what may still wait at a window's end, and what waits now, in tokens/s times windows.

    Work counts as coming at the start of its window and is due when a window in which it could still be served ends
    after its deadline; a deadline shorter than the window counts as the window's end.
    """
    classes = int(class_of.max()) + 1
    shape = (len(models), classes, len(starts))
    arriving, not_due, now = np.zeros(shape), np.zeros(shape), np.zeros(shape[:2])
    work = requirement.filter("is_deferrable").with_columns(pl.col("serve_by_s").fill_null(NEVER_S))
    for (serve_by_s,), rows in sorted(work.partition_by("serve_by_s", as_dict=True).items()):
        came = np.zeros(shape)
        for r in range(len(regions)):
            came[:, class_of[r]] += _cube(rows, starts, models, regions)[:, r]
        spans = max(1, int(float(serve_by_s) / window_s + 1e-9))
        total = np.cumsum(came, axis=2)
        due = np.zeros(shape)
        due[:, :, spans - 1 :] = total[:, :, : max(0, len(starts) - spans + 1)]
        arriving += came
        not_due += total - due
    for row in (
        ()
        if waiting is None
        else waiting.select(pl.col(name).cast(kind) for name, kind in WAITING.items()).iter_rows(named=True)
    ):
        place = models.index(row["model"]), class_of[regions.index(row["region"])]
        amount = row["input_tps_hours"] * SECONDS_PER_HOUR / window_s
        now[place] += amount
        spans = max(1, int(row["serve_by_s"] / window_s + 1e-9))
        not_due[(*place, slice(0, spans - 1))] += amount
    return arriving, not_due, now


def _refuse(
    fleet: Fleet, *, known: Mapping[Key, Mapping[str, float]], keys: tuple[Key, ...], options: LookAhead
) -> None:
    rated = {model for model, _ in known}
    wrong = [
        f"model {model.key} has no replica rate on any GPU kind; give its rates or leave the model out"
        for model in fleet.models
        if not any((model.key, gpu) in known for _, gpu in keys)
    ]
    wrong += [
        f"{count} replica(s) of {model} stand on {gpu} in {region}, but there is no rate or stock for it"
        for counts in (fleet.initial_replicas, fleet.initial_lent_replicas)
        for (region, model, gpu), count in counts.items()
        if count and ((model, gpu) not in known or (region, gpu) not in keys) and model in rated
    ]
    wrong += [
        f"{gpu} in {region} has stock but no price; set usd_per_gpu_hour"
        for region, gpu in keys
        if (region, gpu) not in fleet.usd_per_gpu_hour
    ]
    wrong += [f"the price of {key} is negative" for key, usd in fleet.usd_per_gpu_hour.items() if usd < 0]
    wrong += _wrong_names(fleet, options)
    wrong += _wrong_supply(fleet, known, options)
    if wrong:
        raise PlanError("the look-ahead plan: " + together(wrong))


def _wrong_names(fleet: Fleet, options: LookAhead) -> list[str]:
    regions = {region.key for region in fleet.regions}
    named = {"residency": {*options.residency, *(r for to in options.residency.values() for r in to)}}
    named |= {"energy": set(options.energy), "pairs": {r for pair in options.pairs or () for r in pair}}
    wrong = [
        f"{name} names region '{region}', which the fleet does not have"
        for name, found in named.items()
        for region in sorted(found - regions)
    ]
    return wrong + [
        f"{name} names {key}, of which the fleet has no stock"
        for name in ("quota_gpus", "reserved_gpus", "spot_gpus")
        for key in getattr(options, name)
        if key not in fleet.stock_gpus
    ]


def _wrong_supply(fleet: Fleet, known: Mapping[Key, Mapping[str, float]], options: LookAhead) -> list[str]:
    used: dict[Key, float] = {}
    for (region, model, gpu), count in fleet.initial_replicas.items():
        if (model, gpu) in known:
            used[region, gpu] = used.get((region, gpu), 0) + count * known[model, gpu]["gpus_per_replica"]
    wrong = [
        f"{gpus:g} GPUs of {key[1]} serve in {key[0]} but reserved and quota allow {quota:g}, and stops are limited"
        for key, gpus in used.items()
        for quota in [options.quota_gpus.get(key, fleet.stock_gpus.get(key, 0)) + options.reserved_gpus.get(key, 0)]
        if gpus > quota and options.stops_per_window is not None
    ]
    for key, count in options.reserved_gpus.items():
        if count > fleet.stock_gpus.get(key, 0):
            wrong.append(
                f"{count:,} GPUs of {key[1]} are reserved in {key[0]}, its stock is {fleet.stock_gpus.get(key, 0):,}"
            )
        if options.idle_usd_per_gpu_hour.get(key, 0.0) > fleet.usd_per_gpu_hour.get(key, 0.0):
            wrong.append(f"idle GPUs of {key} earn more than buying them on demand costs")
    return wrong
