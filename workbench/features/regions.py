"""How uneven the regions are, and how many hours they lag behind each other.

Both decide what routing across regions can gain: uneven shares need moving load, and peaks that do not coincide need
fewer replicas together than each region for itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.features.rates import known_rows, known_sums
from workbench.tables import window_s_of
from workbench.units import SECONDS_PER_HOUR

LAG_MAX_H = 12.0
PAIRS_NEEDED = 24
STEP_S = 300.0
Series = npt.NDArray[np.float64]


def regional_imbalance(demand: pl.DataFrame, *by: str, measure: str = "requests") -> pl.DataFrame:
    """Return how unevenly a load lies over its regions, one row per value of ``by`` (none: the whole).

    Over the windows in which all its regions are known: ``busiest`` and ``quietest`` region,
    ``busiest_to_quietest_ratio`` (1 is even; SageServe saw 4 for one model, sageserve.md section 3.3; null where the
    quietest has nothing), the share of the busiest and how it moves in time: ``busiest_p05_fraction`` and
    ``busiest_p95_fraction`` over windows with any load.
    """
    sums = known_rows(demand, *by, measure=measure).group_by("window_start", *by, "region").agg(pl.col(measure).sum())
    totals = sums.group_by(*by, "region").agg(pl.col(measure).sum().alias("total")).sort(*by, "total", "region")
    grouped = totals.group_by(by, maintain_order=True) if by else totals.with_columns(one=1).group_by("one")
    ends = grouped.agg(
        regions=pl.len(),
        quietest=pl.col("region").first(),
        busiest=pl.col("region").last(),
        low=pl.col("total").first(),
        high=pl.col("total").last(),
        whole=pl.col("total").sum(),
    )
    ends = ends.with_columns(
        busiest_to_quietest_ratio=pl.when(pl.col("low") > 0).then(pl.col("high") / pl.col("low")),
        busiest_fraction=pl.when(pl.col("whole") > 0).then(pl.col("high") / pl.col("whole")),
    )
    moving = _moving_share(sums, ends, by, measure)
    joined = ends.join(moving, on=list(by), how="left") if by else ends.hstack(moving)
    columns = ["regions", "busiest", "quietest", "busiest_to_quietest_ratio", "busiest_fraction"]
    return joined.select(*by, *columns, "busiest_p05_fraction", "busiest_p95_fraction").sort(by or "regions")


def _moving_share(sums: pl.DataFrame, ends: pl.DataFrame, by: tuple[str, ...], measure: str) -> pl.DataFrame:
    named = (
        sums.join(ends.select(*by, "busiest"), on=list(by))
        if by
        else sums.with_columns(busiest=pl.lit(ends["busiest"][0]))
    )
    mine = pl.col(measure).filter(pl.col("region") == pl.col("busiest")).sum()
    whole = named.group_by("window_start", *by).agg(mine=mine, all=pl.col(measure).sum()).filter(pl.col("all") > 0)
    share = pl.col("mine") / pl.col("all")
    columns = [share.quantile(level).alias(f"busiest_p{level * 100:02.0f}_fraction") for level in (0.05, 0.95)]
    return whole.group_by(by).agg(columns) if by else whole.select(columns)


def regional_lags(demand: pl.DataFrame, *, measure: str = "requests") -> pl.DataFrame:
    """Return how many hours each region runs behind the busiest one, by cross-correlation.

    One row per region: ``reference`` (the busiest), ``lag_h`` (positive: it peaks later) that gives the highest
    correlation within 12 h either way in steps of the demand's windows (of about five minutes where these are shorter
    and two hours are known), ``correlation`` there and ``correlation_now`` without a lag. Null where fewer than 24
    steps are known in both or a load is constant. The nearest lag wins where two are equal.
    """
    step_s, sums = _in_steps(known_sums(demand, "region", measure=measure), window_s_of(demand), measure)
    wide = (
        sums.pivot(on="region", index="window_start", values=measure)
        .sort("window_start")
        .upsample("window_start", every=f"{round(step_s * 1e6)}us")
    )
    totals = sums.group_by("region").agg(pl.col(measure).sum()).sort(measure, "region")
    reference = str(totals["region"][-1])
    base = wide.get_column(reference).to_numpy()
    rows = [
        (region, reference, *_best_lag(base, wide.get_column(region).to_numpy(), step_s))
        for region in sorted(totals["region"])
    ]
    names = {"region": pl.String, "reference": pl.String, "lag_h": pl.Float64}
    return pl.DataFrame(rows, schema=names | {"correlation": pl.Float64, "correlation_now": pl.Float64}, orient="row")


def _in_steps(sums: pl.DataFrame, window_s: float, measure: str) -> tuple[float, pl.DataFrame]:
    """Average short windows over longer steps: lags of seconds decide nothing, and a week has too many of them."""
    step_s = max(1.0, STEP_S // window_s) * window_s
    if step_s == window_s or sums.get_column("window_start").n_unique() * window_s < PAIRS_NEEDED * step_s:
        return window_s, sums
    steps = pl.col("window_start").dt.truncate(f"{round(step_s * 1e6)}us")
    return step_s, sums.group_by("region", steps).agg(pl.col(measure).mean())


def _best_lag(base: Series, other: Series, window_s: float) -> tuple[float | None, float | None, float | None]:
    most = min(int(LAG_MAX_H * SECONDS_PER_HOUR // window_s), base.size - 1)
    lags = sorted(range(-most, most + 1), key=lambda lag: (abs(lag), lag))
    found = {lag: value for lag in lags if (value := _correlation(base, other, lag)) is not None}
    if not found:
        return None, None, None
    best = max(found, key=lambda lag: (round(found[lag], 9), -abs(lag)))
    return best * window_s / SECONDS_PER_HOUR, found[best], found.get(0)


def _correlation(base: Series, other: Series, lag: int) -> float | None:
    first, second = (base[: base.size - lag], other[lag:]) if lag >= 0 else (base[-lag:], other[:lag])
    known = ~(np.isnan(first) | np.isnan(second))
    if known.sum() < PAIRS_NEEDED or not np.ptp(first[known]) or not np.ptp(second[known]):
        return None
    return float(np.corrcoef(first[known], second[known])[0, 1])
