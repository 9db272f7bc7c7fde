"""Small fleets and problems that the planning tests share; every number is easy to do by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from workbench import tables
from workbench.domain import Fleet, Region, Replica, ServedModel, Tier, TokenMix
from workbench.planning.problem import Problem

START = datetime(2025, 7, 1)
FAST = Tier(
    key="fast", label="Fast", ttft_slo_s=1.0, deadline_s=None, deferrable=False, priority=0, source="test", date="2025"
)
NORMAL = Tier(
    key="normal",
    label="Normal",
    ttft_slo_s=60.0,
    deadline_s=None,
    deferrable=False,
    priority=1,
    source="test",
    date="2025",
)
BATCH = Tier(
    key="batch",
    label="Batch",
    ttft_slo_s=None,
    deadline_s=86400.0,
    deferrable=True,
    priority=2,
    source="test",
    date="2025",
)
TIERS = (FAST, NORMAL, BATCH)


def served_model(key: str) -> ServedModel:
    return ServedModel(
        key=key,
        label=key,
        parameters_b=8.0,
        layers=32,
        kv_heads=8,
        head_dim=128,
        weight_bytes_per_parameter=2.0,
        kv_bytes_per_element=2.0,
        source="test",
        date="2025",
    )


def replica(model: str, gpu: str, *, gpus: int) -> Replica:
    return Replica(
        model=model,
        gpu=gpu,
        gpus=gpus,
        prefill_tokens=(1.0, 1000.0),
        prefill_s=(0.01, 0.1),
        decode_base_s=0.01,
        decode_per_request_s=0.0,
        decode_per_token_s=0.0,
        kv_cache_tokens=1e6,
        batch_cap=256,
    )


def fleet(
    *,
    stock: Mapping[tuple[str, str], int],
    models: tuple[str, ...] = ("m",),
    gpus: Mapping[str, int] | None = None,
    initial: Mapping[tuple[str, str, str], int] | None = None,
    usd: Mapping[tuple[str, str], float] | None = None,
    lent: Mapping[tuple[str, str, str], int] | None = None,
) -> Fleet:
    """Return a fleet of the regions and GPU kinds named in the stock; a GPU costs 1 USD an hour unless said."""
    regions = tuple(dict.fromkeys(region for region, _ in stock))
    per_replica = gpus or dict.fromkeys((gpu for _, gpu in stock), 1)
    return Fleet(
        regions=tuple(Region(key=key, label=key, utc_offset_h=0.0, source="test", date="2025") for key in regions),
        models=tuple(served_model(key) for key in models),
        tiers=TIERS,
        replicas=tuple(replica(model, gpu, gpus=count) for model in models for gpu, count in per_replica.items()),
        mixes={key: TokenMix(input_tokens=1000.0, output_tokens=100.0) for key in models},
        stock_gpus=stock,
        initial_replicas=initial or {},
        initial_lent_replicas=lent or {},
        usd_per_gpu_hour=usd or dict.fromkeys(stock, 1.0),
        network_latency_s={},
        price_note="test",
    )


def rates(theta: Mapping[tuple[str, str], float], *, gpus: Mapping[str, int] | None = None) -> pl.DataFrame:
    rows = [
        (model, gpu, (gpus or {}).get(gpu, 1), tps / 1000.0, tps, tps / 10.0, 0.7, "work")
        for (model, gpu), tps in theta.items()
    ]
    return tables.REPLICA_RATES.conform(pl.DataFrame(rows, schema=tables.REPLICA_RATES.schema, orient="row"))


def requirement(rows: list[tuple[int, str, str, str, float]]) -> pl.DataFrame:
    """Return REQUIREMENT from (hour, region, model, tier, input_tps); output is a tenth of the input."""
    waits = {tier.key: tier.deadline_s for tier in TIERS if tier.deferrable}
    full = [
        (START + timedelta(hours=hour), region, model, tier, tps, tps / 10, tier in waits, waits.get(tier))
        for hour, region, model, tier, tps in rows
    ]
    return tables.REQUIREMENT.conform(pl.DataFrame(full, schema=tables.REQUIREMENT.schema, orient="row"))


def problem(
    *,
    now: Mapping[tuple[str, str, str], int],
    demand: Mapping[tuple[str, str], float],
    theta: Mapping[tuple[str, str], float],
    stock: Mapping[tuple[str, str], int] | None = None,
    hold: float | Mapping[tuple[str, str, str], float] = 6.0,
    start: float = 1.0,
    epsilon: float = 1.0,
    floor: int = 0,
    gpus: Mapping[tuple[str, str], int] | None = None,
) -> Problem:
    """Return one hour's problem; a replica takes one GPU and the stock is ample unless said."""
    return Problem(
        replicas_now=now,
        demand_input_tps=demand,
        theta_input_tps=theta,
        gpus_per_replica=gpus or dict.fromkeys(theta, 1),
        stock_gpus=stock or {(region, gpu): 1000 for region, _, gpu in now},
        hold_usd=hold if isinstance(hold, Mapping) else dict.fromkeys(now, hold),
        start_usd=dict.fromkeys(now, start),
        epsilon_fraction=epsilon,
        floor_replicas=floor,
    )
