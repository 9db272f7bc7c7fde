"""A trial: one pool of some replicas under a load that is known, drawn once as requests that both engines take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Policy, Replica, TokenMix
from workbench.errors import SimulationError, nearest
from workbench.simulation.agreement.drawing import Lengths, arrivals, mix_of, moments_of, requests_at
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

START = datetime(2026, 1, 5)
SHORTEST_S, LIVES = 900.0, 18.0  # a trial lasts at least so long, and so many times as long as a request
RELAXATIONS = 12.0  # and so many times as long as a pool takes to forget that it was empty
#: A pool that stays as it is: no signal is ever above 1 or below 0.
STILL = Policy(
    key="still",
    label="Still",
    route_below_fraction=1.0,
    scale_out_above_fraction=1.0,
    scale_in_below_fraction=0.0,
    floor_replicas=0,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One pool and the requests that come to it from ``START`` on.

    ``load_fraction`` is their mean rate over the most that the pool can take; the fleet's mix is that of the requests
    that were drawn, with their dispersion at 1 s.
    """

    fleet: Fleet
    requests: pl.DataFrame
    hours: float
    replicas: int
    load_fraction: float
    cv_square: float


def chosen(fleet: Fleet, model: str | None, gpu: str | None) -> Replica:
    """Return the fleet's first replica of that model and GPU kind, null meaning any.

    Raises SimulationError where it has none.
    """
    fitting = [one for one in fleet.replicas if model in (None, one.model) and gpu in (None, one.gpu)]
    if not fitting:
        wanted = f"{model or 'any model'} on {gpu or 'any GPU'}"
        pairs = [f"{one.model} on {one.gpu}" for one in fleet.replicas]
        raise SimulationError(f"the fleet has no {wanted}: {nearest(wanted, pairs)}.")
    return fitting[0]


def alone(fleet: Fleet, replica: Replica, *, replicas: int, mix: TokenMix) -> Fleet:
    """Return a fleet of one pool of so many replicas, and no GPU beside them, in the first region of a fleet.

    It serves one model to the fleet's first tier that cannot wait. Raises SimulationError where every tier can.
    """
    interactive = [tier for tier in fleet.tiers if not tier.deferrable]
    if not interactive:
        raise SimulationError("every tier of the fleet is deferrable, and none of those has a time to first token.")
    region, place = fleet.regions[0], (fleet.regions[0].key, replica.gpu)
    return replace(
        fleet,
        regions=(region,),
        models=tuple(model for model in fleet.models if model.key == replica.model),
        tiers=(interactive[0],),
        replicas=(replica,),
        mixes={replica.model: mix},
        stock_gpus={place: replicas * replica.gpus},
        initial_replicas={(region.key, replica.model, replica.gpu): replicas},
        initial_lent_replicas={},
        usd_per_gpu_hour={place: fleet.usd_per_gpu_hour.get(place, 0.0)},
        network_latency_s={(region.key, region.key): 0.0},
    )


def steady(
    fleet: Fleet,
    replica: Replica,
    lengths: Lengths,
    *,
    replicas: int,
    load_fraction: float,
    cv_square: float = 1.0,
    least_requests: int = 40_000,
    seed: Sequence[int] = (7,),
) -> Trial:
    """Draw a constant load for as long as it takes to bring so many requests, and at least a quarter of an hour.

    A pool near its limit takes longer to fill than a request takes: a change dies out with the life of a request times
    the iteration over that of an empty batch (mu' of simulation.md section 3), four times as slowly at nine tenths.
    """
    mix = moments_of(lengths, dispersion=cv_square)
    most = performance.max_rps(replica, mix)
    if not (replicas >= 1 and load_fraction > 0.0):
        raise SimulationError(f"a trial needs a replica and some load; got {replicas} and {load_fraction}.")
    rps = load_fraction * replicas * most
    itl_s = performance.steady_state(replica, mix, min(load_fraction, 1.0) * most).itl_s
    lives = max(LIVES, RELAXATIONS * itl_s / replica.decode_base_s)
    seconds = max(SHORTEST_S, least_requests / rps, lives * itl_s * mix.output_tokens)
    minutes = math.ceil(seconds / SECONDS_PER_MINUTE)
    drawn = following(
        fleet,
        replica,
        lengths,
        replicas=replicas,
        loads=np.full(minutes, load_fraction),
        window_s=SECONDS_PER_MINUTE,
        cv_square=cv_square,
        seed=seed,
    )
    return replace(drawn, load_fraction=load_fraction)  # as it was asked for, not as a mean rounds it


def burst(
    fleet: Fleet,
    replica: Replica,
    lengths: Lengths,
    *,
    replicas: int,
    load_fraction: float,
    peak_fraction: float,
    minutes: int = 40,
    first_minute: int = 15,
    burst_minutes: int = 5,
    seed: Sequence[int] = (7,),
) -> Trial:
    """Draw a constant load with one burst: so many minutes at ``peak_fraction`` of the most that the pool can take."""
    loads = np.full(minutes, load_fraction)
    loads[first_minute : first_minute + burst_minutes] = peak_fraction
    return following(fleet, replica, lengths, replicas=replicas, loads=loads, window_s=SECONDS_PER_MINUTE, seed=seed)


def following(
    fleet: Fleet,
    replica: Replica,
    lengths: Lengths,
    *,
    replicas: int,
    loads: NDArray[np.float64],
    window_s: float,
    cv_square: float = 1.0,
    seed: Sequence[int] = (7,),
) -> Trial:
    """Draw a load that is given window by window, as a share of the most that the pool can take."""
    rng = np.random.default_rng(list(seed))
    usual = moments_of(lengths, dispersion=cv_square)
    rps = np.asarray(loads) * replicas * performance.max_rps(replica, usual)
    bare = alone(fleet, replica, replicas=replicas, mix=usual)
    requests = requests_at(
        arrivals(rng, rps, window_s, cv_square=cv_square),
        lengths,
        rng,
        start=START,
        region=bare.regions[0].key,
        model=replica.model,
        tier=bare.tiers[0].key,
    )
    return Trial(
        fleet=replace(bare, mixes={replica.model: mix_of(requests)}),
        requests=requests,
        hours=len(loads) * window_s / SECONDS_PER_HOUR,
        replicas=replicas,
        load_fraction=float(np.mean(loads)),
        cv_square=cv_square,
    )
