"""How a rate goes up and down: a rhythm that repeats, growth over weeks, and bursts.

A rhythm is the relative rate at evenly spaced slots of a period, straight lines between their middles, with a mean of
one, so a stream's requests per second keep their meaning whatever the rhythm. It is empirical on purpose: a bell over a
working week, the hours of a fitted trace and a flat batch load are all the same kind of value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import TraceError
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = npt.NDArray[np.float64]

WEEK_S = 7 * SECONDS_PER_DAY


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """A relative rate that repeats every ``period_s``; ``relative`` holds its value at the middle of each slot."""

    period_s: float
    relative: tuple[float, ...]

    def __post_init__(self) -> None:
        values = np.asarray(self.relative, dtype=np.float64)
        if not self.period_s > 0 or not values.size or not np.all(values >= 0) or not np.isfinite(values).all():
            raise TraceError(
                f"a rhythm needs a positive period and relative rates that are not negative, got a period of "
                f"{self.period_s:g} s and {values.size} rates from {values.min(initial=0):g}."
            )

    def at(self, since_anchor_s: Floats) -> Floats:
        """Return the relative rate at some seconds after the anchor of the workload."""
        values = np.asarray(self.relative, dtype=np.float64)
        if values.size == 1:
            return np.full(since_anchor_s.shape, values[0])
        slot = np.mod(since_anchor_s, self.period_s) / self.period_s * values.size + 0.5
        wrapped = np.concatenate([values[-1:], values, values[:1]])
        left = slot.astype(np.int64)
        share = slot - left
        return np.asarray(wrapped[left] * (1.0 - share) + wrapped[left + 1] * share)


FLAT = Rhythm(period_s=SECONDS_PER_HOUR, relative=(1.0,))


def rhythm_of_means(means: Sequence[float] | Floats, *, period_s: float) -> Rhythm:
    """Return the rhythm whose mean over every slot is as given, relative to the mean of all slots.

    Straight lines between slots would flatten peaks: the mean over a slot is 1/8 of its neighbours and 3/4 of itself.
    The values at the middles are therefore found by solving that (circular) system, and cut at zero where a load
    begins or ends so suddenly that no straight line can follow.
    """
    wanted = np.asarray(means, dtype=np.float64)
    if wanted.sum() <= 0:
        return Rhythm(period_s=period_s, relative=(1.0,))
    angle = 2.0 * np.pi * np.arange(wanted.size) / wanted.size
    middles = np.fft.ifft(np.fft.fft(wanted) / (0.75 + 0.25 * np.cos(angle))).real if wanted.size > 2 else wanted
    kept = np.maximum(middles, 0.0)
    return Rhythm(period_s=period_s, relative=tuple((kept / kept.mean()).tolist()))


@dataclass(frozen=True, kw_only=True)
class Burst:
    """Times in which everything arrives at ``ratio`` times its rate: ``minutes`` long, every ``every_h`` hours.

    The first begins ``first_h`` hours after the start. At fixed times they come at the same hours every day where
    ``every_h`` divides one, which a forecast learns; ``is_random`` lets each begin anywhere in its own stretch of
    ``every_h`` hours, drawn by ``seed``, so that there are as many of them and no hour tells. Bursts come on top of the
    rate of a workload; where a number of requests is asked for instead, they only change when the requests come, not
    how many.
    """

    ratio: float
    minutes: float
    every_h: float
    first_h: float = 0.0
    is_random: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ratio < 0 or self.minutes <= 0 or self.every_h * 60 < self.minutes or self.first_h < 0:
            raise TraceError(
                f"a burst needs a ratio of zero or more, a length, and a distance that is not shorter than it, got "
                f"{self.ratio:g} times for {self.minutes:g} min every {self.every_h:g} h from {self.first_h:g} h on."
            )

    def edges(self, since_s: float, until_s: float) -> Floats:
        """Return where bursts begin and end inside (since, until), in seconds after the start."""
        first_s, every_s = self.first_h * SECONDS_PER_HOUR, self.every_h * SECONDS_PER_HOUR
        cycles = np.arange(max(0.0, (since_s - first_s) // every_s), (until_s - first_s) // every_s + 1)
        begins = first_s + every_s * cycles + self._later_s(cycles)
        both = np.concatenate([begins, begins + self.minutes * SECONDS_PER_MINUTE])
        return np.asarray(both[(both > since_s) & (both < until_s)])

    def between(self, edges_s: Floats) -> Floats:
        """Return the mean factor in each step between edges, in seconds after the start: bursts may cut steps."""
        length_s, every_s = self.minutes * SECONDS_PER_MINUTE, self.every_h * SECONDS_PER_HOUR
        since_first_s = np.maximum(edges_s - self.first_h * SECONDS_PER_HOUR, 0.0)
        whole, rest_s = np.divmod(since_first_s, every_s)
        inside_s = np.diff(whole * length_s + np.clip(rest_s - self._later_s(whole), 0.0, length_s))
        return np.asarray(1.0 + (self.ratio - 1.0) * inside_s / np.diff(edges_s))

    def _later_s(self, cycles: Floats) -> Floats:
        """Return how long after the beginning of each stretch of ``every_h`` hours its burst begins."""
        if not self.is_random or not cycles.size:
            return np.zeros(cycles.shape)
        room_s = self.every_h * SECONDS_PER_HOUR - self.minutes * SECONDS_PER_MINUTE
        # one sequence from the first stretch on, so that every hour that is made alone sees the same bursts
        places = np.random.default_rng(self.seed).random(int(cycles.max()) + 1)
        return np.asarray(places[cycles.astype(np.int64)] * room_s)


def growth_at(since_start_s: Floats, growth_per_week: float) -> Floats:
    """Return the factor by which a load has grown some seconds after the start, compounded week by week."""
    return np.asarray((1.0 + growth_per_week) ** (since_start_s / WEEK_S), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A random factor of mean one and coefficient of variation ``cv`` (gamma), drawn anew every ``dwell_s`` seconds.

    Factors of several lengths multiply, which gives the counts an index of dispersion of its own at each scale
    (simulation.md section 5 uses those of 1 s and 10 s).
    """

    dwell_s: float
    cv: float

    def __post_init__(self) -> None:
        if self.dwell_s not in DWELLS_S or not 0 <= self.cv < float("inf"):
            raise TraceError(
                f"noise lasts one of {', '.join(f'{dwell:g}' for dwell in DWELLS_S)} s and has a coefficient of "
                f"variation of zero or more, got {self.dwell_s:g} s and {self.cv:g}."
            )


# each divides the next and the hour, so that noise of one length lies whole inside that of the next
DWELLS_S = (1.0, 10.0, 60.0, 600.0, SECONDS_PER_HOUR)


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """Short peaks at random times: ``per_day`` on average, ``ratio`` times the rate for ``length_s``; mean kept."""

    per_day: float
    ratio: float
    length_s: float

    @property
    def mean(self) -> float:
        """The mean factor, by which the rate is divided so that spikes do not add load."""
        return 1.0 + self.per_day * self.length_s / SECONDS_PER_DAY * (self.ratio - 1.0)
