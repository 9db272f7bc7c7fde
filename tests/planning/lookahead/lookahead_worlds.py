"""Worlds of any size with daily curves, made from a seed: for properties (small) and for benchmarks (large).

Regions lie around the globe, so their peaks follow each other; half of the work is bound to regions, a fifth is
pooled, three tenths may wait a day. ``replicas_per_pool`` is what a model needs in a region at its mean on the slowest
GPU kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from tests.planning.planning_cases import TIERS, replica, served_model
from workbench import tables
from workbench.domain import Fleet, Region, TokenMix

START = datetime(2026, 3, 2)
SPEEDS, PRICES, STOCKS = (1.0, 1.9, 2.6), (2.0, 3.5, 5.2), (1.8, 0.6, 0.3)
SHARES = {"fast": (0.5, 0.7), "normal": (0.2, 0.7), "batch": (0.3, 0.2)}
GPUS_PER_REPLICA, LENT = 8, 2


@dataclass(frozen=True, kw_only=True)
class World:
    """What a plan is made from."""

    requirement: pl.DataFrame
    fleet: Fleet
    rates: pl.DataFrame


def world(models: int, regions: int, kinds: int, hours: int, *, seed: int = 1, replicas_per_pool: float = 8.0) -> World:
    """Return a world of a size; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    names = tuple(f"model{i}" for i in range(models))
    places = tuple(f"region{i}" for i in range(regions))
    gpus = tuple(f"gpu{i}" for i in range(kinds))
    theta = {
        (model, gpu): base * SPEEDS[g] * rng.uniform(0.85, 1.15)
        for model in names
        for base in [rng.uniform(3e3, 12e3)]
        for g, gpu in enumerate(gpus)
    }
    levels = {
        (model, place): theta[model, gpus[0]] * replicas_per_pool * rng.lognormal(0.0, 0.5)
        for model in names
        for place in places
    }
    curves = {
        (place, model, tier): _curve(rng, level * share, swing, hours, 24.0 * places.index(place) / regions)
        for (model, place), level in levels.items()
        for tier, (share, swing) in SHARES.items()
    }
    initial = {
        (place, model, gpus[0]): int(
            np.ceil((curves[place, model, "fast"][0] + curves[place, model, "normal"][0]) / theta[model, gpus[0]])
        )
        for model, place in levels
    }
    stock = {
        (place, gpu): max(int(GPUS_PER_REPLICA * replicas_per_pool * models * STOCKS[g]), in_use if g == 0 else 0)
        for place in places
        for g, gpu in enumerate(gpus)
        for in_use in [sum((initial[place, model, gpus[0]] + LENT) * GPUS_PER_REPLICA for model in names)]
    }
    return World(
        requirement=_requirement(curves, hours),
        fleet=_fleet(names, places, gpus, stock, initial),
        rates=_rates(theta),
    )


def _curve(rng: np.random.Generator, level: float, swing: float, hours: int, shift_h: float) -> np.ndarray:
    hour = np.arange(hours)
    phase = shift_h + rng.normal(0.0, 1.0)
    weekend = np.where(hour // 24 % 7 > 4, 0.6, 1.0)
    return level * (1 + swing * np.sin(2 * np.pi * (hour - phase) / 24)) * rng.lognormal(0.0, 0.08, hours) * weekend


def _requirement(curves: dict[tuple[str, str, str], np.ndarray], hours: int) -> pl.DataFrame:
    windows = [START + timedelta(hours=hour) for hour in range(hours)]
    frames = [
        pl.DataFrame({"window_start": windows, "input_tps": curve}).with_columns(
            region=pl.lit(region),
            model=pl.lit(model),
            tier=pl.lit(tier),
            output_tps=pl.col("input_tps") / 10,
            is_deferrable=pl.lit(tier == "batch"),
            serve_by_s=pl.lit(86_400.0 if tier == "batch" else None, dtype=pl.Float64),
        )
        for (region, model, tier), curve in curves.items()
    ]
    return tables.REQUIREMENT.conform(pl.concat(frames))


def _fleet(
    models: tuple[str, ...],
    regions: tuple[str, ...],
    gpus: tuple[str, ...],
    stock: dict[tuple[str, str], int],
    initial: dict[tuple[str, str, str], int],
) -> Fleet:
    return Fleet(
        regions=tuple(Region(key=key, label=key, utc_offset_h=0.0, source="test", date="2025") for key in regions),
        models=tuple(served_model(key) for key in models),
        tiers=TIERS,
        replicas=tuple(replica(model, gpu, gpus=GPUS_PER_REPLICA) for model in models for gpu in gpus),
        mixes={key: TokenMix(input_tokens=1000.0, output_tokens=100.0) for key in models},
        stock_gpus=stock,
        initial_replicas=initial,
        initial_lent_replicas=dict.fromkeys(initial, LENT),
        usd_per_gpu_hour={
            (region, gpu): PRICES[g] * (1 + 0.05 * r) for r, region in enumerate(regions) for g, gpu in enumerate(gpus)
        },
        network_latency_s={
            (a, b): 0.0 if a == b else 0.02 + 0.01 * abs(i - j)
            for i, a in enumerate(regions)
            for j, b in enumerate(regions)
        },
        price_note="made up",
    )


def _rates(theta: dict[tuple[str, str], float]) -> pl.DataFrame:
    rows = [
        (model, gpu, GPUS_PER_REPLICA, tps / 1000.0, tps, tps / 10.0, 0.6, "work")
        for (model, gpu), tps in theta.items()
    ]
    return tables.REPLICA_RATES.conform(pl.DataFrame(rows, schema=tables.REPLICA_RATES.schema, orient="row"))
