"""What was expected beside what comes: the override of a paced plan compares the two."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.simulation.loads import Laid, Span, windows_per_hour
from workbench.units import SECONDS_PER_MINUTE

Floats = NDArray[np.float64]


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


def surprise_of(laid: Laid, expected: pl.DataFrame | None, fleet: Fleet, span: Span) -> Floats:
    """Return observed over expected interactive input tokens per second, per step, region and model.

    Observed is the mean of the last minute. ``expected`` has window_start, region, model and input_tps; where it says
    nothing, or nothing is expected and nothing comes, the ratio is 1. Raises SimulationError where it names a region
    or model that the fleet lacks, or expects less than nothing.
    """
    if expected is None:
        return np.ones((1, len(fleet.regions), len(fleet.models)))
    interactive = [i for i, tier in enumerate(fleet.tiers) if not tier.deferrable]
    per_window = int(span.demand_window_s / span.step_s)
    hour = np.arange(laid.rps.shape[0]) // windows_per_hour(span.demand_window_s)
    input_tps = (laid.rps * laid.prompt_mean[hour])[..., interactive].sum(axis=-1)
    observed = np.repeat(input_tps, per_window, axis=0)[: span.steps]
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
