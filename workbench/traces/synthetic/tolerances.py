"""How far a made copy may lie from its trace and still agree: a stated part, a reason, and what chance adds.

A copy is one draw of a workload, and so was the trace. How much counts and dispersions of one draw vary follows from
the noise of the workload, so a bursty trace of an hour is allowed more than a calm week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.traces.synthetic.workloads import Stream, Workload
from workbench.units import SECONDS_PER_DAY

PER_WINDOW = "requests per window"
Group = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a measure of a copy may lie from that of its trace, as a part of it, and why so far.

    Counts and dispersions may lie further by ``chance_times`` their relative standard deviation under the workload.
    """

    measure: str
    relative: float
    reason: str
    chance_times: float = 0.0


TOLERANCES = (
    Tolerance(
        measure="requests",
        relative=0.03,
        chance_times=3.0,
        reason="levels are matched in expectation, and one draw is within three deviations of it",
    ),
    Tolerance(
        measure=PER_WINDOW,
        relative=0.08,
        chance_times=1.2,
        reason="two draws of one rate lie 1.13 deviations apart on average; a load that does not repeat fails",
    ),
    Tolerance(
        measure="input tokens, mean",
        relative=0.04,
        reason="quantile functions keep the mean to 1 %; the rest is chance in heavy tails",
    ),
    Tolerance(measure="output tokens, mean", relative=0.05, reason="as for prompts, with heavier tails"),
    Tolerance(
        measure="input tokens, quantile",
        relative=0.05,
        reason="between levels of a hundredth the quantile function is a straight line",
    ),
    Tolerance(
        measure="output tokens, quantile",
        relative=0.10,
        reason="outputs have fewer levels, as they are kept for every band of prompts; short ones are whole numbers",
    ),
    Tolerance(
        measure="input x output, mean",
        relative=0.08,
        reason="the dependence is kept by bands of prompts, inside which it is lost; two heavy tails multiply",
    ),
    Tolerance(
        measure="dispersion in 1 s",
        relative=0.15,
        chance_times=3.0,
        reason="noise is one value for all hours of a trace; one draw of it is within three deviations",
    ),
    Tolerance(
        measure="dispersion in 10 s",
        relative=0.20,
        chance_times=3.0,
        reason="as in 1 s, with a tenth of the bins",
    ),
)


def allowed(measure: str, group: Group, *, counted: float, workload: Workload, window_s: float) -> float:
    """Return how far a measure of a model and tier may differ, as a part of its value; chance as the workload has it.

    ``counted`` is the number of requests of a measure that counts them, ``window_s`` the windows that are compared.
    """
    tolerance = next(tolerance for tolerance in TOLERANCES if tolerance.measure == _stated(measure))
    if not tolerance.chance_times or counted <= 0:
        return tolerance.relative
    streams = [stream for stream in workload.streams if (stream.model, stream.tier) == group]
    whole_s = workload.days * SECONDS_PER_DAY
    if measure == PER_WINDOW:
        variance = noise_variance(streams, window_s, is_whole=False) + 1.0 / counted
    elif measure == "requests":
        variance = noise_variance(streams, whole_s, is_whole=True) + 1.0 / counted
    else:
        variance = dispersion_variance(streams, whole_s)
    return tolerance.relative + tolerance.chance_times * float(np.sqrt(variance))


def dispersion_variance(streams: Sequence[Stream], span_s: float) -> float:
    """Return the relative variance of what noise adds to the dispersion of some streams, as found from one draw.

    The squared deviation of a gamma factor of coefficient of variation c has a relative variance of 2 + 6 c^2; a span
    holds span / d draws of it. Each noise counts by its part of all.
    """
    total = sum(stream.rps for stream in streams)
    variance = 0.0
    for stream in streams:
        whole = sum(noise.cv**2 for noise in stream.noise)
        for noise in stream.noise:
            part = stream.rps / total * noise.cv**2 / whole
            variance += part**2 * (2.0 + 6.0 * noise.cv**2) * noise.dwell_s / span_s
    return variance


def noise_variance(streams: Sequence[Stream], window_s: float, *, is_whole: bool) -> float:
    """Return the relative variance that noise gives the count of some streams together in a window.

    Noise that is drawn anew every d seconds averages out over window / d draws. Over the whole span the busy part of a
    rhythm counts for more: there are then fewer draws that matter, by the mean square of the rhythm over its squared
    mean.
    """
    total = sum(stream.rps for stream in streams)
    variance = 0.0
    for stream in streams:
        relative = np.asarray(stream.rhythm.relative)
        concentration = float(np.mean(relative**2) / np.mean(relative) ** 2) if is_whole else 1.0
        own = sum(noise.cv**2 * min(1.0, concentration * noise.dwell_s / window_s) for noise in stream.noise)
        variance += (stream.rps / total) ** 2 * own
    return variance


def _stated(measure: str) -> str:
    """Return the measure whose tolerance holds: all quantiles of one length share theirs."""
    length, sign, _ = measure.partition(" tokens p")
    return f"{length} tokens, quantile" if sign else measure
