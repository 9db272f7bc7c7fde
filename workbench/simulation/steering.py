"""A run that is steered: hour by hour a controller sees the fleet as it stands and says what the hour's plan is.

The controller is a function, so the control loop of forecast and plan lives outside, and the simulator knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.results import CapacityPlan, Orders, Standing
from workbench.simulation import rules as r
from workbench.simulation.expectations import Surprise
from workbench.simulation.loads import Span
from workbench.simulation.setup import Pool
from workbench.simulation.state import Inputs, State
from workbench.tables import STANDING, WAITING
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
Steer = Callable[[Standing], Orders]
LEAST_WAITING = 1e-6  # requests: what rounding leaves in a queue is nothing


def refuse_contradictory(
    policy: Policy, *, plan: CapacityPlan | None, expected: pl.DataFrame | None, is_steered: bool
) -> None:
    """Refuse a strategy that follows a plan and gets none, and one that gets its plan in two ways."""
    if is_steered and not policy.needs_plan:
        raise SimulationError(f"strategy {policy.key} follows no plan, so there is nothing to steer; leave steer out.")
    if is_steered and (plan is not None or expected is not None):
        raise SimulationError("a steered run gets its plan and expectation hour by hour; leave plan and expected out.")
    if policy.needs_plan and plan is None and not is_steered:
        raise SimulationError(f"strategy {policy.key} follows a plan and got none; hand it one from planning.solve().")


def standing_of(
    state: State, waiting: Floats, *, fleet: Fleet, pools: Sequence[Pool], span: Span, step: int
) -> Standing:
    """Return the fleet as it stands before a step; ``waiting`` as :func:`waiting_of` has it."""
    at = span.start + timedelta(seconds=step * span.step_s)
    starting, lent_gpus = state.starting, state.pools["lent_gpus"]
    rows = {
        "region": [pool.region for pool in pools],
        "model": [pool.model for pool in pools],
        "gpu": [pool.gpu for pool in pools],
        "ready": state.pools["ready"],
        "starting_reclaim": starting[:, r.RECLAIM],
        "starting_swap": starting[:, r.SWAP],
        "starting_remote": starting[:, r.REMOTE],
        "draining": state.pools["draining"],
        "lent": [int(gpus) // pool.gpus_per_replica for gpus, pool in zip(lent_gpus, pools, strict=True)],
    }
    return Standing(
        at=at,
        pools=STANDING.conform(pl.DataFrame(rows)).sort(STANDING.key),
        waiting=_waiting_frame(waiting, fleet, span),
    )


def waiting_of(inputs: Inputs, state: State, step: int, hours: int) -> Floats:
    """Return what waits for release in the fluid simulator before a step, from the first ``hours`` of the span.

    Requests, prompt and output tokens by hour of arrival, region, model and tier; the queues are first in, first out.
    """
    per_hour = int(SECONDS_PER_HOUR / inputs.step_s)
    edges = np.minimum(np.arange(hours + 1) * per_hour, step)
    arrived = state.arrived[edges]
    requests = np.clip(arrived[1:] - np.maximum(arrived[:-1], state.released), 0.0, None)
    found = np.zeros((hours, *inputs.rps.shape[1:], 3))
    prompts, outputs = (_by_hour(inputs, means, hours) for means in (inputs.prompt_mean, inputs.output_mean))
    for d, k in enumerate(inputs.deferred):
        found[:, :, :, k, 0] = requests[..., d]
        found[:, :, :, k, 1] = requests[..., d] * prompts[..., k]
        found[:, :, :, k, 2] = requests[..., d] * outputs[..., k]
    return found


def _by_hour(inputs: Inputs, means: Floats, hours: int) -> Floats:
    """Return the mean length of an hour's requests, from the means of its parts; of a part where none came."""
    first = np.arange(inputs.rps.shape[0]) * inputs.demand_steps
    block, hour = first // inputs.mean_steps, first // int(SECONDS_PER_HOUR / inputs.step_s)
    found, came = (np.zeros((max(hours, int(hour[-1]) + 1), *inputs.rps.shape[1:])) for _ in range(2))
    weights = np.maximum(inputs.rps, 1e-12)
    np.add.at(came, hour, weights)
    np.add.at(found, hour, weights * means[block])
    return (found / np.maximum(came, 1e-12))[:hours]


def _waiting_frame(waiting: Floats, fleet: Fleet, span: Span) -> pl.DataFrame:
    hour, h, m, k = np.nonzero(waiting[..., 0] > LEAST_WAITING)
    numbers = waiting[hour, h, m, k]
    rows = {
        "arrived_hour": [span.start + timedelta(hours=int(i)) for i in hour],
        "region": [fleet.regions[i].key for i in h],
        "model": [fleet.models[i].key for i in m],
        "tier": [fleet.tiers[i].key for i in k],
        "requests": numbers[:, 0],
        "input_tokens": numbers[:, 1],
        "output_tokens": numbers[:, 2],
    }
    return WAITING.conform(pl.DataFrame(rows, schema_overrides=WAITING.schema)).sort(WAITING.key)


def carry_over(
    orders: Orders, inputs: Inputs, surprise: Surprise, *, pools: Sequence[Pool], first: int, last: int
) -> None:
    """Write the orders for the steps [first, last) of an hour into what the engine reads.

    Raises SimulationError where a pool is left out or has fewer than no replicas.
    """
    hour = int(first * inputs.step_s / SECONDS_PER_HOUR)
    for i, pool in enumerate(pools):
        wanted = orders.replicas.get((pool.region, pool.model, pool.gpu), -1)
        if wanted < 0 or wanted != int(wanted):
            raise SimulationError(
                f"the orders for hour {hour} have {'no' if wanted == -1 else wanted} replicas for {pool.model} on "
                f"{pool.gpu} in {pool.region}; give every pool of the fleet a whole number, 0 or more."
            )
        inputs.target[hour, i] = wanted
    if orders.expected is not None:
        surprise.expect(orders.expected, first, last)
