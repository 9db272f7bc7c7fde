"""The hourly control loop in small: decide counts for an hour, then let the hour come as it did, ten minutes at a time.

What is added serves nothing in its first ten minutes; all regions of a model help each other; deferrable work takes
what interactive work leaves, oldest first, and has 24 hours. Work that is still left after them is bought at the price
of a full replica's time, so that plans that serve different amounts of it can be put beside each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tests.planning.planning_cases import BATCH
from tests.planning.quality_worlds import DAY, GPUS, SHARES, USD_PER_GPU_HOUR, WINDOW_S, Numbers, World

PER_HOUR = 6
FLOOR = 2
USD_PER_HOUR = GPUS * USD_PER_GPU_HOUR
Pool = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the counts of a span came to; the cost holds what it takes to serve the deferrable work left over."""

    cost_usd: float
    short_fraction: float
    left_over_fraction: float
    starts: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """What is known when an hour is decided: its number, what stands, and deferrable work by window of arrival."""

    hour: int
    standing: Mapping[Pool, int]
    queue: Mapping[str, Numbers]


Decide = Callable[[Moment], Mapping[Pool, int]]


def first_hour(world: World) -> int:
    """The first hour that is judged."""
    return (world.windows // DAY - world.judged_days) * 24


def judged_hours(world: World) -> range:
    """Every hour that is judged."""
    begin = first_hour(world)
    return range(begin, begin + 24 * world.judged_days)


def pools(world: World) -> list[Pool]:
    """Every region and model."""
    return [(region, model) for region in SHARES for model in world.theta]


def interactive(world: World, region: str, model: str) -> Numbers:
    """Input tokens/s of the tiers that cannot wait."""
    return np.asarray(sum(v for (r, m, t), v in world.rates.items() if (r, m) == (region, model) and t != BATCH.key))


def run_loop(world: World, decide: Decide) -> Outcome:
    """Decide and live through every hour of the last days of the record."""
    standing = {pool: _sized(world, pool, first_hour(world) - 1) for pool in pools(world)}
    queue = {model: np.zeros(world.windows) for model in world.theta}
    asked = unmet = held = starts = came = 0.0
    for hour in judged_hours(world):
        counts = dict(decide(Moment(hour=hour, standing=standing, queue=queue)))
        held += sum(counts.values())
        starts += sum(max(0, counts[pool] - standing[pool]) for pool in counts)
        for model, theta in world.theta.items():
            for window in range(hour * PER_HOUR, (hour + 1) * PER_HOUR):
                is_first = window == hour * PER_HOUR
                ready = theta * sum(
                    min(counts[region, model], standing[region, model]) if is_first else counts[region, model]
                    for region in SHARES
                )
                live = sum(float(interactive(world, region, model)[window]) for region in SHARES)
                queue[model][window] = sum(float(world.rates[r, model, BATCH.key][window]) for r in SHARES)
                asked, unmet, came = asked + live, unmet + max(0.0, live - ready), came + queue[model][window]
                _serve(queue[model], window, max(0.0, ready - live))
        standing = counts
    left = {model: float(waiting.sum()) for model, waiting in queue.items()}
    late_usd = sum(tps * WINDOW_S / 3600.0 / world.theta[model] * USD_PER_HOUR for model, tps in left.items())
    return Outcome(
        cost_usd=held * USD_PER_HOUR + late_usd,
        short_fraction=unmet / asked,
        left_over_fraction=sum(left.values()) / came if came else 0.0,
        starts=starts,
    )


def _serve(waiting: Numbers, window: int, room: float) -> None:
    """Take room from what waits and is not yet a day old, oldest first."""
    low = max(0, window - DAY + 1)
    before = np.concatenate(([0.0], np.cumsum(waiting[low : window + 1])[:-1]))
    waiting[low : window + 1] -= np.clip(room - before, 0.0, waiting[low : window + 1])


def _sized(world: World, pool: Pool, hour: int) -> int:
    busiest = interactive(world, *pool)[hour * PER_HOUR : (hour + 1) * PER_HOUR].max()
    return max(FLOOR, int(np.ceil(busiest / world.theta[pool[1]])))
