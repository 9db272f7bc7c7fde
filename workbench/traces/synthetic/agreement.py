"""How well a made copy agrees with the trace it was fitted to: one row per measure, with a stated tolerance and reason.

What a workload promises is judged, and only where a group has enough requests that chance alone stays well inside the
tolerance; smaller groups are not compared. The spread of the gaps between single requests is shown beside it and not
judged: noise multiplies a rate and never stops it for long, so silences of a trace come shorter in its copy.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from workbench.tables import COUNT, FLAG, NUMBER, TEXT, Column, Table
from workbench.traces.store import Reading, load_queries
from workbench.traces.synthetic.tolerances import PER_WINDOW, Group, allowed
from workbench.traces.synthetic.workloads import Workload
from workbench.units import seconds_between

REQUESTS_NEEDED = 5_000
WINDOW_REQUESTS_NEEDED = 100.0
WINDOWS_S = (3600.0, 600.0, 60.0)
WINDOWS_NEEDED = 6
QUANTILES = (0.5, 0.9, 0.99)
GROUP = ["model", "tier"]
MEASURES = ["requests", "input_tokens", "output_tokens"]
#: Standard deviation / mean of the gaps within an hour: 1 for requests at random, more for bursts and silences.
GAP_CV = "gap CV in an hour (not reproduced)"
GAPS_NEEDED = 30

Row = tuple[str, Group, float, float, float]


AGREEMENT = Table(
    name="AGREEMENT",
    one_row_per="measure and model and tier",
    columns={
        "measure": Column(dtype=TEXT, unit="", meaning="what is compared"),
        "where": Column(dtype=TEXT, unit="", meaning="model and tier, or all"),
        "requests": Column(dtype=COUNT, unit="requests", meaning="how many the trace has there"),
        "of_trace": Column(dtype=NUMBER, unit="of the measure", meaning="value of the trace"),
        "of_copy": Column(dtype=NUMBER, unit="of the measure", meaning="value of the copy"),
        "difference": Column(dtype=NUMBER, unit="1", meaning="distance as a part of the trace's value"),
        "tolerance": Column(dtype=NUMBER, unit="1", meaning="the distance that is stated as agreeing", nullable=True),
        "agrees": Column(dtype=FLAG, unit="", meaning="whether the difference is within the tolerance", nullable=True),
    },
)


def agreement(store: Reading, trace: str, copy: str, *, workload: Workload, scale: float = 1.0) -> pl.DataFrame:
    """Compare a copy with its trace (``AGREEMENT``), for the models and tiers that have ``REQUESTS_NEEDED`` requests.

    Both must lie in the store and cover the span of the ``workload`` that was fitted to the one and made the other;
    ``scale`` is the part of the trace's load that the copy was asked to have. Of a trace that is a series of sums,
    rates and means are compared over the windows that it knows. Counts may differ by chance too: their tolerance grows
    with the noise that the workload itself has.
    """
    window_s = _window_s(store, trace)
    ours, theirs = _sums_of_both(store, trace, copy, window_s, scale)
    rows = _totals(ours, theirs) + _windows(ours, theirs)
    if store.describe(trace).header.kind == "requests":
        rows += _quantiles(store, trace, copy) + _shapes(store, trace, copy, scale) + _gaps(store, trace, copy)
    counts = {(row["model"], row["tier"]): row["requests"] for row in _by_group(ours).to_dicts()}
    judged = [
        {
            "measure": measure,
            "where": ", ".join(group),
            "requests": round(counts[group]),
            "of_trace": of_trace,
            "of_copy": of_copy,
            "difference": difference,
            "tolerance": None
            if measure == GAP_CV
            else allowed(measure, group, counted=of_trace, workload=workload, window_s=window_s),
        }
        for measure, group, of_trace, of_copy, difference in rows
        if counts.get(group, 0) >= REQUESTS_NEEDED
    ]
    frame = pl.DataFrame(judged, schema={k: v for k, v in AGREEMENT.schema.items() if k != "agrees"})
    return AGREEMENT.conform(frame.with_columns(agrees=pl.col("difference") <= pl.col("tolerance")))


def summary(compared: pl.DataFrame) -> pl.DataFrame:
    """Return one row per measure of an ``AGREEMENT``: in how many groups it agrees, and the worst.

    Null is the agreement of a measure that is not judged.
    """
    used = pl.col("difference") / pl.col("tolerance")
    ordered = compared.sort(used, descending=True, nulls_last=True, maintain_order=True)
    worst = ordered.group_by("measure", maintain_order=True)
    first = worst.agg(
        pl.len().alias("groups"),
        pl.when(pl.col("agrees").is_not_null().any()).then(pl.col("agrees").sum()).alias("agree"),
        pl.first("where").alias("worst"),
        pl.first("of_trace", "of_copy", "difference", "tolerance"),
    )
    order = {measure: place for place, measure in enumerate(compared["measure"].unique(maintain_order=True))}
    return first.sort(pl.col("measure").replace_strict(order, return_dtype=pl.Int64))


def _row(measure: str, group: Group, ours: float, theirs: float) -> Row:
    return measure, group, ours, theirs, abs(theirs / ours - 1.0) if ours else abs(theirs)


def _window_s(store: Reading, trace: str) -> float:
    info = store.describe(trace)
    span_s = seconds_between(info.first_at, info.last_at + timedelta(seconds=info.header.window_s or 0.0))
    native_s = info.header.window_s or WINDOWS_S[-1]
    fitting = [window for window in WINDOWS_S if window >= native_s and window % native_s == 0]
    return next((window for window in fitting if span_s >= WINDOWS_NEEDED * window), native_s)


def _sums_of_both(
    store: Reading, trace: str, copy: str, window_s: float, scale: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sum both per window, model and tier; a series of sums is compared only where it is known."""
    ours, theirs = (store.sum_by_window(name, window_s=window_s).drop_nulls() for name in (trace, copy))
    if store.describe(trace).header.kind == "series":
        theirs = theirs.join(ours, on=["window_start", "region", *GROUP], how="semi")
    ours = ours.with_columns(pl.col(MEASURES) * scale)
    grouped = [sums.group_by("window_start", *GROUP).agg(pl.col(MEASURES).sum()) for sums in (ours, theirs)]
    return grouped[0], grouped[1]


def _by_group(sums: pl.DataFrame) -> pl.DataFrame:
    return sums.group_by(GROUP).agg(pl.col(MEASURES).sum()).sort(GROUP)


def _totals(ours: pl.DataFrame, theirs: pl.DataFrame) -> list[Row]:
    both = _by_group(ours).join(_by_group(theirs), on=GROUP, suffix="_copy", how="left").fill_null(0.0)
    rows = []
    for row in both.to_dicts():
        group = row["model"], row["tier"]
        rows.append(_row("requests", group, row["requests"], row["requests_copy"]))
        if row["requests"] and row["requests_copy"]:
            rows += [
                _row(
                    f"{what} tokens, mean",
                    group,
                    row[f"{what}_tokens"] / row["requests"],
                    row[f"{what}_tokens_copy"] / row["requests_copy"],
                )
                for what in ("input", "output")
            ]
    return rows


def _windows(ours: pl.DataFrame, theirs: pl.DataFrame) -> list[Row]:
    """Compare window by window, over the windows in which the trace has enough requests."""
    both = ours.join(theirs, on=["window_start", *GROUP], suffix="_copy", how="left").fill_null(0.0)
    busy = both.filter(pl.col("requests") >= WINDOW_REQUESTS_NEEDED)
    distance = (pl.col("requests") - pl.col("requests_copy")).abs().sum() / pl.col("requests").sum()
    grouped = busy.group_by(GROUP).agg(pl.col("requests").mean(), pl.col("requests_copy").mean(), distance=distance)
    return [
        (PER_WINDOW, (row["model"], row["tier"]), row["requests"], row["requests_copy"], row["distance"])
        for row in grouped.sort(GROUP).to_dicts()
    ]


def _quantiles(store: Reading, trace: str, copy: str) -> list[Row]:
    ours, theirs = (store.token_quantiles(name, quantiles=QUANTILES) for name in (trace, copy))
    both = ours.join(theirs, on=[*GROUP, "quantile"], suffix="_copy").sort(*GROUP, "quantile")
    return [
        _row(
            f"{what} tokens p{row['quantile'] * 100:g}",
            (row["model"], row["tier"]),
            row[f"{what}_tokens"],
            row[f"{what}_tokens_copy"],
        )
        for row in both.to_dicts()
        for what in ("input", "output")
    ]


def _shapes(store: Reading, trace: str, copy: str, scale: float) -> list[Row]:
    """Compare the mean product of lengths and the dispersion of arrivals, over hours and regions, by requests.

    What of a dispersion exceeds one (Poisson) grows with the rate, so it is compared at the rate of the copy.
    """
    weight = pl.col("requests")
    measures = {
        "input x output, mean": "input_output_mean",
        "dispersion in 1 s": "dispersion_1s",
        "dispersion in 10 s": "dispersion_10s",
    }
    means = [
        store.shape_by_hour(name)
        .drop_nulls(list(measures.values()))
        .group_by(GROUP)
        .agg((pl.col(column) * weight).sum() / weight.sum() for column in measures.values())
        for name in (trace, copy)
    ]
    both = means[0].join(means[1], on=GROUP, suffix="_copy").sort(GROUP)
    return [
        _row(
            measure,
            (row["model"], row["tier"]),
            1.0 + (row[column] - 1.0) * scale if "dispersion" in measure else row[column],
            row[f"{column}_copy"],
        )
        for row in both.to_dicts()
        for measure, column in measures.items()
        if np.isfinite(row[column])
    ]


def _gaps(store: Reading, trace: str, copy: str) -> list[Row]:
    """Compare how unevenly single requests follow each other, which a copy does not reproduce."""
    both = _gap_cv(store, trace).join(_gap_cv(store, copy), on=GROUP, suffix="_copy").sort(GROUP)
    return [_row(GAP_CV, (row["model"], row["tier"]), row["cv"], row["cv_copy"]) for row in both.to_dicts()]


def _gap_cv(store: Reading, trace: str) -> pl.DataFrame:
    span = {"since": datetime(1, 1, 1), "until": datetime(9999, 12, 31)}
    hours = store.look(trace, load_queries.gaps(GROUP), span)
    number, total, square = pl.col("gaps"), pl.col("gap_sum_s"), pl.col("gap_square_sum_s2")
    squared = (square - total**2 / number) / (number - 1) / (total / number) ** 2
    known = hours.filter((number >= GAPS_NEEDED) & (total > 0)).with_columns(squared=squared.clip(lower_bound=0.0))
    return known.group_by(GROUP).agg(cv=((pl.col("squared") * number).sum() / number.sum()).sqrt())
