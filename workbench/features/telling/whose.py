"""Sentences about whose load it is: regions, what may wait, apps and tenants."""

from __future__ import annotations

import polars as pl

from workbench.features.telling.wording import extremes


def imbalance(frame: pl.DataFrame) -> str:
    """Tell the most uneven model."""
    ends = extremes(frame, "busiest_to_quietest_ratio")
    if ends is None:
        return "Every model has a region without any load, so no ratio can be told."
    worst = ends[1]
    return (
        f"The most uneven model is {worst['model']}: {worst['busiest']} sends {worst['busiest_to_quietest_ratio']:.1f} "
        f"times what {worst['quietest']} sends, and its share moves between {worst['busiest_p05_fraction']:.0%} and "
        f"{worst['busiest_p95_fraction']:.0%} in nine windows of ten."
    )


def lags(frame: pl.DataFrame) -> str:
    """Tell which region runs behind which."""
    others = frame.filter((pl.col("region") != pl.col("reference")) & pl.col("lag_h").is_not_null())
    if others.is_empty():
        return "The regions vary too little, or are known too briefly, to tell who runs behind whom."
    told = [
        f"{row['region']} runs {abs(row['lag_h']):g} h {'behind' if row['lag_h'] > 0 else 'ahead of'} "
        f"{row['reference']} (correlation {row['correlation']:.2f})"
        if row["lag_h"]
        else f"{row['region']} runs level with {row['reference']} (correlation {row['correlation']:.2f})"
        for row in others.to_dicts()
    ]
    return "; ".join(told) + "."


def waiting(frame: pl.DataFrame) -> str:
    """Tell how much of each model may wait."""
    ends = extremes(frame, "requests_deferrable_fraction")
    if ends is None:
        return "There is no load of which a part could wait."
    low, high = ends
    if not high["requests_deferrable_fraction"]:
        return "None of the load may wait."
    least, most = (f"{row['requests_deferrable_fraction']:.0%}" for row in ends)
    share = f"{most} of every model's" if least == most else f"Between {least} ({low['model']}) and {most} of a model's"
    ratio = high["interactive_to_deferrable_ratio"]
    return f"{share} requests may wait: {ratio:.1f} of {high['model']} that may not for each that may."


def waiting_in_time(frame: pl.DataFrame) -> str:
    """Tell when most and least of the load may wait."""
    ends = extremes(frame, "requests_deferrable_fraction")
    if ends is None:
        return "There is no load of which a part could wait."
    low, high = ends
    if not high["requests_deferrable_fraction"]:
        return ""  # the share of each model has said so
    return (
        f"The part that may wait moves between {low['requests_deferrable_fraction']:.0%} of the requests "
        f"({low['window_start']:%a %d %b %H:%M} UTC) and {high['requests_deferrable_fraction']:.0%} "
        f"({high['window_start']:%a %d %b %H:%M} UTC)."
    )


def senders(frame: pl.DataFrame) -> str:
    """Tell the largest sender and the first ones together."""
    top, last = frame.row(0, named=True), frame.row(-1, named=True)
    of = "app" if "app" in frame.columns else "tenant"
    if frame.height == 1:
        return f"All requests that name {'an app' if of == 'app' else 'a tenant'} come from {top[of]}."
    return (
        f"{top[of]} sends {top['requests_fraction']:.0%} of the requests; the first {frame.height} {of}s together "
        f"{last['cumulative_fraction']:.0%}."
    )


def concentration(frame: pl.DataFrame) -> str:
    """Tell how many equal senders would be as concentrated."""
    told = [
        f"{row['senders']:,} {row['of']}s are as concentrated as {row['effective_senders']:,.1f} equal ones "
        f"(Gini {row['gini_fraction']:.2f})"
        for row in frame.to_dicts()
    ]
    return "; ".join(told) + "."
