"""Frames small enough to add up by eye, for the tests of charts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl

START = datetime(2026, 3, 2)
SOURCE = "study tiny"


def at(minutes: float) -> datetime:
    """Return the instant some minutes after the start."""
    return START + timedelta(minutes=minutes)


def source_of(figure: Any) -> str:
    """Return what a figure says about where its numbers come from."""
    return next(note.text for note in figure.layout.annotations if note.name == "source")


def demand() -> pl.DataFrame:
    """Two windows of ten minutes, two models; the second window of the second model is a gap."""
    return pl.DataFrame(
        {
            "window_start": [at(0), at(10), at(0), at(10)],
            "region": "us_east",
            "model": ["a", "a", "b", "b"],
            "tier": "interactive_fast",
            "requests": [600.0, 1200.0, 60.0, None],
            "input_tokens": [6000.0, 12_000.0, 600.0, None],
            "output_tokens": [600.0, 1200.0, 60.0, None],
        }
    )


def pools() -> pl.DataFrame:
    """Two windows of half an hour, two models: 2 and 6 replicas ready, then 4 and 4."""
    return pl.DataFrame(
        {
            "window_start": [at(0), at(0), at(30), at(30)],
            "region": "us_east",
            "model": ["a", "b", "a", "b"],
            "ready": [2.0, 6.0, 4.0, 4.0],
            "gpu_hours": [8.0, 3.0, 16.0, 2.0],
            "kv_cache_used_fraction": [0.4, 0.0, 0.5, 0.1],
            "batch_slots_used_fraction": [0.2, 0.2, 0.2, 0.2],
            "work_fraction": [0.8, 0.4, 0.5, 0.5],
        }
    )


def totals() -> pl.DataFrame:
    """A scorecard of two strategies: the second is cheaper and serves worse."""
    return pl.DataFrame(
        {
            "strategy": ["reactive", "lt_i"],
            "label": ["Reactive", "LT-I"],
            "gpu_hours": [1000.0, 750.0],
            "cost_usd": [12_000.0, 9_000.0],
            "waste_gpu_hours": [3.0, 1.0],
            "lent_gpu_hours": [500.0, 750.0],
            "starts": [30.0, 10.0],
            "gpu_hours_saved_fraction": [0.0, 0.25],
            "cost_saved_usd": [0.0, 3_000.0],
            "keeps_service": [True, False],
        }
    )


def scored(method: str, region: str, wape: float, load: float, **more: object) -> dict[str, object]:
    """Return a row of errors of one series."""
    keys = {"region": region, "model": "a", "tier": "t", "measure": "input_tps", "method": method}
    return keys | {"windows": 1, "realised_mean": load, "wape": wape, "bias": 0.0} | more
