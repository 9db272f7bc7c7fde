"""What a simulation tells, by window and by request, and how a fleet stands while it runs."""

from __future__ import annotations

import polars as pl

from workbench.tables.declaring import (
    FLAG,
    GPU,
    INSTANT,
    MODEL,
    REGION,
    SERIES,
    WINDOW,
    Column,
    Table,
    count,
    fraction,
    not_negative,
    number,
    text,
)

SIM_WINDOWS = Table(
    name="SIM_WINDOWS",
    one_row_per="window, region of origin, model and tier",
    columns=WINDOW
    | SERIES
    | {
        "arrived": number("requests", "arrivals in the window"),
        "served": number("requests", "completions in the window"),
        "backlog": number("requests", "queued or running at the end of the window"),
        "shed": number("requests", "refused in the window"),
        "missed_deadlines": number("requests", "deadlines that passed in the window without completion"),
        "oldest_wait_s": number("s", "age of the oldest request not yet released; 0 when none waits"),
        "served_elsewhere": number("requests", "arrivals that were routed to another region"),
        "ttft_mean_s": number(
            "s", "mean time to first token of the arrivals; without one, the age at the end", nullable=True
        ),
        "ttft_p50_s": number("s", "median; null where the window is saturated or empty", nullable=True),
        "ttft_p95_s": number("s", "95th percentile; null likewise", nullable=True),
        "ttft_p99_s": number("s", "99th percentile; null likewise", nullable=True),
        "itl_mean_s": number("s", "mean gap between tokens after the first", nullable=True),
        "slo_attainment_fraction": number(
            "1", "share of arrivals with a first token in time; for a deferrable tier of deadlines kept", nullable=True
        ),
        "is_saturated": Column(
            dtype=FLAG, unit="", meaning="the pool that served it was within 5 % of what it can do, or beyond"
        ),
    },
    key=("window_start", "region", "model", "tier"),
    rules=not_negative("arrived", "served", "backlog", "shed") | fraction("slo_attainment_fraction"),
)

SIM_POOLS = Table(
    name="SIM_POOLS",
    one_row_per="window, region, model, GPU kind and silo",
    columns=WINDOW
    | REGION
    | MODEL
    | GPU
    | {
        "silo": text("shared, or the interactive, deferrable or mixed side of a siloed fleet"),
        "ready": number("replicas", "mean ready to serve"),
        "starting_reclaim": number("replicas", "mean starting on a lent VM of the same model"),
        "starting_swap": number("replicas", "mean starting on a lent VM of another model"),
        "starting_remote": number("replicas", "mean starting with weights from elsewhere"),
        "draining": number("replicas", "mean finishing their last requests"),
        "lent": number("replicas", "mean lent to the spot pool with this model loaded"),
        "running": number("requests", "mean in running batches"),
        "waiting": number("requests", "mean waiting for a slot"),
        "kv_cache_used_fraction": number("1", "KV cache held / room of the ready replicas"),
        "batch_slots_used_fraction": number("1", "running requests / slots of the ready replicas"),
        "work_fraction": number("1", "work being done / time of the ready replicas (rho)"),
        "gpu_hours": number("GPU h", "held by the pool: ready, starting and draining"),
        "waste_gpu_hours": number("GPU h", "held but not yet usable: starting"),
        "lent_gpu_hours": number("GPU h", "lent to the spot pool"),
        "cost_usd": number("USD", "gpu_hours at the pool's price"),
    },
    key=("window_start", "region", "model", "gpu", "silo"),
    rules=not_negative("ready", "running", "waiting", "gpu_hours", "waste_gpu_hours", "lent_gpu_hours", "cost_usd"),
)


def _histogram(what: str, token: str) -> Table:
    return Table(
        name=f"{what.upper()}_HISTOGRAM",
        one_row_per="hour, region of origin, model, tier and latency bin that is not empty",
        columns=WINDOW
        | SERIES
        | {
            f"{what}_low_s": number("s", "lower edge of the bin"),
            f"{what}_high_s": number("s", "upper edge of the bin"),
            "requests": number(
                "requests", f"arrivals whose time to {token} token falls in the bin, unfinished included"
            ),
        },
        rules=not_negative("requests") | {"low < high": pl.col(f"{what}_low_s") < pl.col(f"{what}_high_s")},
    )


TTFT_HISTOGRAM, E2E_HISTOGRAM = _histogram("ttft", "first"), _histogram("e2e", "last")

SCALING = Table(
    name="SCALING",
    one_row_per="window, region, model, GPU kind, silo and kind of scaling event",
    columns=WINDOW
    | REGION
    | MODEL
    | GPU
    | {
        "silo": text("shared, interactive, deferrable or mixed"),
        "kind": text("in, reclaim, swap, remote, or refused when the region had no GPU left"),
        "replicas": number("replicas", "events in the window"),
    },
    key=("window_start", "region", "model", "gpu", "silo", "kind"),
    rules=not_negative("replicas"),
)

STANDING = Table(
    name="STANDING",
    one_row_per="pool of a fleet at an instant",
    columns=REGION
    | MODEL
    | GPU
    | {
        "ready": count("replicas", "serving"),
        "starting_reclaim": count("replicas", "lent with the model loaded, on their way back"),
        "starting_swap": count("replicas", "loading their weights on GPUs that were lent with another model"),
        "starting_remote": count("replicas", "on GPUs and with weights from elsewhere"),
        "draining": count("replicas", "finishing what they run"),
        "lent": count("replicas", "lent with the model loaded"),
    },
    key=("region", "model", "gpu"),
    rules=not_negative("ready", "starting_reclaim", "starting_swap", "starting_remote", "draining", "lent"),
)

WAITING = Table(
    name="WAITING",
    one_row_per="hour of arrival, region, model and deferrable tier with requests that wait for release",
    columns={"arrived_hour": Column(dtype=INSTANT, unit="UTC", meaning="begin of the hour of arrival")}
    | SERIES
    | {
        "requests": number("requests", "that wait"),
        "input_tokens": number("tokens", "of their prompts"),
        "output_tokens": number("tokens", "of their answers, as they turn out"),
    },
    key=("arrived_hour", "region", "model", "tier"),
    rules=not_negative("requests", "input_tokens", "output_tokens"),
)

SIM_REQUESTS = Table(
    name="SIM_REQUESTS",
    one_row_per="request that arrived in the span",
    columns={"arrived_at": Column(dtype=INSTANT, unit="UTC", meaning="arrival")}
    | SERIES
    | {
        "input_tokens": count("tokens", "prompt length"),
        "output_tokens": count("tokens", "generated length"),
        "wait_s": number("s", "from arrival to admission to a batch; null where it never came to that", nullable=True),
        "ttft_s": number("s", "time to first token as the origin sees it, network included", nullable=True),
        "e2e_s": number("s", "time to last token as the origin sees it", nullable=True),
        "itl_s": number("s", "mean gap between its tokens after the first; null for a single token", nullable=True),
        "served_in": text("region of the pool that it went to; null where it went to none", nullable=True),
        "outcome": text("served; inside a pool or queued before one when the span ends; shed as it fits in none"),
    },
    rules={"outcome is known": pl.col("outcome").is_in(["served", "inside", "queued", "shed"])},
)
