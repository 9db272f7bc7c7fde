"""From a requirement, a fleet and the options to an outlook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.planning.lookahead.options import Key, LookAhead
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.refusing import refuse_contradictions
from workbench.planning.lookahead.working import below_peak, classes_of, deferrable, interactive
from workbench.units import SECONDS_PER_HOUR


def outlook(
    requirement: pl.DataFrame,
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
) -> Outlook:
    """Lay out what must be served and with what; demand as REQUIREMENT, rates as REPLICA_RATES.

    ``waiting`` is deferrable work left from before, in ``input_tps_hours`` (tokens / 3600) with ``serve_by_s`` counted
    from the first window; ``quiet`` (window_start, region, model, input_tps) by how much interactive work is below its
    requirement on the mean of a window. Raises PlanError listing every model without a rate, every missing price,
    everything that requirement or options name and the fleet does not have, and standing replicas over the quota.
    """
    known = {(row["model"], row["gpu"]): row for row in rates.iter_rows(named=True)}
    models, regions = tuple(model.key for model in fleet.models), tuple(region.key for region in fleet.regions)
    keys = tuple(key for key, stock in fleet.stock_gpus.items() if stock > 0)
    refuse_contradictions(fleet, requirement=requirement, known=known, keys=keys, options=options)
    starts = tuple(requirement.get_column("window_start").unique().sort().to_list())
    window_s = tables.window_s_of(requirement) if len(starts) > 1 else SECONDS_PER_HOUR
    unit = np.array([max(row["input_tps"] for (name, _), row in known.items() if name == model) for model in models])
    classes, class_of, deferred_class_of = classes_of(regions, options.residency, defer_at_home=options.defer_at_home)
    bound, pooled = interactive(requirement, fleet.tiers, starts, models, regions, options)
    arriving, not_due, waiting_now = deferrable(
        requirement,
        waiting,
        starts=starts,
        window_s=window_s,
        models=models,
        regions=regions,
        classes=len(classes),
        class_of=deferred_class_of,
    )
    return Outlook(
        options=options,
        starts=starts,
        window_s=window_s,
        models=models,
        regions=regions,
        gpus=tuple(dict.fromkeys(gpu for _, gpu in fleet.stock_gpus)),
        unit_input_tps=unit,
        bound=bound / unit[:, None, None],
        pooled=pooled / unit[:, None, None],
        quiet=below_peak(quiet, bound + pooled, starts, models, regions) / unit[:, None, None],
        arriving=arriving / unit[:, None, None],
        not_due=not_due / unit[:, None, None],
        waiting_now=waiting_now / unit[:, None],
        classes=classes,
        class_of=class_of,
        deferred_class_of=deferred_class_of,
        keys=keys,
        **_places(fleet, known=known, keys=keys, models=models, regions=regions, unit=unit),
        **_pairs(fleet, regions=regions, options=options, allowed=[classes[c] for c in class_of]),
        **_supply(fleet, keys=keys, starts=starts, window_s=window_s, options=options),
    )


def _places(
    fleet: Fleet,
    *,
    known: Mapping[tuple[str, str], Mapping[str, Any]],
    keys: tuple[Key, ...],
    models: tuple[str, ...],
    regions: tuple[str, ...],
    unit: Numbers,
) -> dict[str, Any]:
    """Return where replicas may stand, what one does there, and how many stand there now."""
    places = [
        (m, regions.index(region), k, known[model, gpu])
        for m, model in enumerate(models)
        for k, (region, gpu) in enumerate(keys)
        if (model, gpu) in known
    ]
    names = [(keys[k][0], models[m], keys[k][1]) for m, _, k, _ in places]
    return {
        "place_model": np.array([m for m, *_ in places], dtype=np.int64),
        "place_region": np.array([r for _, r, *_ in places], dtype=np.int64),
        "place_key": np.array([k for *_, k, _ in places], dtype=np.int64),
        "rate": np.array([row["input_tps"] / unit[m] for m, _, _, row in places]),
        "place_gpus": np.array([row["gpus_per_replica"] for *_, row in places], dtype=np.int64),
        "serving_now": np.array([fleet.initial_replicas.get(name, 0) for name in names], dtype=np.int64),
        "lent_now": np.array([fleet.initial_lent_replicas.get(name, 0) for name in names], dtype=np.int64),
    }


def _pairs(
    fleet: Fleet, *, regions: tuple[str, ...], options: LookAhead, allowed: list[frozenset[int]]
) -> dict[str, Any]:
    """Return along which pairs of regions work may flow, its own among them, and how long a message takes there."""
    pairs = [
        (o, r)
        for o, origin in enumerate(regions)
        for r, region in enumerate(regions)
        if o == r or ((options.pairs is None or (origin, region) in options.pairs) and r in allowed[o])
    ]
    return {
        "pairs": np.array(pairs, dtype=np.int64),
        "latency_s": np.array([fleet.network_latency_s.get((regions[o], regions[r]), 0.0) for o, r in pairs]),
    }


def _supply(
    fleet: Fleet, *, keys: tuple[Key, ...], starts: tuple[datetime, ...], window_s: float, options: LookAhead
) -> dict[str, Any]:
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
