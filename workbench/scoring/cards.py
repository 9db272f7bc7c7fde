"""The scorecard: strategies side by side over one span, and who serves as well as the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from workbench.domain import Tier
from workbench.results import Scorecard, SimRun
from workbench.scoring.effort import effort
from workbench.scoring.intervals import saving_interval
from workbench.scoring.service import service
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, after

BACKLOG_TOLERANCE = 0.05  # of the arrivals: more work left waiting than that was put off, not saved
SERVICE_TOLERANCE = 0.005  # half a point of attainment: below it two strategies serve equally well


def score(
    runs: Mapping[str, SimRun], *, tiers: Sequence[Tier], baseline: str, labels: Mapping[str, str], warmup_hours: float
) -> Scorecard:
    """Return the scorecard of runs over one span; the first ``warmup_hours`` count for nobody.

    ``totals`` has one row per strategy with effort, saving against the baseline and ``keeps_service``; ``tiers`` one
    row per strategy and tier. ``gpu_hours_saved_low_fraction`` and ``gpu_hours_saved_high_fraction`` hold the saving in
    90 of 100 draws of the whole days (null below two), from all of which it is ``gpu_hours_saved_fraction``.
    """
    rows: list[dict[str, object]] = []
    tier_rows: list[dict[str, object]] = []
    for key, run in runs.items():
        since = after(run.start, warmup_hours * SECONDS_PER_HOUR)
        rows.append({"strategy": key, "label": labels[key], **effort(run, since)})
        tier_rows += [{"strategy": key, "tier": tier.key, **service(run, tier, since)} for tier in tiers]
    tier_frame = pl.DataFrame(tier_rows, infer_schema_length=None).with_columns(pl.col(pl.Null).cast(pl.Float64))
    worse = worse_tiers(tier_frame, baseline).get_column("strategy").unique()
    base = pl.col("strategy") == baseline
    totals = pl.DataFrame(rows).with_columns(
        gpu_hours_saved_fraction=_saved("gpu_hours", base),
        **_intervals(runs, baseline, warmup_hours),
        cost_saved_usd=pl.col("cost_usd").filter(base).first() - pl.col("cost_usd"),
        waste_saved_fraction=_saved("waste_gpu_hours", base),
        keeps_service=~pl.col("strategy").is_in(list(worse)),
    )
    return Scorecard(totals=totals, tiers=tier_frame, baseline=baseline)


def _intervals(runs: Mapping[str, SimRun], baseline: str, warmup_hours: float) -> dict[str, pl.Series]:
    """Return both ends of the interval of each strategy's saving over the whole days of the span, as columns."""
    ends: list[tuple[float | None, float | None]] = []
    for run in runs.values():
        since = after(run.start, warmup_hours * SECONDS_PER_HOUR)
        has_days = (run.end - since).total_seconds() >= 2 * SECONDS_PER_DAY
        held = runs[baseline].pools.filter(pl.col("window_start") >= since).get_column("gpu_hours").sum()
        if not has_days or not held > 0:
            ends.append((None, None))
            continue
        found = saving_interval([run], [runs[baseline]], since=since)
        ends.append((found.low_fraction, found.high_fraction))
    names = ("gpu_hours_saved_low_fraction", "gpu_hours_saved_high_fraction")
    return {name: pl.Series([end[i] for end in ends], dtype=pl.Float64) for i, name in enumerate(names)}


def interval_column(totals: pl.DataFrame) -> list[pl.Expr]:
    """Return the column that says a saving's interval in percent, for people; none where no strategy has one.

    ``totals`` of studies saved before there were intervals have no such columns.
    """
    names = ("gpu_hours_saved_low_fraction", "gpu_hours_saved_high_fraction")
    if names[0] not in totals.columns or totals.get_column(names[0]).null_count() == totals.height:
        return []
    ends = [(pl.col(name) * 100).round(1) for name in names]
    return [pl.format("{} to {}", *ends).alias("interval over days, %")]


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
        *interval_column(card.totals),
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
