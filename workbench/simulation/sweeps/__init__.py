"""What a sweep hands on, whichever engine ran it: three frames with one row per scenario, and tier or pool.

A scenario is named by the place of its variation in the sequence, so that a caller joins what it varied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.simulation import rules as r
from workbench.simulation.loads import Span
from workbench.simulation.setup import Pool
from workbench.simulation.sweeps.variations import Variation
from workbench.tables import COUNT, NUMBER, TEXT, Column, Table
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
SATURATED_ABOVE = 0.05  # of the arrivals: the formula is not made for them, and no percentile is told


def _number(unit: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(dtype=NUMBER, unit=unit, meaning=meaning, nullable=nullable)


_SCENARIO = {"scenario": Column(dtype=COUNT, unit="", meaning="place of its variation in the sweep, from 0")}
_EFFORT = {
    "gpu_hours": _number("GPU h", "held: ready, starting and draining"),
    "waste_gpu_hours": _number("GPU h", "held but not yet usable: starting"),
    "lent_gpu_hours": _number("GPU h", "lent to the spot pool"),
    "cost_usd": _number("USD", "gpu_hours at the price"),
    "kv_cache_used_fraction": _number("1", "mean over time; of a scenario, over its pools by the GPUs that they hold"),
    "work_fraction": _number("1", "mean over time, likewise"),
}

SWEEP = Table(
    name="SWEEP",
    one_row_per="scenario",
    columns=_SCENARIO | _EFFORT | {"backlog": _number("requests", "neither completed nor shed at the end")},
    key=("scenario",),
)
SWEEP_TIERS = Table(
    name="SWEEP_TIERS",
    one_row_per="scenario and tier",
    columns=_SCENARIO
    | {
        "tier": Column(dtype=TEXT, unit="key", meaning="service tier"),
        "arrived": _number("requests", "arrivals"),
        "served": _number("requests", "completions"),
        "backlog": _number("requests", "queued or running at the end"),
        "shed": _number("requests", "refused, because no replica has KV room for them"),
        "ttft_mean_s": _number("s", "mean time to first token; null for a deferrable tier", nullable=True),
        "ttft_p95_s": _number("s", "95th percentile of all arrivals; null where many met saturation", nullable=True),
        "slo_attainment_fraction": _number(
            "1", "first tokens in time, or deadlines kept; null where none was due", nullable=True
        ),
        "saturated_fraction": _number("1", "arrivals that met a saturated pool"),
    },
    key=("scenario", "tier"),
)
SWEEP_POOLS = Table(
    name="SWEEP_POOLS",
    one_row_per="scenario and pool",
    columns=_SCENARIO
    | {
        name: Column(dtype=TEXT, unit="key", meaning=meaning)
        for name, meaning in (
            ("region", "where the replicas stand"),
            ("model", "served model"),
            ("gpu", "GPU kind"),
            ("silo", "shared, interactive or deferrable"),
        )
    }
    | {"ready": _number("replicas", "mean ready to serve")}
    | _EFFORT,
    key=("scenario", "region", "model", "gpu", "silo"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """Many scenarios over one span: ``SWEEP``, ``SWEEP_TIERS``, and ``SWEEP_POOLS`` with rows where asked for."""

    scenarios: pl.DataFrame
    tiers: pl.DataFrame
    pools: pl.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class Totals:
    """A sweep as arrays: N scenarios, P pools, K tiers. Means over time of pools, sums of the rest, NaN unknown."""

    held: Floats  # N, P: replicas ready, starting or draining, mean over time
    starting: Floats  # N, P
    lent: Floats  # N, P
    ready: Floats  # N, P
    kv: Floats  # N, P
    work: Floats  # N, P
    arrived: Floats  # N, K
    backlog: Floats  # N, K
    shed: Floats  # N, K
    ttft_mean_s: Floats  # N, K
    ttft_p95_s: Floats  # N, K
    attained: Floats  # N, K
    met_saturation: Floats  # N, K: arrivals


def sweep_of(
    totals: Totals,
    *,
    fleet: Fleet,
    pools: Sequence[Pool],
    variations: Sequence[Variation],
    span: Span,
    by_pool: bool,
) -> Sweep:
    """Return the frames of a sweep, priced as each variation says."""
    count, hours = len(variations), span.steps * span.step_s / SECONDS_PER_HOUR
    usual = np.array([pool.usd_per_gpu_hour for pool in pools])
    prices = [usual if (own := variation.usd_per_gpu_hour) is None else usual * 0.0 + own for variation in variations]
    gpus = np.array([float(pool.gpus_per_replica) for pool in pools])
    gpu_hours = totals.held * gpus * hours
    effort = {
        "gpu_hours": gpu_hours,
        "waste_gpu_hours": totals.starting * gpus * hours,
        "lent_gpu_hours": totals.lent * gpus * hours,
        "cost_usd": gpu_hours * np.array(prices),
    }
    weights = gpu_hours / np.maximum(gpu_hours.sum(axis=1, keepdims=True), 1e-12)
    whole = {name: values.sum(axis=1) for name, values in effort.items()}
    means = {"kv_cache_used_fraction": totals.kv, "work_fraction": totals.work}
    whole |= {name: (values * weights).sum(axis=1) for name, values in means.items()}
    scenarios = pl.DataFrame({"scenario": np.arange(count), **whole, "backlog": totals.backlog.sum(axis=1)})
    return Sweep(
        scenarios=SWEEP.conform(scenarios),
        tiers=_tiers(totals, fleet),
        pools=_pools(totals, effort | means, pools) if by_pool else SWEEP_POOLS.empty(),
    )


def _tiers(totals: Totals, fleet: Fleet) -> pl.DataFrame:
    count, tiers = totals.arrived.shape
    arrived = totals.arrived.ravel()
    share = np.divide(totals.met_saturation.ravel(), arrived, out=np.zeros_like(arrived), where=arrived > 0)
    columns = {
        "ttft_mean_s": totals.ttft_mean_s.ravel(),
        "ttft_p95_s": np.where(share > SATURATED_ABOVE, np.nan, totals.ttft_p95_s.ravel()),
        "slo_attainment_fraction": totals.attained.ravel(),
    }
    return SWEEP_TIERS.conform(
        pl.DataFrame(
            {
                "scenario": np.repeat(np.arange(count), tiers),
                "tier": [tier.key for tier in fleet.tiers] * count,
                "arrived": arrived,
                "backlog": totals.backlog.ravel(),
                "shed": totals.shed.ravel(),
                "served": np.maximum(arrived - totals.backlog.ravel() - totals.shed.ravel(), 0.0),
                **{name: pl.Series(values).fill_nan(None) for name, values in columns.items()},
                "saturated_fraction": share,
            }
        )
    )


def _pools(totals: Totals, columns: dict[str, Floats], pools: Sequence[Pool]) -> pl.DataFrame:
    count = totals.held.shape[0]
    keys = {
        "region": [pool.region for pool in pools],
        "model": [pool.model for pool in pools],
        "gpu": [pool.gpu for pool in pools],
        "silo": [r.SILOS[pool.silo] for pool in pools],
    }
    numbers = columns | {"ready": totals.ready}
    return SWEEP_POOLS.conform(
        pl.DataFrame(
            {
                "scenario": np.repeat(np.arange(count), len(pools)),
                **{name: values * count for name, values in keys.items()},
                **{name: values.ravel() for name, values in numbers.items()},
            }
        )
    )
