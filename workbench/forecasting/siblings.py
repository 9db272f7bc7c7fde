"""Cold start: a series less than a day old borrows the shape of a series like it and keeps its own level.

Likeness is read from the keys, nearest first: another tier of the same model in the same region shares its clock and
its users; then the same model and tier in another region; then another model of the same tier and region. Among
equals the one with the longest history is taken, then the first by key.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.forecasting import least_squares
from workbench.forecasting.curves import CurveFit, fit_of
from workbench.forecasting.fits import Event, Expert
from workbench.forecasting.history import Series


def sibling_of(young: Series, others: Sequence[Series], *, least_days: float) -> Series | None:
    """Return the series whose shape a young one may borrow, or nothing when none is like it and old enough."""
    ranked = [(rank, -other.rates.size, other.key, other) for other in others if (rank := _rank(young, other))]
    fit = [entry for entry in ranked if entry[3].days >= least_days and entry[3].has_a_shape]
    return min(fit, key=lambda entry: entry[:3])[3] if fit else None


def borrowing(sibling: Series) -> tuple[Expert, ...]:
    """Return the expert that forecasts with the curve of a sibling and the level of the series itself."""

    def fit(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
        curve = least_squares.curve_of(sibling.until(sibling.cut), events=events)
        return fit_of(series, curve, settles=False)

    return (Expert(fit=fit),)


def _rank(young: Series, other: Series) -> int:
    """Return 1 for the nearest kin, 0 for none."""
    if other.measure != young.measure or other.key == young.key:
        return 0
    likeness = (other.model == young.model, other.region == young.region, other.tier == young.tier)
    return {(True, True, False): 1, (True, False, True): 2, (False, True, True): 3}.get(likeness, 0)
