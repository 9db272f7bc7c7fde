"""What a month costs: the simulated span stretched to the month's hours, per strategy, model and region.

A month is never simulated whole, so every figure here is an extrapolation and says so: the span's cost times the
month's hours over the span's. It is exact for a month made of such spans and wrong where the span is busier or quieter
than the month; ``load_ratio`` tells by how much the span differs from all the days the study has seen.
A saving counts only where the service is kept (``scoring``); the service a cheaper strategy gives stands beside it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from workbench import scoring
from workbench.domain import Tier
from workbench.errors import ReportError
from workbench.results import Study
from workbench.units import HOURS_PER_DAY, SECONDS_PER_HOUR, after

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
TOKENS_PER_MILLION = 1e6


def checked_month(month: str) -> str:
    """Return a month written YYYY-MM. Raises ReportError for anything else."""
    if not MONTH.fullmatch(month) or month.startswith("0000"):
        raise ReportError(f"a month is written YYYY-MM such as 2025-07, got {month!r}.")
    return month


def month_hours(month: str) -> float:
    """Return the hours of a month: 744 for 2025-07, 672 for 2025-02. Raises ReportError where it is no month."""
    year, number = (int(part) for part in checked_month(month).split("-"))
    return calendar.monthrange(year, number)[1] * HOURS_PER_DAY


def month_name(month: str) -> str:
    """Return a month in words: July 2025."""
    return f"{datetime.strptime(checked_month(month), '%Y-%m'):%B %Y}"


def scored_from(study: Study) -> datetime:
    """Return the first instant that counts: the start of the simulated span and what is left of it after warm-up."""
    return after(study.as_of, study.scenario.warmup_hours * SECONDS_PER_HOUR)


def month_factor(study: Study, month: str) -> float:
    """Return by what a figure of the scored span is multiplied to stand for the month: hours over hours."""
    return month_hours(month) / (study.hours - study.scenario.warmup_hours)


def month_projection(study: Study, month: str) -> pl.DataFrame:
    """Return what a month would take under each strategy, one row per strategy in the scenario's order.

    ``month_gpu_hours``, ``month_cost_usd``, ``month_cost_saved_usd`` and ``cost_saved_fraction`` against the baseline,
    ``keeps_service``, ``waste_fraction`` of the GPU-hours held while starting, ``lent_fraction`` of held and lent that
    is lent, ``usd_per_million_tokens`` served (input and output together), and ``waiting`` requests at the end of the
    span, which are work left for later.
    """
    factor = month_factor(study, month)
    totals = study.scorecard.totals
    waiting = study.scorecard.tiers.group_by("strategy").agg(pl.col("backlog").sum().alias("waiting"))
    tokens = pl.DataFrame(
        [(key, served_tokens(study, key)) for key in totals.get_column("strategy")],
        schema={"strategy": pl.String, "served_tokens": pl.Float64},
        orient="row",
    )
    held = pl.col("gpu_hours")
    base_cost_usd = pl.col("cost_usd") + pl.col("cost_saved_usd")
    return (
        totals.join(waiting, on="strategy", how="left", maintain_order="left")
        .join(tokens, on="strategy", how="left", maintain_order="left")
        .select(
            "strategy",
            "label",
            (held * factor).alias("month_gpu_hours"),
            (pl.col("cost_usd") * factor).alias("month_cost_usd"),
            (pl.col("cost_saved_usd") * factor).alias("month_cost_saved_usd"),
            _share(pl.col("cost_saved_usd"), base_cost_usd).alias("cost_saved_fraction"),
            "keeps_service",
            (pl.col("waste_gpu_hours") * factor).alias("month_waste_gpu_hours"),
            _share(pl.col("waste_gpu_hours"), held).alias("waste_fraction"),
            (pl.col("lent_gpu_hours") * factor).alias("month_lent_gpu_hours"),
            _share(pl.col("lent_gpu_hours"), held + pl.col("lent_gpu_hours")).alias("lent_fraction"),
            _share(pl.col("cost_usd"), pl.col("served_tokens") / TOKENS_PER_MILLION).alias("usd_per_million_tokens"),
            "waiting",
        )
    )


def month_cost_by(study: Study, month: str, *by: str) -> pl.DataFrame:
    """Return GPU-hours and cost of a month by strategy and by model, region or GPU kind.

    One row per strategy and value of ``by``, with ``month_gpu_hours``, ``month_cost_usd`` and ``cost_fraction`` of the
    strategy's cost.
    """
    factor, since = month_factor(study, month), scored_from(study)
    parts = [
        run.pools.filter(pl.col("window_start") >= since)
        .group_by(by)
        .agg(
            (pl.col("gpu_hours").sum() * factor).alias("month_gpu_hours"),
            (pl.col("cost_usd").sum() * factor).alias("month_cost_usd"),
        )
        .sort(by)
        .select(pl.lit(key).alias("strategy"), pl.all())
        for key, run in study.runs.items()
    ]
    shares = _share(pl.col("month_cost_usd"), pl.col("month_cost_usd").sum().over("strategy"))
    return pl.concat(parts).with_columns(shares.alias("cost_fraction"))


def served_tokens(study: Study, strategy: str) -> float:
    """Return input and output tokens of the requests completed in the scored span.

    Completions of a model and tier times the mean tokens of such a request that arrived in the span.
    """
    since = scored_from(study)
    windows = study.runs[strategy].windows.filter(pl.col("window_start") >= since)
    completed = windows.group_by("model", "tier").agg(pl.col("served").sum())
    known = study.demand.filter(pl.col("window_start") >= since).drop_nulls()
    lengths = known.group_by("model", "tier").agg(
        ((pl.col("input_tokens") + pl.col("output_tokens")).sum() / pl.col("requests").sum()).alias("tokens")
    )
    joined = completed.join(lengths, on=["model", "tier"]).filter(pl.col("tokens").is_finite())
    return float((joined.get_column("served") * joined.get_column("tokens")).sum())


def load_ratio(study: Study) -> float | None:
    """Return the token rate of the simulated span over that of all days the study has seen; None where unknown."""
    tokens = pl.col("input_tokens") + pl.col("output_tokens")
    rates = study.demand.group_by("window_start").agg(
        pl.when(tokens.is_null().any()).then(None).otherwise(tokens.sum()).alias("tokens")
    )
    span = rates.filter(pl.col("window_start") >= study.as_of).get_column("tokens").mean()
    whole = rates.get_column("tokens").mean()
    return float(span) / float(whole) if isinstance(span, float) and isinstance(whole, float) and whole > 0 else None


def worse_tiers(study: Study, strategy: str) -> list[tuple[Tier, float | None, float | None]]:
    """Return the tiers that fare clearly worse than under the baseline, with both attainments (None: not judged)."""
    tiers, base = study.scorecard.tiers, study.scorecard.baseline
    worse = set(scoring.worse_tiers(tiers, base).filter(pl.col("strategy") == strategy).get_column("tier"))
    kept = {row[:2]: row[2] for row in tiers.select("strategy", "tier", "slo_attainment_fraction").iter_rows()}
    return [(tier, kept[strategy, tier.key], kept[base, tier.key]) for tier in study.fleet.tiers if tier.key in worse]


def strictest_tier(tiers: Sequence[Tier]) -> Tier:
    """Return the tier with the shortest promise: its latency is what a cut in capacity spoils first."""
    return min(tiers, key=lambda tier: (tier.deferrable, tier.ttft_slo_s or float("inf")))


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)
