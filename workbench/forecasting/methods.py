"""The registry: every way to forecast a series, by name.

A method is one expert or several, and the least history it needs. Prophet and statsmodels are imported when a fit
first asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.forecasting import arima, least_squares, naive, rehearsal
from workbench.forecasting.fits import Event, Expert, Fit
from workbench.forecasting.history import Series, Values


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to forecast a series: the least history it needs and the experts that it combines."""

    label: str
    least_days: float
    experts: tuple[Expert, ...]

    def predict(self, series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
        """Forecast one series as windows x quantiles in rates per second, from its end on.

        Columns are in ascending order of the quantiles, do not cross and are never negative. The series must hold the
        ``least_days`` of the method.
        """
        return rehearsal.forecast(
            series,
            self.experts,
            windows=windows,
            quantiles=sorted(quantiles),
            seed=seed,
            least_days=self.least_days,
        )


def _prophet(series: Series, *, events: Sequence[Event], seed: int) -> Fit:
    from workbench.forecasting import prophet_model  # 3 s of import that only a Prophet forecast pays

    return prophet_model.fit(series, events=events, seed=seed)


def _prophet_plain(series: Series, *, events: Sequence[Event], seed: int) -> Fit:
    from workbench.forecasting import prophet_model  # as above

    return prophet_model.plain_fit(series, events=events, seed=seed)


def _ets(series: Series, *, events: Sequence[Event], seed: int) -> Fit:
    from workbench.forecasting import smoothing  # 2 s of import for statsmodels

    return smoothing.ets(series, events=events, seed=seed)


def _mstl(series: Series, *, events: Sequence[Event], seed: int) -> Fit:
    from workbench.forecasting import smoothing  # as above

    return smoothing.mstl(series, events=events, seed=seed)


EXPERTS = (
    Expert(fit=_prophet, past_fit=least_squares.fit, prior_losses=(1.05, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
    Expert(fit=naive.yesterday, past_fit=naive.yesterday, prior_losses=(1.1, 1.1, 1.1, 1.15, 1.2, 1.3, 1.3)),
    Expert(fit=naive.level, past_fit=naive.level, prior_losses=(1.05, 1.3, 1.5, 1.6, 1.5, 1.5, 1.5)),
    Expert(fit=arima.fit, prior_losses=(1.0, 1.3, 1.5, 1.7, 1.8, 1.8, 1.8)),
)

METHODS: Mapping[str, Method] = {
    "ensemble": Method(
        label="weighted median of Prophet, yesterday and the level, each corrected by the last hours, and ARIMA",
        least_days=2.0,
        experts=EXPERTS,
    ),
    "prophet": Method(
        label="Prophet, corrected by the last hours",
        least_days=2.0,
        experts=(Expert(fit=_prophet, past_fit=least_squares.fit),),
    ),
    "prophet_plain": Method(
        label="Prophet as it is",
        least_days=2.0,
        experts=(Expert(fit=_prophet_plain, past_fit=least_squares.plain_fit),),
    ),
    "arima": Method(label="ARIMA(3,1,2) of the last three days", least_days=1.0, experts=(Expert(fit=arima.fit),)),
    "ets": Method(label="exponential smoothing with a daily season", least_days=3.0, experts=(Expert(fit=_ets),)),
    "mstl": Method(
        label="seasons by repeated loess (MSTL), corrected by the last hours",
        least_days=3.0,
        experts=(Expert(fit=_mstl, past_fit=_mstl),),
    ),
    "seasonal_naive": Method(
        label="same time one day ago, or one week ago", least_days=1.0, experts=(Expert(fit=naive.seasonal_naive),)
    ),
    "last_value": Method(label="mean of the last hour", least_days=0.0, experts=(Expert(fit=naive.last_value),)),
    "moving_average": Method(label="mean of the last day", least_days=0.0, experts=(Expert(fit=naive.moving_average),)),
}
