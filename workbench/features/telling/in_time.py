"""Sentences about how much arrives and when: rates, days, profiles, periodicity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from workbench.features.demand import MEASURES
from workbench.features.telling.subjects import KNOWN_FRACTION
from workbench.features.telling.wording import extremes, named

WHOLE = 0.99  # the first and the last window of a trace are often cut
NAMED = 6
RATES = {"rps": "requests", "input_tps": "input tokens", "output_tps": "output tokens"}


def together(parts: Sequence[str]) -> str:
    """Return parts of a sentence as one text: commas, and the last after an "and"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def listed(parts: Sequence[str]) -> str:
    """Return parts that hold commas themselves as one text, the first of them where there are many."""
    more = [f"{len(parts) - NAMED} more"] if len(parts) > NAMED else []
    return "; ".join([*parts[:NAMED], *more])


def rates(frame: pl.DataFrame) -> str:
    """Tell the mean rates and the highest window, of what is known."""
    row = frame.row(0, named=True)
    means = [(row[f"{rate}_mean"], what) for rate, what in RATES.items()]
    if all(mean is None for mean, _ in means):
        return "Nothing is known of what arrives."
    if not any(mean for mean, _ in means):
        return "Nothing arrives."
    told = [f"{mean:,.2f} {what}" if what == "requests" else f"{mean:,.0f} {what}" for mean, what in means if mean]
    said = f"On average {together(told)} arrive per second"
    if row["peak_to_mean_ratio"] is None:
        return f"{said}; at no time are all series known at once, so no peak is told."
    peak = f"has {row['peak_to_mean_ratio']:.1f} times the mean rate of requests"
    if row["together_fraction"] > WHOLE:
        return f"{said}; the busiest window {peak}."
    return (
        f"{said}: the sum of each series' mean over the windows in which it is known. All are known at once in "
        f"{row['together_fraction']:.0%} of the windows, of which the busiest {peak}."
    )


def rates_by(key: str, what: str) -> Callable[[pl.DataFrame], str]:
    """Return the teller of rates by model, region or tier: who has the most work, who the highest peaks."""

    def tell(frame: pl.DataFrame) -> str:
        """Say it for one table of rates."""
        columns = {"input tokens": "input_tps_mean", "requests": "rps_mean"}
        known = {name: column for name, column in columns.items() if (frame.get_column(column) > 0).any()}
        if not known:
            return f"No {what} has any load that is known."
        if frame.height == 1:
            return f"All load is of one {what}, {frame[key][0]}."
        shares = frame.with_columns((pl.col(column) / pl.col(column).sum()).alias(column) for column in known.values())
        ends = extremes(shares, next(iter(known.values())))
        top = ends[1] if ends else {}
        parts = [f"{top[column]:.0%} of the {name}" for name, column in known.items() if top[column] is not None]
        said = f"The {what} with the most work is {top[key]}: {' and '.join(parts)}."
        peaks = extremes(frame, "peak_to_mean_ratio")
        if peaks is None or peaks[0] == peaks[1]:
            return said
        low, high = peaks
        return (
            f"{said} {high[key]} has the highest peaks, {high['peak_to_mean_ratio']:.1f} times its mean; "
            f"{low[key]} the lowest, {low['peak_to_mean_ratio']:.1f} times."
        )

    return tell


def known(frame: pl.DataFrame) -> str:
    """Tell which measures of a model are never known, and which models are known for too little of the time.

    Empty where all is known for most of the time.
    """
    keys = ["model", "tier"]
    shares = frame.group_by(keys).agg(pl.col(f"{name}_known_fraction").mean() for name in MEASURES).sort(keys)
    never, seldom = [], []
    for row in shares.to_dicts():
        found = {name: row[f"{name}_known_fraction"] for name in MEASURES}
        never += [f"the {name.replace('_', ' ')} of {named(row, *keys)}" for name, share in found.items() if share == 0]
        least = min((share for share in found.values() if share > 0), default=1.0)
        seldom += [f"{named(row, *keys)} {least:.0%}"] if least < KNOWN_FRACTION else []
    said = []
    if never:
        said.append(f"Never known: {listed(never)}; sums and shares of that measure are those of the others.")
    if seldom:
        said.append(f"Share of time known: {listed(seldom)}; a mean leans to the hours that are known.")
    return " ".join(said)


def days(frame: pl.DataFrame) -> str:
    """Tell the busiest and the quietest day of those that are known well enough."""
    whole = frame.filter(pl.col("requests").is_not_null())
    ends = extremes(whole, "requests")
    if ends is None:
        return "Of no day of the span 90% is known, so no totals by day are told."
    low, high = ends
    if whole.height == 1:
        return f"The only day that is known, {high['day']:%a %d %b %Y}, has {high['requests']:,.0f} requests."
    return (
        f"Of {whole.height} days that are known {high['day']:%a %d %b %Y} is the busiest with "
        f"{high['requests']:,.0f} requests, {low['day']:%a %d %b %Y} the quietest with {low['requests']:,.0f}."
    )


def diurnal(frame: pl.DataFrame) -> str:
    """Tell which group swings most over a day."""
    key = frame.columns[0]
    weekdays = frame.filter(pl.col("day_type") == pl.col("day_type").min())
    kind = weekdays["day_type"][0] if weekdays.height else "weekday"
    swing = weekdays.group_by(key).agg(
        low=pl.col("relative_to_mean_ratio").min(),
        high=pl.col("relative_to_mean_ratio").max(),
        peak_hour=pl.col("hour").sort_by("relative_to_mean_ratio", nulls_last=False).last(),
    )
    ends = extremes(swing.sort(key).with_columns(swing=pl.col("high") - pl.col("low")), "swing")
    if ends is None:
        return "There is no load to have a shape."
    low, high = ends
    if swing.height == 1:
        return (
            f"On a {kind} the rate goes from {high['low']:.2f} to {high['high']:.2f} times its mean, with the peak in "
            f"the hour from {high['peak_hour']:02d}:00 UTC."
        )
    said = (
        f"On a {kind} {high[key]} swings most: from {high['low']:.2f} to {high['high']:.2f} times its mean, with the "
        f"peak in the hour from {high['peak_hour']:02d}:00 UTC."
    )
    return f"{said} {low[key]} swings least, from {low['low']:.2f} to {low['high']:.2f}."


def weekly(frame: pl.DataFrame) -> str:
    """Tell what is left at the weekend."""
    key = frame.columns[0]
    weekend = pl.col("weekday") >= 6
    rate = pl.col("rps_mean")
    ratio = frame.group_by(key).agg(ratio=rate.filter(weekend).mean() / rate.filter(~weekend).mean()).sort(key)
    ends = extremes(ratio.filter(pl.col("ratio").is_finite()), "ratio")
    if ends is None:
        return "The span has no weekend and weekdays to compare."
    low, high = ends
    said = f"At the weekend {low[key]} runs at {low['ratio']:.0%} of its weekdays"
    return f"{said}." if low == high else f"{said}, {high[key]} at {high['ratio']:.0%}."


def periodicity(frame: pl.DataFrame) -> str:
    """Tell what the other days explain, at best and at worst."""
    ends = extremes(frame, "periodicity_fraction")
    if ends is None:
        return "No series is long enough, or varies enough, for a score."
    low, high = ends
    said = (
        f"The other days explain {high['periodicity_fraction']:.0%} of the hourly ups and downs of "
        f"{named(high, 'model', 'tier')}"
    )
    if frame.height == 1:
        return f"{said}."
    return f"{said}, and {low['periodicity_fraction']:.0%} of those of {named(low, 'model', 'tier')}."
