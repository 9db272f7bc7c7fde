"""Lengths that cannot be what they seem: cut at a value, all equal, absurdly long, or missing beside requests."""

from __future__ import annotations

import polars as pl

from workbench.traces.measures import MEASURES
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Look
from workbench.traces.store import quality_queries

CUT_ROWS = 10
CUT_DENSITY_RATIO = 5.0
CONSTANT_ROWS = 100
# twice the longest context window that is sold in 2026 (a million), and far beyond any answer
ABSURD_INPUT_TOKENS = 2_000_000
ABSURD_OUTPUT_TOKENS = 1_000_000


def cuts(look: Look) -> list[Finding]:
    """Suspect a cut where the top thousandth of the range is far thicker than the twentieth (ten tokens) below it."""
    if look.ask is None:
        return []
    found = []
    for row in look.ask(quality_queries.top_lengths(look.shifts)).to_dicts():
        top_width = max(1.0, 0.001 * row["longest"])
        below_width = max(0.05 * row["longest"], 10.0) - top_width
        density_ratio = (row["at_top"] / top_width) / (max(1, row["below_top"]) / below_width)
        is_constant = row["at_top"] == row["rows"]
        if row["at_top"] >= CUT_ROWS and density_ratio >= CUT_DENSITY_RATIO and not is_constant:
            detail = (
                f"{row['at_top']:,} of {row['rows']:,} rows lie at {row['longest']:,}, {density_ratio:.0f} times as "
                "dense as just below"
            )
            found.append(finding("suspected cut", f"{row['model']} {row['measure']}", row["at_top"], detail))
    return found


def odd_lengths(look: Look) -> list[Finding]:
    """Find requests of absurd length, and models whose requests are all equally long."""
    if look.ask is None:
        return []
    limits = {"absurd_input": ABSURD_INPUT_TOKENS, "absurd_output": ABSURD_OUTPUT_TOKENS}
    found = []
    for row in look.ask(quality_queries.overview(look.shifts, **limits)).to_dicts():
        for measure in ("input", "output"):
            where = f"{row['model']} {measure}_tokens"
            low, high = row[f"{measure}_low"], row[f"{measure}_high"]
            if row[f"absurd_{measure}"]:
                detail = (
                    f"{row[f'absurd_{measure}']:,} of {row['rows']:,} rows are longer than "
                    f"{limits[f'absurd_{measure}']:,} tokens, the longest {high:,}"
                )
                found.append(finding("absurd length", where, row[f"absurd_{measure}"], detail))
            if low == high and row["rows"] >= CONSTANT_ROWS:
                found.append(finding("constant length", where, row["rows"], f"all {row['rows']:,} rows have {low:,}"))
    return found


def empty_sums(look: Look) -> list[Finding]:
    """Find windows of a series with requests but no tokens, or tokens but no requests."""
    if look.ask is not None:
        return []
    present = [(pl.col(name) > 0).fill_null(value=False) for name in MEASURES]
    absent = [(pl.col(name) == 0).fill_null(value=False) for name in MEASURES]
    odd = look.load.frame.filter(pl.any_horizontal(present) & pl.any_horizontal(absent))
    return [
        finding(
            "zero tokens", model, count, f"{count:,} windows have requests without tokens or tokens without requests"
        )
        for model, count in odd.group_by("model").len().sort("model").iter_rows()
    ]
