"""What our own runs say to a published figure: the value over all whole days, and how far it may be chance.

A claim of the catalog names what is measured and of what. Figures of several draws of the world (a trace of another
seed) are made from all of their days together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from workbench import scoring
from workbench.catalog import Claim
from workbench.results import SimRun, Study
from workbench.scoring import Range

DAYS_PER_MONTH = 30.0
EFFORT = {
    "gpu_hours_saved": "gpu_hours",
    "waste_saved": "waste_gpu_hours",
    "gpu_hours_ratio": "gpu_hours",
    "lent_ratio": "lent_gpu_hours",
    "usd_per_month": "cost_usd",
}
LEVEL = 0.90  # of the percentiles of latency that are published


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run that claims ask for: a shipped scenario under some settings (``KEY=VALUE``)."""

    scenario: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.scenario, *self.settings))


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One strategy over the days that count, in one draw of the world or more."""

    runs: Sequence[SimRun]
    since: Sequence[datetime]

    def sums(self, frame: str, values: Sequence[pl.Expr], *, of: pl.Expr | None = None) -> scoring.resampling.Floats:
        """Return sums by day of the rows of a frame of the runs, those of the draws one after the other."""
        keep = pl.lit(value=True) if of is None else of
        parts = [
            scoring.daily(getattr(run, frame).filter(keep), values, since=first, end=run.end)
            for run, first in zip(self.runs, self.since, strict=True)
        ]
        return np.concatenate(parts)

    def latency(self, measure: str, tier: str) -> scoring.DailyLatency | None:
        """Return the histograms of a latency by day; None where the engine does not know it."""
        frames: list[pl.DataFrame | None] = [getattr(run, measure) for run in self.runs]
        known = [frame.filter(pl.col("tier") == tier) for frame in frames if frame is not None]
        if len(known) < len(frames):
            return None
        return scoring.daily_latency(known, since=self.since, end=[run.end for run in self.runs], measure=measure)


def runs_of(claim: Claim) -> tuple[tuple[str, ...], ...]:
    """Return the settings that a claim is measured under, and those that its baseline is: the same but in a sweep."""
    return (claim.settings, claim.against if is_of_a_sweep(claim) else claim.settings)


def is_of_a_sweep(claim: Claim) -> bool:
    """Tell whether a strategy is held against itself under other settings."""
    return claim.strategy == claim.baseline


def answer(claim: Claim, draws: Sequence[Mapping[Asked, Study]]) -> Range:
    """Return what our runs say to a claim, over the whole days of all draws.

    Its value is None where a run or a strategy is missing, or where the engine does not know the figure.
    """
    own, other = (
        _side(draws, Asked(scenario=claim.scenario, settings=settings), strategy)
        for settings, strategy in zip(runs_of(claim), (claim.strategy, claim.baseline or claim.strategy), strict=True)
    )
    if own is None or other is None:
        return Range(value=None, low=None, high=None, days=0)
    if claim.measure in EFFORT:
        return _effort(claim, own, other)
    if claim.measure == "violations":
        return _violations(claim, own)
    return _latency(claim, own, other)


def _side(draws: Sequence[Mapping[Asked, Study]], asked: Asked, strategy: str) -> Side | None:
    found = [draw[asked] for draw in draws if asked in draw]
    if not found or any(strategy not in study.runs for study in found):
        return None
    return Side(
        runs=[study.runs[strategy] for study in found],
        since=[study.as_of + timedelta(hours=study.scenario.warmup_hours) for study in found],
    )


def _effort(claim: Claim, own: Side, other: Side) -> Range:
    of = pl.lit(value=True)
    for name, value in (("model", claim.model), ("region", claim.region)):
        of = of & (pl.col(name) == value) if value else of
    column = [pl.col(EFFORT[claim.measure])]
    mine, base = (side.sums("pools", column, of=of)[:, 0] for side in (own, other))
    figures: dict[str, Callable[[Any], float | None]] = {
        "usd_per_month": lambda count: float(count @ (base - mine) / count.sum()) * DAYS_PER_MONTH,
        "gpu_hours_saved": lambda count: _one_minus(_ratio(count @ mine, count @ base)),
        "waste_saved": lambda count: _one_minus(_ratio(count @ mine, count @ base)),
    }
    figure = figures.get(claim.measure, lambda count: _ratio(count @ mine, count @ base))
    return scoring.over_days(figure, mine.size if mine.size == base.size else 0)


def _violations(claim: Claim, own: Side) -> Range:
    broken = (1.0 - pl.col("slo_attainment_fraction")) * pl.col("arrived")
    sums = own.sums("windows", [broken, pl.col("arrived")], of=pl.col("tier") == claim.tier)
    return scoring.over_days(lambda count: _ratio(*(count @ sums)), len(sums))


def _latency(claim: Claim, own: Side, other: Side) -> Range:
    measure = claim.measure.partition("_")[0]
    mine, base = (side.latency(measure, claim.tier) for side in (own, other))
    if mine is None or base is None:
        return Range(value=None, low=None, high=None, days=0)

    def figure(count: scoring.resampling.Floats) -> float | None:
        latency, reference = mine.at(LEVEL, count), base.at(LEVEL, count)
        return None if latency is None else _ratio(latency, reference)

    return scoring.over_days(figure, len(mine.counts))


def _ratio(part: float, whole: float | None) -> float | None:
    return float(part / whole) if whole else None


def _one_minus(share: float | None) -> float | None:
    return None if share is None else 1.0 - share
