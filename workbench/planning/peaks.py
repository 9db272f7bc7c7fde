"""The peak that a plan window is sized for: the highest window foreseen or remembered, and what is kept beyond it.

Tiers that share replicas peak together, so the highest window is that of their sum (why says
:mod:`workbench.planning.requirement`). What is kept ready may follow several rules at once, of which the weighted mean
is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from workbench import tables
from workbench.planning.recent_peaks import recently_seen
from workbench.results import Forecast
from workbench.units import SECONDS_PER_HOUR

MEASURES = ("input_tps", "output_tps")
POOL = ("plan_window", "region", "model")
SERIES = (*POOL, "tier")


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """What a model keeps ready beyond its forecast, or a part of that, where several rules have a say.

    ``headroom_fraction`` of its need, and the root of its need over all regions times that of ``root_input_tps``, both
    in input tokens/s: at the rate of one replica that is one replica for one that is needed, two for four. What was
    seen in the last ``recent_peak_hours`` stays servable, to ``recent_peak_fraction``. ``weight`` is how much of the
    requirement follows this rule; those of a model add up to 1.
    """

    weight: float = 1.0

    headroom_fraction: float = 0.0
    root_input_tps: float = 0.0
    recent_peak_hours: float = 0.0
    recent_peak_fraction: float = 0.0


def needs_at_peak(
    interactive: pl.DataFrame,
    kept: Mapping[str, Sequence[Reserve]],
    forecast: Forecast,
    *,
    observed: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return what each tier needs in each plan window: the weighted mean of what the rules of its model ask for.

    ``interactive`` holds the windows of a forecast by plan_window, region, model and tier, in tokens/s; what comes back
    has one row for each of the latter. A rule asks for the highest window, foreseen or remembered, with what is kept
    beyond it, each region's and tier's in proportion. ``observed`` is the demand, as DEMAND, for rules that remember.

    Raises PlanError where a rule remembers and ``observed`` is not given.
    """
    rules = _as_rows(kept)
    by_rule = interactive.join(rules.select("model", "rule"), on="model")
    windows = pl.concat([by_rule, *_remembered(interactive, rules, forecast, observed=observed)])
    peaks = _at_peak(windows, "input_tps").join(_at_peak(windows, "output_tps"), on=(*SERIES, "rule"))
    total = pl.col("input_tps").sum().over("plan_window", "model", "rule")
    by_root = pl.when(total > 0).then((pl.col("root") / total).sqrt()).otherwise(0.0)
    raised = peaks.join(rules, on=("model", "rule"), how="left", maintain_order="left").with_columns(
        pl.col(MEASURES) * (pl.col("scale") + by_root) * pl.col("weight")
    )
    return raised.group_by(SERIES, maintain_order=True).agg(pl.col(MEASURES).sum())


def _as_rows(kept: Mapping[str, Sequence[Reserve]]) -> pl.DataFrame:
    """Return one row per model and rule: its number, its weight, and what it keeps."""
    return pl.DataFrame(
        [
            (
                model,
                number,
                one.weight,
                1.0 + one.headroom_fraction,
                one.root_input_tps,
                one.recent_peak_hours,
                one.recent_peak_fraction,
            )
            for model, rules in kept.items()
            for number, one in enumerate(rules)
        ],
        schema={
            "model": tables.TEXT,
            "rule": tables.COUNT,
            **dict.fromkeys(("weight", "scale", "root", "hours", "fraction"), tables.NUMBER),
        },
        orient="row",
    )


def _remembered(
    interactive: pl.DataFrame, rules: pl.DataFrame, forecast: Forecast, *, observed: pl.DataFrame | None
) -> list[pl.DataFrame]:
    """Return windows that were seen, as rows beside those foreseen, of the rules that remember any."""
    remembering = rules.filter(pl.col("hours") > 0)
    if remembering.is_empty():
        return []
    series = interactive.join(remembering, on="model", how="semi")
    longest = float(remembering.get_column("hours").to_numpy().max())
    seen = recently_seen(observed, series, hours=longest, as_of=forecast.as_of, window_s=forecast.window_s)
    back = pl.duration(microseconds=(pl.col("hours") * SECONDS_PER_HOUR * 1e6).round().cast(pl.Int64))
    kept = seen.join(remembering, on="model").filter(pl.col("window_start") >= pl.col("plan_window") - back)
    return [kept.with_columns(pl.col(MEASURES) * pl.col("fraction")).select(*interactive.columns, "rule")]


def _at_peak(windows: pl.DataFrame, measure: str) -> pl.DataFrame:
    together = windows.group_by(*POOL, "rule", "window_start", maintain_order=True).agg(pl.col(measure).sum())
    peaks = (
        together.sort(measure, "window_start", descending=[True, False])
        .group_by(*POOL, "rule", maintain_order=True)
        .agg(pl.col("window_start").first())
    )
    return windows.join(peaks, on=(*POOL, "rule", "window_start")).select(*SERIES, "rule", measure)
