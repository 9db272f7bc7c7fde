"""The paper's published results beside ours: run what its claims ask for, and read ours off the runs.

Every figure carries an interval over the days of its runs, where there are two or more of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench import catalog, scenarios
from workbench.catalog import Claim
from workbench.domain import Scenario
from workbench.results import Study
from workbench.studies.answering import Asked, answer, runs_of
from workbench.studies.drafting import code_digest
from workbench.studies.opening import open_study
from workbench.studies.running import run
from workbench.studies.saving import MANIFEST, read_manifest, study_id
from workbench.traces import open_store


def asked_of(claims: Sequence[Claim]) -> list[Asked]:
    """Return the runs that claims need, each once."""
    both = (Asked(scenario=claim.scenario, settings=part) for claim in claims for part in runs_of(claim))
    return list(dict.fromkeys(both))


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

    ``overrides`` (dotted keys: trace, engine, ...) hold for all of them where the settings of a run say nothing else;
    ``days`` are scored, after each scenario's warm-up (None or 0: as many as the scenario says). ``progress`` is called
    with the runs done and runs in all. Raises the errors of the stages.
    """
    found: dict[Asked, Study] = {}
    for one in asked:
        if progress is not None:
            progress(len(found), len(asked))
        content = content_of(one, scenarios_dir=scenarios_dir, overrides=overrides, days=days)
        scenario = scenarios.parse(content, source=str(one))
        found[one] = _opened_or_run(scenario, store=store, data_dir=data_dir, now=now, workers=workers)
    if progress is not None:
        progress(len(found), len(asked))
    return found


def content_of(
    asked: Asked, *, scenarios_dir: Path, overrides: Mapping[str, Any] | None = None, days: float | None = None
) -> dict[str, Any]:
    """Return the content of a run's scenario file with its settings, ``overrides`` and ``days`` as in a run."""
    content = scenarios.read(scenarios_dir / f"{asked.scenario}.toml")
    given = dict(overrides or {}) | dict(setting_of(text) for text in asked.settings)
    if days:
        warmup = scenarios.parse(content, overrides=given, source=str(asked)).warmup_hours
        given["span.simulate_hours"] = days * 24 + warmup
    return scenarios.with_overrides(content, given)


def _opened_or_run(
    scenario: Scenario, *, store: Path | str, data_dir: Path, now: datetime, workers: int | None
) -> Study:
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


def beside(claims: Sequence[Claim], *draws: Mapping[Asked, Study]) -> pl.DataFrame:
    """Return published and own values, one row per claim: shares and ratios as numbers, money in dollars.

    ``draws`` are what :func:`run_asked` gives, one for each trace: traces of other seeds add their days. ``ours`` is
    null where a run or a strategy is missing, or where the engine does not know the figure; ``low`` and ``high`` hold
    90 of 100 draws of the days, where there are two or more. ``published`` is null where nothing is.
    """
    rows = []
    for claim in claims:
        ours = answer(claim, draws)
        rows.append(
            {
                "figure": claim.figure,
                "claim": claim.claim,
                "published": claim.value,
                "ours": ours.value,
                "low": ours.low,
                "high": ours.high,
                "days": ours.days or None,
                "why they differ": claim.differs,
                "source": claim.source,
            }
        )
    schema = dict.fromkeys(("published", "ours", "low", "high"), pl.Float64) | {"days": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=schema)


def readable(table: pl.DataFrame) -> pl.DataFrame:
    """Return the comparison for people: three digits, an interval in words, empty where nothing of ours is known."""

    def number(name: str) -> pl.Expr:
        """Round as far as the figure's size asks for."""
        value = pl.col(name)
        return pl.when(value.abs() >= 1000).then(value.round(0)).otherwise(value.round_sig_figs(3))

    def written(name: str) -> pl.Expr:
        """Write a number without a decimal where it has none to show."""
        whole = number(name).cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(pl.col(name).abs() >= 1000).then(whole).otherwise(number(name).cast(pl.String))

    interval = pl.format("{} to {}", written("low"), written("high"))
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


def keep(table: pl.DataFrame, file: str, *, trace: str, now: datetime) -> None:
    """Write published and own values into a CSV file in place of those of the same trace; do nothing for an empty name.

    One row per claim and trace, with the day on which it was made: what a reader looks up without running anything.
    """
    if not file:
        return
    path = Path(file)
    values = [pl.col(name).round_sig_figs(4) for name in ("published", "ours", "low", "high")]
    rows = table.select(
        pl.lit(trace).alias("trace"), "figure", "claim", *values, "days", pl.lit(f"{now:%Y-%m-%d}").alias("made on")
    )
    if path.exists():
        others = pl.read_csv(path, schema_overrides=rows.schema).filter(pl.col("trace") != trace)
        rows = pl.concat([others, rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_csv(path)
