"""What a check of a plan hands back: one row per finding, whatever was checked."""

from __future__ import annotations

import polars as pl

from workbench import tables

FINDINGS = pl.Schema(
    {
        "check": tables.TEXT,
        "window_start": tables.INSTANT,
        "region": tables.TEXT,
        "model": tables.TEXT,
        "gpu": tables.TEXT,
        "found": tables.NUMBER,
        "allowed": tables.NUMBER,
    }
)
KEYS = ("window_start", "region", "model", "gpu")


def findings(check: str, frame: pl.DataFrame, *, found: pl.Expr, allowed: pl.Expr) -> pl.DataFrame:
    """Return the rows of a frame as findings of a check; a key that the frame lacks is null."""
    keys = [(pl.col(name) if name in frame.columns else pl.lit(None)).cast(FINDINGS[name]).alias(name) for name in KEYS]
    return frame.select(
        pl.lit(check).alias("check"),
        *keys,
        found.cast(pl.Float64).alias("found"),
        allowed.cast(pl.Float64).alias("allowed"),
    ).sort(KEYS)
