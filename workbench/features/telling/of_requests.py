"""Sentences about single requests: bursts, lengths, drift, cache hits."""

from __future__ import annotations

import polars as pl

from workbench.features.telling.wording import bin_length, extremes, named

POISSON = 1.15  # within sampling noise of a day of gaps; no planner need act on less
FEW = 0.1  # twice the share of windows that chance alone marks
LOOSE = 0.1  # a correlation below this explains one percent of the variance


def gaps(frame: pl.DataFrame) -> str:
    """Tell whose gaps vary most and least."""
    ends = extremes(frame, "gap_cv")
    if ends is None:
        return "No hour of any series has enough arrivals for a coefficient of variation."
    low, high = ends
    random, bursts = (
        "arrivals come at random, as Poisson's do",
        "arrivals come in bursts, or with silences between them",
    )
    kind = random if high["gap_cv"] < POISSON else bursts
    return (
        f"Within an hour the gaps of {named(high, 'model', 'tier')} vary most, with a coefficient of variation of "
        f"{high['gap_cv']:.2f} ({kind}); those of {named(low, 'model', 'tier')} least, {low['gap_cv']:.2f}."
    )


def dispersion(frame: pl.DataFrame) -> str:
    """Tell at which scale counts spread furthest."""
    ends = extremes(frame, "dispersion")
    if ends is None:
        return "The span is too short to tell how far counts spread."
    shortest = extremes(frame.filter(pl.col("scale_s") == pl.col("scale_s").min()), "dispersion")
    high = ends[1]
    said = (
        f"Counts spread furthest in bins of {bin_length(high['scale_s'])} for {named(high, 'model', 'tier')}: "
        f"their variance is {high['dispersion']:,.1f} times that of random arrivals"
    )
    if shortest is None or shortest[1] == high:
        return f"{said}."
    return (
        f"{said}; in bins of {bin_length(shortest[1]['scale_s'])} no series exceeds {shortest[1]['dispersion']:,.1f}."
    )


def peaks(frame: pl.DataFrame) -> str:
    """Tell the peaks of the busiest series."""
    busiest = frame.filter(pl.col("rps_mean") > 0).sort("rps_mean", maintain_order=True)
    if busiest.is_empty():
        return "There is no load to have a peak."
    top = busiest.row(-1, named=True)
    keys = [name for name in ("region", "model", "tier") if name in frame.columns]
    own = frame.filter(*(pl.col(key) == top[key] for key in keys)).sort("scale_s")
    low, high = own.row(0, named=True), own.row(-1, named=True)
    if own.height == 1:
        return (
            f"For the busiest series, {named(top, *keys)}, the fullest {bin_length(low['scale_s'])} hold "
            f"{low['peak_to_mean_ratio']:,.1f} times the mean rate."
        )
    return (
        f"For the busiest series, {named(top, *keys)}, the fullest {bin_length(low['scale_s'])} hold "
        f"{low['peak_to_mean_ratio']:,.1f} times the mean rate, the fullest {bin_length(high['scale_s'])} "
        f"{high['peak_to_mean_ratio']:,.1f} times."
    )


def lengths(frame: pl.DataFrame) -> str:
    """Tell the medians of prompts and outputs."""
    part = 1.0 - (pl.col("below_fraction") - 0.5) / pl.col("fraction")
    median = pl.col("tokens_low") + (pl.col("tokens_high") - pl.col("tokens_low")) * part.clip(0.0, 1.0)
    reached = frame.sort("tokens_low").filter(pl.col("below_fraction") >= 0.5 - 1e-12)
    medians = reached.group_by("model", "measure").agg(at=median.first()).sort("model", "measure")
    told = []
    for measure, what in (("input_tokens", "prompts"), ("output_tokens", "outputs")):
        ends = extremes(medians.filter(pl.col("measure") == measure), "at")
        if ends is None:
            continue
        low, high = ends
        told.append(
            f"half of the {what} are shorter than {low['at']:,.0f} tokens for {low['model']}"
            + (f" and {high['at']:,.0f} for {high['model']}" if high["model"] != low["model"] else "")
        )
    text = "; ".join(told) + "."
    return text[:1].upper() + text[1:]


def drift(frame: pl.DataFrame) -> str:
    """Tell whether lengths change, and where most."""
    compared = frame.filter(pl.col("window_start") > pl.col("window_start").min())
    later = compared.filter(pl.col("ks_fraction") > pl.col("ks_chance_fraction"))
    if compared.is_empty():
        return "There is one window only, so no drift can be told."
    if later.height <= FEW * compared.height:
        return (
            f"Lengths keep: {later.height} of {compared.height} windows differ from the first by more than chance does "
            "in one case of twenty."
        )
    worst = later.sort("ks_fraction", maintain_order=True).row(-1, named=True)
    what = "prompts" if worst["measure"] == "input_tokens" else "outputs"
    return (
        f"{later.height} of {compared.height} windows differ from the first by more than chance, most the {what} of "
        f"{named(worst, 'model')} from {worst['window_start']:%a %d %b %H:%M} UTC on: the cumulative distributions "
        f"lie up to {worst['ks_fraction']:.0%} apart, and lengths differ by {2 ** worst['shift_octaves'] - 1:.0%} on "
        "average."
    )


def moments(frame: pl.DataFrame) -> str:
    """Tell whether prompt and output go together."""
    ends = extremes(frame.with_columns(size=pl.col("log_correlation").abs()), "size")
    if ends is None:
        return "Lengths do not vary, so prompt and output cannot go together."
    high = ends[1]
    if high["size"] < LOOSE:
        return (
            f"A prompt tells nothing about its output: the logarithms of their lengths correlate by at most "
            f"{high['size']:.2f}."
        )
    kind = "longer" if high["log_correlation"] > 0 else "shorter"
    return (
        f"Longer prompts have {kind} outputs, most for {named(high, 'model', 'tier')}: the logarithms of the lengths "
        f"correlate by {high['log_correlation']:.2f}."
    )


def caching(frame: pl.DataFrame) -> str:
    """Tell how much of the prompts a cache held."""
    held = (pl.col("cached_fraction") * pl.col("input_tokens")).sum() / pl.col("input_tokens").sum()
    share = frame.select(held).item()
    return f"{share:.0%} of the prompt tokens were found in a prefix cache."
