"""The paper's published results beside ours: run what its claims ask for, and read ours off the runs.

A saving carries an interval over the days of the run; a ratio of latencies and a share of broken promises are those of
the whole span and have none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from workbench import catalog, scenarios, scoring
from workbench.catalog import Claim
from workbench.errors import StudyError
from workbench.results import SimRun, Study
from workbench.studies.drafting import code_digest
from workbench.studies.opening import open_study
from workbench.studies.running import run
from workbench.studies.saving import MANIFEST, read_manifest, study_id
from workbench.traces import open_store
from workbench.units import SECONDS_PER_DAY

DAYS_PER_MONTH = 30.0
SHARES = ("gpu_hours_saved", "waste_saved", "violations")
INTERVALS = {"gpu_hours_saved": "gpu_hours", "waste_saved": "waste_gpu_hours"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run that claims ask for: a shipped scenario under some settings (``KEY=VALUE``)."""

    scenario: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.scenario, *self.settings))


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What of ours stands beside a claim; null where the run, the strategy or the figure is not there."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    days: int | None = None


def asked_of(claims: Sequence[Claim]) -> list[Asked]:
    """Return the runs that claims need, each once."""
    both = (Asked(scenario=claim.scenario, settings=part) for claim in claims for part in _settings_of(claim))
    return list(dict.fromkeys(both))


def _settings_of(claim: Claim) -> tuple[tuple[str, ...], ...]:
    return (claim.settings, claim.against) if claim.measure == "gpu_hours_ratio" else (claim.settings,)


def run_asked(
    asked: Sequence[Asked],
    *,
    scenarios_dir: Path,
    store: Path | str,
    data_dir: Path,
    now: datetime,
    overrides: Mapping[str, Any] | None = None,
    days: float | None = None,
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Asked, Study]:
    """Return the study of every run, opened where this code has saved it, else run and saved.

    ``overrides`` (dotted keys: trace, engine, ...) hold for all of them; ``days`` are scored, after each scenario's
    warm-up. ``progress`` is called with the runs done and runs in all. Raises the errors of the stages.
    """
    found: dict[Asked, Study] = {}
    for one in asked:
        if progress is not None:
            progress(len(found), len(asked))
        content = scenarios.read(scenarios_dir / f"{one.scenario}.toml")
        given = dict(overrides or {}) | dict(setting_of(text) for text in one.settings)
        if days is not None:
            warmup = scenarios.parse(content, overrides=given, source=str(one)).warmup_hours
            given["span.simulate_hours"] = days * 24 + warmup
        found[one] = _opened_or_run(content, given, str(one), store=store, data_dir=data_dir, now=now, workers=workers)
    if progress is not None:
        progress(len(found), len(asked))
    return found


def _opened_or_run(
    content: Mapping[str, Any],
    overrides: Mapping[str, Any],
    source: str,
    *,
    store: Path | str,
    data_dir: Path,
    now: datetime,
    workers: int | None,
) -> Study:
    scenario = scenarios.parse(content, overrides=overrides, source=source)
    known, root = catalog.load_beside(data_dir), data_dir / "studies"
    with open_store(store, read_only=True) as opened:
        identity = study_id(scenario, opened.describe(scenario.trace).header.fingerprint)
        is_there = (root / identity / MANIFEST).is_file()
        if is_there and read_manifest(root, identity).get("code") == code_digest():
            return open_study(identity, root=root, catalog=known)
        return run(scenario, opened, catalog=known, root=root, now=now, workers=workers)


def setting_of(text: str) -> tuple[str, Any]:
    """Return the key and the value of a setting written ``KEY=VALUE``; the value as in TOML, or as text."""
    key, _, value = text.partition("=")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def beside(claims: Sequence[Claim], studies: Mapping[Asked, Study]) -> pl.DataFrame:
    """Return published and own values, one row per claim: shares and ratios as numbers, money in dollars.

    ``ours`` is null where a run or a strategy is missing, or where the engine does not know the figure; ``low`` and
    ``high`` hold 90 of 100 draws of the days, where there are two or more.
    """
    rows = []
    for claim in claims:
        ours = answer(claim, studies)
        rows.append(
            {
                "figure": claim.figure,
                "claim": claim.claim,
                "published": claim.value,
                "ours": ours.value,
                "low": ours.low,
                "high": ours.high,
                "days": ours.days,
                "why they differ": claim.differs,
                "source": claim.source,
            }
        )
    schema = dict.fromkeys(("published", "ours", "low", "high"), pl.Float64) | {"days": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=schema)


def answer(claim: Claim, studies: Mapping[Asked, Study]) -> Answer:
    """Return what our runs say to a claim."""
    own, other = (
        studies.get(Asked(scenario=claim.scenario, settings=part))
        for part in (claim.settings, claim.against if claim.measure == "gpu_hours_ratio" else claim.settings)
    )
    if own is None or other is None or claim.strategy not in own.runs:
        return Answer()
    if claim.baseline and claim.baseline not in other.runs:
        return Answer()
    if claim.measure in INTERVALS:
        return _saved(claim, own)
    if claim.measure == "usd_per_month":
        return Answer(value=_usd_per_month(claim, own), days=_days(own))
    if claim.measure == "violations":
        kept = _tier(own, claim.strategy, claim.tier, "slo_attainment_fraction")
        return Answer(value=None if kept is None else 1.0 - kept, days=_days(own))
    if claim.measure == "gpu_hours_ratio":
        mine, base = _total(own, claim.strategy, "gpu_hours"), _total(other, claim.baseline, "gpu_hours")
        return Answer(value=mine / base if base else None, days=_days(own))
    name = claim.measure.removesuffix("_ratio") + "_s"
    latency, reference = (_tier(own, key, claim.tier, name) for key in (claim.strategy, claim.baseline))
    return Answer(value=latency / reference if latency is not None and reference else None, days=_days(own))


def _saved(claim: Claim, study: Study) -> Answer:
    def of(key: str) -> Sequence[SimRun]:
        return [study.runs[key]]

    try:
        found = scoring.saving_interval(
            of(claim.strategy), of(claim.baseline), since=_since(study), measure=INTERVALS[claim.measure]
        )
    except StudyError:  # the baseline held nothing of it
        return Answer(days=_days(study))
    return Answer(value=found.saved_fraction, low=found.low_fraction, high=found.high_fraction, days=found.days)


def _since(study: Study) -> datetime:
    return study.as_of + timedelta(hours=study.scenario.warmup_hours)


def _days(study: Study) -> int:
    scored_s = (study.hours - study.scenario.warmup_hours) * 3600.0
    return max(round(scored_s / SECONDS_PER_DAY), 1)


def _usd_per_month(claim: Claim, study: Study) -> float:
    saved = _total(study, claim.baseline, "cost_usd") - _total(study, claim.strategy, "cost_usd")
    return saved * DAYS_PER_MONTH * 24.0 / (study.hours - study.scenario.warmup_hours)


def _total(study: Study, strategy: str, name: str) -> float:
    return float(study.scorecard.totals.filter(pl.col("strategy") == strategy).get_column(name).item())


def _tier(study: Study, strategy: str, tier: str, name: str) -> float | None:
    rows = study.scorecard.tiers.filter((pl.col("strategy") == strategy) & (pl.col("tier") == tier))
    return rows.get_column(name).item() if rows.height else None


def readable(table: pl.DataFrame) -> pl.DataFrame:
    """Return the comparison for people: three digits, an interval in words, empty where nothing of ours is known."""

    def number(name: str) -> pl.Expr:
        """Round as far as the figure's size asks for."""
        value = pl.col(name)
        return pl.when(value.abs() >= 1000).then(value.round(0)).otherwise(value.round_sig_figs(3))

    interval = pl.format("{} to {}", number("low"), number("high"))
    return table.select(
        "figure",
        "claim",
        number("published").alias("published"),
        number("ours").alias("ours"),
        interval.alias("interval over days"),
        "days",
        "why they differ",
        "source",
    )
