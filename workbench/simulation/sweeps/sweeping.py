"""Run the fluid simulator with every rule for many scenarios, laying out once what they share.

For some hundred scenarios whose every detail counts; :mod:`workbench.simulation.lanes` runs thousands side by side and
leaves little out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan
from workbench.simulation import outset, setup, state
from workbench.simulation import rules as r
from workbench.simulation.fluid import engine as fluid
from workbench.simulation.latency import BIN_EDGES_S
from workbench.simulation.loads import Laid, Span
from workbench.simulation.sweeps import Sweep, Totals, sweep_of
from workbench.simulation.sweeps.variations import Variation, by_key, checked, fleet_of, loads_of

Floats = NDArray[np.float64]


def run_many(
    laid: Laid,
    *,
    fleet: Fleet,
    policy: Policy,
    variations: Sequence[Variation],
    span: Span,
    plan: CapacityPlan | None = None,
    expected: pl.DataFrame | None = None,
    by_pool: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Sweep:
    """Simulate a span once per variation, with every rule, and return totals over it.

    Arguments as for :func:`workbench.simulation.run_many`, whose engine "fluid" this is. Raises SimulationError on
    whatever describes no possible system.
    """
    checked(variations, fleet=fleet, policy=policy)
    pools = setup.pools_of(fleet, policy)
    inputs = setup.inputs_of(laid, fleet=fleet, policy=policy, pools=pools, span=span, plan=plan, expected=expected)
    surprises = surprise_factors(inputs, fleet, variations)
    parts = []
    for i, variation in enumerate(variations):
        x = varied(inputs, fleet, variation, surprises[i])
        parts.append(_run_one(x, variation, fleet=fleet, policy=policy, span=span))
        if progress is not None:
            progress((i + 1) / len(variations))
    totals = Totals(**{name: np.array([part[name] for part in parts]) for name in parts[0]})
    return sweep_of(totals, fleet=fleet, pools=pools, variations=variations, span=span, by_pool=by_pool)


def promises_of(inputs: state.Inputs, fleet: Fleet, variations: Sequence[Variation]) -> Floats:
    """Return the promises by variation and tier, seconds to the first token or to the deadline."""
    wanted = by_key([each.ttft_slo_s for each in variations], [tier.key for tier in fleet.tiers], inputs.promise_s)
    return np.where(inputs.deferrable == 1, inputs.promise_s, wanted)


def varied(inputs: state.Inputs, fleet: Fleet, variation: Variation, surprise: Floats) -> state.Inputs:
    """Return the inputs with a variation's rates, lengths and promises; ``surprise`` is its factor by model."""
    (load,), (promise_s,) = loads_of(fleet, [variation]), promises_of(inputs, fleet, [variation])
    return inputs._replace(
        rps=inputs.rps * load,
        shed_rps=inputs.shed_rps * load,
        prompt_mean=np.maximum(inputs.prompt_mean * variation.input_tokens, 1.0),
        output_mean=np.maximum(inputs.output_mean * variation.output_tokens, 1.0),
        promise_s=promise_s,
        observed_over_forecast=inputs.observed_over_forecast * surprise,
    )


def surprise_factors(inputs: state.Inputs, fleet: Fleet, variations: Sequence[Variation]) -> Floats:
    """Return by how much each variation lifts observed over expected input tokens, by model; 1 without expectation."""
    if (inputs.observed_over_forecast == 1.0).all():
        return np.ones((len(variations), len(fleet.models)))
    block = np.arange(inputs.rps.shape[0]) * inputs.demand_steps // inputs.mean_steps
    tokens = (inputs.rps * inputs.prompt_mean[block]).sum(axis=(0, 1)) * (inputs.deferrable == 0)
    usual = np.maximum(tokens.sum(axis=1), 1e-12)
    lengths = np.array([each.input_tokens for each in variations])
    return np.where(usual > 1e-12, (tokens * loads_of(fleet, variations)).sum(axis=2) * lengths[:, None] / usual, 1.0)


def _run_one(x: state.Inputs, variation: Variation, *, fleet: Fleet, policy: Policy, span: Span) -> dict[str, Floats]:
    own, decided = fleet_of(fleet, variation), variation.policy or policy
    mixed = replace(
        own,
        mixes={
            model: replace(
                mix,
                input_tokens=mix.input_tokens * variation.input_tokens,
                output_tokens=mix.output_tokens * variation.output_tokens,
            )
            for model, mix in own.mixes.items()
        },
    )
    pools = setup.pools_of(mixed, decided)
    at_start = outset.state_of(mixed, pools, span, cooldown_s=decided.cooldown_s)
    record = outset.record_of(mixed, pools, span)
    fluid.simulate(x, at_start, record, r.rules_of(decided), 0, span.steps)
    gpus = np.array([float(pool.gpus_per_replica) for pool in pools])
    return _totals(x, record, gpus, span)


def _totals(x: state.Inputs, record: state.Record, gpus: Floats, span: Span) -> dict[str, Floats]:
    means = record.pools.sum(axis=0) / span.steps
    series = record.series.sum(axis=(0, 1, 2))
    interactive = x.deferrable == 0
    arrived = series[:, state.ARRIVED]
    judged = np.where(interactive, arrived, series[:, state.MISSED] + series[:, state.KEPT])
    bins = record.hour_bins.sum(axis=(0, 1))
    return {
        "held": means[:, 0:5].sum(axis=1),
        "starting": means[:, 1:4].sum(axis=1),
        "lent": means[:, 5] / gpus,
        "ready": means[:, 0],
        "kv": means[:, 8],
        "work": means[:, 10],
        "arrived": arrived,
        "shed": series[:, state.SHED],
        "backlog": record.series[-1, :, :, :, state.BACKLOG].sum(axis=(0, 1)),
        "ttft_mean_s": np.where(interactive, _ratio(series[:, state.TTFT_SUM], arrived), np.nan),
        "ttft_p95_s": np.where(interactive, [_percentile(row, 0.95) for row in bins], np.nan),
        "attained": np.minimum(_ratio(series[:, state.KEPT], judged), 1.0),
        "met_saturation": series[:, state.BAD_SHARE],
    }


def _ratio(values: Floats, weights: Floats) -> Floats:
    return np.divide(values, weights, out=np.full_like(values, np.nan), where=weights > 0)


def _percentile(counts: Floats, level: float) -> float:
    """Return the latency not exceeded by that share, log-interpolated inside its bin; NaN of nothing."""
    so_far = np.cumsum(counts)
    if not so_far[-1] > 0:
        return math.nan
    wanted = level * so_far[-1]
    place = int(np.searchsorted(so_far, wanted))
    inside = 1.0 - (so_far[place] - wanted) / counts[place]
    return float(np.exp(np.interp(inside, [0.0, 1.0], np.log(BIN_EDGES_S[place : place + 2]))))
