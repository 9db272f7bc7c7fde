"""Lay demand and expectation out over the simulated span: rates raw per window, token means smoothed over an hour.

A gap in the source is simulated at the mean of the last known hour of its series (simulation.md section 5 for the
smoothing).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.tables import DEMAND, INSTANT
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The simulated time and its grid; every length is a whole number of steps."""

    start: datetime
    steps: int
    step_s: float
    window_s: float
    demand_window_s: float

    @property
    def hours(self) -> int:
        """Hours begun in the span."""
        return int(np.ceil(self.steps * self.step_s / SECONDS_PER_HOUR))

    @property
    def windows(self) -> int:
        """Output windows begun in the span."""
        return int(np.ceil(self.steps * self.step_s / self.window_s))


def summed(requests: pl.DataFrame, *, start: datetime, steps: int, step_s: float) -> pl.DataFrame:
    """Sum requests per step from ``start`` on, for every region, model and tier that has any (``DEMAND``).

    A step without requests is zero, not unknown.
    """
    step_us, series = round(step_s * 1e6), ["region", "model", "tier"]
    place = (pl.col("arrived_at") - start).dt.total_microseconds() // step_us
    sums = (
        requests.with_columns(place=place)
        .filter(pl.col("place").is_between(0, steps - 1))
        .group_by("place", *series)
        .agg(pl.len().alias("requests"), pl.col("input_tokens").sum(), pl.col("output_tokens").sum())
    )
    grid = pl.DataFrame({"place": pl.int_range(steps, eager=True)}).join(sums.select(series).unique(), how="cross")
    whole = grid.join(sums, on=["place", *series], how="left").with_columns(
        pl.col("requests", "input_tokens", "output_tokens").fill_null(0),
        window_start=pl.lit(start).cast(INSTANT) + pl.duration(microseconds=pl.col("place") * step_us),
    )
    return DEMAND.conform(whole.sort(*series, "window_start"))


def keys_of(load: pl.DataFrame, fleet: Fleet, *, what: str) -> dict[str, list[str]]:
    """Return the fleet's regions, models and tiers, in the order of the arrays.

    Raises SimulationError, which begins with ``what``, where the load names one that the fleet lacks.
    """
    keys = {
        "region": [region.key for region in fleet.regions],
        "model": [model.key for model in fleet.models],
        "tier": [tier.key for tier in fleet.tiers],
    }
    for column, known in keys.items():
        unknown = set(load.get_column(column).unique()) - set(known)
        if unknown:
            raise SimulationError(
                f"{what} {column}(s) {', '.join(sorted(unknown))} that the fleet lacks; it has {', '.join(known)}."
            )
    return keys


def grid_of(demand: pl.DataFrame, fleet: Fleet, span: Span) -> tuple[Floats, Floats, Floats]:
    """Return requests per second and hourly token means as arrays over windows, regions, models and tiers."""
    keys = keys_of(demand, fleet, what="demand has")
    per_hour = max(int(SECONDS_PER_HOUR / span.demand_window_s), 1)
    before = per_hour  # what was known in the hour before the start fills a gap at its beginning
    windows = int(np.ceil(span.steps * span.step_s / span.demand_window_s))
    shape = (windows, *(len(known) for known in keys.values()))
    place = (
        ((pl.col("window_start") - span.start).dt.total_microseconds() / (span.demand_window_s * 1e6))
        .floor()
        .cast(pl.Int64)
    )
    inside = demand.with_columns((place + before).alias("w")).filter(pl.col("w").is_between(0, before + windows - 1))
    index = (
        inside.get_column("w").to_numpy(),
        *(
            inside.get_column(column).replace_strict(known, list(range(len(known))), return_dtype=pl.Int64).to_numpy()
            for column, known in keys.items()
        ),
    )
    sums = {}
    for measure in ("requests", "input_tokens", "output_tokens"):
        array = np.full((before + windows, *shape[1:]), np.nan)
        array[index] = inside.get_column(measure).fill_null(np.nan).to_numpy()
        sums[measure] = _hold(array, per_hour)[before:]
    means = []
    for measure, field in (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens")):
        mean = np.empty(shape)
        for first in range(0, windows, per_hour):
            block = slice(first, first + per_hour)
            tokens, requests = sums[measure][block].sum(axis=0), sums["requests"][block].sum(axis=0)
            usual = np.array([getattr(fleet.mixes[model], field) for model in keys["model"]])[None, :, None]
            mean[block] = np.where(requests > 0, tokens / np.maximum(requests, 1e-12), usual)
        means.append(np.maximum(mean, 1.0))
    return sums["requests"] / span.demand_window_s, means[0], means[1]


def _hold(array: Floats, per_hour: int) -> Floats:
    """Replace the gaps of each series by the mean of its last known hour, zero before anything is known.

    A mean, because the last window before a gap may have been a spike.
    """
    known = ~np.isnan(array)
    if known.all():
        return array
    held = array.copy()
    flat = held.reshape(array.shape[0], -1)
    for column in range(flat.shape[1]):
        places = np.flatnonzero(~np.isnan(flat[:, column]))
        total = np.concatenate([[0.0], np.cumsum(flat[places, column])])
        for gap in np.flatnonzero(np.isnan(flat[:, column])):
            count = int(np.searchsorted(places, gap))
            width = min(count, per_hour)
            flat[gap, column] = (total[count] - total[count - width]) / width if width else 0.0
    return held


def surprise_of(rps: Floats, prompt: Floats, expected: pl.DataFrame | None, fleet: Fleet, span: Span) -> Floats:
    """Return observed over expected interactive input tokens per second, per step, region and model.

    Observed is the mean of the last minute. ``expected`` has window_start, region, model and input_tps; where it says
    nothing, or nothing is expected and nothing comes, the ratio is 1.
    """
    ratio = np.ones((span.steps, len(fleet.regions), len(fleet.models)))
    if expected is None:
        return ratio
    interactive = [i for i, tier in enumerate(fleet.tiers) if not tier.deferrable]
    per_window = int(span.demand_window_s / span.step_s)
    observed = np.repeat((rps * prompt)[..., interactive].sum(axis=-1), per_window, axis=0)[: span.steps]
    minute = max(int(SECONDS_PER_MINUTE / span.step_s), 1)
    total = np.cumsum(np.concatenate([np.zeros_like(observed[:1]), observed]), axis=0)
    first = np.maximum(np.arange(span.steps) + 1 - minute, 0)
    seen = (total[1:] - total[first]) / (np.arange(span.steps) + 1 - first)[:, None, None]
    starts = expected.get_column("window_start").unique().sort()
    of_step = np.searchsorted(
        ((starts - span.start).dt.total_microseconds() / 1e6).to_numpy(), np.arange(span.steps) * span.step_s, "right"
    )
    rank = {start: i for i, start in enumerate(starts)}
    regions = {region.key: i for i, region in enumerate(fleet.regions)}
    models = {model.key: i for i, model in enumerate(fleet.models)}
    table = np.full((len(rank) + 1, *ratio.shape[1:]), np.nan)
    for window_start, region, model, input_tps in expected.select(
        "window_start", "region", "model", "input_tps"
    ).iter_rows():
        table[rank[window_start] + 1, regions[region], models[model]] = input_tps
    wanted = table[of_step]
    known = ~np.isnan(wanted) & ((wanted > 0) | (seen > 0))
    return np.where(known, seen / np.maximum(wanted, 1e-9), 1.0)
