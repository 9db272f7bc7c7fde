"""From a forecast to what must be servable: the risk decision, taken apart from the optimiser.

Which quantile to plan for and how much headroom to add is a decision about risk, so it is made here, can be changed
by a slider without a new fit, and the programme never sees a quantile. Two choices are made where the paper leaves
room (sageserve.md section 6.1). Interactive tiers share their replicas, so the hour's peak is the highest window of
their sum, not the sum of the highest windows of each: tiers that peak at different minutes are not paid for twice.
And the quantile of that sum is taken as the sum of the tiers' quantiles, which is exact when the tiers rise and fall
together and on the safe side otherwise. A tier may have a quantile of its own: one that can go elsewhere for a minute
needs no spare replicas.

What is kept ready beyond the forecast may differ by model, and be a mean of several rules
(:mod:`workbench.planning.peaks`); :mod:`workbench.planning.reserves` learns it from the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from workbench import tables
from workbench.domain import Fleet, RiskPolicy, Tier
from workbench.errors import PlanError, nearest
from workbench.planning.peaks import MEASURES, SERIES, Reserve, needs_at_peak
from workbench.results import Forecast
from workbench.units import SECONDS_PER_HOUR


def require(
    forecast: Forecast,
    *,
    risk: RiskPolicy,
    tiers: Sequence[Tier],
    plan_window_s: float = SECONDS_PER_HOUR,
    observed: pl.DataFrame | None = None,
    reserves: Mapping[str, Sequence[Reserve]] | None = None,
) -> pl.DataFrame:
    """Say what must be servable in each plan window, as REQUIREMENT.

    Plan windows are counted from ``forecast.as_of``. A tier that cannot wait gets its rate, at its quantile of the
    risk policy times 1 + ``risk.headroom_fraction``, in that forecast window of the hour where all such tiers of the
    region and model together are highest (looked up for input and output tokens separately). A deferrable tier gets
    the mean of its quantile over the hour without headroom, and its deadline as ``serve_by_s``. Rates in tokens/s.

    With ``risk.recent_peak_hours`` what was seen so long before a plan window counts as one more forecast window of it,
    at ``risk.recent_peak_fraction`` (and the headroom): ``observed`` is the demand, as DEMAND, of which only windows
    that end by ``forecast.as_of`` are read. The further ahead a plan window lies the less of it is left, until the
    forecast alone counts. ``reserves`` says by model what stands in place of the policy's headroom and recent hours:
    rules of which the weighted mean is asked for.

    Raises PlanError where the forecast lacks the quantile or a measure, names an unknown tier, or has windows that do
    not divide the plan window, and where recent hours are to be kept and ``observed`` is not given.
    """
    rates = _rates(forecast, risk=risk, tiers=tiers, plan_window_s=plan_window_s)
    waits = pl.col("tier").is_in([tier.key for tier in tiers if tier.deferrable])
    interactive = rates.filter(~waits)
    kept = {
        model: (reserves or {}).get(model) or (_of_all(risk),)
        for model in interactive.get_column("model").unique().sort()
    }
    parts = [
        needs_at_peak(interactive, kept, forecast, observed=observed),
        rates.filter(waits).group_by(SERIES, maintain_order=True).agg(pl.col(MEASURES).mean()),
    ]
    promises = pl.DataFrame(
        [(tier.key, tier.deferrable, tier.deadline_s if tier.deferrable else None) for tier in tiers],
        schema={"tier": tables.TEXT, "is_deferrable": tables.FLAG, "serve_by_s": tables.NUMBER},
        orient="row",
    )
    joined = pl.concat(parts, how="vertical").join(promises, on="tier")
    return tables.REQUIREMENT.conform(joined.rename({"plan_window": "window_start"})).sort(tables.REQUIREMENT.key)


def peak_demand(
    requirement: pl.DataFrame, risk: RiskPolicy, *, last_hour_deferrable: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return D of the programme: one row per window, region and model with ``input_tps`` in tokens per second.

    D = the interactive tiers together + ``risk.deferrable_buffer_fraction`` of the deferrable load of the hour before
    (sageserve.md section 6.1). The hour before the first is ``last_hour_deferrable`` (region, model, input_tps; a pair
    that is not in it had none) or, where the history is not given, the first hour's own deferrable load.
    """
    windows = requirement.select("window_start").unique().sort("window_start")
    pools = requirement.select("region", "model").unique().sort("region", "model")
    load = requirement.sort(tables.REQUIREMENT.key).group_by("window_start", "region", "model", maintain_order=True)
    sums = load.agg(
        pl.col("input_tps").filter(~pl.col("is_deferrable")).sum().alias("interactive"),
        pl.col("input_tps").filter("is_deferrable").sum().alias("deferrable"),
    )
    grid = windows.join(pools, how="cross").join(sums, on=("window_start", "region", "model"), how="left").fill_null(0)
    before = pl.col("deferrable").shift(1).over("region", "model", order_by="window_start")
    if last_hour_deferrable is None:
        first = pl.col("deferrable")
    else:
        known = last_hour_deferrable.group_by("region", "model").agg(pl.col("input_tps").sum().alias("last_hour"))
        grid = grid.join(known, on=("region", "model"), how="left").with_columns(pl.col("last_hour").fill_null(0.0))
        first = pl.col("last_hour")
    demand = pl.col("interactive") + risk.deferrable_buffer_fraction * before.fill_null(first)
    return grid.select("window_start", "region", "model", demand.alias("input_tps")).sort(
        "window_start", "region", "model"
    )


def _rates(forecast: Forecast, *, risk: RiskPolicy, tiers: Sequence[Tier], plan_window_s: float) -> pl.DataFrame:
    wanted = pl.DataFrame(
        [(tier.key, risk.quantile_of(tier.key)) for tier in tiers],
        schema={"tier": tables.TEXT, "wanted": tables.NUMBER},
        orient="row",
    )
    frame = (
        forecast.frame.join(wanted, on="tier", how="left", maintain_order="left")
        .filter((pl.col("quantile") - pl.col("wanted").fill_null(risk.quantile)).abs() < 1e-9)
        .drop("wanted")
    )
    _refuse(forecast, chosen=frame, risk=risk, tiers=tiers, plan_window_s=plan_window_s)
    elapsed_us = (pl.col("window_start") - forecast.as_of).dt.total_microseconds()
    plan_window_us = round(plan_window_s * 1e6)
    return (
        frame.sort(tables.FORECAST.key)
        .group_by("window_start", "region", "model", "tier", maintain_order=True)
        .agg(pl.col("value").filter(pl.col("measure") == measure).first().alias(measure) for measure in MEASURES)
        .with_columns(
            plan_window=pl.lit(forecast.as_of, tables.INSTANT)
            + pl.duration(microseconds=elapsed_us // plan_window_us * plan_window_us)
        )
    )


def _of_all(risk: RiskPolicy) -> Reserve:
    return Reserve(
        headroom_fraction=risk.headroom_fraction,
        recent_peak_hours=risk.recent_peak_hours,
        recent_peak_fraction=risk.recent_peak_fraction,
    )


def _refuse(
    forecast: Forecast, *, chosen: pl.DataFrame, risk: RiskPolicy, tiers: Sequence[Tier], plan_window_s: float
) -> None:
    lacking = sorted(set(forecast.frame.get_column("tier")) - set(chosen.get_column("tier")))
    if lacking or chosen.is_empty():
        found = ", ".join(str(quantile) for quantile in forecast.frame.get_column("quantile").unique().sort())
        asked = risk.quantile_of(lacking[0]) if lacking else risk.quantile
        raise PlanError(
            f"the plan asks for quantile {asked} of the forecast{f' of tier {lacking[0]}' if lacking else ''}, which "
            f"has {found or 'no rows'}; forecast that quantile too, or choose one of those."
        )
    strange = sorted(set(risk.quantile_by_tier) - {tier.key for tier in tiers})
    if strange:
        raise PlanError(
            f"quantile_by_tier names tier '{strange[0]}' that is not among the tiers; "
            f"{nearest(strange[0], [tier.key for tier in tiers])}"
        )
    missing = [measure for measure in MEASURES if measure not in chosen.get_column("measure")]
    if missing:
        raise PlanError(f"the forecast has no {' and no '.join(missing)}; forecast both measures to plan from it.")
    known = [tier.key for tier in tiers]
    unknown = sorted(set(chosen.get_column("tier")) - set(known))
    if unknown:
        raise PlanError(
            f"the forecast holds tier '{unknown[0]}' that is not among the tiers; {nearest(unknown[0], known)}"
        )
    windows = plan_window_s / forecast.window_s
    if windows < 1 or abs(windows - round(windows)) > 1e-9:
        raise PlanError(
            f"a plan window of {plan_window_s:g} s does not hold a whole number of forecast windows of "
            f"{forecast.window_s:g} s; choose a forecast window that divides it."
        )


def quiet_minutes(
    requirement: pl.DataFrame,
    forecast: Forecast,
    *,
    risk: RiskPolicy,
    tiers: Sequence[Tier],
    plan_window_s: float = SECONDS_PER_HOUR,
) -> pl.DataFrame:
    """Say by how much interactive work is foreseen below its requirement on the mean of a plan window.

    One row per window_start, region and model with ``input_tps`` in tokens/s: what ``requirement`` asks for without
    what may wait (peak, headroom, what is kept), less the mean of the forecast at the quantiles of the policy. In
    these minutes deferrable work finds room that need not be held for it. Raises PlanError as ``require`` does.
    """
    waits = [tier.key for tier in tiers if tier.deferrable]
    foreseen = _rates(forecast, risk=risk, tiers=tiers, plan_window_s=plan_window_s)
    pool = ("window_start", "region", "model")
    mean = (
        foreseen.filter(~pl.col("tier").is_in(waits))
        .group_by(*SERIES)
        .agg(pl.col("input_tps").mean())
        .group_by(pl.col("plan_window").alias("window_start"), "region", "model")
        .agg(pl.col("input_tps").sum().alias("mean"))
    )
    peak = requirement.filter(~pl.col("is_deferrable")).group_by(pool).agg(pl.col("input_tps").sum().alias("peak"))
    both = peak.join(mean, on=pool, how="left").with_columns(pl.col("mean").fill_null(0.0))
    below = pl.max_horizontal(pl.lit(0.0), pl.col("peak") - pl.col("mean"))
    return both.select(*pool, input_tps=below).sort(pool)


def unknown_names(requirement: pl.DataFrame, fleet: Fleet) -> list[str]:
    """Say of every region, model and tier that a requirement names and a fleet lacks which was probably meant."""
    known = {
        "region": [region.key for region in fleet.regions],
        "model": [model.key for model in fleet.models],
        "tier": [tier.key for tier in fleet.tiers],
    }
    return [
        f"the requirement names {column} '{name}' that the fleet does not have; {nearest(name, names)}"
        for column, names in known.items()
        for name in sorted(set(requirement.get_column(column)) - set(names))
    ]
