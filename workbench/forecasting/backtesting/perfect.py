"""The perfect forecast: what came, at every quantile. A yardstick that nobody can have, never a method.

It is called ``oracle`` wherever it stands beside methods. What is left of cost or error under it is not the forecast's
fault. A gap of the source is filled with the last known hour, as the simulators do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import cast

import numpy as np
import polars as pl

from workbench import forecasting, tables
from workbench.forecasting.history import Series, Values, past, series_of
from workbench.results import Forecast
from workbench.units import SECONDS_PER_HOUR, after, seconds_between

PERFECT = "oracle"


def perfect(
    demand: pl.DataFrame,
    *,
    origins: Sequence[datetime],
    horizon_s: float,
    window_s: float | None = None,
    quantiles: Sequence[float],
    measures: Sequence[str] = ("rps", "input_tps", "output_tps"),
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Forecast]:
    """Yield the perfect forecast from each origin, in the form that a method gives.

    Raises ForecastError as :func:`workbench.forecasting.predict` does for demand and windows that cannot be used.
    """
    own_s = tables.window_s_of(demand)
    step_s = window_s or own_s
    ordered = sorted({float(quantile) for quantile in quantiles})
    known_until = after(cast(datetime, demand.get_column("window_start").max()), own_s)
    end = after(origins[0], seconds_between(origins[0], known_until) // step_s * step_s)
    came = series_of(past(demand, as_of=end), as_of=end, window_s=step_s, measures=measures)
    whole = [filled(one.rates, per_hour=max(1, round(SECONDS_PER_HOUR / step_s))) for one in came]
    notes = pl.DataFrame(
        [(*one.key, PERFECT, "what came, known to nobody in advance") for one in came],
        schema=list(tables.FORECAST_NOTES.columns),
        orient="row",
    )
    windows = -int(-horizon_s // step_s)
    for done, origin in enumerate(origins, start=1):
        back = round(seconds_between(origin, end) / step_s)
        rows = [
            _rows(one, ahead_of(rates, back=back, windows=windows), back=back, quantiles=ordered)
            for one, rates in zip(came, whole, strict=True)
        ]
        yield Forecast(
            frame=tables.FORECAST.conform(pl.concat(rows)).sort(tables.FORECAST.key),
            notes=tables.FORECAST_NOTES.conform(notes).sort(tables.FORECAST_NOTES.key),
            as_of=origin,
            window_s=step_s,
            method=PERFECT,
        )
        if progress is not None:
            progress(done, len(origins))


def roll_or_perfect(
    demand: pl.DataFrame,
    *,
    origins: Sequence[datetime],
    horizon_s: float,
    window_s: float | None = None,
    quantiles: Sequence[float],
    method: str,
    seed: int = 7,
    measures: Sequence[str] = ("rps", "input_tps", "output_tps"),
    only: Collection[tuple[str, str, str]] | None = None,
) -> Iterator[Forecast]:
    """Yield what a method says from each origin, or the perfect forecast where the method is called ``oracle``.

    Arguments and errors as of :func:`workbench.forecasting.roll`.
    """
    if method != PERFECT:
        return forecasting.roll(
            demand,
            origins=origins,
            horizon_s=horizon_s,
            window_s=window_s,
            quantiles=quantiles,
            method=method,
            seed=seed,
            measures=measures,
            only=only,
        )
    if only is not None:
        demand = demand.filter(pl.concat_list("region", "model", "tier").is_in([list(key) for key in only]))
    return perfect(
        demand, origins=origins, horizon_s=horizon_s, window_s=window_s, quantiles=quantiles, measures=measures
    )


def ahead_of(rates: Values, *, back: int, windows: int) -> Values:
    """Return the windows that follow ``back`` windows before the end: zero before the series began, its last after."""
    padded = np.concatenate([np.zeros(max(0, back - rates.size)), rates])[-back:] if back else rates[:0]
    rest = np.full(max(0, windows - padded.size), rates[-1] if rates.size else 0.0)
    return np.concatenate([padded[:windows], rest])


def filled(rates: Values, *, per_hour: int) -> Values:
    """Return rates with every gap filled by the mean of the last ``per_hour`` known windows; zero where none was."""
    known = np.flatnonzero(np.isfinite(rates))
    if known.size == rates.size:
        return rates
    sums = np.concatenate([[0.0], np.cumsum(rates[known])])
    gaps = np.flatnonzero(np.isnan(rates))
    count = np.searchsorted(known, gaps)
    width = np.minimum(count, per_hour)
    made = rates.copy()
    made[gaps] = (sums[count] - sums[count - width]) / np.maximum(width, 1)
    return made


def _rows(series: Series, values: Values, *, back: int, quantiles: Sequence[float]) -> pl.DataFrame:
    starts = pl.Series(series.instants(first=-back, last=values.size - back), dtype=tables.INSTANT)
    grid = pl.DataFrame({"window_start": starts, "value": values})
    return grid.join(pl.DataFrame({"quantile": quantiles}), how="cross").with_columns(
        region=pl.lit(series.region),
        model=pl.lit(series.model),
        tier=pl.lit(series.tier),
        measure=pl.lit(series.measure),
    )
