"""Turn fleet, policy and plan into the arrays an engine runs on, and refuse what describes no possible system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.results import CapacityPlan
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.latency import BINS
from workbench.simulation.loads import Span, grid_of, surprise_of
from workbench.tables import DEMAND
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = NDArray[np.float64]
NO_ROUTE_S = 1e9
FIRST_SCALING_S = 60.0  # the pools start empty: no signal is judged before their batches have filled


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
    demand: pl.DataFrame,
    *,
    fleet: Fleet,
    policy: Policy,
    pools: Sequence[Pool],
    span: Span,
    plan: CapacityPlan | None,
    expected: pl.DataFrame | None,
) -> state.Inputs:
    """Return the arrays of everything that does not change while the span is simulated."""
    demand = DEMAND.conform(demand)
    rps, prompt, output = grid_of(demand, fleet, span)
    regions = [region.key for region in fleet.regions]
    models = [model.key for model in fleet.models]
    network = np.array([[fleet.network_latency_s.get((h, to), NO_ROUTE_S) for to in regions] for h in regions])
    if not (network >= 0).all():
        raise SimulationError("network latencies must be numbers from nought up; one between two regions is not.")
    replicas = [fleet.replica(pool.model, pool.gpu) for pool in pools]
    lengths = 2.0 ** (np.arange(state.PROMPT_GRID) / 4.0)
    pools_in = _pools_in(pools, regions, models)
    preference = _preference(network, silos=pools_in.shape[2] // len(regions))
    refuse_cut_off(rps.sum(axis=0), fleet, preference, pools_in)
    return state.Inputs(
        step_s=span.step_s,
        demand_steps=int(span.demand_window_s / span.step_s),
        window_steps=int(span.window_s / span.step_s),
        latency_steps=max(int(min(SECONDS_PER_MINUTE, span.window_s) / span.step_s), 1),
        rps=rps,
        prompt_mean=prompt,
        output_mean=output,
        deferrable=np.array([int(tier.deferrable) for tier in fleet.tiers]),
        promise_s=np.array(
            [float((tier.deadline_s if tier.deferrable else tier.ttft_slo_s) or r.NEVER) for tier in fleet.tiers]
        ),
        preference=preference,
        network_s=network,
        pools_in=pools_in,
        siloed=policy.silos == 2,
        prompt_grid=np.array([[performance.prompt_s_per_token(x, float(p)) for p in lengths] for x in replicas]),
        target=_targets(plan if policy.needs_plan else None, pools, span),
        observed_over_forecast=surprise_of(rps, prompt, expected, fleet, span),
    )


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
    width = max(
        sum(pool.region == region and pool.model == model for pool in pools) for region in regions for model in models
    )
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


def state_of(fleet: Fleet, pools: Sequence[Pool], span: Span, *, cooldown_s: float) -> state.State:
    """Return the state at the start: empty pools, the fleet's replicas ready or lent, the rest of the stock free."""
    count = len(pools)
    h, m, k = len(fleet.regions), len(fleet.models), len(fleet.tiers)
    gpus = sorted({replica.gpu for replica in fleet.replicas})
    free = np.array([[fleet.stock_gpus.get((region.key, gpu), 0) for gpu in gpus] for region in fleet.regions])
    order = [region.key for region in fleet.regions]
    for pool in pools:
        free[order.index(pool.region), gpus.index(pool.gpu)] -= (pool.ready + pool.lent) * pool.gpus_per_replica
    return state.State(
        pools=_pool_records(fleet, pools, order, gpus, cooldown_s),
        starting=np.zeros((count, 3), dtype=np.int64),
        free_gpus=free.astype(np.int64),
        ready_at=np.zeros((span.steps + 1, count, 3), dtype=np.int64),
        drained_at=np.zeros((span.steps + 1, count), dtype=np.int64),
        inside=np.zeros((count, h, k)),
        leaving=np.zeros((count, h, k)),
        inflow=np.zeros((count, h, k)),
        recent=np.zeros((count, h, k)),
        counted=np.zeros(k),
        arrived=np.zeros((span.steps + 1, h, m, k)),
        released=np.zeros((h, m, k)),
        completed=np.zeros((h, m, k)),
    )


def _group_of(pool: Pool, pools: Sequence[Pool]) -> int:
    """Number the pools that share a floor: same region, model and silo, any GPU kind."""
    own = (pool.region, pool.model, pool.silo)
    return next(i for i, other in enumerate(pools) if (other.region, other.model, other.silo) == own)


def _kin(pools: Sequence[Pool]) -> list[int]:
    """Return for every pool the next one of its region and model, round and round: other silos, other GPU kinds."""
    rings: dict[tuple[str, str], list[int]] = {}
    for i, pool in enumerate(pools):
        rings.setdefault((pool.region, pool.model), []).append(i)
    following = {i: after for ring in rings.values() for i, after in zip(ring, [*ring[1:], ring[0]], strict=True)}
    return [following[i] for i in range(len(pools))]


def _pool_records(
    fleet: Fleet, pools: Sequence[Pool], regions: list[str], gpus: list[str], cooldown_s: float
) -> state.Pools:
    """Return one record per pool: where it stands, how fast a replica is, its model's length moments, its start."""
    models = [model.key for model in fleet.models]
    records = np.zeros(len(pools), dtype=state.POOL).view(np.recarray)
    for record, pool, kin in zip(records, pools, _kin(pools), strict=True):
        replica, mix = fleet.replica(pool.model, pool.gpu), fleet.mixes[pool.model]
        values = {
            "region": regions.index(pool.region),
            "model": models.index(pool.model),
            "gpu": gpus.index(pool.gpu),
            "gpus": pool.gpus_per_replica,
            "ready": pool.ready,
            "lent_gpus": pool.lent * pool.gpus_per_replica,
            "base_s": replica.decode_base_s,
            "per_request_s": replica.decode_per_request_s,
            "per_token_s": replica.decode_per_token_s,
            "kv_room": replica.kv_cache_tokens,
            "batch_cap": replica.batch_cap,
            "square": mix.input_square_ratio,
            "cube": mix.input_cube_ratio,
            "output_square": mix.output_square_ratio,
            "cross": mix.cross_ratio,
            "dispersion": mix.dispersion,
            "silo": pool.silo,
            "group": _group_of(pool, pools),
            "kin": kin,
            "last_action_s": FIRST_SCALING_S - cooldown_s,
            "prompt": mix.input_tokens,
            "output": mix.output_tokens,
            "iteration_s": replica.decode_base_s,
        }
        for name, value in values.items():
            record[name] = value
    return records


def record_of(fleet: Fleet, pools: Sequence[Pool], span: Span) -> state.Record:
    """Return the empty record of a span."""
    series = (len(fleet.regions), len(fleet.models), len(fleet.tiers))
    return state.Record(
        series=np.zeros((span.windows, *series, state.SERIES_COLUMNS)),
        pools=np.zeros((span.windows, len(pools), state.POOL_COLUMNS)),
        events=np.zeros((span.windows, len(pools), len(r.KINDS))),
        window_bins=np.zeros((*series, BINS)),
        hour_bins=np.zeros((span.hours, *series, BINS)),
        percentiles=np.full((span.windows, *series, 3), np.nan),
    )
