"""Prices at which a bound is highest: a concave function of a price, searched between its tangents.

A Lagrangian bound holds at whatever prices are put on what is asked for, so that a search that stops early costs
nothing but height. It is concave in the prices, and each of its values comes with a tangent: what is asked for less
what the decisions at those prices bring. Two tangents of opposite slope meet above the highest value, which says how
much a further step could gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import StudyError

Floats = NDArray[np.float64]
STEPS = 24
DOUBLINGS, HALVINGS = 40, 3
CHEAP = 1e-2  # GPU-hours for a promise, from where its price is searched
NEAR = 1e-4  # of the value: what a further step could gain is not worth the step


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The fewest GPU-hours at a service: ``kept_fraction`` of a tier's promises, counts held for ``hold_s``.

    ``gpu_hours_per_promise`` is what a promise more would take there.
    """

    gpu_hours: float
    kept_fraction: float
    hold_s: float
    gpu_hours_per_promise: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What prices lead to: cost less worth as ``left``, and what is had: promises, deferrable requests, waste.

    ``left`` and ``wasted_gpu_hours`` are in GPU-hours, the last part of the former at its price.
    """

    left: float
    kept: float
    served: float
    wasted_gpu_hours: float = 0.0


class Decides(Protocol):
    """What is decided for a model by prices, whatever may be decided: the part of a bound that a model takes."""

    @property
    def promised(self) -> float:
        """Return the promises of the whole span."""

    @property
    def waiting(self) -> float:
        """Return the deferrable requests that must be served in the span."""

    @property
    def dearest(self) -> float:
        """Return a price of a deferrable request at which it is worth replicas."""

    def most_kept(self) -> float:
        """Return the most promises that can be kept."""

    def decide(self, per_promise: float, per_request: float, per_wasted: float) -> Decision:
        """Return what is decided at such prices, the last one per GPU-hour of starting."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A concave function at a price: its ``value`` and ``slopes``, by this price first and by further ones after it."""

    price: float
    value: float
    slopes: Floats


def lowest_at(
    models: Mapping[str, Decides],
    *,
    tier: str,
    kept_fraction: float,
    hold_s: float,
    most_wasted: float = math.inf,
) -> Bound:
    """Return the bound at the prices at which it is highest, each model decided alone.

    Raises StudyError where nothing that may be decided keeps as many promises.
    """
    promised = sum(one.promised for one in models.values())
    most = sum(one.most_kept() for one in models.values())
    if kept_fraction * promised > most + 1e-9:
        raise StudyError(
            f"no number of replicas keeps {kept_fraction:.2%} of the promises of {tier}: the most is "
            f"{most / max(promised, 1e-9):.2%}; ask for less."
        )
    asked, per_promise, spent = kept_fraction * promised, CHEAP, most_wasted
    per_request = {model: one.dearest for model, one in models.items()}

    def at_waste(per_wasted: float) -> Point:
        """Return the highest bound over prices of a promise at a price of a GPU-hour of starting."""
        nonlocal per_promise
        best = highest(lambda price: _at_price(models, price, per_request, per_wasted, asked), first=per_promise)
        per_promise = best.price or CHEAP
        spare = 0.0 if math.isinf(spent) else per_wasted * spent
        return Point(price=per_wasted, value=best.value - spare, slopes=best.slopes[1:] - spent)

    found = at_waste(0.0) if math.isinf(spent) else highest(at_waste, first=1.0)
    return Bound(gpu_hours=found.value, kept_fraction=kept_fraction, hold_s=hold_s, gpu_hours_per_promise=per_promise)


def _at_price(
    models: Mapping[str, Decides], per_promise: float, guesses: dict[str, float], per_wasted: float, asked: float
) -> Point:
    """Return the bound at a price of a promise, the best price of a deferrable request found for each model.

    ``guesses`` are those found last. The slopes are by the price of a promise and of a GPU-hour of starting.
    """
    value, slopes = per_promise * asked, np.array([asked, 0.0])
    for model, one in models.items():

        def at(per_request: float, one: Decides = one) -> Point:
            """Return the model's bound at a price of a deferrable request."""
            had = one.decide(per_promise, per_request, per_wasted)
            return Point(
                price=per_request,
                value=had.left + per_request * one.waiting,
                slopes=np.array([one.waiting - had.served, -had.kept, had.wasted_gpu_hours]),
            )

        best = highest(at, first=guesses[model]) if one.waiting > 0 else at(0.0)
        guesses[model] = best.price or guesses[model]
        value, slopes = value + best.value, slopes + best.slopes[1:]
    return Point(price=per_promise, value=value, slopes=slopes)


def highest(at: Callable[[float], Point], *, first: float) -> Point:
    """Return the highest point of a concave function of a price from 0 on; ``first`` is a guess where it lies.

    Its slopes are those of the tangents on both sides, mixed so that the price's own is 0: the slopes by the further
    prices of the highest values, whatever the price.
    """
    low, high = _around(at, first)
    best = max(low, high, key=_value)
    for _ in range(STEPS):
        price, value = _meeting(low, high)
        if low.slopes[0] <= 0.0 or high.slopes[0] > 0.0 or value - best.value <= NEAR * abs(best.value):
            break
        point = at(price)
        best = max(best, point, key=_value)
        low, high = (point, high) if point.slopes[0] > 0.0 else (low, point)
    return Point(price=best.price, value=best.value, slopes=_mixed(low, high))


def _around(at: Callable[[float], Point], first: float) -> tuple[Point, Point]:
    """Return points on both sides of the highest: doubled from the guess, or halved and then at no price at all."""
    low = high = at(first)
    for _ in range(DOUBLINGS):
        if high.slopes[0] <= 0.0:
            break
        low, high = high, at(2.0 * high.price)
    for _ in range(HALVINGS):
        if low.slopes[0] > 0.0:
            return low, high
        low, high = at(0.5 * low.price), low
    return (low if low.slopes[0] > 0.0 else at(0.0)), high


def _value(point: Point) -> float:
    return point.value


def _meeting(low: Point, high: Point) -> tuple[float, float]:
    """Return where two tangents meet, and how high."""
    apart = low.slopes[0] - high.slopes[0]
    if apart <= 0.0:
        return high.price, high.value
    price = (high.value - low.value + low.slopes[0] * low.price - high.slopes[0] * high.price) / apart
    price = min(max(float(price), low.price), high.price)
    return price, float(low.value + low.slopes[0] * (price - low.price))


def _mixed(low: Point, high: Point) -> Floats:
    apart = low.slopes[0] - high.slopes[0]
    share = 0.0 if apart <= 0.0 else float(np.clip(low.slopes[0] / apart, 0.0, 1.0))
    mixed: Floats = (1.0 - share) * low.slopes + share * high.slopes
    return mixed
