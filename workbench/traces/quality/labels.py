"""Whose traffic it is: the labels of a trace, which of them the catalog does not know, and a sender that is most of it.

A trace may use any key; a study needs a row of the catalog for each. So an unknown key is told when the trace comes in,
with the nearest known one, and is no error.
"""

from __future__ import annotations

import polars as pl

from workbench import catalog
from workbench.catalog import Catalog
from workbench.errors import nearest
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Look
from workbench.traces.store import quality_queries

LISTED = 20
DOMINANT_FRACTION = 0.5


def labels(frame: pl.DataFrame, known: Catalog | None = None) -> list[Finding]:
    """Say which models, regions and tiers a trace has after mapping and spreading, and which the catalog lacks.

    ``frame`` has the columns region, model and tier; ``known`` is the catalog of the studies to come (None: packaged).
    """
    which = "the packaged catalog" if known is None else "the catalog"
    known = known or catalog.load()
    rows = {"model": known.models, "region": known.regions, "tier": known.tiers}
    present = {column: frame.get_column(column).unique().sort().to_list() for column in rows}
    detail = "; ".join(f"{column}s {_listed(keys)}" for column, keys in present.items())
    unknown = [
        finding(
            "unknown label", f"{column} {key}", None, f"{which} has no {column} '{key}': {nearest(key, rows[column])}"
        )
        for column, keys in present.items()
        for key in keys
        if key not in rows[column]
    ]
    more = [
        finding(
            "unknown label",
            "trace",
            len(unknown) - LISTED,
            f"{len(unknown) - LISTED:,} further keys that {which} does not know",
        )
    ]
    return [finding("labels", "trace", None, detail), *unknown[:LISTED], *(more if len(unknown) > LISTED else [])]


def dominant_tenants(look: Look) -> list[Finding]:
    """Find models of which one sender is half or more."""
    if look.ask is None:
        return []
    return [
        finding(
            "dominant tenant",
            row["model"],
            row["top_rows"],
            f"{row['top']} sends {row['top_rows'] / row['rows']:.0%} of {row['rows']:,} requests of "
            f"{row['tenants']:,} known senders",
        )
        for row in look.ask(quality_queries.tenants(look.shifts)).to_dicts()
        if row["tenants"] > 1 and row["top_rows"] >= DOMINANT_FRACTION * row["rows"]
    ]


def _listed(keys: list[str]) -> str:
    rest = len(keys) - LISTED
    return ", ".join(keys[:LISTED]) + (f" and {rest:,} more" if rest > 0 else "")
