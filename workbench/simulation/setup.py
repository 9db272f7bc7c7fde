"""Turn fleet, policy and plan into the arrays an engine runs on, and refuse what describes no possible system."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Policy, Replica
from workbench.errors import SimulationError
from workbench.results import CapacityPlan
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.expectations import surprise_of
from workbench.simulation.fluid.correcting import no_correction
from workbench.simulation.fluid.paces import pace_of
from workbench.simulation.fluid.shapes import shapes_of
from workbench.simulation.loads import Laid, Span, windows_per_mean
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = NDArray[np.float64]
NO_ROUTE_S = 1e9


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Where a pool stands and what it serves; ``ready`` and ``lent`` are its replicas at the start."""

    region: str
    model: str
    gpu: str
    silo: int
    gpus_per_replica: int
    usd_per_gpu_hour: float
    ready: int
    lent: int


def pools_of(fleet: Fleet, policy: Policy) -> list[Pool]:
    """Return every pool of the fleet under the policy, with the same total at the start whatever the policy.

    A siloed fleet splits each pool into sides by the policy's shares, each at the floor where there are enough; what
    the floors need beyond the ready replicas comes out of the lent ones. Without a deferrable tier there is nothing to
    split.
    """
    is_split = policy.siloed and any(tier.deferrable for tier in fleet.tiers)
    pools = []
    for region in fleet.regions:
        for replica in fleet.replicas:
            if fleet.stock_gpus.get((region.key, replica.gpu), 0) < replica.gpus:
                continue
            key = (region.key, replica.model, replica.gpu)
            ready, lent = fleet.initial_replicas.get(key, 0), fleet.initial_lent_replicas.get(key, 0)
            sides = _sides(policy, ready, lent) if is_split else [(r.SHARED, ready, lent)]
            pools += [
                Pool(
                    region=region.key,
                    model=replica.model,
                    gpu=replica.gpu,
                    silo=silo,
                    gpus_per_replica=replica.gpus,
                    usd_per_gpu_hour=fleet.usd_per_gpu_hour[region.key, replica.gpu],
                    ready=side_ready,
                    lent=side_lent,
                )
                for silo, side_ready, side_lent in sides
            ]
    if not pools:
        raise SimulationError("no region holds enough GPUs for one replica of any model; raise the stock of GPUs.")
    return pools


def _sides(policy: Policy, ready: int, lent: int) -> list[tuple[int, int, int]]:
    """Return silo, ready and lent replicas of every side of a siloed pool; the interactive side takes what is left."""
    others = {r.DEFERRABLE: policy.deferrable_share}
    if policy.silos == 3:
        others[r.MIXED] = policy.mixed_share  # after the batch pool: what waits is offered to the pools in their order
    floor, total = policy.floor_replicas, ready + lent
    most = total // (1 + len(others))
    serving = {silo: min(max(round(ready * share), floor), most) for silo, share in others.items()}
    taken = sum(serving.values())
    chat = min(max(ready - taken, floor), total - taken)
    spare = left = total - taken - chat
    sides = []
    for silo, share in others.items():
        part = min(round(spare * share), left)
        left -= part
        sides.append((silo, serving[silo], part))
    return [(r.INTERACTIVE, chat, left), *sides]


def _targets(plan: CapacityPlan | None, pools: Sequence[Pool], span: Span) -> NDArray[np.int64]:
    """Return the plan's replicas per hour and pool, -1 where no plan is followed."""
    target = np.full((span.hours, len(pools)), -1, dtype=np.int64)
    if plan is None:
        return target
    place = {(pool.region, pool.model, pool.gpu): i for i, pool in enumerate(pools)}
    totals = plan.allocation.group_by("window_start", "region", "model", "gpu").agg(pl.col("replicas").sum())
    for window_start, region, model, gpu, replicas in totals.iter_rows():
        hour = (window_start - span.start).total_seconds() / SECONDS_PER_HOUR
        if 0 <= hour < span.hours and hour == int(hour) and (region, model, gpu) in place:
            target[int(hour), place[region, model, gpu]] = replicas
    holes = np.argwhere(target < 0)
    if holes.size:
        hour, pool_index = holes[0]
        pool = pools[pool_index]
        raise SimulationError(
            f"the plan has no replicas for {pool.model} on {pool.gpu} in {pool.region} in hour {hour} from "
            f"{span.start:%Y-%m-%d %H:%M} ({len(holes):,} such holes); plan the whole simulated span, hour by hour."
        )
    return target


def inputs_of(
    laid: Laid,
    *,
    fleet: Fleet,
    policy: Policy,
    pools: Sequence[Pool],
    span: Span,
    plan: CapacityPlan | None,
    expected: pl.DataFrame | None,
    correction: Floats | None = None,
) -> state.Inputs:
    """Return the arrays of everything that does not change while the span is simulated."""
    regions = [region.key for region in fleet.regions]
    models = [model.key for model in fleet.models]
    network = np.array([[fleet.network_latency_s.get((h, to), NO_ROUTE_S) for to in regions] for h in regions])
    wrong = np.argwhere(~(network >= 0))
    if wrong.size:
        h, to = wrong[0]
        raise SimulationError(
            f"the network latency from {regions[h]} to {regions[to]} is {network[h, to]} s; give seconds from nought "
            "up, or none where there is no route."
        )
    replicas = [fleet.replica(pool.model, pool.gpu) for pool in pools]
    pools_in = _pools_in(pools, regions, models)
    preference = _preference(network, silos=pools_in.shape[2] // len(regions))
    refuse_cut_off(laid.rps.sum(axis=0), fleet, preference, pools_in)
    return state.Inputs(
        step_s=span.step_s,
        demand_steps=int(span.demand_window_s / span.step_s),
        mean_steps=windows_per_mean(span.demand_window_s) * int(span.demand_window_s / span.step_s),
        window_steps=int(span.window_s / span.step_s),
        latency_steps=max(int(min(SECONDS_PER_MINUTE, span.window_s, span.demand_window_s) / span.step_s), 1),
        rps=laid.rps,
        shed_rps=laid.shed_rps,
        prompt_mean=laid.prompt_mean,
        output_mean=laid.output_mean,
        noise_seen=np.clip(laid.noise_seen, 0.0, 1.0)[
            [regions.index(pool.region) for pool in pools], [models.index(pool.model) for pool in pools]
        ],
        deferrable=np.array([int(tier.deferrable) for tier in fleet.tiers]),
        deferred=np.array([k for k, tier in enumerate(fleet.tiers) if tier.deferrable], dtype=np.int64),
        promise_s=np.array(
            [float((tier.deadline_s if tier.deferrable else tier.ttft_slo_s) or r.NEVER) for tier in fleet.tiers]
        ),
        preference=preference,
        network_s=network,
        nearest=nearest_of(preference, pools_in),
        hosts=hosts_of(preference, pools_in),
        homes=homes_of(nearest_of(preference, pools_in), hosts_of(preference, pools_in), pools_in, fleet, len(pools)),
        silos=pools_in.shape[2] // len(regions),
        pools_in=pools_in,
        siloed=policy.silos == 2,
        prompt_grid=np.array([_prompt_table(one) * pace_of(one, fleet.mixes[one.model]).mean for one in replicas]),
        target=_targets(plan if policy.needs_plan else None, pools, span),
        observed_over_forecast=surprise_of(laid, expected, fleet, span, policy),
        correction=no_correction(len(pools)) if correction is None else correction,
        shapes=shapes_of([fleet.mixes[key] for key in models]),
    )


@functools.cache
def _prompt_table(replica: Replica) -> Floats:
    """Return the marginal seconds per prompt token of a replica, over log2 of the prompt's length."""
    lengths = 2.0 ** (np.arange(state.PROMPT_GRID) / 4.0)
    return np.array([performance.prompt_s_per_token(replica, float(length)) for length in lengths])


def _preference(network: Floats, *, silos: int) -> NDArray[np.int64]:
    """Return the places that each origin has a route to, nearest region first, in each its ``silos`` one by one."""
    order = np.argsort(network, axis=1, kind="stable")
    has_route = np.take_along_axis(network, order, axis=1) < NO_ROUTE_S
    places = order[..., None] * silos + np.arange(silos)
    return np.where(has_route[..., None], places, -1).reshape(len(network), -1)


def _pools_in(pools: Sequence[Pool], regions: Sequence[str], models: Sequence[str]) -> NDArray[np.int64]:
    """Return the pools that may take a model's interactive (0) or deferrable (1) requests, by place, padded.

    A place is a region; beside mixed pools, which both kinds overflow into, a region has two of them.
    """
    serves = {r.SHARED: (0, 1), r.INTERACTIVE: (0,), r.DEFERRABLE: (1,), r.MIXED: (0, 1)}
    silos = 2 if any(pool.silo == r.MIXED for pool in pools) else 1
    width = max(Counter((pool.region, pool.model) for pool in pools).values(), default=0)
    table = np.full((len(models), 2, len(regions) * silos, max(width, 1) + 1), -1, dtype=np.int64)
    for i, pool in enumerate(pools):
        place = regions.index(pool.region) * silos + (1 if pool.silo == r.MIXED else 0)
        for kind in serves[pool.silo]:
            row = table[models.index(pool.model), kind, place]
            row[int((row >= 0).sum())] = i
    for model, region_pools in zip(models, table, strict=True):
        if (region_pools < 0).all():
            raise SimulationError(f"model {model} stands in no region; give some region GPUs that fit it.")
    return table


def hosts_of(preference: NDArray[np.int64], pools_in: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the nearest region that hosts a model for deferrable requests, by origin and model; -1 for none."""
    origins, silos = len(preference), pools_in.shape[2] // len(preference)
    hosts = np.full((origins, len(pools_in)), -1, dtype=np.int64)
    for h in range(origins):
        for m in range(len(pools_in)):
            reached = (place // silos for place in preference[h] if place >= 0 and pools_in[m, 1, place, 0] >= 0)
            hosts[h, m] = next(reached, -1)
    return hosts


def nearest_of(preference: NDArray[np.int64], pools_in: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the one pool of the nearest place that serves interactive requests of a model, by origin and model.

    It is -1 where several pools share what comes to that place, or none is in reach.
    """
    nearest = np.full((len(preference), len(pools_in)), -1, dtype=np.int64)
    for h in range(len(preference)):
        for m in range(len(pools_in)):
            reached = (pools_in[m, 0, place] for place in preference[h] if place >= 0 and pools_in[m, 0, place, 0] >= 0)
            pools = next(reached, None)
            if pools is not None and pools[1] < 0:
                nearest[h, m] = pools[0]
    return nearest


def homes_of(
    nearest: NDArray[np.int64], hosts: NDArray[np.int64], pools_in: NDArray[np.int64], fleet: Fleet, pools: int
) -> NDArray[np.int64]:
    """Return for every pool the one origin and model that it is nearest to and whose queue it alone takes from.

    There are no rows where a single pool is not like that, or the fleet has several queues for an origin and model.
    """
    queues = sum(tier.deferrable for tier in fleet.tiers)
    homes = np.full((pools, 2), -1, dtype=np.int64)
    silos = pools_in.shape[2] // len(nearest)
    for (h, m), p in np.ndenumerate(nearest):
        feeds = pools_in[m, 1, hosts[h, m] * silos]
        if p >= 0 and hosts[h, m] >= 0 and feeds[0] == p and feeds[1] < 0:
            homes[p] = h, m
    is_each = nearest.size == pools and (homes >= 0).all() and queues <= 1
    return homes if is_each else np.empty((0, 2), dtype=np.int64)


def refuse_cut_off(
    arriving: NDArray[np.number], fleet: Fleet, preference: NDArray[np.int64], pools_in: NDArray[np.int64]
) -> None:
    """Refuse what arrives (H, M, K) in a region that has no route to any pool which may serve it."""
    for h, m, k in np.argwhere(arriving > 0):
        routed = preference[h][preference[h] >= 0]
        if not (pools_in[m, int(fleet.tiers[k].deferrable), routed, 0] >= 0).any():
            raise SimulationError(
                f"requests from {fleet.regions[h].key} for {fleet.models[m].key} have no route: the fleet's network "
                f"latencies lead from there to no region with a pool that may serve {fleet.tiers[k].key}; add one."
            )
