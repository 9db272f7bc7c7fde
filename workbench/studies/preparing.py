"""Settle the span and the windows of a study before anything is computed, and read its demand.

A trace of two days or more keeps its last day for the simulation; a shorter one its last five sixths. What is chosen
for the user is said in the notes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from workbench import features
from workbench.domain import Scenario
from workbench.errors import ScenarioError, WorkbenchError
from workbench.studies.remembering import remembered
from workbench.tables import DEMAND, SHAPE
from workbench.traces.store import Reading
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE, after, seconds_between

SHORT_HISTORY_S = 2 * SECONDS_PER_DAY
FORECAST_WINDOWS_S = (900.0, 600.0, 1200.0, 1800.0, 3600.0)
SHORT_FORECAST_WINDOWS_S = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
REQUEST_WINDOWS_S = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)


@dataclass(frozen=True, kw_only=True)
class Span:
    """When history ends and what is simulated: ``hours`` from ``as_of``; windows of demand and forecast in seconds."""

    since: datetime
    as_of: datetime
    hours: float
    demand_window_s: float
    forecast_window_s: float
    notes: tuple[str, ...]

    @property
    def until(self) -> datetime:
        """End of the simulated span."""
        return after(self.as_of, self.hours * SECONDS_PER_HOUR)


def span_of(scenario: Scenario, store: Reading) -> Span:
    """Choose the span and windows of a study from the scenario and the trace's length.

    A trace of two days or more keeps its last day for the simulation; a shorter one its last five sixths. Where models
    of a series end apart, the last day is that of the model that ends first, so that none is simulated without load.
    Raises ScenarioError where the scenario's instants lie outside the trace.
    """
    info = store.describe(scenario.trace)
    native_s = info.header.window_s or 0.0
    window_s = scenario.demand_window_s or native_s or _request_window_s(scenario.demand_scale)
    end = after(info.last_at, native_s) if native_s else info.last_at
    notes = []
    if scenario.as_of is None and native_s:
        end, told = _common_end(store, scenario, end, native_s)
        notes += told
    length_s = seconds_between(info.first_at, end)
    is_short = length_s < SHORT_HISTORY_S
    choices = SHORT_FORECAST_WINDOWS_S if is_short else FORECAST_WINDOWS_S
    forecast_s = scenario.forecast_window_s or _first_multiple(window_s, choices)
    if scenario.as_of is not None:
        as_of = scenario.as_of
    elif is_short:
        as_of = _ceil(after(info.first_at, length_s / 6.0), forecast_s)
        notes.append(f"The trace lasts {length_s / SECONDS_PER_HOUR:.1f} h: the first sixth is the only history.")
    else:
        held_back_s = (scenario.simulate_hours or 24.0) * SECONDS_PER_HOUR
        as_of = _ceil(after(end, -held_back_s), SECONDS_PER_HOUR)
        if seconds_between(as_of, end) < held_back_s - forecast_s:
            as_of -= timedelta(hours=1)
    since = info.first_at
    if scenario.history_days is not None:
        since = max(since, after(as_of, -scenario.history_days * SECONDS_PER_DAY))
    left_h = seconds_between(as_of, end) / SECONDS_PER_HOUR
    _refuse_outside(scenario, info.first_at, end, as_of, left_h)
    wanted = scenario.simulate_hours or 24.0
    hours = min(wanted, math.ceil(left_h * SECONDS_PER_HOUR / forecast_s) * forecast_s / SECONDS_PER_HOUR)
    if hours < wanted and scenario.simulate_hours is not None:
        notes.append(f"The scenario asks for {wanted:g} h but the trace ends {hours:.2f} h after {as_of}.")
    if hours <= scenario.warmup_hours:
        raise ScenarioError(
            f"scenario {scenario.name}: warmup_hours {scenario.warmup_hours:g} leaves nothing to score of {hours:g} h."
        )
    return Span(
        since=since,
        as_of=as_of,
        hours=hours,
        demand_window_s=window_s,
        forecast_window_s=forecast_s,
        notes=tuple(notes),
    )


def _common_end(store: Reading, scenario: Scenario, end: datetime, native_s: float) -> tuple[datetime, list[str]]:
    """Return the end that the models of a series have in common, with two days or more before it, and what to say."""
    last = store.last_known(scenario.trace)
    if scenario.models:
        last = last.filter(pl.col("model").is_in(scenario.models))
    if last.is_empty():
        return end, []
    model, last_at = last.row(int(last.get_column("last_at").arg_min() or 0))
    common = after(last_at, native_s)
    first_at = store.describe(scenario.trace).first_at
    if common >= end or seconds_between(first_at, common) < SHORT_HISTORY_S:
        return end, []
    early_h = f"{seconds_between(common, end) / SECONDS_PER_HOUR:g} h"
    return common, [
        f"The load of {model} is known until {common} only, {early_h} before the end of the trace: the simulated "
        "span ends with it. Give as_of to choose another."
    ]


def _request_window_s(scale: float) -> float:
    """Return the demand window of a request trace: a minute, longer where the trace is a thin sample.

    Multiplying a sample by s multiplies its noise too; over windows s times as long the noise relative to the level is
    that of the whole service over a minute.
    """
    return next(
        (length for length in REQUEST_WINDOWS_S if length >= REQUEST_WINDOWS_S[0] * scale), REQUEST_WINDOWS_S[-1]
    )


def _first_multiple(window_s: float, choices: Sequence[float]) -> float:
    fitting = [choice for choice in choices if choice >= window_s and math.fmod(choice, window_s) < 1e-9]
    if not fitting:
        raise ScenarioError(
            f"demand windows of {window_s:g} s divide none of {', '.join(f'{c:g}' for c in choices)} s; "
            "set demand.window_s and forecast.window_s to lengths that divide an hour."
        )
    return fitting[0]


def _ceil(instant: datetime, seconds: float) -> datetime:
    past = seconds_between(datetime(1970, 1, 1), instant)
    return datetime(1970, 1, 1) + timedelta(seconds=math.ceil(past / seconds - 1e-9) * seconds)


def _refuse_outside(scenario: Scenario, first: datetime, end: datetime, as_of: datetime, left_h: float) -> None:
    if scenario.as_of is None and not first < as_of < end:
        raise ScenarioError(
            f"scenario {scenario.name}: simulate_hours {scenario.simulate_hours or 24.0:g} leaves no history or no "
            f"span of trace '{scenario.trace}', which lasts {seconds_between(first, end) / SECONDS_PER_HOUR:.2f} h."
        )
    if not first < as_of < end or left_h * SECONDS_PER_HOUR < SECONDS_PER_MINUTE:
        raise ScenarioError(
            f"scenario {scenario.name}: as_of {as_of} must lie inside the trace '{scenario.trace}', which lasts from "
            f"{first} to {end} UTC; choose an instant with history before it and demand after it."
        )


def demand_of(scenario: Scenario, store: Reading, span: Span, *, folder: Path) -> pl.DataFrame:
    """Return the scaled demand of the models and regions the scenario names, over history and simulated span.

    What the trace holds is summed once and kept in ``folder``.
    """
    asked: dict[str, Any] = {"since": span.since, "until": span.until}
    asked |= {"window_s": span.demand_window_s, "scale": scenario.demand_scale}

    def summed() -> pl.DataFrame:
        """Sum the trace."""
        return features.demand(store, scenario.trace, **asked)

    facts = {"trace": store.describe(scenario.trace).header.fingerprint, **asked}
    demand = remembered(folder, "demand", facts, summed, table=DEMAND)

    def refusal(column: str, missing: str, found: Sequence[str]) -> ScenarioError:
        """Return the error for a name that the trace lacks."""
        where = f"scenario {scenario.name}: {column} {missing} is not in trace '{scenario.trace}'"
        return ScenarioError(f"{where}, which has {', '.join(found)}.")

    return only(demand, {"model": scenario.models, "region": scenario.regions}, refusal)


def shape_of(scenario: Scenario, store: Reading, span: Span, *, folder: Path) -> pl.DataFrame:
    """Return the shapes of the requests of the history, found once and kept in ``folder``."""
    asked = {"since": span.since, "until": span.as_of}

    def found() -> pl.DataFrame:
        """Look at the trace."""
        return features.shape(store, scenario.trace, **asked)

    facts = {"trace": store.describe(scenario.trace).header.fingerprint, **asked}
    return remembered(folder, "shape", facts, found, table=SHAPE)


def only(
    demand: pl.DataFrame,
    wanted: Mapping[str, Sequence[str]],
    refusal: Callable[[str, str, Sequence[str]], WorkbenchError],
) -> pl.DataFrame:
    """Return the rows with the wanted names of each column; an empty choice is all of them.

    Raises what ``refusal`` makes of column, the first name that is not there, and those that are.
    """
    for column, names in wanted.items():
        found = demand.get_column(column).unique().sort().to_list()
        missing = [name for name in names if name not in found]
        if missing:
            raise refusal(column, missing[0], found)
        if names:
            demand = demand.filter(pl.col(column).is_in(list(names)))
    return demand
