"""The tables of the monthly report, named as a reader reads them: units in the heads, labels in place of keys.

Numbers come from :mod:`workbench.reporting.monthly`, the scorecard and the forecast's accuracy; here they are only
chosen, rounded and named.
"""

from __future__ import annotations

import polars as pl

from workbench import forecasting, scoring
from workbench.errors import ForecastError
from workbench.reporting import monthly
from workbench.reporting.rendering import labels
from workbench.results import Study
from workbench.units import SECONDS_PER_HOUR

MEDIAN = 0.5


def cost_table(study: Study, month: str) -> pl.DataFrame:
    """Return the month's cost under each strategy with the service it was had at, as a reader sees it."""
    strictest = monthly.strictest_tier(study.fleet.tiers)
    kept = study.scorecard.tiers.filter(pl.col("tier") == strictest.key).select(
        "strategy", (pl.col("slo_attainment_fraction") * 100).alias("kept")
    )
    rows = monthly.month_projection(study, month).join(kept, on="strategy", how="left", maintain_order="left")
    return rows.select(
        pl.col("label").alias("strategy"),
        pl.col("month_gpu_hours").round(0).alias("GPU-hours"),
        pl.col("month_cost_usd").round(0).alias("cost, USD"),
        pl.col("month_cost_saved_usd").round(0).alias("saved, USD"),
        (pl.col("cost_saved_fraction") * 100).alias("saved, %"),
        pl.col("keeps_service").alias("serves as well"),
        pl.col("kept").alias(f"{strictest.label}: promises kept, %"),
        pl.col("usd_per_million_tokens").alias("USD per million tokens served"),
    )


def idle_table(study: Study, month: str) -> pl.DataFrame:
    """Return what of the month's GPU-hours served nobody, what was lent, and the work left over, by strategy."""
    return monthly.month_projection(study, month).select(
        pl.col("label").alias("strategy"),
        pl.col("month_waste_gpu_hours").round(0).alias("start-up waste, GPU-hours"),
        (pl.col("waste_fraction") * 100).alias("of those held, %"),
        pl.col("month_lent_gpu_hours").round(0).alias("lent to the spot pool, GPU-hours"),
        (pl.col("lent_fraction") * 100).alias("of held and lent, %"),
        pl.col("waiting").round(0).alias("requests waiting when the span ends"),
    )


def split_table(study: Study, month: str, by: str) -> pl.DataFrame:
    """Return the month's cost in USD by model or region (rows) and strategy (columns), with a row of totals."""
    names = labels(study)
    costs = monthly.month_cost_by(study, month, by).with_columns(pl.col("strategy").replace(names))
    wide = costs.pivot(on="strategy", index=by, values="month_cost_usd").sort(by)
    total = wide.select(pl.lit("all").alias(by), pl.exclude(by).sum())
    return pl.concat([wide.with_columns(pl.col(by).replace(names)), total]).select(
        by, (pl.exclude(by).round(0).name.suffix(", USD"))
    )


def service_table(study: Study) -> pl.DataFrame:
    """Return what every tier got under each strategy, as a reader sees it."""
    told = scoring.tables_of(study.scorecard, study.fleet.tiers)["What every tier got"]
    return told.with_columns(pl.col("tier").replace({tier.key: tier.label for tier in study.fleet.tiers}))


def forecast_table(study: Study) -> pl.DataFrame:
    """Return how far the median forecast of input tokens was off, by model; empty where nothing can be compared.

    Errors of the model's series (region and tier) added up over what they realised, bias likewise, and the share of
    windows at or below the planned quantile.
    """
    columns = {"model": pl.String, "error, %": pl.Float64, "bias, %": pl.Float64}
    quantile = study.scenario.risk.quantile
    planned = f"windows at or below the planned quantile {quantile:g}, %"
    try:
        scores = forecasting.accuracy(study.forecast, study.demand)
    except ForecastError:
        return pl.DataFrame(schema=columns | {planned: pl.Float64})
    volume = (
        study.demand.filter(pl.col("window_start") >= study.as_of)
        .group_by("region", "model", "tier")
        .agg(pl.col("input_tokens").sum().alias("volume"))
    )
    rows = scores.filter(pl.col("measure") == "input_tps").join(volume, on=["region", "model", "tier"])
    at = {level: (pl.col("quantile") - level).abs() < 1e-6 for level in (MEDIAN, quantile)}
    weight = pl.col("volume").filter(at[MEDIAN])
    names = labels(study)
    return (
        rows.group_by("model")
        .agg(
            ((pl.col("wape").filter(at[MEDIAN]) * weight).sum() / weight.sum() * 100).alias("error, %"),
            ((pl.col("bias").filter(at[MEDIAN]) * weight).sum() / weight.sum() * 100).alias("bias, %"),
            (pl.col("coverage_fraction").filter(at[quantile]).mean() * 100).alias(planned),
        )
        .sort("model")
        .with_columns(pl.col("model").replace(names))
    )


def assumptions_table(study: Study) -> pl.DataFrame:
    """Return what was assumed, with the source and date of every fact that has one."""
    fleet, scenario, trace = study.fleet, study.scenario, study.manifest["trace"]
    prices = sorted({(gpu, usd) for (_, gpu), usd in fleet.usd_per_gpu_hour.items()})
    rows = [(f"price of {gpu}", f"{usd:,.2f} USD per GPU-hour", fleet.price_note) for gpu, usd in prices]
    rows += [
        (tier.label, _promise(tier.ttft_slo_s, tier.deadline_s), f"{tier.source}, {tier.date}") for tier in fleet.tiers
    ]
    rows += [(f"{model.label}", _replicas(study, model.key), f"{model.source}, {model.date}") for model in fleet.models]
    rows += [
        ("demand", f"trace {trace['name']}, {trace['rows']:,} rows, times {scenario.demand_scale:g}", trace["source"]),
        (
            "planned for",
            f"quantile {scenario.risk.quantile:g}, headroom {scenario.risk.headroom_fraction:.0%}",
            "scenario",
        ),
        ("seed", f"{scenario.seed}", "scenario"),
    ]
    return pl.DataFrame(
        rows, schema={"what": pl.String, "value": pl.String, "source and date": pl.String}, orient="row"
    )


def pools(study: Study) -> dict[str, pl.DataFrame]:
    """Return the pools of every simulated strategy, by strategy, from where the span is scored."""
    since = monthly.scored_from(study)
    return {key: run.pools.filter(pl.col("window_start") >= since) for key, run in study.runs.items()}


def windows(study: Study) -> dict[str, pl.DataFrame]:
    """Return the windows of every simulated strategy, by strategy, from where the span is scored."""
    since = monthly.scored_from(study)
    return {key: run.windows.filter(pl.col("window_start") >= since) for key, run in study.runs.items()}


def deferrable(study: Study) -> list[str]:
    """Return the keys of the tiers that may wait."""
    return [tier.key for tier in study.fleet.tiers if tier.deferrable]


def _promise(ttft_slo_s: float | None, deadline_s: float | None) -> str:
    if ttft_slo_s is not None:
        return f"first token within {ttft_slo_s:g} s"
    return f"done within {(deadline_s or 0.0) / SECONDS_PER_HOUR:g} h"


def _replicas(study: Study, model: str) -> str:
    kinds = [f"{replica.gpus} x {replica.gpu}" for replica in study.fleet.replicas if replica.model == model]
    return f"replica of {' or '.join(kinds)}"
