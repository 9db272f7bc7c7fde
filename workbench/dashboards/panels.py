"""What the page shows of an answer: a sentence, a figure and two tables. Pure functions of a study and an answer.

A saving is stated against the baseline strategy of the study on the same demand, never without the service it is had
at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.charts import whatif
from workbench.dashboards import answers, state
from workbench.dashboards.answers import BASELINE, CHOSEN, OWN, Answer
from workbench.domain import Policy, Tier
from workbench.results import SimRun, Study
from workbench.units import SECONDS_PER_HOUR, span_in_words

WORDS = ("Promise",)  # columns that hold words and no numbers
WHOLE = 1.0 - 1e-9  # sums of shares miss one by rounding alone


def summary(study: Study, found: Answer) -> str:
    """Say in words what the choices lead to: effort against the baseline and the study, at which service."""
    totals = found.totals
    chosen, base = totals[CHOSEN], state.policy_named(study, study.scenario.baseline)
    verb = "holds" if found.is_own else "would hold"
    effort = f"{found.policy.label} {verb} {chosen['gpu_hours']:,.0f} GPU-hours ({chosen['cost_usd']:,.0f} USD)"
    effort += f" in {span_in_words(study.hours * SECONDS_PER_HOUR)}"
    rival = f"the study's {base.label}" if found.policy.key == base.key else base.label
    if not (found.is_own and found.policy.key == base.key):
        effort += f", {_compared(chosen['gpu_hours'], totals[BASELINE]['gpu_hours'])} {rival} on the same demand"
    if found.is_own:
        effort = f"With the study's own choices {effort}"
    else:
        effort += f" and {_compared(chosen['gpu_hours'], totals[OWN]['gpu_hours'])} with the study's choices"
    sentences = [effort, _kept(study, found)]
    if not chosen["keeps_service"]:
        sentences.append(f"Some tier is served worse than under {rival}")
    if found.plan is not None and found.plan.shortfall.height:
        hours = found.plan.shortfall.get_column("window_start").n_unique()
        sentences.append(f"The stock of GPUs is too small for the plan in {hours} h")
    if answers.is_planned_otherwise(study, found.policy):
        sentences.append(_planned(found.policy))
    return ". ".join(sentences) + "."


def _planned(policy: Policy) -> str:
    """Say how the plan of the choices differs from those of the study."""
    here, there = "once for the whole span", "made a new one every hour"
    if policy.programme == "lookahead":
        here, there = f"{here}, each hour by itself", "looked a day ahead, anew every hour"
    if policy.foresight == "perfect":
        here, there = f"{here} from the forecast", f"{there}, and knew what would come"
    return f"Here a plan is made {here}; the study {there}"


def _compared(value: float, other: float) -> str:
    change = value / other - 1.0 if other > 0 else 0.0
    if abs(change) < 0.0005:
        return "as many as"
    return f"{abs(change) * 100:.1f} % {'more' if change > 0 else 'fewer'} than"


def _kept(study: Study, found: Answer) -> str:
    parts = []
    for tier in study.fleet.tiers:
        kept = {case: found.tiers[case, tier.key]["slo_attainment_fraction"] for case in (CHOSEN, OWN)}
        if kept[CHOSEN] is None:
            continue
        text = f"{percent(kept[CHOSEN])} for {tier.label}"
        if not found.is_own and kept[OWN] is not None:
            text += f" (study: {percent(kept[OWN])})"
        parts.append(text)
    return "Promises kept: " + ", ".join(parts) if parts else "No promise fell due"


def percent(fraction: float) -> str:
    """Write a share in percent, never rounded up to a whole: at 99.996 % something was missed, so it reads 99.99 %."""
    if fraction >= WHOLE:
        return "100 %"
    value = fraction * 100.0
    return f"{min(value, 99.99):.2f} %" if value >= 99.5 else f"{value:.1f} %"


def figure(study: Study, found: Answer) -> Any:
    """Return the figure of an answer: the choices, the study's own run and the baseline, each where it is another."""
    tier = min(study.fleet.tiers, key=lambda tier: (tier.deferrable, tier.ttft_slo_s or 0.0))
    cases = {CHOSEN: found.chosen, OWN: found.own, BASELINE: found.baseline}
    if found.is_own:
        del cases[OWN]
        if found.policy.key == study.scenario.baseline:
            del cases[BASELINE]
    length = span_in_words(study.hours * SECONDS_PER_HOUR)
    return whatif.what_if(
        {case: run.pools for case, run in cases.items()},
        {case: hourly_p95(run, tier) for case, run in cases.items()},
        labels={case: found.totals[case]["label"] for case in cases},
        source=f"study {study.id}, trace {study.scenario.trace}, {length} from {study.as_of:%Y-%m-%d %H:%M}",
        promise_s=tier.ttft_slo_s,
        tier=tier.label,
    )


def hourly_p95(run: SimRun, tier: Tier) -> pl.DataFrame:
    """Return the P95 of the time to first token of a tier by hour, over every arrival of the hour (window_start, s).

    As :func:`workbench.scoring.percentiles` reads it from the histogram, for all hours at once.
    """
    count, so_far = pl.col("requests"), pl.col("so_far")
    wanted = 0.95 * pl.col("total")
    inside = (wanted - (so_far - count)) / count
    return (
        run.ttft.filter(pl.col("tier") == tier.key)
        .group_by("window_start", "ttft_low_s", "ttft_high_s")
        .agg(count.sum())
        .filter(count > 0)
        .sort("window_start", "ttft_low_s")
        .with_columns(so_far=count.cum_sum().over("window_start"), total=count.sum().over("window_start"))
        .filter(so_far >= wanted)
        .group_by("window_start", maintain_order=True)
        .first()
        .select(
            "window_start",
            ttft_p95_s=pl.col("ttft_low_s") * (pl.col("ttft_high_s") / pl.col("ttft_low_s")).pow(inside),
        )
    )


def note(study: Study) -> str:
    """Say what stays as it is whatever is chosen."""
    return (
        f"The fleet at the start, its stock of GPUs, the prices and the fitted forecast stay those of study {study.id} "
        f"on trace {study.scenario.trace}. The plan is made anew when demand, quantile or planned load change. "
        "Choices that change nothing under a strategy are greyed out."
    )


def effort_table(found: Answer) -> pl.DataFrame:
    """Return effort and money for reading, one row for the choices, the study's own run and the baseline.

    A saving is shown where the demand is that of the baseline's row.
    """
    rows = found.totals
    saves = {CHOSEN} | ({OWN} if found.demand_factor == 1.0 else set())
    return pl.DataFrame(
        [
            {
                "Strategy": rows[key]["label"],
                "GPU-hours": f"{rows[key]['gpu_hours']:,.0f}",
                "Cost, USD": f"{rows[key]['cost_usd']:,.0f}",
                "Saved against the baseline, USD": _signed(rows[key]["cost_saved_usd"]) if key in saves else "–",
                "Held while starting, GPU-hours": f"{rows[key]['waste_gpu_hours']:,.1f}",
                "Replicas started": f"{rows[key]['starts']:,.0f}",
            }
            for key in (CHOSEN, OWN, BASELINE)
        ]
    )


def _signed(value: float) -> str:
    return f"{value:+,.0f}".replace("-", "−") if abs(value) >= 0.5 else "0"


def service_table(study: Study, found: Answer) -> pl.DataFrame:
    """Return what every tier got for reading: one row per tier with its promise, the three cases side by side."""
    rows = found.tiers
    names = {CHOSEN: "chosen", OWN: "study", BASELINE: "baseline"}
    return pl.DataFrame(
        [
            {"Tier": tier.label, "Promise": _promise(tier)}
            | {f"Kept, {name}": _kept_in_words(rows[key, tier.key], tier) for key, name in names.items()}
            | {
                f"P95, {name}": "–" if late is None else seconds(late)
                for key, name in names.items()
                for late in [rows[key, tier.key]["ttft_p95_s"]]
            }
            for tier in study.fleet.tiers
        ]
    )


def _kept_in_words(row: Mapping[str, Any], tier: Tier) -> str:
    if row["slo_attainment_fraction"] is not None:
        return percent(row["slo_attainment_fraction"])
    if not tier.deferrable:
        return "nothing came"
    return f"none due (oldest {row['oldest_wait_s'] / SECONDS_PER_HOUR:.1f} h)"


def seconds(value: float) -> str:
    """Write a latency with three significant digits, or as more than an hour."""
    return f"{value:.3g} s" if value < SECONDS_PER_HOUR else "over 1 h"


def _promise(tier: Tier) -> str:
    if tier.deferrable:
        return f"done within {(tier.deadline_s or 0.0) / SECONDS_PER_HOUR:g} h"
    return f"first token within {tier.ttft_slo_s:g} s"
