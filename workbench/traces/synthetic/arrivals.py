"""When requests arrive: the rate of a stream over a span, and random instants at that rate.

Arrivals are a Poisson process whose rate is the product of rhythm, growth, bursts, spikes and gamma noise. The instants
of a block are drawn without sorting: the sums of exponential steps, scaled to the whole, are ordered uniform numbers
(a standard property of the Poisson process), and the inverse of the summed rate turns them into instants.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from workbench.errors import TraceError
from workbench.traces.synthetic.rhythms import Burst, Noise, growth_at
from workbench.traces.synthetic.workloads import Stream, Workload
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, seconds_between, seed_for

Floats = npt.NDArray[np.float64]

BLOCK_S = SECONDS_PER_HOUR
STEP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """One stream over one span: how its rate goes, without noise, which is drawn block by block.

    ``rps`` is the mean rate after scaling; ``spikes_s`` are the starts of its random spikes after the start.
    """

    stream: Stream
    rps: float
    start_after_anchor_s: float
    span_s: float
    growth_per_week: float
    bursts: tuple[Burst, ...]
    spikes_s: tuple[float, ...]

    def expected(self, since_s: float, until_s: float) -> tuple[Floats, Floats]:
        """Return the edges of steps in [since, until) after the start, and the rate in each (1/s).

        Steps last a minute, or less where a burst begins or ends.
        """
        edges = np.append(np.arange(since_s, until_s, STEP_S), until_s)
        if self.bursts:
            edges = np.unique(np.concatenate([edges, *(burst.edges(since_s, until_s) for burst in self.bursts)]))
        middles = 0.5 * (edges[:-1] + edges[1:])
        rate = self.rps * self.stream.rhythm.at(middles + self.start_after_anchor_s)
        if self.growth_per_week:
            rate = rate * growth_at(middles, self.growth_per_week)
        for burst in self.bursts:
            rate = rate * burst.between(edges)
        return edges, rate * self._spiking(middles)

    def _spiking(self, middles: Floats) -> Floats | float:
        spikes = self.stream.spikes
        if spikes is None:
            return 1.0
        factor = np.ones(middles.size)
        for first in self.spikes_s:
            if first < middles[-1] and first + spikes.length_s > middles[0]:
                factor[(middles >= first) & (middles < first + spikes.length_s)] = spikes.ratio
        return factor / spikes.mean

    def instants(self, block: int, random: np.random.Generator) -> Floats:
        """Draw the arrivals of one block of an hour, as ordered seconds after the start."""
        since_s = block * BLOCK_S
        edges, rate = self.expected(since_s, min(since_s + BLOCK_S, self.span_s))
        for noise in sorted(self.stream.noise, key=lambda part: -part.dwell_s):
            if noise.cv:
                edges, rate = _shaken(edges, rate, noise, random)
        summed = np.concatenate([[0.0], np.cumsum(rate * np.diff(edges))])
        rows = int(random.poisson(summed[-1])) if summed[-1] > 0 else 0
        if not rows:
            return np.empty(0)
        steps = np.cumsum(random.standard_exponential(rows + 1))
        return np.asarray(np.interp(steps[:-1] * (summed[-1] / steps[-1]), summed, edges), dtype=np.float64)


def _shaken(edges: Floats, rate: Floats, noise: Noise, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Multiply a rate by noise, on finer steps where the noise is shorter than they are."""
    step = min(noise.dwell_s, STEP_S)
    first, last = edges[0], edges[-1]
    if step < np.max(np.diff(edges)):
        fine = np.unique(np.concatenate([np.arange(first, last, step), edges]))
        rate = rate[np.minimum(np.searchsorted(edges, fine[:-1], side="right") - 1, rate.size - 1)]
        edges = fine
    shape = 1.0 / noise.cv**2
    cells = int(np.ceil((last - first) / noise.dwell_s - 1e-9))
    factor = random.gamma(shape, noise.cv**2, size=max(cells, 1))
    cell = np.minimum(((edges[:-1] - first) / noise.dwell_s + 1e-9).astype(np.int64), factor.size - 1)
    return edges, rate * factor[cell]


def courses(
    workload: Workload, *, seed: int, start: datetime, span_s: float, requests: float | None
) -> tuple[Course, ...]:
    """Return the course of every stream over a span, scaled so that ``requests`` are expected where that is given.

    Raises TraceError where they are given and none would come.
    """
    # the same for all streams, as a burst is of everything
    bursts = tuple(
        dataclasses.replace(burst, seed=seed_for(seed, "burst", str(number))) if burst.is_random else burst
        for number, burst in enumerate(workload.bursts)
    )
    laid = [
        Course(
            stream=stream,
            rps=stream.rps,
            start_after_anchor_s=seconds_between(workload.anchor, start),
            span_s=span_s,
            growth_per_week=workload.growth_per_week,
            bursts=bursts,
            spikes_s=_spike_starts(stream, seed, span_s),
        )
        for stream in workload.streams
    ]
    if requests is None:
        return tuple(laid)
    before = expected_requests(laid)
    if not before > 0.0:
        raise TraceError(
            f"no request would come in the {span_s / SECONDS_PER_HOUR:g} h asked for, so {requests:,.0f} cannot: "
            "bursts of ratio 0 last all that time, or the rhythm rests; make the span longer or the bursts shorter."
        )
    scale = requests / before
    return tuple(
        Course(
            stream=course.stream,
            rps=course.rps * scale,
            start_after_anchor_s=course.start_after_anchor_s,
            span_s=span_s,
            growth_per_week=course.growth_per_week,
            bursts=course.bursts,
            spikes_s=course.spikes_s,
        )
        for course in laid
    )


def expected_requests(courses: tuple[Course, ...] | list[Course]) -> float:
    """Return how many requests are expected of some streams over their span."""
    total = 0.0
    for course in courses:
        for since_s in np.arange(0.0, course.span_s, SECONDS_PER_DAY):
            edges, rate = course.expected(float(since_s), min(float(since_s) + SECONDS_PER_DAY, course.span_s))
            total += float(np.sum(rate * np.diff(edges)))
    return total


def _spike_starts(stream: Stream, seed: int, span_s: float) -> tuple[float, ...]:
    if stream.spikes is None:
        return ()
    random = np.random.default_rng(seed_for(seed, "spikes", stream.model, stream.region, stream.tier))
    count = random.poisson(stream.spikes.per_day * span_s / SECONDS_PER_DAY)
    return tuple(np.sort(random.random(count) * span_s).tolist())
