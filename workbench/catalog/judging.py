"""How good a fit is: on its own points, repeats included, and on points that it had not seen.

Prefill and decode are judged apart. For the second, a fifth of the runs is left out, five times, and each is predicted
from a fit to the others (SageServe reports R2 0.99 and 0.83 on one such split; sageserve.md section 8.1). Where runs
are repeats of one measurement that says how far they scatter; how well a fit guesses between its points is seen by
leaving out whole kinds of points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from workbench.catalog.measurements import DecodePoint, PrefillPoint
from workbench.domain import FitError

FOLDS = 5
LEAST_POINTS, LEAST_RUNS = 6, 3  # below, a fifth of them says nothing
EXACT_TO = 9  # decimals; less is rounding
Point = TypeVar("Point", PrefillPoint, DecodePoint)
Predict = Callable[[Sequence[Point]], list[float]]


def error_of(points: Sequence[Point], fitted: Sequence[float]) -> FitError:
    """Compare fitted with measured times; where all measured are equal, R2 is 1 for a perfect fit and 0 otherwise."""
    measured, guessed = np.array([point.seconds for point in points]), np.array(fitted)
    left, spread = float(((guessed - measured) ** 2).sum()), float(((measured - measured.mean()) ** 2).sum())
    return FitError(
        r2=round(1.0 - left / spread if spread > 0 else float(left == 0), EXACT_TO),
        mape_fraction=round(float(np.abs(guessed / measured - 1.0).mean()), EXACT_TO),
    )


def held_out(
    points: Sequence[Point], fit: Callable[[Sequence[Point]], Predict[Point]], *, least_kinds: int
) -> FitError | None:
    """Predict every point from a fit to the runs of which four fifths do not hold it, or return None.

    Points of one run are left out together; points without a run are each their own. The folds are drawn once with a
    fixed seed. None where there are fewer than six points or three runs, or where what is left would be too little.
    """
    runs = [point.run or str(number) for number, point in enumerate(points)]
    names = sorted(set(runs))
    if len(points) < LEAST_POINTS or len(names) < LEAST_RUNS:
        return None
    drawn = np.random.default_rng(0).permutation(len(names)) % FOLDS
    fold_of = dict(zip(names, drawn.tolist(), strict=True))
    seen, guessed = [], []
    for fold in sorted(set(fold_of.values())):
        left = [point for run, point in zip(runs, points, strict=True) if fold_of[run] != fold]
        out = [point for run, point in zip(runs, points, strict=True) if fold_of[run] == fold]
        if len({kind_of(point) for point in left}) < least_kinds:
            return None
        seen += out
        guessed += fit(left)(out)
    return error_of(seen, guessed)


def by_kind(points: Sequence[Point]) -> list[Point]:
    """Return the points with all repeats of one kind as one run, so that :func:`held_out` must guess between kinds."""
    return [replace(point, run=repr(kind_of(point))) for point in points]


def kind_of(point: PrefillPoint | DecodePoint) -> tuple[float, ...]:
    """Return what the repeats of a point share: prompt size, or batch and KV tokens."""
    return (point.input_tokens,) if isinstance(point, PrefillPoint) else (point.requests, point.kv_tokens)
