"""Turn demand, fleet, policy and plan into the arrays an engine runs on, and refuse what describes no possible system.

Rates stay raw per demand window; token means are smoothed over an hour (simulation.md section 5). A gap in the source
is simulated at the mean of the last known hour of its series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.results import CapacityPlan
from workbench.simulation import fluid
from workbench.simulation import rules as r
from workbench.simulation.latency import BINS
from workbench.tables import DEMAND
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


@dataclass(frozen=True, kw_only=True)
class Span:
    """The simulated time and its grid; every length is a whole number of steps."""

    start: datetime
    steps: int
    step_s: float
    window_s: float
    demand_window_s: float

    @property
    def hours(self) -> int:
        """Hours begun in the span."""
        return int(np.ceil(self.steps * self.step_s / SECONDS_PER_HOUR))

    @property
    def windows(self) -> int:
        """Output windows begun in the span."""
        return int(np.ceil(self.steps * self.step_s / self.window_s))


def pools_of(fleet: Fleet, policy: Policy) -> list[Pool]:
    """Return every pool of the fleet under the policy, with the same total at the start whatever the policy.

    A siloed fleet splits each pool into an interactive and a deferrable side, both at the floor or above; what the
    floors need beyond the total comes out of the lent replicas. Without a deferrable tier there is nothing to split.
    """
    pools = []
    for region in fleet.regions:
        for replica in fleet.replicas:
            if fleet.stock_gpus.get((region.key, replica.gpu), 0) < replica.gpus:
                continue
            key = (region.key, replica.model, replica.gpu)
            ready, lent = fleet.initial_replicas.get(key, 0), fleet.initial_lent_replicas.get(key, 0)
            sides = [(r.SHARED, ready, lent)]
            if policy.siloed and any(tier.deferrable for tier in fleet.tiers):
                batch = max(round(ready * policy.deferrable_share), policy.floor_replicas)
                chat = max(ready - batch, policy.floor_replicas)
                spare = max(ready + lent - batch - chat, 0)
                spare_batch = round(spare * policy.deferrable_share)
                sides = [(r.INTERACTIVE, chat, spare - spare_batch), (r.DEFERRABLE, batch, spare_batch)]
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


def _grid(demand: pl.DataFrame, fleet: Fleet, span: Span) -> tuple[Floats, Floats, Floats]:
    """Return requests per second and hourly token means as arrays over windows, regions, models and tiers."""
    keys = {
        "region": [region.key for region in fleet.regions],
        "model": [model.key for model in fleet.models],
        "tier": [tier.key for tier in fleet.tiers],
    }
    for column, known in keys.items():
        unknown = set(demand.get_column(column).unique()) - set(known)
        if unknown:
            raise SimulationError(
                f"demand has {column}(s) {', '.join(sorted(unknown))} that the fleet lacks; it has {', '.join(known)}."
            )
    windows = int(np.ceil(span.steps * span.step_s / span.demand_window_s))
    shape = (windows, *(len(known) for known in keys.values()))
    place = (
        ((pl.col("window_start") - span.start).dt.total_microseconds() / (span.demand_window_s * 1e6))
        .floor()
        .cast(pl.Int64)
    )
    inside = demand.with_columns(place.alias("w")).filter(pl.col("w").is_between(0, windows - 1))
    index = (
        inside.get_column("w").to_numpy(),
        *(
            inside.get_column(column).replace_strict(known, list(range(len(known))), return_dtype=pl.Int64).to_numpy()
            for column, known in keys.items()
        ),
    )
    per_hour = max(int(SECONDS_PER_HOUR / span.demand_window_s), 1)
    sums = {}
    for measure in ("requests", "input_tokens", "output_tokens"):
        array = np.zeros(shape)
        array[index] = inside.get_column(measure).fill_null(np.nan).to_numpy()
        sums[measure] = _hold(array, per_hour)
    means = []
    for measure, field in (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens")):
        mean = np.empty(shape)
        for first in range(0, windows, per_hour):
            block = slice(first, first + per_hour)
            tokens, requests = sums[measure][block].sum(axis=0), sums["requests"][block].sum(axis=0)
            usual = np.array([getattr(fleet.mixes[model], field) for model in keys["model"]])[None, :, None]
            mean[block] = np.where(requests > 0, tokens / np.maximum(requests, 1e-12), usual)
        means.append(np.maximum(mean, 1.0))
    return sums["requests"] / span.demand_window_s, means[0], means[1]


def _hold(array: Floats, per_hour: int) -> Floats:
    """Replace the gaps of each series by the mean of its last known hour, zero before anything is known.

    A mean, because the last window before a gap may have been a spike.
    """
    known = ~np.isnan(array)
    if known.all():
        return array
    held = array.copy()
    flat = held.reshape(array.shape[0], -1)
    for column in range(flat.shape[1]):
        places = np.flatnonzero(~np.isnan(flat[:, column]))
        total = np.concatenate([[0.0], np.cumsum(flat[places, column])])
        for gap in np.flatnonzero(np.isnan(flat[:, column])):
            count = int(np.searchsorted(places, gap))
            width = min(count, per_hour)
            flat[gap, column] = (total[count] - total[count - width]) / width if width else 0.0
    return held


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


def _surprise(rps: Floats, prompt: Floats, expected: pl.DataFrame | None, fleet: Fleet, span: Span) -> Floats:
    """Return observed over expected interactive input tokens per second, per step, region and model.

    Observed is the mean of the last minute. ``expected`` has window_start, region, model and input_tps; where it says
    nothing, or nothing is expected and nothing comes, the ratio is 1.
    """
    ratio = np.ones((span.steps, len(fleet.regions), len(fleet.models)))
    if expected is None:
        return ratio
    interactive = [i for i, tier in enumerate(fleet.tiers) if not tier.deferrable]
    per_window = int(span.demand_window_s / span.step_s)
    observed = np.repeat((rps * prompt)[..., interactive].sum(axis=-1), per_window, axis=0)[: span.steps]
    minute = max(int(SECONDS_PER_MINUTE / span.step_s), 1)
    total = np.cumsum(np.concatenate([np.zeros_like(observed[:1]), observed]), axis=0)
    first = np.maximum(np.arange(span.steps) + 1 - minute, 0)
    seen = (total[1:] - total[first]) / (np.arange(span.steps) + 1 - first)[:, None, None]
    starts = expected.get_column("window_start").unique().sort()
    of_step = np.searchsorted(
        ((starts - span.start).dt.total_microseconds() / 1e6).to_numpy(), np.arange(span.steps) * span.step_s, "right"
    )
    rank = {start: i for i, start in enumerate(starts)}
    regions = {region.key: i for i, region in enumerate(fleet.regions)}
    models = {model.key: i for i, model in enumerate(fleet.models)}
    table = np.full((len(rank) + 1, *ratio.shape[1:]), np.nan)
    for window_start, region, model, input_tps in expected.select(
        "window_start", "region", "model", "input_tps"
    ).iter_rows():
        table[rank[window_start] + 1, regions[region], models[model]] = input_tps
    wanted = table[of_step]
    known = ~np.isnan(wanted) & ((wanted > 0) | (seen > 0))
    return np.where(known, seen / np.maximum(wanted, 1e-9), 1.0)


def inputs_of(
    demand: pl.DataFrame,
    *,
    fleet: Fleet,
    policy: Policy,
    pools: Sequence[Pool],
    span: Span,
    plan: CapacityPlan | None,
    expected: pl.DataFrame | None,
) -> fluid.Inputs:
    """Return the arrays of everything that does not change while the span is simulated."""
    demand = DEMAND.conform(demand)
    rps, prompt, output = _grid(demand, fleet, span)
    regions = [region.key for region in fleet.regions]
    models = [model.key for model in fleet.models]
    network = np.array([[fleet.network_latency_s.get((h, to), NO_ROUTE_S) for to in regions] for h in regions])
    replicas = [fleet.replica(pool.model, pool.gpu) for pool in pools]
    lengths = 2.0 ** (np.arange(fluid.PROMPT_GRID) / 4.0)
    return fluid.Inputs(
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
        preference=np.argsort(network, axis=1, kind="stable"),
        network_s=network,
        pools_in=_pools_in(pools, regions, models),
        siloed=policy.siloed,
        prompt_grid=np.array([[performance.prompt_s_per_token(x, float(p)) for p in lengths] for x in replicas]),
        target=_targets(plan if policy.needs_plan else None, pools, span),
        observed_over_forecast=_surprise(rps, prompt, expected, fleet, span),
    )


def _pools_in(pools: Sequence[Pool], regions: Sequence[str], models: Sequence[str]) -> NDArray[np.int64]:
    """Return the pools that may take a model's interactive (0) or deferrable (1) requests, by region, padded."""
    serves = {r.SHARED: (0, 1), r.INTERACTIVE: (0,), r.DEFERRABLE: (1,)}
    width = max(
        sum(pool.region == region and pool.model == model for pool in pools) for region in regions for model in models
    )
    table = np.full((len(models), 2, len(regions), max(width, 1) + 1), -1, dtype=np.int64)
    for i, pool in enumerate(pools):
        for kind in serves[pool.silo]:
            row = table[models.index(pool.model), kind, regions.index(pool.region)]
            row[int((row >= 0).sum())] = i
    for model, region_pools in zip(models, table, strict=True):
        if (region_pools < 0).all():
            raise SimulationError(f"model {model} stands in no region; give some region GPUs that fit it.")
    return table


def state_of(fleet: Fleet, pools: Sequence[Pool], span: Span) -> fluid.State:
    """Return the state at the start: empty pools, the fleet's replicas ready or lent, the rest of the stock free."""
    count = len(pools)
    h, m, k = len(fleet.regions), len(fleet.models), len(fleet.tiers)
    gpus = sorted({replica.gpu for replica in fleet.replicas})
    free = np.array([[fleet.stock_gpus.get((region.key, gpu), 0) for gpu in gpus] for region in fleet.regions])
    order = [region.key for region in fleet.regions]
    for pool in pools:
        free[order.index(pool.region), gpus.index(pool.gpu)] -= (pool.ready + pool.lent) * pool.gpus_per_replica
    if (free < 0).any():
        region, gpu = np.argwhere(free < 0)[0]
        raise SimulationError(
            f"{order[region]} needs {-free[region, gpu]:,} more GPUs of {gpus[gpu]} than its stock for the floors of "
            f"every pool; raise the stock or lower floor_replicas."
        )
    return fluid.State(
        pools=_pool_records(fleet, pools, order, gpus),
        starting=np.zeros((count, 3), dtype=np.int64),
        free_gpus=free.astype(np.int64),
        ready_at=np.zeros((span.steps + 1, count, 3), dtype=np.int64),
        drained_at=np.zeros((span.steps + 1, count), dtype=np.int64),
        inside=np.zeros((count, h, k)),
        leaving=np.zeros((count, h, k)),
        inflow=np.zeros((count, h, k)),
        recent=np.zeros((count, h, k)),
        arrived=np.zeros((span.steps + 1, h, m, k)),
        released=np.zeros((h, m, k)),
        completed=np.zeros((h, m, k)),
    )


def _pool_records(fleet: Fleet, pools: Sequence[Pool], regions: list[str], gpus: list[str]) -> fluid.Pools:
    """Return one record per pool: where it stands, how fast a replica is, its model's length moments, its start."""
    models = [model.key for model in fleet.models]
    records = np.zeros(len(pools), dtype=fluid.POOL).view(np.recarray)
    for record, pool in zip(records, pools, strict=True):
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
            "last_action_s": -r.NEVER,
            "prompt": mix.input_tokens,
            "output": mix.output_tokens,
            "iteration_s": replica.decode_base_s,
        }
        for name, value in values.items():
            record[name] = value
    return records


def record_of(fleet: Fleet, pools: Sequence[Pool], span: Span) -> fluid.Record:
    """Return the empty record of a span."""
    series = (len(fleet.regions), len(fleet.models), len(fleet.tiers))
    return fluid.Record(
        series=np.zeros((span.windows, *series, fluid.SERIES_COLUMNS)),
        pools=np.zeros((span.windows, len(pools), fluid.POOL_COLUMNS)),
        events=np.zeros((span.windows, len(pools), len(r.KINDS))),
        window_bins=np.zeros((*series, BINS)),
        hour_bins=np.zeros((span.hours, *series, BINS)),
        percentiles=np.full((span.windows, *series, 3), np.nan),
    )
