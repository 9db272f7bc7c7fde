"""The monthly report in words and tables: sentences built from numbers, and frames named as a reader reads them.

Nothing is computed here that is not in :mod:`workbench.reporting.monthly`, the scorecard or the plan; this module only
chooses what to say. A saving is never told without the service it was had at.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from workbench import forecasting, scoring
from workbench.domain import Region, ServedModel, Tier
from workbench.errors import ForecastError
from workbench.reporting import monthly
from workbench.results import Study
from workbench.units import HOURS_PER_DAY, SECONDS_PER_HOUR

BUSIER = 0.05  # a span within 5 % of the mean load is called representative
MEDIAN = 0.5
PROVEN = 1e-4  # a gap that shows as 0.00 %


def subtitle(study: Study, month: str) -> list[str]:
    """Return what the report is about, in one line."""
    return [
        f"{monthly.month_name(month)} · {study.manifest['title']} · study {study.id} · "
        f"simulated {study.hours:g} h from {study.as_of:%Y-%m-%d %H:%M} UTC"
    ]


def headline(study: Study, month: str) -> list[str]:
    """Return the findings a reader must leave with: cost, the best saving that keeps service, and how far to trust."""
    rows = monthly.month_projection(study, month).to_dicts()
    base = next(row for row in rows if row["strategy"] == study.scorecard.baseline)
    kept = [row for row in rows if row["keeps_service"] and row["month_cost_saved_usd"] > 0]
    name = monthly.month_name(month)
    said = [
        f"Serving this load under {base['label']}, the baseline, costs {base['month_cost_usd']:,.0f} USD for {name} "
        f"at the list price: {base['month_gpu_hours']:,.0f} GPU-hours."
    ]
    if kept:
        best = max(kept, key=lambda row: float(row["month_cost_saved_usd"]))
        said.append(
            f"{best['label']} serves as well and costs {best['month_cost_saved_usd']:,.0f} USD less "
            f"({best['cost_saved_fraction']:.1%}); {_beside(study, best['strategy'])}."
        )
    else:
        said.append(f"No other strategy of this study costs less and serves as well as {base['label']}.")
    cheaper = [row for row in rows if not row["keeps_service"] and row["month_cost_saved_usd"] > 0]
    said += [
        f"{row['label']} would cost {row['month_cost_saved_usd']:,.0f} USD less ({row['cost_saved_fraction']:.1%}), "
        f"but serves worse: {_worse(study, row['strategy'])}."
        for row in cheaper
    ]
    dearer = [row for row in rows if row["month_cost_saved_usd"] < 0]
    if dearer:
        more = ", ".join(f"{row['label']} by {-row['month_cost_saved_usd']:,.0f} USD" for row in dearer)
        said.append(f"Dearer than the baseline: {more}.")
    return [*said, _trust(study, month)]


def caveats(study: Study, month: str) -> list[str]:
    """Return what a reader must know before using a number: extrapolation, prices, work left over, and all notes."""
    hours = study.hours - study.scenario.warmup_hours
    factor = monthly.month_factor(study, month)
    said = [
        f"Extrapolated: {hours:g} simulated hours stand for the {monthly.month_hours(month):,.0f} hours of "
        f"{monthly.month_name(month)} (factor {factor:.2f}). Nothing else of the month is known to the study.",
        _load(study),
        "Priced at the on-demand list price for every GPU held: no reservation, no discount, no credit for GPUs lent "
        "to the spot pool, no network, storage or staff.",
    ]
    said += _left_over(study)
    return [*(text for text in said if text), *study.notes]


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
    labels = dict(study.scorecard.totals.select("strategy", "label").iter_rows())
    costs = monthly.month_cost_by(study, month, by).with_columns(pl.col("strategy").replace(labels))
    wide = costs.pivot(on="strategy", index=by, values="month_cost_usd").sort(by)
    names = _names(study, by)
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
    names = _names(study, "model")
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


def plan_in_words(study: Study) -> list[str]:
    """Return how the plan was solved, what it costs, and what it leaves uncovered."""
    plan, hours = study.plan, study.plan.hours
    solve_s = study.manifest["timings_s"]["plan"]
    said = [
        f"The plan covers {hours.height:,} hours and costs {plan.cost_usd:,.0f} USD for the replicas it holds. The "
        f"programme ({plan.programme}, solver {plan.solver}) ended {plan.status}: {_gap(plan.gap_fraction)}. Planning "
        f"took {solve_s:,.1f} s.",
        f"It is made for quantile {study.scenario.risk.quantile:g} of the forecast by {study.forecast.method}, which "
        f"read nothing at or after {study.as_of:%Y-%m-%d %H:%M} UTC.",
    ]
    if plan.shortfall.is_empty():
        return [*said, "Everything that is required is covered: there is no shortfall."]
    worst = plan.shortfall.sort("input_tps", descending=True).row(0, named=True)
    return [
        *said,
        f"It falls short in {plan.shortfall.height:,} cells of hour, region, model and tier; the largest is "
        f"{worst['input_tps']:,.0f} input tokens per second of {worst['model']} ({worst['tier']}) in {worst['region']} "
        f"at {worst['window_start']:%Y-%m-%d %H:%M} UTC.",
    ]


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


def _names(study: Study, by: str) -> dict[str, str]:
    fleet = study.fleet
    things: dict[str, Sequence[ServedModel | Region | Tier]] = {
        "model": fleet.models,
        "region": fleet.regions,
        "tier": fleet.tiers,
    }
    return {thing.key: thing.label for thing in things[by]}


def _promise(ttft_slo_s: float | None, deadline_s: float | None) -> str:
    if ttft_slo_s is not None:
        return f"first token within {ttft_slo_s:g} s"
    return f"done within {(deadline_s or 0.0) / SECONDS_PER_HOUR:g} h"


def _replicas(study: Study, model: str) -> str:
    kinds = [f"{replica.gpus} x {replica.gpu}" for replica in study.fleet.replicas if replica.model == model]
    return f"replica of {' or '.join(kinds)}"


def _gap(gap_fraction: float | None) -> str:
    if gap_fraction is None:
        return "no bound is known, so it may be far from the best"
    if gap_fraction < PROVEN:
        return "no plan that serves the same costs less"
    return f"a better plan could cost at most {gap_fraction:.2%} less"


def _worse(study: Study, strategy: str) -> str:
    told = []
    for tier, kept, before in monthly.worse_tiers(study, strategy):
        if kept is None or before is None:
            told.append(f"more deadlines of {tier.label} are missed")
        else:
            told.append(f"{tier.label} keeps {kept:.1%} of its promises against {before:.1%}")
    return "; ".join(told) or "see what every tier got"


def _beside(study: Study, strategy: str) -> str:
    """Say what the strictest tier gets under a strategy and under the baseline."""
    tier = monthly.strictest_tier(study.fleet.tiers)
    rows = study.scorecard.tiers.filter(pl.col("tier") == tier.key).select("strategy", "slo_attainment_fraction")
    kept = dict(rows.iter_rows())
    own, base = kept[strategy], kept[study.scorecard.baseline]
    if own is None or base is None:
        return f"{tier.label} had no request in the span"
    return f"{tier.label} keeps {own:.1%} of its promises against {base:.1%}"


def _trust(study: Study, month: str) -> str:
    hours = study.hours - study.scenario.warmup_hours
    return (
        f"These figures extrapolate {hours:g} simulated hours ({study.as_of:%A %Y-%m-%d}) to the "
        f"{monthly.month_hours(month):,.0f} hours of the month. {_load(study)}"
    )


def _load(study: Study) -> str:
    ratio = monthly.load_ratio(study)
    starts = study.demand.get_column("window_start")
    days = (starts.max() - starts.min()).total_seconds() / (HOURS_PER_DAY * SECONDS_PER_HOUR)  # type: ignore[operator, union-attr]
    if ratio is None:
        return ""
    seen = f"of the {days:.0f} days of data the study has seen"
    if abs(ratio - 1.0) <= BUSIER:
        return f"The simulated load is that of the mean {seen}, within {BUSIER:.0%}."
    way = "busier" if ratio > 1 else "quieter"
    return (
        f"The simulated hours are {way} than the mean {seen} ({ratio:.2f} times its tokens), so the month is probably "
        f"{'over' if ratio > 1 else 'under'}stated."
    )


def _left_over(study: Study) -> list[str]:
    rows = monthly.month_projection(study, f"{study.as_of:%Y-%m}").filter(pl.col("waiting") >= 1.0)
    parts = [f"{label} {waiting:,.0f}" for label, waiting in rows.select("label", "waiting").iter_rows()]
    told = []
    if parts:
        told.append(
            f"Requests still queued or running when the span ends: {', '.join(parts)}. Their cost falls after the "
            "span, so a strategy that leaves many looks cheaper than it is."
        )
    undue = study.scorecard.tiers.filter(pl.col("slo_attainment_fraction").is_null() & (pl.col("arrived") > 0))
    names = _names(study, "tier")
    tiers = [names[key] for key in undue.get_column("tier").unique(maintain_order=True)]
    if tiers:
        told.append(f"No deadline of {', '.join(tiers)} fell into the span, so that promise is not judged here.")
    return told
