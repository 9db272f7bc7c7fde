"""What a scenario makes of the load of its trace: more of it, another mix of tiers, bursts. One factor says it all.

Every request counts as often as its factor says, whether it is a row of a sum or a request of its own, so the two
engines see the same load. Bursts are put into the simulated span alone: they are what nobody has seen before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from workbench.domain import Scenario
from workbench.errors import ScenarioError
from workbench.tables import DEMAND, INSTANT
from workbench.units import SECONDS_PER_MINUTE

MEASURES = ("requests", "input_tokens", "output_tokens")


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """What a load is multiplied by: all of it, its deferrable tiers, and the first minute of hours from an instant."""

    scale: float = 1.0
    deferrable: frozenset[str] = frozenset()
    deferrable_factor: float = 1.0
    burst_copies: int = 0
    bursts_from: datetime = datetime.max

    @property
    def is_none(self) -> bool:
        """Whether every request counts once."""
        return self.scale == 1.0 and self.deferrable_factor == 1.0 and self.burst_copies == 0

    def factor(self, at: str) -> pl.Expr:
        """Return how often a row counts; ``at`` is its column of time, the tier stands in ``tier``."""
        is_burst = (pl.col(at).dt.minute() == 0) & (pl.col(at) >= pl.lit(self.bursts_from, INSTANT))
        waits = pl.col("tier").is_in(list(self.deferrable))
        factor = pl.lit(self.scale) * pl.when(waits).then(self.deferrable_factor).otherwise(1.0)
        return factor * pl.when(is_burst).then(1.0 + self.burst_copies).otherwise(1.0)


def alteration_of(
    scenario: Scenario, demand: pl.DataFrame, *, as_of: datetime, window_s: float, deferrable: Collection[str]
) -> Alteration:
    """Return what the scenario asks for; the mix of tiers is measured in the history before ``as_of``.

    ``demand`` is that of the trace, already scaled. Raises ScenarioError where bursts of a minute do not show in the
    demand's windows, or where the history has none of the tiers whose ratio is asked for.
    """
    if scenario.burst_copies and SECONDS_PER_MINUTE % window_s > 1e-9:
        raise ScenarioError(
            f"scenario {scenario.name}: burst_copies repeats single minutes and demand windows of {window_s:g} s show "
            "none; set demand.window_s to 60 or a part of it."
        )
    return Alteration(
        scale=scenario.demand_scale,
        deferrable=frozenset(deferrable),
        deferrable_factor=_deferrable_factor(scenario, demand.filter(pl.col("window_start") < as_of), deferrable),
        burst_copies=scenario.burst_copies,
        bursts_from=as_of + timedelta(hours=1),
    )


def _deferrable_factor(scenario: Scenario, history: pl.DataFrame, deferrable: Collection[str]) -> float:
    if scenario.interactive_per_deferrable is None:
        return 1.0
    waits = pl.col("tier").is_in(list(deferrable))
    requests = pl.col("requests")
    interactive, waiting = (history.filter(which).select(requests.sum()).item() for which in (~waits, waits))
    if not (interactive > 0 and waiting > 0):
        raise ScenarioError(
            f"scenario {scenario.name}: interactive_per_deferrable needs both kinds of requests in the history, found "
            f"{interactive:,.0f} interactive and {waiting:,.0f} deferrable; leave it out, or split the tiers at ingest."
        )
    return float(interactive / scenario.interactive_per_deferrable / waiting)


def altered(demand: pl.DataFrame, alteration: Alteration) -> pl.DataFrame:
    """Return the demand of a scenario, scaled already, with its mix of tiers and its bursts."""
    if alteration.deferrable_factor == 1.0 and alteration.burst_copies == 0:
        return demand
    factor = alteration.factor("window_start") / alteration.scale
    return DEMAND.conform(demand.with_columns(pl.col(MEASURES) * factor))


def notes_of(alteration: Alteration, scenario: Scenario) -> list[str]:
    """Return what a reader must know of the load beside that it is scaled."""
    notes = []
    if alteration.deferrable_factor != 1.0:
        notes.append(
            f"Deferrable work is multiplied by {alteration.deferrable_factor:.3g}, so that the history has "
            f"{scenario.interactive_per_deferrable:g} interactive requests for each."
        )
    if alteration.burst_copies:
        notes.append(
            f"From {alteration.bursts_from} on the first minute of every hour comes {1 + alteration.burst_copies} times"
            " over; the history has no such bursts."
        )
    return notes
