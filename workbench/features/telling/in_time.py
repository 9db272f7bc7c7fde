"""Sentences about how much arrives and when: rates, days, profiles, periodicity."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from workbench.features.telling.wording import extremes, named

WHOLE = 0.99  # the first and the last window of a trace are often cut


def rates(frame: pl.DataFrame) -> str:
    """Tell the mean rates and the highest window."""
    row = frame.row(0, named=True)
    if row["peak_to_mean_ratio"] is None:
        return "Nothing arrives, or nothing is known of what does."
    said = (
        f"On average {row['rps_mean']:,.2f} requests per second arrive, with {row['input_tps_mean']:,.0f} input and "
        f"{row['output_tps_mean']:,.0f} output tokens; the busiest window has "
        f"{row['peak_to_mean_ratio']:.1f} times the mean rate of requests."
    )
    if row["known_fraction"] > WHOLE:
        return said
    return (
        f"{said} Only {row['known_fraction']:.0%} of the windows are known for every series; the others are left out."
    )


def rates_by(key: str, what: str) -> Callable[[pl.DataFrame], str]:
    """Return the teller of rates by model, region or tier: who has the most work, who the highest peaks."""

    def tell(frame: pl.DataFrame) -> str:
        shares = frame.with_columns(
            requests=pl.col("rps_mean") / pl.col("rps_mean").sum(),
            tokens=pl.col("input_tps_mean") / pl.col("input_tps_mean").sum(),
        )
        ends = extremes(shares.filter(pl.col("tokens").is_finite()), "tokens")
        if ends is None:
            return f"No {what} has any load."
        top = ends[1]
        if frame.height == 1:
            return f"All load is of one {what}, {top[key]}."
        peaks = extremes(frame, "peak_to_mean_ratio")
        said = f"The {what} with the most work is {top[key]}: {top['tokens']:.0%} of the input tokens and "
        said += f"{top['requests']:.0%} of the requests."
        if peaks is None:
            return said
        low, high = peaks
        least = frame.sort("known_fraction", maintain_order=True).row(0, named=True)
        if least["known_fraction"] < WHOLE:
            said += f" {least[key]} is known worst, in {least['known_fraction']:.0%} of the windows."
        return (
            f"{said} {high[key]} has the highest peaks, {high['peak_to_mean_ratio']:.1f} times its mean; "
            f"{low[key]} the lowest, {low['peak_to_mean_ratio']:.1f} times."
        )

    return tell


def days(frame: pl.DataFrame) -> str:
    """Tell the busiest and the quietest whole day."""
    whole = frame.filter(pl.col("known_fraction") > 0.99)
    ends = extremes(whole, "requests")
    if ends is None:
        return "No day of the span is known as a whole."
    low, high = ends
    if whole.height == 1:
        return f"The only whole day, {high['day']:%a %d %b %Y}, has {high['requests']:,.0f} requests."
    return (
        f"Of {whole.height} whole days {high['day']:%a %d %b %Y} is the busiest with {high['requests']:,.0f} requests, "
        f"{low['day']:%a %d %b %Y} the quietest with {low['requests']:,.0f}."
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
    said = (
        f"On a {kind} {high[key]} swings most: from {high['low']:.2f} to {high['high']:.2f} times its mean, with the "
        f"peak in the hour from {high['peak_hour']:02d}:00 UTC."
    )
    if swing.height == 1:
        return said
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
