"""Small fleets and loads for the simulation tests: one model unless asked, figures of Llama-2 70B on eight H100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from workbench.domain import Fleet, Region, Replica, ServedModel, Tier, TokenMix
from workbench.tables import ALLOCATION, DEMAND

START = datetime(2026, 3, 2)
FAST, NORMAL, BATCH = "interactive_fast", "interactive_normal", "non_interactive"
MIX = TokenMix(
    input_tokens=1490.0, output_tokens=299.0, input_square_ratio=2.718, input_cube_ratio=20.0, output_square_ratio=1.9
)


def tiers() -> tuple[Tier, ...]:
    def tier(key: str, ttft_s: float | None, deadline_s: float | None, priority: int) -> Tier:
        return Tier(
            key=key,
            label=key,
            ttft_slo_s=ttft_s,
            deadline_s=deadline_s,
            deferrable=deadline_s is not None,
            priority=priority,
            source="test",
            date="2026",
        )

    return (tier(FAST, 1.0, None, 0), tier(NORMAL, 60.0, None, 1), tier(BATCH, None, 86_400.0, 2))


def replica(model: str = "m", gpu: str = "h100", *, batch_cap: int = 512, kv_cache_tokens: float = 1e6) -> Replica:
    return Replica(
        model=model,
        gpu=gpu,
        gpus=8,
        prefill_tokens=(512.0, 2048.0),
        prefill_s=(0.0299 + 512 * 55e-6, 0.0299 + 2048 * 55e-6),
        decode_base_s=0.0299,
        decode_per_request_s=206e-6,
        decode_per_token_s=1.74e-7,
        kv_cache_tokens=kv_cache_tokens,
        batch_cap=batch_cap,
    )


def fleet(
    *,
    regions: Sequence[str] = ("east",),
    models: Sequence[str] = ("m",),
    ready: int = 4,
    lent: int = 0,
    free_gpus: int = 0,
    mix: TokenMix = MIX,
    batch_cap: int = 512,
    kv_cache_tokens: float = 1e6,
    usd_per_gpu_hour: float = 10.0,
) -> Fleet:
    cells = [(region, model, "h100") for region in regions for model in models]
    return Fleet(
        regions=tuple(Region(key=key, label=key, utc_offset_h=0, source="test", date="2026") for key in regions),
        models=tuple(
            ServedModel(
                key=key,
                label=key,
                parameters_b=70,
                layers=80,
                kv_heads=8,
                head_dim=128,
                weight_bytes_per_parameter=2,
                kv_bytes_per_element=2,
                source="test",
                date="2026",
            )
            for key in models
        ),
        tiers=tiers(),
        replicas=tuple(replica(model, batch_cap=batch_cap, kv_cache_tokens=kv_cache_tokens) for model in models),
        mixes=dict.fromkeys(models, mix),
        stock_gpus={(region, "h100"): 8 * (ready + lent) * len(models) + free_gpus for region in regions},
        initial_replicas=dict.fromkeys(cells, ready),
        initial_lent_replicas=dict.fromkeys(cells, lent),
        usd_per_gpu_hour={(region, "h100"): usd_per_gpu_hour for region in regions},
        network_latency_s={(a, b): 0.003 if a == b else 0.04 for a in regions for b in regions},
        price_note="test",
    )


def demand(
    rps: Mapping[tuple[str, str, str], Sequence[float]], *, window_s: float = 60.0, mix: TokenMix = MIX
) -> pl.DataFrame:
    """Requests per second by (region, model, tier), one number per window."""
    rows = [
        {
            "window_start": START + timedelta(seconds=window_s * i),
            "region": region,
            "model": model,
            "tier": tier,
            "requests": rate * window_s,
            "input_tokens": rate * window_s * mix.input_tokens,
            "output_tokens": rate * window_s * mix.output_tokens,
        }
        for (region, model, tier), rates in rps.items()
        for i, rate in enumerate(rates)
    ]
    return DEMAND.conform(pl.DataFrame(rows, schema_overrides=DEMAND.schema))


def constant(
    rate: float, hours: float, *, tier: str = FAST, region: str = "east", window_s: float = 60.0
) -> pl.DataFrame:
    return demand({(region, "m", tier): [rate] * int(hours * 3600 / window_s)}, window_s=window_s)


def allocation(replicas_by_hour: Sequence[Mapping[tuple[str, str], int]]) -> pl.DataFrame:
    rows = [
        {
            "window_start": START + timedelta(hours=hour),
            "region": region,
            "model": model,
            "gpu": "h100",
            "acquired": "on_demand",
            "replicas": count,
        }
        for hour, cells in enumerate(replicas_by_hour)
        for (region, model), count in cells.items()
    ]
    return ALLOCATION.conform(pl.DataFrame(rows, schema_overrides=ALLOCATION.schema))
