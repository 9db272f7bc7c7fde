"""Say in words and facts what a study is: the notes a reader must know, the trace it is made from, its manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from workbench import __version__, performance
from workbench.domain import Fleet, Scenario
from workbench.results import CapacityPlan, Forecast, Study
from workbench.studies import preparing, saving
from workbench.studies.drafting import code_digest
from workbench.traces.store import Reading

# of the findings that are no more than notes, those that say what the numbers were made of
TOLD_NOTES = (
    "offsets",
    "regions are made",
    "tiers are made",
    "read as asked",
    "level shift",
    "suspected cut",
    "about the format",
)
SERIES_NAMED = 6
PINNED = ("duckdb", "highspy", "numba", "numpy", "polars", "prophet", "pulp")


def trace_facts(store: Reading, trace: str) -> dict[str, Any]:
    """Return what the manifest keeps of a trace: where it came from, its fingerprint, its rows and its span."""
    info = store.describe(trace)
    return {
        "name": trace,
        "kind": info.header.kind,
        "format": info.header.format,
        "source": info.header.source,
        "fingerprint": info.header.fingerprint,
        "rows": info.rows,
        "rejected": info.rejected,
        "first_at": str(info.first_at),
        "last_at": str(info.last_at),
    }


def notes_of(
    scenario: Scenario, forecast: Forecast, plan: CapacityPlan, demand: pl.DataFrame, span: preparing.Span
) -> list[str]:
    """Return what was assumed, cut or fell back on the way from the demand to the plan."""
    notes = []
    if scenario.demand_scale != 1.0:
        notes.append(f"Every rate of the trace is multiplied by {scenario.demand_scale:g}: the trace is a sample.")
    if scenario.warmup_hours > 0:
        notes.append(f"The first {scenario.warmup_hours:g} h are simulated but not scored.")
    told = forecast.notes.filter(pl.col("note") != "").group_by("method", "note", maintain_order=True).len()
    notes += [f"Forecast, {count} series by {method}: {note}." for method, note, count in told.iter_rows()]
    if plan.status != "optimal":
        notes.append(f"The plan is {plan.status}, not proven optimal; gap {plan.gap_fraction or 0:.2%}.")
    if plan.shortfall.height:
        notes.append(f"The plan cannot cover the requirement in {plan.shortfall.height:,} cells; see the shortfall.")
    return [*notes, *_gaps_ahead(demand.filter(pl.col("window_start") >= span.as_of))]


def _gaps_ahead(ahead: pl.DataFrame) -> list[str]:
    """Say which series are unknown in the simulated span, and how much of it: results rest on what stands in there."""
    unknown = (
        ahead.group_by("model", "region", "tier")
        .agg(pl.col("requests").is_null().mean().alias("share"))
        .filter(pl.col("share") > 0)
        .group_by("model", "share")
        .agg(pl.len().alias("series"))
        .sort("share", "model", descending=[True, False])
    )
    if unknown.is_empty():
        return []
    share = ahead.get_column("requests").null_count() / ahead.height
    named = [
        f"{model} ({series} series) {part:.0%}" for model, part, series in unknown.head(SERIES_NAMED).iter_rows()
    ] + ([f"{unknown.height - SERIES_NAMED} more"] if unknown.height > SERIES_NAMED else [])
    return [
        f"{share:.1%} of the simulated span, series by series, are gaps of the source, run at the mean of the last "
        f"known hour and not at what came: {', '.join(named)}. What is said of these models rests on it."
    ]


def notes_of_speed(fleet: Fleet) -> list[str]:
    """Return, once per model and GPU kind, where the simulation may leave what the speed of a replica is known for."""
    notes = (performance.validity_note(kind, fleet.mixes[kind.model]) for kind in fleet.replicas)
    return [f"Speed, {note}" for note in notes if note]


def notes_of_trace(store: Reading, scenario: Scenario) -> list[str]:
    """Return what the ingest found that a reader of the study must know, worst first.

    Rows that were refused, everything it calls a warning or spoilt, and how the trace was read.
    """
    info = store.describe(scenario.trace)
    refused = (
        [
            f"Trace, {info.rejected:,} of {info.rows_read:,} rows were refused ({info.rejected / info.rows_read:.1%}) "
            "and are in no number here: demand is that much too low where they were requests."
        ]
        if info.rejected
        else []
    )
    told = (pl.col("level") != "note") | pl.col("finding").is_in(TOLD_NOTES)
    findings = store.findings(scenario.trace).filter(told & (pl.col("finding") != "refused rows"))
    facts = findings.select("level", "finding", "where", "detail").unique(maintain_order=True).iter_rows()
    return refused + [
        f"Trace, {what}{'' if level == 'note' else f' ({level})'}, {where}: {detail}."
        for level, what, where, detail in facts
    ]


def manifest_of(
    study: Study, *, trace: Mapping[str, Any], demand_window_s: float, laps_s: Mapping[str, float], now: datetime
) -> dict[str, Any]:
    """Return the manifest of a study: everything but frames that opening, comparing and making it again needs."""
    return {
        "id": study.id,
        "title": study.scenario.title,
        "created_at": now.isoformat(timespec="seconds"),
        "trace": dict(trace),
        "as_of": study.as_of.isoformat(),
        "hours": study.hours,
        "demand_window_s": demand_window_s,
        "seed": study.scenario.seed,
        "baseline": study.scenario.baseline,
        "prices": study.fleet.price_note,
        "notes": list(study.notes),
        "forecast": {"method": study.forecast.method, "window_s": study.forecast.window_s},
        "plan": saving.plan_facts(study.plan),
        "plans": {key: saving.plan_facts(plan) for key, plan in study.plans.items()},
        "runs": {key: saving.run_facts(run) for key, run in study.runs.items()},
        "timings_s": {**laps_s, "solver": round(float(study.plan.hours.get_column("solve_s").sum()), 3)},
        "code": code_digest(),
        "versions": {"workbench": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PINNED},
    }
