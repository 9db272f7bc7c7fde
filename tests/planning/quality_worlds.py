"""Real weeks laid over three regions, for judging plans: ServeGen, SageServe's week, Azure 2024.

No public trace of several days names its regions, so each series is split 43 / 29 / 28 % (the only regional clue in
print) over three regions whose clocks lie 0, 1 and 3 hours apart. Where a trace has no tiers 45 % of it is fast, 27 %
normal and 28 % deferrable. ServeGen and Azure give requests, here of 1,000 prompt tokens each. The two Azure services
were recorded in weeks that begin on different days and are laid side by side from their first day.

SageServe's week stands there three times: whole, the two series that its readme trusts (A, C), and the two that a row
cap spoils (B stops for hours at the cap and comes back at full load, D ends after 1.7 days).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.planning.planning_cases import BATCH, FAST, NORMAL, TIERS, replica, served_model
from workbench import tables
from workbench.domain import Fleet, Region, TokenMix

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
START = datetime(2025, 1, 6)
WINDOW_S = 600.0
DAY = 144
SHARES = {"east": (0.43, 0), "central": (0.29, 6), "west": (0.28, 18)}
LATEST_CLOCK = max(later for _, later in SHARES.values())
TIER_SHARES = {FAST.key: 0.45, NORMAL.key: 0.27, BATCH.key: 0.28}
INTERACTIVE_SHARES = {FAST.key: 0.625, NORMAL.key: 0.375}
MEAN_REPLICAS = 25.0
JUDGED_DAYS = 2
GPUS, USD_PER_GPU_HOUR = 8, 98.32 / 8
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """One real week: ``rates`` of (region, model, tier) in input tokens/s per 10 minutes, and what can serve them.

    The last ``judged_days`` of the record are planned and lived through, the days before are history.
    """

    name: str
    rates: Mapping[tuple[str, str, str], Numbers]
    theta: Mapping[str, float]
    judged_days: int = JUDGED_DAYS

    @property
    def windows(self) -> int:
        """Windows in the record."""
        return min(len(values) for values in self.rates.values())

    def cut(self, until_days: int | None, judged_days: int) -> World:
        """Return the world whose record ends after so many days (None: where it does), with its last days judged."""
        rates = {
            series: values[: None if until_days is None else until_days * DAY] for series, values in self.rates.items()
        }
        return replace(self, rates=rates, judged_days=judged_days)

    def demand(self) -> pl.DataFrame:
        """The record as DEMAND, requests of 1,000 tokens, a tenth as many generated."""
        frames = [
            pl.DataFrame(
                {
                    "window_start": [START + timedelta(seconds=WINDOW_S * i) for i in range(len(values))],
                    "region": region,
                    "model": model,
                    "tier": tier,
                    "requests": values * WINDOW_S / 1000.0,
                    "input_tokens": values * WINDOW_S,
                    "output_tokens": values * WINDOW_S / 10.0,
                }
            )
            for (region, model, tier), values in self.rates.items()
        ]
        return tables.DEMAND.conform(pl.concat(frames))

    def fleet(self, initial: Mapping[tuple[str, str, str], int]) -> Fleet:
        """One GPU kind in every region, with stock to spare."""
        models = list(self.theta)
        return Fleet(
            regions=tuple(Region(key=key, label=key, utc_offset_h=0.0, source="test", date="2025") for key in SHARES),
            models=tuple(served_model(key) for key in models),
            tiers=TIERS,
            replicas=tuple(replica(key, "h100", gpus=GPUS) for key in models),
            mixes={key: TokenMix(input_tokens=1000.0, output_tokens=100.0) for key in models},
            stock_gpus={(region, "h100"): 400 * GPUS * len(models) for region in SHARES},
            initial_replicas=initial,
            initial_lent_replicas=dict.fromkeys(initial, 200),
            usd_per_gpu_hour={(region, "h100"): USD_PER_GPU_HOUR for region in SHARES},
            network_latency_s={},
            price_note="SageServe's 98.32 USD per VM-hour",
        )

    def replica_rates(self) -> pl.DataFrame:
        """What a replica sustains."""
        rows = [(m, "h100", GPUS, tps / 1000.0, tps, tps / 10.0, 0.6, "work") for m, tps in self.theta.items()]
        return tables.REPLICA_RATES.conform(pl.DataFrame(rows, schema=tables.REPLICA_RATES.schema, orient="row"))


def worlds() -> list[World]:
    """Every source that is there."""
    makers = {
        "ServeGen": _servegen,
        "SageServe A-D": lambda: _sageserve("ABCD"),
        "SageServe A, C": lambda: _sageserve("AC"),
        "SageServe B, D": lambda: _sageserve("BD"),
        "Azure 2024": _azure,
    }
    return [_world(name, make()) for name, make in makers.items() if DATA.exists()]


def _servegen() -> dict[tuple[str, str], Numbers]:
    frame = pl.read_parquet(DATA / "servegen" / "model_10min.parquet").sort("t_s")
    return _tiered(
        {m: _series(frame.filter(pl.col("model") == m), "n_requests") for m in ("m-large", "m-mid")}, 1000 / WINDOW_S
    )


def _azure() -> dict[tuple[str, str], Numbers]:
    frame = pl.read_parquet(DATA / "azure-llm-2024-digitised" / "requests_10min.parquet").sort("minute")
    return _tiered(
        {s: _series(frame.filter(pl.col("service") == s), "req_per_min_mean") for s in ("code", "conv")}, 1000 / 60
    )


def _sageserve(models: str) -> dict[tuple[str, str], Numbers]:
    frame = pl.read_parquet(DATA / "sageserve" / "week_prompt_tokens_per_min.parquet").with_columns(
        pl.col("model", "tier").cast(pl.String), window=pl.col("minute") // 10
    )
    sums = frame.group_by("model", "tier", "window").agg(pl.col("prompt_tokens").sum()).sort("window")
    found: dict[tuple[str, str], Numbers] = {}
    for model in models:
        here = sums.filter(pl.col("model") == model)
        live = _series(here.filter(pl.col("tier") == "interactive"), "prompt_tokens") / WINDOW_S
        found |= {(model, tier): live * share for tier, share in INTERACTIVE_SHARES.items()}
        found[model, BATCH.key] = _series(here.filter(pl.col("tier") != "interactive"), "prompt_tokens") / WINDOW_S
    return found


def _tiered(series: Mapping[str, Numbers], scale: float) -> dict[tuple[str, str], Numbers]:
    return {(m, tier): values * scale * share for m, values in series.items() for tier, share in TIER_SHARES.items()}


def _series(frame: pl.DataFrame, column: str) -> Numbers:
    return frame.get_column(column).cast(pl.Float64).fill_null(strategy="forward").fill_null(0.0).to_numpy()


def _world(name: str, series: Mapping[tuple[str, str], Numbers]) -> World:
    rates = {
        (region, model, tier): np.roll(values, later) * share
        for (model, tier), values in series.items()
        for region, (share, later) in SHARES.items()
    }
    models = dict.fromkeys(model for model, _ in series)
    busy = {m: np.mean(sum(v for (model, tier), v in series.items() if model == m)) for m in models}
    return World(name=name, rates=rates, theta={model: float(mean) / MEAN_REPLICAS for model, mean in busy.items()})
