"""What came: single requests, sums per window, how lengths and arrivals spread, and known special days."""

from __future__ import annotations

import polars as pl

from workbench.tables.declaring import (
    COUNT,
    INSTANT,
    NUMBER,
    SERIES,
    WINDOW,
    Column,
    Table,
    count,
    not_negative,
    number,
    text,
)

REQUESTS = Table(
    name="REQUESTS",
    one_row_per="request",
    columns={"arrived_at": Column(dtype=INSTANT, unit="UTC", meaning="arrival")}
    | SERIES
    | {
        "app": text("application or scenario that sent it", nullable=True),
        "tenant": text("client that sent it", nullable=True),
        "input_tokens": count("tokens", "prompt length"),
        "output_tokens": count("tokens", "generated length"),
        "cached_tokens": Column(
            dtype=COUNT, unit="tokens", meaning="prompt tokens found in a prefix cache", nullable=True
        ),
    },
    rules={"input_tokens >= 1": pl.col("input_tokens") >= 1, "output_tokens >= 1": pl.col("output_tokens") >= 1},
)

DEMAND = Table(
    name="DEMAND",
    one_row_per="window, region, model and tier",
    columns=WINDOW
    | SERIES
    | {
        "requests": number("requests", "arrivals in the window; null in a gap of the source", nullable=True),
        "input_tokens": number("tokens", "sum of prompt lengths; null in a gap", nullable=True),
        "output_tokens": number("tokens", "sum of generated lengths; null in a gap", nullable=True),
    },
    key=("window_start", "region", "model", "tier"),
    rules=not_negative("requests", "input_tokens", "output_tokens"),
)

SHAPE = Table(
    name="SHAPE",
    one_row_per="hour, region, model and tier",
    columns=WINDOW
    | SERIES
    | {
        "requests": number("requests", "arrivals in the hour"),
        "input_tokens_mean": number("tokens", "E[P]"),
        "output_tokens_mean": number("tokens", "E[O]"),
        "input_tokens_square_mean": number("tokens^2", "E[P^2]"),
        "input_tokens_cube_mean": number("tokens^3", "E[P^3]"),
        "output_tokens_square_mean": number("tokens^2", "E[O^2]"),
        "input_output_mean": number("tokens^2", "E[P O]"),
        "input_tokens_quantiles": Column(
            dtype=pl.List(NUMBER), unit="tokens", meaning="prompt lengths at the middles of 24 equal shares of requests"
        ),
        "dispersion_250ms": number("1", "index of dispersion of counts in 0.25 s bins (variance / mean)"),
        "dispersion_1s": number("1", "index of dispersion of counts in 1 s bins"),
        "dispersion_3s": number("1", "index of dispersion of counts in 3 s bins"),
        "dispersion_10s": number("1", "index of dispersion of counts in 10 s bins"),
    },
    key=("window_start", "region", "model", "tier"),
    rules={"24 input_tokens_quantiles": pl.col("input_tokens_quantiles").list.len() == 24},
)

EVENTS = Table(
    name="EVENTS",
    one_row_per="holiday or special event, and region and model that it touches",
    columns={
        "name": text("events of one name are taken to move the load alike"),
        "start": Column(dtype=INSTANT, unit="UTC", meaning="when it begins"),
        "end": Column(dtype=INSTANT, unit="UTC", meaning="when it is over; the end itself is no longer part of it"),
        "region": text("the one region that it touches; null for all", nullable=True),
        "model": text("the one model that it touches; null for all", nullable=True),
    },
    rules={"start < end": pl.col("start") < pl.col("end")},
)
