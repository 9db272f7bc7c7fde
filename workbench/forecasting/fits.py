"""What every method hands back from fitting: something that forecasts from any origin with the rates up to it.

A fit reads history up to a midnight and is kept for the day; what happened since reaches the forecast through the
rates given with the origin. That split is what lets a week of hourly forecasts share its fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.forecasting.history import Indices, Series, Values


class Fit(Protocol):
    """A fitted method."""

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads in rates per second; for each origin only ``rates[:origin]`` is read.

        Origins count windows from the first of the history; lead 0 is the window that begins at the origin.
        """


@dataclass(frozen=True, kw_only=True)
class Event:
    """A special event that touches a series: seconds since 1970, end excluded."""

    name: str
    start_s: float
    end_s: float


class Fitting(Protocol):
    """How a method is fitted to what is known of a series."""

    def __call__(self, series: Series, *, events: Sequence[Event], seed: int) -> Fit:
        """Return the fit; nothing after the series is read."""


@dataclass(frozen=True, kw_only=True)
class Expert:
    """One point forecaster: ``fit`` makes the fit of record, ``past_fit`` a cheap one for days gone by.

    Without ``past_fit`` the fit of the day also stands for the days before it when forecasts are rehearsed: right for
    methods whose few parameters say little about any one day. ``prior_losses`` are errors relative to the other
    experts of an ensemble before any is known, by lead bucket.
    """

    fit: Fitting
    past_fit: Fitting | None = None
    prior_losses: tuple[float, ...] = ()
