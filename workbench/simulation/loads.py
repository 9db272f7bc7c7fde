"""Lay demand out over the simulated span: rates raw per window, token means smoothed over ten minutes.

What is laid out once serves many runs, of other policies, fleets with the same keys, and multiples of the load. A gap
in the source is simulated at the mean of the last known hour of its series.

Where many requests come they are often short, so rates per window with the lengths of a whole hour bring more tokens at
once than ever came: on the Azure conversations of 2023 that put 7 % too many requests into a pool at nine tenths of its
load, lengths of ten minutes 1.5 %, and those of a minute no less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.tables import INSTANT
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
MEANS_OVER_S = 600.0
LEAST_WINDOWS = 10  # in which noise can be told from a trend
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


@dataclass(frozen=True, kw_only=True)
class Laid:
    """A load laid out over a span: requests per second by window, token means by ten minutes (or longer window).

    Arrays run over windows or means, regions, models and tiers, in the order of ``keys``. Windows are of
    ``demand_window_s`` from ``start``. ``shed_rps`` comes on top of ``rps``: requests that no replica of their model
    has KV room for; it has no windows where there are none. ``noise_seen`` says by region and model how much of the
    noise of random arrivals the rates show (:func:`noise_seen_in`).
    """

    start: datetime
    demand_window_s: float
    keys: Mapping[str, Sequence[str]]
    rps: Floats
    prompt_mean: Floats
    output_mean: Floats
    shed_rps: Floats
    noise_seen: Floats

    def times(self, factor: float) -> Laid:
        """Return the same load with every rate multiplied. Raises SimulationError for a factor below zero or none."""
        if not 0.0 <= factor < math.inf:
            raise SimulationError(f"a load can be multiplied by a number from nought up, got {factor}.")
        return replace(
            self, rps=self.rps * factor, shed_rps=self.shed_rps * factor, noise_seen=self.noise_seen * factor
        )


def rooms_of(fleet: Fleet) -> dict[str, float]:
    """Return how many KV tokens the roomiest replica of each model holds: what needs more can only be shed."""
    rooms: dict[str, float] = {}
    for replica in fleet.replicas:
        rooms[replica.model] = max(replica.kv_cache_tokens, rooms.get(replica.model, 0.0))
    return rooms


def windows_per_mean(demand_window_s: float) -> int:
    """Return the demand windows over which token means are taken: ten minutes', at least one."""
    return max(int(MEANS_OVER_S / demand_window_s), 1)


def grid_of(demand: pl.DataFrame, fleet: Fleet, span: Span) -> Laid:
    """Lay ``DEMAND`` out over a span; what is too long on average for every replica of its model is to be shed.

    Raises SimulationError where it names what the fleet lacks.
    """
    keys = keys_of(demand, fleet, what="demand has")
    per_hour, per_mean = max(int(SECONDS_PER_HOUR / span.demand_window_s), 1), windows_per_mean(span.demand_window_s)
    before = per_hour  # what was known in the hour before the start fills a gap at its beginning
    windows = int(np.ceil(span.steps * span.step_s / span.demand_window_s))
    shape = (windows, *(len(known) for known in keys.values()))
    place = (pl.col("window_start") - span.start).dt.total_microseconds() / (span.demand_window_s * 1e6)
    inside = demand.with_columns((place.floor().cast(pl.Int64) + before).alias("w")).filter(
        pl.col("w").is_between(0, before + windows - 1)
    )
    index = (
        inside.get_column("w").to_numpy(),
        *(
            inside.get_column(column).cast(pl.Enum(known)).to_physical().cast(pl.Int64).to_numpy()
            for column, known in keys.items()
        ),
    )
    sums = {}
    for measure in ("requests", "input_tokens", "output_tokens"):
        array = np.full((before + windows, *shape[1:]), np.nan)
        array[index] = inside.get_column(measure).fill_null(np.nan).to_numpy()
        sums[measure] = _hold(array, per_hour)[before:]
    firsts = np.arange(0, windows, per_mean)
    requests = np.add.reduceat(sums["requests"], firsts, axis=0)
    means = []
    for field in ("input_tokens", "output_tokens"):
        tokens = np.add.reduceat(sums[field], firsts, axis=0)
        usual = np.array([getattr(fleet.mixes[model], field) for model in keys["model"]])[None, :, None]
        means.append(np.maximum(np.where(requests > 0, tokens / np.maximum(requests, 1e-12), usual), 1.0))
    rps, rooms = sums["requests"] / span.demand_window_s, rooms_of(fleet)
    is_too_long = means[0] + means[1] > np.array([rooms[model] for model in keys["model"]])[:, None]
    is_shed = np.repeat(is_too_long, per_mean, axis=0)[:windows] & (rps > 0)
    return Laid(
        start=span.start,
        demand_window_s=span.demand_window_s,
        keys=keys,
        rps=np.where(is_shed, 0.0, rps),
        prompt_mean=means[0],
        output_mean=means[1],
        shed_rps=np.where(is_shed, rps, 0.0) if is_shed.any() else np.zeros((0, *rps.shape[1:])),
        noise_seen=noise_seen_in(sums["requests"], [fleet.mixes[model].dispersion for model in keys["model"]]),
    )


def noise_seen_in(requests: Floats, dispersions: Sequence[float]) -> Floats:
    """Return how much of the noise of random arrivals requests per window show: regions by models, 0 where smooth.

    ``requests`` are W, regions, models, tiers; ``dispersions`` variance over mean of a count by model. Counted requests
    show about 1, expected ones nought, and more than 1 what was counted and multiplied. What does not follow the
    straight line through its neighbours is taken as noise: of independent counts the second difference has six times
    their variance. Too few windows show none.
    """
    counts = requests.sum(axis=3)
    if counts.shape[0] < LEAST_WINDOWS:
        return np.zeros(counts.shape[1:])
    rough = np.square(np.diff(counts, n=2, axis=0)).mean(axis=0) / 6.0
    usual = np.maximum(np.array(dispersions), 1e-3) * counts.mean(axis=0)
    return np.where(usual > 0.0, rough / np.maximum(usual, 1e-12), 0.0)


def refuse_other(laid: Laid, fleet: Fleet, span: Span) -> None:
    """Refuse a load that was laid out for another start, fewer windows or other regions, models and tiers."""
    windows = math.ceil(span.steps * span.step_s / span.demand_window_s)
    keys = keys_by_column(fleet)
    for what, asked, found in (
        ("start", span.start, laid.start),
        ("regions, models and tiers", keys, dict(laid.keys)),
    ):
        if asked != found:
            raise SimulationError(
                f"the load was laid out for {what} {found}, and the run has {asked}; lay it out anew."
            )
    if laid.rps.shape[0] < windows:
        raise SimulationError(
            f"the load was laid out for {laid.rps.shape[0]:,} windows of {laid.demand_window_s:g} s, and the run has "
            f"{windows:,}; lay it out for as many hours."
        )


def _hold(array: Floats, per_hour: int) -> Floats:
    """Replace the gaps of each series by the mean of its last known hour, zero before anything is known.

    A mean, because the last window before a gap may have been a spike. The first hour is only there for the gaps after
    it, and may have some itself.
    """
    if not np.isnan(array[per_hour:]).any():
        return array
    held = array.copy()
    flat = held.reshape(array.shape[0], -1)
    for column in np.flatnonzero(np.isnan(flat[per_hour:]).any(axis=0)):
        places = np.flatnonzero(~np.isnan(flat[:, column]))
        total = np.concatenate([[0.0], np.cumsum(flat[places, column])])
        gaps = np.flatnonzero(np.isnan(flat[:, column]))
        known = np.searchsorted(places, gaps)
        width = np.minimum(known, per_hour)
        flat[gaps, column] = (total[known] - total[known - width]) / np.maximum(width, 1)
    return held
