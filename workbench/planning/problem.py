"""One hour of the capacity programme as a frozen value, and where its numbers come from.

Symbols are those of sageserve.md section 6.1: n current counts, D demand, theta the rate of a replica, alpha the price
of holding a replica for the hour, sigma the price of starting one, epsilon the share of a region's own peak that must
be servable there. A place is one cell (region, model, GPU kind) where replicas may stand: the region has stock of the
kind and the model has a rate on it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from workbench.domain import Fleet
from workbench.errors import PlanError, together
from workbench.units import SECONDS_PER_HOUR

Place = tuple[str, str, str]
Pool = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What one hour's programme is made of.

    Keys: places are (region, model, gpu); demand is by (region, model); theta and ``gpus_per_replica`` by
    (model, gpu); stock by (region, gpu). Rates in input tokens per second, money in USD for the whole plan window.
    """

    replicas_now: Mapping[Place, int]
    demand_input_tps: Mapping[Pool, float]
    theta_input_tps: Mapping[tuple[str, str], float]
    gpus_per_replica: Mapping[tuple[str, str], int]
    stock_gpus: Mapping[tuple[str, str], int]
    hold_usd: Mapping[Place, float]
    start_usd: Mapping[Place, float]
    epsilon_fraction: float
    floor_replicas: int

    def __post_init__(self) -> None:
        wrong = [
            f"demand of {pool} must not be negative, got {tps}"
            for pool, tps in self.demand_input_tps.items()
            if not tps >= 0
        ]
        wrong += [
            f"theta of {key} must be positive, got {tps}" for key, tps in self.theta_input_tps.items() if tps <= 0
        ]
        wrong += [f"{place} has a negative count {now}" for place, now in self.replicas_now.items() if now < 0]
        wrong += [
            f"{place} lacks a stock, theta or price"
            for place in self.replicas_now
            if (place[0], place[2]) not in self.stock_gpus
            or place[1:] not in self.theta_input_tps
            or not {place} <= self.hold_usd.keys() & self.start_usd.keys()
        ]
        if not 0 <= self.epsilon_fraction <= 1:
            wrong.append(f"epsilon_fraction must lie in 0-1, got {self.epsilon_fraction}")
        if self.floor_replicas < 0:
            wrong.append(f"floor_replicas must be 0 or more, got {self.floor_replicas}")
        if wrong:
            raise PlanError("the capacity programme: " + together(wrong))

    @property
    def places(self) -> tuple[Place, ...]:
        """Every cell where replicas may stand."""
        return tuple(self.replicas_now)

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the programme."""
        return tuple(self.total_input_tps)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Every (region, model)."""
        return tuple(self.demand_input_tps)

    def of_model(self, model: str) -> Problem:
        """Return the part of the programme that is about one model, with all of the stock to itself."""
        places = {place: now for place, now in self.replicas_now.items() if place[1] == model}
        return dataclasses.replace(
            self,
            replicas_now=places,
            demand_input_tps={pool: tps for pool, tps in self.demand_input_tps.items() if pool[1] == model},
            theta_input_tps={key: tps for key, tps in self.theta_input_tps.items() if key[0] == model},
        )

    def with_ample_stock(self) -> Problem:
        """Return the programme with a stock that never binds."""
        fewest = {key: min(self.theta(place) for place in places) for key, places in self.places_by_stock.items()}
        most = {
            key: sum(
                self.gpus(place) * (math.ceil(self.total_input_tps[place[1]] / fewest[key]) + self.floor_replicas)
                for place in places
            )
            for key, places in self.places_by_stock.items()
        }
        return dataclasses.replace(self, stock_gpus=most)

    def used_gpus(self, replicas: Mapping[Place, int]) -> dict[tuple[str, str], int]:
        """Return the GPUs that counts of replicas occupy, by (region, gpu)."""
        return {
            key: sum(self.gpus(place) * replicas[place] for place in places if place in replicas)
            for key, places in self.places_by_stock.items()
        }

    def fits(self, replicas: Mapping[Place, int]) -> bool:
        """Return whether counts of replicas fit the stock."""
        return all(used <= self.stock_gpus[key] for key, used in self.used_gpus(replicas).items())

    def places_of(self, model: str, region: str | None = None) -> tuple[Place, ...]:
        """Return the places of a model, in one region or in all."""
        return self._places_of.get((model, region), ())

    @cached_property
    def _places_of(self) -> Mapping[tuple[str, str | None], tuple[Place, ...]]:
        found: dict[tuple[str, str | None], list[Place]] = {}
        for place in self.places:
            for key in ((place[1], place[0]), (place[1], None)):
                found.setdefault(key, []).append(place)
        return {key: tuple(places) for key, places in found.items()}

    @cached_property
    def places_by_stock(self) -> Mapping[tuple[str, str], tuple[Place, ...]]:
        """The places that share the GPUs of a (region, gpu)."""
        found: dict[tuple[str, str], list[Place]] = {}
        for place in self.places:
            found.setdefault((place[0], place[2]), []).append(place)
        return {key: tuple(places) for key, places in found.items()}

    @cached_property
    def total_input_tps(self) -> Mapping[str, float]:
        """The peaks of a model in all regions together."""
        totals: dict[str, float] = {}
        for (_, model), tps in self.demand_input_tps.items():
            totals[model] = totals.get(model, 0.0) + tps
        return totals

    def theta(self, place: Place) -> float:
        """Return what one replica there sustains, in input tokens per second."""
        return self.theta_input_tps[place[1], place[2]]

    def gpus(self, place: Place) -> int:
        """Return the GPUs one replica there occupies."""
        return self.gpus_per_replica[place[1], place[2]]

    def floor(self, pool: Pool) -> int:
        """Return the replicas to keep of a model in a region: the floor, or what the region could hold at most."""
        fits = sum(
            self.stock_gpus[place[0], place[2]] // self.gpus(place) for place in self.places_of(pool[1], pool[0])
        )
        return min(self.floor_replicas, fits)

    def capacity(self, replicas: Mapping[Place, int], model: str, region: str | None = None) -> float:
        """Return the input tokens per second that counts of replicas sustain for a model, in one region or in all."""
        return sum(self.theta(place) * replicas[place] for place in self.places_of(model, region))


def standing_problem(
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    epsilon_fraction: float,
    floor_replicas: int,
    plan_window_s: float,
    start_s: float,
) -> Problem:
    """Return the programme of a fleet before the first hour: initial counts, prices and stock, no demand yet.

    Raises PlanError listing every model without a rate, every standing replica without one and every price that
    is missing or negative.
    """
    known = {(row["model"], row["gpu"]): row for row in rates.iter_rows(named=True)}
    places = [
        (region.key, model.key, gpu)
        for region in fleet.regions
        for model in fleet.models
        for name, gpu in known
        if name == model.key and fleet.stock_gpus.get((region.key, gpu), 0) > 0
    ]
    _refuse(fleet, known=set(known), places=places)
    hour_usd = {
        place: known[place[1:]]["gpus_per_replica"] * fleet.usd_per_gpu_hour[place[0], place[2]] for place in places
    }
    return Problem(
        replicas_now={place: fleet.initial_replicas.get(place, 0) for place in places},
        demand_input_tps={(region.key, model.key): 0.0 for region in fleet.regions for model in fleet.models},
        theta_input_tps={key: row["input_tps"] for key, row in known.items()},
        gpus_per_replica={key: row["gpus_per_replica"] for key, row in known.items()},
        stock_gpus={(place[0], place[2]): fleet.stock_gpus[place[0], place[2]] for place in places},
        hold_usd={place: usd * plan_window_s / SECONDS_PER_HOUR for place, usd in hour_usd.items()},
        start_usd={place: usd * start_s / SECONDS_PER_HOUR for place, usd in hour_usd.items()},
        epsilon_fraction=epsilon_fraction,
        floor_replicas=floor_replicas,
    )


def _refuse(fleet: Fleet, *, known: set[tuple[str, str]], places: list[Place]) -> None:
    rated = {model for model, _ in known}
    wrong = [
        f"model {model.key} has no replica rate on any GPU kind; give its rates or leave the model out"
        for model in fleet.models
        if model.key not in rated
    ]
    wrong += [
        f"{count} replica(s) of {model} stand on {gpu} in {region}, but there is no rate for {model} on {gpu}"
        for (region, model, gpu), count in fleet.initial_replicas.items()
        if count and (region, model, gpu) not in places
    ]
    unpriced = sorted({(region, gpu) for region, _, gpu in places} - set(fleet.usd_per_gpu_hour))
    wrong += [f"{gpu} in {region} has stock but no price; set usd_per_gpu_hour" for region, gpu in unpriced]
    wrong += [
        f"the price of {gpu} in {region} is negative"
        for (region, gpu), usd in fleet.usd_per_gpu_hour.items()
        if usd < 0
    ]
    if not places and not wrong:
        wrong.append("no region has stock of a GPU kind that a model runs on; raise stock_gpus")
    if wrong:
        raise PlanError("the fleet cannot be planned: " + together(wrong))
