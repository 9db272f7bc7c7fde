"""Judge simulated strategies side by side: effort, money, latency and promises, over all requests of the span.

A percentile is that of the request-weighted mixture of every arrival, unfinished ones included, read from the latency
histogram. A saving is named only together with the service it was had at: ``keeps_service`` says whether every tier
fares no worse than under the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import polars as pl

from workbench.domain import Tier
from workbench.results import Scorecard, SimRun
from workbench.units import SECONDS_PER_HOUR, after

LEVELS = {"ttft_p50_s": 0.50, "ttft_p75_s": 0.75, "ttft_p95_s": 0.95, "ttft_p99_s": 0.99}
BACKLOG_TOLERANCE = 0.05  # of the arrivals: more work left waiting than that was put off, not saved
SERVICE_TOLERANCE = 0.005  # half a point of attainment: below it two strategies serve equally well
STARTS = ("reclaim", "swap", "remote")


def percentiles(histogram: pl.DataFrame, levels: Sequence[float]) -> list[float | None]:
    """Return latency percentiles of a ``TTFT_HISTOGRAM`` of any rows, interpolated inside a bin; None when empty."""
    bins = (
        histogram.group_by("ttft_low_s", "ttft_high_s")
        .agg(pl.col("requests").sum())
        .filter(pl.col("requests") > 0)
        .sort("ttft_low_s")
    )
    if bins.is_empty():
        return [None for _ in levels]
    counts = bins.get_column("requests").to_numpy()
    low, high = bins.get_column("ttft_low_s").to_numpy(), bins.get_column("ttft_high_s").to_numpy()
    total = np.cumsum(counts)
    found: list[float | None] = []
    for level in levels:
        wanted = level * total[-1]
        i = min(int(np.searchsorted(total, wanted)), counts.size - 1)
        inside = (wanted - (total[i] - counts[i])) / counts[i]
        found.append(float(low[i] * (high[i] / low[i]) ** inside))
    return found


def effort(run: SimRun, since: datetime) -> dict[str, float]:
    """Return GPU-hours held, wasted and lent, cost and mean signals of a run from an instant on.

    Wasted is what was held but could not serve yet (sageserve.md section 7.2), in all and by kind of start: GPUs
    reclaimed with the model loaded, swapped from another model, or got from elsewhere.
    """
    pools = run.pools.filter(pl.col("window_start") >= since)
    sums = pools.select(
        pl.col("gpu_hours", "cost_usd", "waste_gpu_hours", "lent_gpu_hours").sum(),
        (pl.col("work_fraction") * pl.col("gpu_hours")).sum().alias("work_gpu_hours"),
        (pl.col("kv_cache_used_fraction") * pl.col("gpu_hours")).sum().alias("kv_gpu_hours"),
        **{f"waste_{kind}_gpu_hours": _wasted_on(kind).sum() for kind in STARTS},
    ).row(0, named=True)
    held = max(sums["gpu_hours"], 1e-9)
    events = run.scaling.filter(pl.col("window_start") >= since)
    starts = events.filter(~pl.col("kind").is_in(["in", "refused"])).get_column("replicas").sum()
    refused = events.filter(pl.col("kind") == "refused").get_column("replicas").sum()
    return {
        "gpu_hours": sums["gpu_hours"],
        "cost_usd": sums["cost_usd"],
        "waste_gpu_hours": sums["waste_gpu_hours"],
        **{f"waste_{kind}_gpu_hours": sums[f"waste_{kind}_gpu_hours"] for kind in STARTS},
        "lent_gpu_hours": sums["lent_gpu_hours"],
        "work_fraction": sums["work_gpu_hours"] / held,
        "kv_cache_used_fraction": sums["kv_gpu_hours"] / held,
        "starts": float(starts),
        "refused_starts": float(refused),
    }


def _wasted_on(kind: str) -> pl.Expr:
    """Return the wasted GPU-hours of a window and pool that one kind of start took: all replicas have equal GPUs."""
    starting = pl.sum_horizontal(f"starting_{each}" for each in STARTS)
    share = pl.when(starting > 0).then(pl.col(f"starting_{kind}") / starting).otherwise(0.0)
    return pl.col("waste_gpu_hours") * share


def service(run: SimRun, tier: Tier, since: datetime) -> dict[str, float | None]:
    """Return what one tier got from an instant on: counts, attainment, latency percentiles, deadlines, backlog."""
    windows = run.windows.filter((pl.col("tier") == tier.key) & (pl.col("window_start") >= since))
    last = windows.filter(pl.col("window_start") == windows.get_column("window_start").max())
    kept = pl.col("slo_attainment_fraction") * pl.col("arrived")
    arrived = float(windows.get_column("arrived").sum())
    sums = windows.select(
        kept.sum().alias("kept"),
        (pl.col("ttft_mean_s") * pl.col("arrived")).sum().alias("ttft"),
        (pl.col("itl_mean_s") * pl.col("arrived")).sum().alias("itl"),
        pl.col("served", "missed_deadlines", "served_elsewhere").sum(),
        pl.col("oldest_wait_s").max(),
        pl.col("arrived").filter("is_saturated").sum().alias("saturated"),
    ).row(0, named=True)
    histogram = run.ttft.filter((pl.col("tier") == tier.key) & (pl.col("window_start") >= since))
    levels = percentiles(histogram, list(LEVELS.values()))
    share = 1.0 / arrived if arrived > 0 else 0.0
    attainment = sums["kept"] * share if arrived > 0 else None
    if tier.deferrable:
        due = _deadlines_due(run, tier, since)
        attainment = 1.0 - sums["missed_deadlines"] / due if due > 0 else None
    return {
        "arrived": arrived,
        "served": sums["served"],
        "backlog": float(last.get_column("backlog").sum()),
        "slo_attainment_fraction": attainment,
        "ttft_mean_s": None if tier.deferrable or not arrived else sums["ttft"] * share,
        **dict(zip(LEVELS, levels, strict=True)),
        "itl_mean_s": None if tier.deferrable or not arrived else sums["itl"] * share,
        "missed_deadlines": sums["missed_deadlines"],
        "oldest_wait_s": sums["oldest_wait_s"],
        "served_elsewhere_fraction": sums["served_elsewhere"] * share,
        "saturated_fraction": sums["saturated"] * share,
    }


def _deadlines_due(run: SimRun, tier: Tier, since: datetime) -> float:
    """Return how many requests of a deferrable tier had their deadline between an instant and the end of the run."""
    if tier.deadline_s is None:
        return 0.0
    due = pl.col("window_start").dt.offset_by(f"{int(tier.deadline_s)}s")
    return float(
        run.windows.filter((pl.col("tier") == tier.key) & (due >= since) & (due < run.end)).get_column("arrived").sum()
    )


def score(
    runs: Mapping[str, SimRun], *, tiers: Sequence[Tier], baseline: str, labels: Mapping[str, str], warmup_hours: float
) -> Scorecard:
    """Return the scorecard of runs over one span; the first ``warmup_hours`` count for nobody.

    ``totals`` has one row per strategy with effort, saving against the baseline and ``keeps_service``; ``tiers`` one
    row per strategy and tier.
    """
    rows: list[dict[str, object]] = []
    tier_rows: list[dict[str, object]] = []
    for key, run in runs.items():
        since = after(run.start, warmup_hours * SECONDS_PER_HOUR)
        rows.append({"strategy": key, "label": labels[key], **effort(run, since)})
        tier_rows += [{"strategy": key, "tier": tier.key, **service(run, tier, since)} for tier in tiers]
    tier_frame = pl.DataFrame(tier_rows, infer_schema_length=None)
    worse = worse_tiers(tier_frame, baseline).get_column("strategy").unique()
    base = pl.col("strategy") == baseline
    totals = pl.DataFrame(rows).with_columns(
        gpu_hours_saved_fraction=_saved("gpu_hours", base),
        cost_saved_usd=pl.col("cost_usd").filter(base).first() - pl.col("cost_usd"),
        waste_saved_fraction=_saved("waste_gpu_hours", base),
        keeps_service=~pl.col("strategy").is_in(list(worse)),
    )
    return Scorecard(totals=totals, tiers=tier_frame, baseline=baseline)


def _saved(measure: str, base: pl.Expr) -> pl.Expr:
    """Return the share saved against the baseline, null where the baseline had none."""
    before = pl.col(measure).filter(base).first()
    return pl.when(before > 0).then(1.0 - pl.col(measure) / before)


def worse_tiers(tiers: pl.DataFrame, baseline: str) -> pl.DataFrame:
    """Return strategy and tier of every tier that fares clearly worse than under the baseline.

    It does when its promise is kept less often by half a point, when more deadlines are missed, or when a twentieth
    more of the arrivals is left waiting at the end: work put off is not work saved.
    """
    judged = tiers.select("strategy", "tier", "arrived", "slo_attainment_fraction", "missed_deadlines", "backlog")
    base = judged.filter(pl.col("strategy") == baseline).drop("strategy", "arrived")
    left_over = pl.col("backlog") > pl.col("backlog_base") + BACKLOG_TOLERANCE * pl.col("arrived")
    return (
        judged.join(base, on="tier", suffix="_base", maintain_order="left")
        .filter(
            (pl.col("slo_attainment_fraction") < pl.col("slo_attainment_fraction_base") - SERVICE_TOLERANCE)
            | (pl.col("missed_deadlines") > pl.col("missed_deadlines_base") + 1.0)
            | left_over
        )
        .select("strategy", "tier")
    )


def tables_of(card: Scorecard, tiers: Sequence[Tier]) -> dict[str, pl.DataFrame]:
    """Return the scorecard as two tables for reading, by title: effort and money, then what every tier got.

    Shares are shown in percent, a promise beside each tier; only names change, no number is computed anew.
    """
    promises = {
        tier.key: f"by {(tier.deadline_s or 0) / SECONDS_PER_HOUR:g} h"
        if tier.deferrable
        else f"TTFT {tier.ttft_slo_s:g} s"
        for tier in tiers
    }
    labels = dict(card.totals.select("strategy", "label").iter_rows())
    effort_table = card.totals.select(
        pl.col("label").alias("strategy"),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        (pl.col("gpu_hours_saved_fraction") * 100).round(1).alias(f"saved vs {labels[card.baseline]}, %"),
        pl.col("keeps_service").alias("serves as well"),
        pl.col("waste_gpu_hours").round(1).alias("waste, GPU h"),
        pl.col("lent_gpu_hours").round(0).alias("lent, GPU h"),
        pl.col("starts").round(0),
    )
    service_table = card.tiers.select(
        pl.col("strategy").replace(labels),
        pl.col("tier"),
        pl.col("tier").replace(promises).alias("promise"),
        (pl.col("slo_attainment_fraction") * 100).round(2).alias("kept, %"),
        pl.col("ttft_p50_s").round(2).alias("TTFT P50, s"),
        pl.col("ttft_p95_s").round(2).alias("TTFT P95, s"),
        pl.col("backlog").round(0),
        (pl.col("saturated_fraction") * 100).round(1).alias("saturated, %"),
    )
    return {"Effort and money": effort_table, "What every tier got": service_table}
