"""Why an outlook cannot be laid out: every contradiction between fleet, rates and options, told together."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench.domain import Fleet
from workbench.errors import PlanError, together
from workbench.planning.lookahead.options import Key, LookAhead
from workbench.planning.requirement import unknown_names


def refuse_contradictions(
    fleet: Fleet,
    *,
    requirement: pl.DataFrame,
    known: Mapping[Key, Mapping[str, float]],
    keys: tuple[Key, ...],
    options: LookAhead,
) -> None:
    """Raise PlanError listing what contradicts itself; ``known`` are the rates by (model, gpu), ``keys`` the stock."""
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
    wrong += unknown_names(requirement, fleet)
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
