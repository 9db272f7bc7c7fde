"""Cuts that whole replicas obey and fractions break, read off the local floor of one pool at a time.

A region must serve a share of its own peak with replicas of a few GPU kinds: sum_k theta_k n_k >= need. Relaxed to
fractions that row costs exactly need / theta; whole replicas cannot meet it so exactly, and most of the distance
between the relaxed programme and the best plan lies there. Mixed-integer rounding (Nemhauser and Wolsey, "A recursive
procedure to generate all cuts for 0-1 mixed integer programs", 1990) turns the row into rows that every whole plan
keeps: divide by one of the rates, round what may be rounded. The row is rounded in three ways, according to whether the
replicas that stand are counted as kept or as removed, with each rate in turn, or parts of it; the cut that is broken
most is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.planning.problem import Place, Pool, Problem

Numbers = NDArray[np.float64]
LEAST_FRACTION = 1e-3
LEAST_VIOLATION = 1e-3
TIGHT = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """started . (what is started at the places) + removed . (what is removed) + gap * (local gap) >= at_least."""

    pool: Pool
    places: tuple[Place, ...]
    started: Numbers
    removed: Numbers
    gap: float
    at_least: float

    def activity(self, started: Numbers, removed: Numbers, gap: float) -> float:
        """Return the left-hand side for given values."""
        return float(self.started @ started + self.removed @ removed + self.gap * gap)


def broken_cuts(
    problem: Problem,
    *,
    started: Mapping[Place, float],
    removed: Mapping[Place, float],
    local_gap: Mapping[Pool, float],
    parts: Sequence[float] = (1.0,),
) -> list[Cut]:
    """Return for each pool the cut that given values break most; none where a pool breaks none.

    Rows are divided by these ``parts`` of each rate.
    """
    found = []
    for region, model in problem.pools:
        places = problem.places_of(model, region)
        need = problem.epsilon_fraction * problem.demand_input_tps[region, model]
        if need <= 0 or not places:
            continue
        up = np.array([started[place] for place in places])
        down = np.array([removed[place] for place in places])
        theta = np.array([problem.theta(place) for place in places])
        now = np.array([problem.replicas_now[place] for place in places], dtype=np.float64)
        gap = local_gap[region, model]
        if np.abs(np.concatenate((up, down)) % 1.0 - 0.5).min() > 0.5 - TIGHT:
            continue
        worst = max(
            (
                (_violation(cut, up, down, gap), -place, cut)
                for place, cut in enumerate(_cuts((region, model), places, theta, now, need, down, parts))
            ),
            default=None,
            key=lambda ranked: ranked[:2],
        )
        if worst is not None and worst[0] > LEAST_VIOLATION:
            found.append(worst[2])
    return found


def _cuts(
    pool: Pool,
    places: tuple[Place, ...],
    theta: Numbers,
    now: Numbers,
    need: float,
    down: Numbers,
    parts: Sequence[float],
) -> Iterator[Cut]:
    """Return every rounding of a pool's local floor.

    Standing replicas count as removed, which is near zero where most are kept, and as kept where most are removed.
    """
    kept_of = {tuple((now > 0) & (down > bar)): None for bar in (TIGHT * np.ones_like(now), now / 2, now - TIGHT)}
    for choice in kept_of:
        kept = np.array(choice)
        right = need - float(theta @ np.where(kept, 0.0, now))
        for divisor in dict.fromkeys(rate * part for part in parts for rate in theta.tolist()):
            fraction = right / divisor - np.floor(right / divisor)
            if fraction < LEAST_FRACTION:
                continue
            up = _rounded(theta / divisor, fraction)
            away = _rounded(-theta / divisor, fraction)
            at_least = np.ceil(right / divisor) - float(up @ np.where(kept, now, 0.0))
            yield Cut(
                pool=pool,
                places=places,
                started=up,
                removed=np.where(kept, -up, away),
                gap=1.0 / (divisor * fraction),
                at_least=at_least,
            )


def _rounded(coefficients: Numbers, fraction: float) -> Numbers:
    low = np.floor(coefficients)
    return np.asarray(low + np.minimum((coefficients - low) / fraction, 1.0))


def _violation(cut: Cut, started: Numbers, removed: Numbers, gap: float) -> float:
    length = float(np.sqrt(cut.started @ cut.started + cut.removed @ cut.removed))
    return (cut.at_least - cut.activity(started, removed, gap)) / length
