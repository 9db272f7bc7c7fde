"""Lay demand and expectation out over the simulated span: rates raw per window, token means smoothed over an hour.

A gap in the source is simulated at the mean of the last known hour of its series (simulation.md section 5 for the
smoothing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.tables import INSTANT
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = NDArray[np.float64]
SERIES = ("region", "model", "tier")


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


def summed(
    requests: pl.DataFrame | Iterable[pl.DataFrame], *, start: datetime, steps: int, step_s: float
) -> pl.DataFrame:
    """Sum requests per step from ``start`` on, for every region, model and tier that has any (``DEMAND``).

    Takes one frame of requests or several, in any order. A step without requests is zero, not unknown.
    """
    sums: dict[tuple[str, ...], Floats] = {}
    for frame in [requests] if isinstance(requests, pl.DataFrame) else requests:
        for cell, found in _sums_of(frame, start=start, steps=steps, step_s=step_s):
            sums[cell] = sums[cell] + found if cell in sums else found
    cells = sorted(sums)
    counted, prompts, outputs = np.concatenate([np.zeros((3, 0)), *(sums[cell] for cell in cells)], axis=1)
    windows = pl.Series(range(steps), dtype=pl.Int64) * round(step_s * 1e6)
    named = pl.DataFrame(cells, schema=dict.fromkeys(SERIES, pl.String), orient="row")
    return named.join(windows.to_frame("us"), how="cross", maintain_order="left_right").select(
        (pl.lit(start).cast(INSTANT) + pl.duration(microseconds="us")).alias("window_start"),
        *SERIES,
        requests=pl.Series(counted),
        input_tokens=pl.Series(prompts),
        output_tokens=pl.Series(outputs),
    )


def _sums_of(
    requests: pl.DataFrame, *, start: datetime, steps: int, step_s: float
) -> Iterator[tuple[tuple[str, ...], Floats]]:
    """Yield region, model and tier with requests, input and output tokens by step, for each that has any."""
    step = (requests.get_column("arrived_at") - start).dt.total_microseconds().to_numpy() // round(step_s * 1e6)
    is_inside = (step >= 0) & (step < steps)
    names = [requests.get_column(name).unique().sort().to_list() for name in SERIES]
    codes = tuple(
        requests.get_column(name).cast(pl.Enum(known)).to_physical().to_numpy()[is_inside].astype(np.int64)
        for name, known in zip(SERIES, names, strict=True)
    )
    if not is_inside.any():
        return
    cells = np.ravel_multi_index(codes, sizes := tuple(len(known) for known in names))
    seen = np.flatnonzero(np.bincount(cells))
    place = np.searchsorted(seen, cells) * steps + step[is_inside]
    weights = (None, *(requests.get_column(name).to_numpy()[is_inside] for name in ("input_tokens", "output_tokens")))
    sums: Floats = np.stack([np.bincount(place, weights=values, minlength=seen.size * steps) for values in weights])
    by_cell = np.moveaxis(sums.reshape(3, seen.size, steps), 1, 0)
    for cell, found in zip(seen, by_cell, strict=True):
        yield tuple(known[i] for known, i in zip(names, np.unravel_index(cell, sizes), strict=True)), found


def keys_by_column(fleet: Fleet) -> dict[str, list[str]]:
    """Return the fleet's regions, models and tiers, in the order of the arrays."""
    return {
        "region": [region.key for region in fleet.regions],
        "model": [model.key for model in fleet.models],
        "tier": [tier.key for tier in fleet.tiers],
    }


def keys_of(load: pl.DataFrame, fleet: Fleet, *, what: str) -> dict[str, list[str]]:
    """Return the fleet's regions, models and tiers, in the order of the arrays.

    Raises SimulationError, which begins with ``what``, where the load names one that the fleet lacks.
    """
    keys = keys_by_column(fleet)
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


def expectation_of(expected: pl.DataFrame, fleet: Fleet, span: Span) -> Floats:
    """Return expected interactive input tokens per second, per step, region and model; NaN where nothing is said.

    ``expected`` has window_start, region, model and input_tps. Raises SimulationError where it names a region or model
    that the fleet lacks, or expects less than nothing.
    """
    _refuse_impossible(expected, fleet)
    starts = expected.get_column("window_start").unique().sort()
    of_step = np.searchsorted(
        ((starts - span.start).dt.total_microseconds() / 1e6).to_numpy(), np.arange(span.steps) * span.step_s, "right"
    )
    rank = {start: i for i, start in enumerate(starts)}
    regions = {region.key: i for i, region in enumerate(fleet.regions)}
    models = {model.key: i for i, model in enumerate(fleet.models)}
    table = np.full((len(rank) + 1, len(regions), len(models)), np.nan)
    for window_start, region, model, input_tps in expected.select(
        "window_start", "region", "model", "input_tps"
    ).iter_rows():
        table[rank[window_start] + 1, regions[region], models[model]] = input_tps
    return np.asarray(table[of_step])


def surprise_of(rps: Floats, prompt: Floats, expected: pl.DataFrame | None, fleet: Fleet, span: Span) -> Floats:
    """Return observed over expected interactive input tokens per second, per step, region and model.

    Observed is the mean of the last minute. ``expected`` has window_start, region, model and input_tps; where it says
    nothing, or nothing is expected and nothing comes, the ratio is 1. Raises SimulationError where it names a region
    or model that the fleet lacks, or expects less than nothing.
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
    wanted = expectation_of(expected, fleet, span)
    known = ~np.isnan(wanted) & ((wanted > 0) | (seen > 0))
    return np.where(known, seen / np.maximum(wanted, 1e-9), 1.0)


def _refuse_impossible(expected: pl.DataFrame, fleet: Fleet) -> None:
    for column, places in (("region", fleet.regions), ("model", fleet.models)):
        known = [place.key for place in places]
        unknown = sorted(set(expected.get_column(column).unique()) - set(known))
        if unknown:
            raise SimulationError(
                f"the expectation names {column} {unknown[0]}, which the fleet lacks; it has {', '.join(known)}."
            )
    if expected.filter(pl.col("input_tps") < 0).height:
        raise SimulationError("the expectation holds rates below nought in input_tps; a rate is nought or more.")
