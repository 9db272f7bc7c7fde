"""What a plan has to cover, what it decides, what it lacks, and the reservations of a year."""

from __future__ import annotations

import polars as pl

from workbench.tables.declaring import (
    FLAG,
    GPU,
    MODEL,
    REGION,
    SERIES,
    TIER,
    WINDOW,
    Column,
    Table,
    count,
    fraction,
    not_negative,
    number,
    text,
)

REQUIREMENT = Table(
    name="REQUIREMENT",
    one_row_per="window, region, model and tier",
    columns=WINDOW
    | SERIES
    | {
        "input_tps": number("tokens/s", "prompt rate that must be servable"),
        "output_tps": number("tokens/s", "generation rate that must be servable"),
        "is_deferrable": Column(dtype=FLAG, unit="", meaning="may wait in a queue"),
        "serve_by_s": number("s", "how long it may wait; null when it may not", nullable=True),
    },
    key=("window_start", "region", "model", "tier"),
    rules=not_negative("input_tps", "output_tps"),
)

REPLICA_RATES = Table(
    name="REPLICA_RATES",
    one_row_per="model and GPU kind that can serve it",
    columns=MODEL
    | GPU
    | {
        "gpus_per_replica": count("GPUs", "GPUs one replica occupies"),
        "rps": number("requests/s", "rate one replica sustains at the planning signal"),
        "input_tps": number("tokens/s", "prompt rate at that load (theta of the programme)"),
        "output_tps": number("tokens/s", "generation rate at that load"),
        "signal_fraction": number("1", "value of the scaling signal at that load"),
        "binding": text("what binds there: kv_cache, batch_slots or work"),
    },
    key=("model", "gpu"),
    rules={"input_tps > 0": pl.col("input_tps") > 0},
)

ALLOCATION = Table(
    name="ALLOCATION",
    one_row_per="window, region, model, GPU kind and way of acquiring",
    columns=WINDOW
    | REGION
    | MODEL
    | GPU
    | {
        "acquired": text("on_demand, reserved or spot"),
        "replicas": count("replicas", "replicas to hold in the window"),
    },
    key=("window_start", "region", "model", "gpu", "acquired"),
    rules=not_negative("replicas") | {"acquired is known": pl.col("acquired").is_in(["on_demand", "reserved", "spot"])},
)

SHORTFALL = Table(
    name="SHORTFALL",
    one_row_per="window, region, model and tier with unmet need",
    columns=WINDOW
    | SERIES
    | {
        "input_tps": number("tokens/s", "prompt rate that the plan cannot serve"),
        "output_tps": number("tokens/s", "generation rate that the plan cannot serve"),
    },
    key=("window_start", "region", "model", "tier"),
    rules=not_negative("input_tps", "output_tps"),
)

FLOWS = Table(
    name="FLOWS",
    one_row_per="window, model, tier, region of origin and region that serves",
    columns=WINDOW
    | MODEL
    | TIER
    | {"origin_region": text("region the traffic comes from")}
    | REGION
    | {"input_tps": number("tokens/s", "prompt rate that the region serves of it; its own traffic included")},
    key=("window_start", "model", "tier", "origin_region", "region"),
    rules=not_negative("input_tps"),
)

DEFERRED = Table(
    name="DEFERRED",
    one_row_per="window and model with deferrable work",
    columns=WINDOW
    | MODEL
    | {
        "arriving_input_tps": number("tokens/s", "deferrable work that comes in"),
        "served_input_tps": number("tokens/s", "deferrable work that is served"),
        "backlog_input_tokens": number("tokens", "waiting at the end of the window, within its deadline"),
        "late_input_tokens": number("tokens", "given up at the end of the window: its deadline passed"),
    },
    key=("window_start", "model"),
    rules=not_negative("arriving_input_tps", "served_input_tps", "backlog_input_tokens", "late_input_tokens"),
)

SUPPLY = Table(
    name="SUPPLY",
    one_row_per="window, region and GPU kind",
    columns=WINDOW
    | REGION
    | GPU
    | {
        "gpus_reserved": number("GPUs", "in use and paid for by a reservation"),
        "gpus_on_demand": number("GPUs", "in use and paid by the hour"),
        "gpus_spot": number("GPUs", "in use and bought on the spot market"),
        "gpus_lent": number("GPUs", "not in use, still holding the weights of a model: back within a minute"),
        "gpus_idle": number("GPUs", "reserved and not in use: let to others"),
        "gpus_stock": number("GPUs", "all that the region can ever use"),
    },
    key=("window_start", "region", "gpu"),
    rules=not_negative("gpus_reserved", "gpus_on_demand", "gpus_spot", "gpus_lent", "gpus_idle", "gpus_stock"),
)

STARTS = Table(
    name="STARTS",
    one_row_per="window, region, model, GPU kind and kind of start",
    columns=WINDOW
    | REGION
    | MODEL
    | GPU
    | {
        "kind": text("reclaim (lent and still loaded), swap (lent, another model) or remote (a new machine)"),
        "replicas": number("replicas", "started at the beginning of the window"),
    },
    key=("window_start", "region", "model", "gpu", "kind"),
    rules=not_negative("replicas") | {"kind is known": pl.col("kind").is_in(["reclaim", "swap", "remote"])},
)

DURATION = Table(
    name="DURATION",
    one_row_per="region, GPU kind, year and VM counted from the one that is used most",
    columns=REGION
    | GPU
    | {
        "year": count("years", "year of the plan, the first is 1"),
        "vm_rank": count("VMs", "1 for the VM that is used most"),
        "used_fraction": number("1", "share of the year's hours in which so many VMs or more are needed"),
    },
    key=("region", "gpu", "year", "vm_rank"),
    rules=fraction("used_fraction") | {"vm_rank >= 1": pl.col("vm_rank") >= 1},
)

COMMITMENTS = Table(
    name="COMMITMENTS",
    one_row_per="region, GPU kind and year",
    columns=REGION
    | GPU
    | {
        "vm": text("machine whose prices are taken"),
        "year": count("years", "year of the plan, the first is 1"),
        "reserved_1y_vms": count("VMs", "to hold under a 1-year reservation in that year"),
        "reserved_3y_vms": count("VMs", "to hold under a 3-year reservation"),
        "peak_vms": count("VMs", "most that any hour needs"),
        "on_demand_vm_hours": number("VM h", "bought by the hour beside the reservations"),
        "idle_vm_hours": number("VM h", "reserved and not needed"),
        "cost_usd": number("USD", "of the year with the reservations"),
        "on_demand_cost_usd": number("USD", "of the year with everything bought by the hour"),
        "break_even_1y_fraction": number("1", "share of hours from which a 1-year reservation pays", nullable=True),
        "break_even_3y_fraction": number("1", "share of hours from which a 3-year reservation pays", nullable=True),
    },
    key=("region", "gpu", "year"),
    rules=not_negative("reserved_1y_vms", "reserved_3y_vms", "on_demand_vm_hours", "idle_vm_hours", "cost_usd"),
)
