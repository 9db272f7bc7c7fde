"""The monthly report in words: sentences built from numbers.

Nothing is computed here that is not in :mod:`workbench.reporting.monthly`, the scorecard or the plan; this module only
chooses what to say. A saving is never told without the service it was had at.
"""

from __future__ import annotations

import polars as pl

from workbench.reporting import monthly
from workbench.reporting.rendering import labels
from workbench.results import Study
from workbench.units import SECONDS_PER_HOUR, span_in_words

EQUAL_COST = 0.001  # a tenth of a percent is no difference a person should act on
BUSIER = 0.05  # a span within 5 % of the mean load is called representative
PROVEN = 1e-4  # a gap that shows as 0.00 %


def subtitle(study: Study, month: str) -> list[str]:
    """Return what the report is about, in one line."""
    return [
        f"{monthly.month_name(month)} · {study.manifest['title']} · study {study.id} · "
        f"simulated {span_in_words(study.hours * SECONDS_PER_HOUR)} from {study.as_of:%Y-%m-%d %H:%M} UTC"
    ]


def headline(study: Study, month: str) -> list[str]:
    """Return the findings a reader must leave with: cost, the best saving that keeps service, and how far to trust."""
    rows = monthly.month_projection(study, month).to_dicts()
    base = next(row for row in rows if row["strategy"] == study.scorecard.baseline)
    kept = [row for row in rows if row["keeps_service"] and row["cost_saved_fraction"] >= EQUAL_COST]
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
    cheaper = [row for row in rows if not row["keeps_service"] and row["cost_saved_fraction"] >= EQUAL_COST]
    said += [
        f"{row['label']} would cost {row['month_cost_saved_usd']:,.0f} USD less ({row['cost_saved_fraction']:.1%}), "
        f"but serves worse: {_worse(study, row['strategy'])}."
        for row in cheaper
    ]
    dearer = [row for row in rows if row["cost_saved_fraction"] <= -EQUAL_COST]
    if dearer:
        more = ", ".join(f"{row['label']} by {-row['month_cost_saved_usd']:,.0f} USD" for row in dearer)
        said.append(f"Dearer than the baseline: {more}.")
    return [*said, _trust(study, month)]


def caveats(study: Study, month: str) -> list[str]:
    """Return what a reader must know before using a number: extrapolation, prices, work left over, and all notes."""
    hours = study.hours - study.scenario.warmup_hours
    factor = monthly.month_factor(study, month)
    said = [
        f"Extrapolated: the simulated {span_in_words(hours * SECONDS_PER_HOUR)} stand for the "
        f"{monthly.month_hours(month):,.0f} hours of {monthly.month_name(month)} (factor {factor:.2f}). "
        "Nothing else of the month is known to the study.",
        _load(study),
        "Priced at the on-demand list price for every GPU held: no reservation, no discount, no credit for GPUs lent "
        "to the spot pool, no network, storage or staff.",
    ]
    said += [_other_month(study, month), *_left_over(study)]
    return [*(text for text in said if text), *study.notes]


def _other_month(study: Study, month: str) -> str:
    simulated = f"{study.as_of:%Y-%m}"
    if simulated == month:
        return ""
    return (
        f"The load is of {monthly.month_name(simulated)}, the cost is stated for {monthly.month_name(month)}: only the "
        "number of hours is that month's."
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
        *_made_anew(study),
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


def _made_anew(study: Study) -> list[str]:
    """Say what the plans cost that were made anew every hour, where they were."""
    if study.scenario.replan != "hourly" or not study.plans:
        return []
    labels = {policy.key: policy.label for policy in study.scenario.strategies}
    costs = ", ".join(f"{labels[key]} {own.cost_usd:,.0f} USD" for key, own in study.plans.items())
    return [
        "That is the plan as it stood when the span began. Strategies that follow a plan had a new one made every "
        f"hour, from what had come by then and from the fleet as it stood; what they were told to hold costs: {costs}."
    ]


def _gap(gap_fraction: float | None) -> str:
    if gap_fraction is None:
        return "no bound is known, so it may be far from the best"
    if gap_fraction < PROVEN:
        return "hour by hour, no plan that serves the same costs less"
    return f"hour by hour, a better plan could cost at most {gap_fraction:.2%} less"


def _worse(study: Study, strategy: str) -> str:
    told = []
    for tier, kept, before in monthly.worse_tiers(study, strategy):
        if kept is None or before is None or kept >= before:
            told.append(f"more work of {tier.label} is left waiting when the span ends")
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
        f"These figures extrapolate {span_in_words(hours * SECONDS_PER_HOUR)} ({study.as_of:%A %Y-%m-%d}) to the "
        f"{monthly.month_hours(month):,.0f} hours of the month. {_load(study)}"
    )


def _load(study: Study) -> str:
    ratio = monthly.load_ratio(study)
    starts = study.demand.get_column("window_start")
    known_s = (starts.max() - starts.min()).total_seconds()  # type: ignore[operator, union-attr]
    if ratio is None:
        return ""
    seen = f"of the {span_in_words(known_s)} of data the study has seen"
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
    names = labels(study)
    tiers = [names[key] for key in undue.get_column("tier").unique(maintain_order=True)]
    if tiers:
        told.append(f"No deadline of {', '.join(tiers)} fell into the span, so that promise is not judged here.")
    return told
