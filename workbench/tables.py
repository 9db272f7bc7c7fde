"""The shape of every frame that is handed from one stage to the next, declared once.

A :class:`Table` is a value: columns with dtype, unit and meaning, the key, and row rules as Polars expressions.
``TABLE.conform(frame)`` selects and casts, then raises one :class:`~workbench.errors.TableError` that lists every
missing column and every broken rule with a count and a sample row. Whatever is read back from a file or a store goes
through it; inside a stage a conformed frame is trusted.

Instants are naive UTC in microseconds; a window is half-open and named by its left edge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from workbench.errors import TableError

INSTANT = pl.Datetime("us")
NUMBER = pl.Float64()
COUNT = pl.Int64()
TEXT = pl.String()
FLAG = pl.Boolean()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: dtype, unit, meaning, and whether a null (meaning "not known") may stand in it."""

    dtype: pl.DataType
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a handed-over frame looks like; ``rules`` hold for every row, ``key`` names at most one row."""

    name: str
    one_row_per: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)

    @property
    def schema(self) -> pl.Schema:
        """Column names and dtypes in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Select, order and cast the table's columns and check every rule.

        Raises TableError naming the missing columns, the columns that cannot be cast, or each broken rule with its
        count and a sample row.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise TableError(
                f"{self.name}: missing column(s) {', '.join(missing)}; found {', '.join(frame.columns)}. "
                f"The table has one row per {self.one_row_per}."
            )
        try:
            typed = self._typed(frame)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise TableError(
                f"{self.name}: a column cannot be cast to its type ({reason}); expected {dict(self.schema)}, "
                f"found {dict(frame.schema)}."
            ) from error
        findings = self._findings(typed)
        if findings:
            raise TableError(f"{self.name}: " + "; ".join(findings) + ".")
        return typed

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the table's columns in order, cast where they are of another type."""
        return pl.DataFrame(
            [frame.get_column(name).cast(column.dtype) for name, column in self.columns.items()],
        )

    def _findings(self, frame: pl.DataFrame) -> list[str]:
        """Return what is wrong; nulls are looked for where there are any, and infinities where a sum is no number."""
        broken = {
            f"{name} is null": pl.col(name).is_null()
            for name, column in self.columns.items()
            if not column.nullable and frame.get_column(name).null_count()
        }
        broken |= {
            f"{name} is not a finite number": pl.col(name).is_nan() | pl.col(name).is_infinite()
            for name, column in self.columns.items()
            if column.dtype.is_float() and not math.isfinite(frame.get_column(name).sum())
        }
        broken |= {f"not ({rule})": ~expression for rule, expression in self.rules.items()}
        if self.key and frame.height:
            broken[f"repeated key ({', '.join(self.key)})"] = pl.struct(self.key).is_duplicated()
        if not broken or frame.is_empty():
            return []
        counts = frame.select(
            test.fill_null(value=False).sum().alias(str(i)) for i, test in enumerate(broken.values())
        ).row(0)
        return [
            f"{what} in {count:,} of {frame.height:,} rows, first {frame.row(index, named=True)}"
            for (what, test), count in zip(broken.items(), counts, strict=True)
            if count
            for index in [int(frame.select(test.fill_null(value=False).arg_max()).item())]
        ]


def window_s_of(frame: pl.DataFrame) -> float:
    """Return the window length of a frame with ``window_start``, in seconds: the smallest step between two windows.

    Raises TableError where fewer than two windows are present, as then no length can be read off.
    """
    starts = frame.get_column("window_start").unique().sort()
    if starts.len() < 2:
        raise TableError(f"a window length needs two windows or more, found {starts.len()}; ask for a longer span.")
    return float(starts.diff().drop_nulls().min().total_seconds())  # type: ignore[union-attr]


_WINDOW = {"window_start": Column(dtype=INSTANT, unit="UTC", meaning="left edge of the half-open window")}
_REGION = {"region": Column(dtype=TEXT, unit="key", meaning="region the traffic comes from or the replicas stand in")}
_MODEL = {"model": Column(dtype=TEXT, unit="key", meaning="served model")}
_TIER = {"tier": Column(dtype=TEXT, unit="key", meaning="service tier")}
_GPU = {"gpu": Column(dtype=TEXT, unit="key", meaning="GPU kind")}
_SERIES = _REGION | _MODEL | _TIER


def _number(unit: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(dtype=NUMBER, unit=unit, meaning=meaning, nullable=nullable)


def _count(unit: str, meaning: str) -> Column:
    return Column(dtype=COUNT, unit=unit, meaning=meaning)


def _text(meaning: str, *, nullable: bool = False) -> Column:
    return Column(dtype=TEXT, unit="", meaning=meaning, nullable=nullable)


def _not_negative(*names: str) -> dict[str, pl.Expr]:
    return {f"{name} >= 0": pl.col(name) >= 0 for name in names}


def _fraction(*names: str) -> dict[str, pl.Expr]:
    return {f"0 <= {name} <= 1": pl.col(name).is_between(0.0, 1.0 + 1e-9) for name in names}


REQUESTS = Table(
    name="REQUESTS",
    one_row_per="request",
    columns={"arrived_at": Column(dtype=INSTANT, unit="UTC", meaning="arrival")}
    | _SERIES
    | {
        "app": _text("application or scenario that sent it", nullable=True),
        "tenant": _text("client that sent it", nullable=True),
        "input_tokens": _count("tokens", "prompt length"),
        "output_tokens": _count("tokens", "generated length"),
        "cached_tokens": Column(
            dtype=COUNT, unit="tokens", meaning="prompt tokens found in a prefix cache", nullable=True
        ),
    },
    rules={"input_tokens >= 1": pl.col("input_tokens") >= 1, "output_tokens >= 1": pl.col("output_tokens") >= 1},
)

DEMAND = Table(
    name="DEMAND",
    one_row_per="window, region, model and tier",
    columns=_WINDOW
    | _SERIES
    | {
        "requests": _number("requests", "arrivals in the window; null in a gap of the source", nullable=True),
        "input_tokens": _number("tokens", "sum of prompt lengths; null in a gap", nullable=True),
        "output_tokens": _number("tokens", "sum of generated lengths; null in a gap", nullable=True),
    },
    key=("window_start", "region", "model", "tier"),
    rules=_not_negative("requests", "input_tokens", "output_tokens"),
)

SHAPE = Table(
    name="SHAPE",
    one_row_per="hour, region, model and tier",
    columns=_WINDOW
    | _SERIES
    | {
        "requests": _number("requests", "arrivals in the hour"),
        "input_tokens_mean": _number("tokens", "E[P]"),
        "output_tokens_mean": _number("tokens", "E[O]"),
        "input_tokens_square_mean": _number("tokens^2", "E[P^2]"),
        "input_tokens_cube_mean": _number("tokens^3", "E[P^3]"),
        "output_tokens_square_mean": _number("tokens^2", "E[O^2]"),
        "input_output_mean": _number("tokens^2", "E[P O]"),
        "input_tokens_quantiles": Column(
            dtype=pl.List(NUMBER), unit="tokens", meaning="prompt lengths at the middles of 24 equal shares of requests"
        ),
        "dispersion_250ms": _number("1", "index of dispersion of counts in 0.25 s bins (variance / mean)"),
        "dispersion_1s": _number("1", "index of dispersion of counts in 1 s bins"),
        "dispersion_3s": _number("1", "index of dispersion of counts in 3 s bins"),
        "dispersion_10s": _number("1", "index of dispersion of counts in 10 s bins"),
    },
    key=("window_start", "region", "model", "tier"),
    rules={"24 input_tokens_quantiles": pl.col("input_tokens_quantiles").list.len() == 24},
)

FORECAST = Table(
    name="FORECAST",
    one_row_per="window, region, model, tier, measure and quantile",
    columns=_WINDOW
    | _SERIES
    | {
        "measure": _text("rps, input_tps or output_tps"),
        "quantile": _number("1", "probability that the value is not exceeded"),
        "value": _number("per second", "forecast rate"),
    },
    key=("window_start", "region", "model", "tier", "measure", "quantile"),
    rules=_not_negative("value")
    | {
        "measure is known": pl.col("measure").is_in(["rps", "input_tps", "output_tps"]),
        "0 < quantile < 1": pl.col("quantile").is_between(0.0, 1.0, closed="none"),
    },
)

FORECAST_NOTES = Table(
    name="FORECAST_NOTES",
    one_row_per="region, model, tier and measure",
    columns=_SERIES
    | {
        "measure": _text("rps, input_tps or output_tps"),
        "method": _text("the method that made this series"),
        "note": _text("why another method than the one asked for was used; empty when it was not"),
    },
    key=("region", "model", "tier", "measure"),
)

EVENTS = Table(
    name="EVENTS",
    one_row_per="holiday or special event, and region and model that it touches",
    columns={
        "name": _text("events of one name are taken to move the load alike"),
        "start": Column(dtype=INSTANT, unit="UTC", meaning="when it begins"),
        "end": Column(dtype=INSTANT, unit="UTC", meaning="when it is over; the end itself is no longer part of it"),
        "region": _text("the one region that it touches; null for all", nullable=True),
        "model": _text("the one model that it touches; null for all", nullable=True),
    },
    rules={"start < end": pl.col("start") < pl.col("end")},
)

REQUIREMENT = Table(
    name="REQUIREMENT",
    one_row_per="window, region, model and tier",
    columns=_WINDOW
    | _SERIES
    | {
        "input_tps": _number("tokens/s", "prompt rate that must be servable"),
        "output_tps": _number("tokens/s", "generation rate that must be servable"),
        "is_deferrable": Column(dtype=FLAG, unit="", meaning="may wait in a queue"),
        "serve_by_s": _number("s", "how long it may wait; null when it may not", nullable=True),
    },
    key=("window_start", "region", "model", "tier"),
    rules=_not_negative("input_tps", "output_tps"),
)

REPLICA_RATES = Table(
    name="REPLICA_RATES",
    one_row_per="model and GPU kind that can serve it",
    columns=_MODEL
    | _GPU
    | {
        "gpus_per_replica": _count("GPUs", "GPUs one replica occupies"),
        "rps": _number("requests/s", "rate one replica sustains at the planning signal"),
        "input_tps": _number("tokens/s", "prompt rate at that load (theta of the programme)"),
        "output_tps": _number("tokens/s", "generation rate at that load"),
        "signal_fraction": _number("1", "value of the scaling signal at that load"),
        "binding": _text("what binds there: kv_cache, batch_slots or work"),
    },
    key=("model", "gpu"),
    rules={"input_tps > 0": pl.col("input_tps") > 0},
)

ALLOCATION = Table(
    name="ALLOCATION",
    one_row_per="window, region, model, GPU kind and way of acquiring",
    columns=_WINDOW
    | _REGION
    | _MODEL
    | _GPU
    | {
        "acquired": _text("on_demand, reserved or spot"),
        "replicas": _count("replicas", "replicas to hold in the window"),
    },
    key=("window_start", "region", "model", "gpu", "acquired"),
    rules=_not_negative("replicas")
    | {"acquired is known": pl.col("acquired").is_in(["on_demand", "reserved", "spot"])},
)

SHORTFALL = Table(
    name="SHORTFALL",
    one_row_per="window, region, model and tier with unmet need",
    columns=_WINDOW
    | _SERIES
    | {
        "input_tps": _number("tokens/s", "prompt rate that the plan cannot serve"),
        "output_tps": _number("tokens/s", "generation rate that the plan cannot serve"),
    },
    key=("window_start", "region", "model", "tier"),
    rules=_not_negative("input_tps", "output_tps"),
)

FLOWS = Table(
    name="FLOWS",
    one_row_per="window, model, tier, region of origin and region that serves",
    columns=_WINDOW
    | _MODEL
    | _TIER
    | {"origin_region": _text("region the traffic comes from")}
    | _REGION
    | {"input_tps": _number("tokens/s", "prompt rate that the region serves of it; its own traffic included")},
    key=("window_start", "model", "tier", "origin_region", "region"),
    rules=_not_negative("input_tps"),
)

DEFERRED = Table(
    name="DEFERRED",
    one_row_per="window and model with deferrable work",
    columns=_WINDOW
    | _MODEL
    | {
        "arriving_input_tps": _number("tokens/s", "deferrable work that comes in"),
        "served_input_tps": _number("tokens/s", "deferrable work that is served"),
        "backlog_input_tokens": _number("tokens", "waiting at the end of the window, within its deadline"),
        "late_input_tokens": _number("tokens", "given up at the end of the window: its deadline passed"),
    },
    key=("window_start", "model"),
    rules=_not_negative("arriving_input_tps", "served_input_tps", "backlog_input_tokens", "late_input_tokens"),
)

SUPPLY = Table(
    name="SUPPLY",
    one_row_per="window, region and GPU kind",
    columns=_WINDOW
    | _REGION
    | _GPU
    | {
        "gpus_reserved": _number("GPUs", "in use and paid for by a reservation"),
        "gpus_on_demand": _number("GPUs", "in use and paid by the hour"),
        "gpus_spot": _number("GPUs", "in use and bought on the spot market"),
        "gpus_lent": _number("GPUs", "not in use, still holding the weights of a model: back within a minute"),
        "gpus_idle": _number("GPUs", "reserved and not in use: let to others"),
        "gpus_stock": _number("GPUs", "all that the region can ever use"),
    },
    key=("window_start", "region", "gpu"),
    rules=_not_negative("gpus_reserved", "gpus_on_demand", "gpus_spot", "gpus_lent", "gpus_idle", "gpus_stock"),
)

STARTS = Table(
    name="STARTS",
    one_row_per="window, region, model, GPU kind and kind of start",
    columns=_WINDOW
    | _REGION
    | _MODEL
    | _GPU
    | {
        "kind": _text("reclaim (lent and still loaded), swap (lent, another model) or remote (a new machine)"),
        "replicas": _number("replicas", "started at the beginning of the window"),
    },
    key=("window_start", "region", "model", "gpu", "kind"),
    rules=_not_negative("replicas") | {"kind is known": pl.col("kind").is_in(["reclaim", "swap", "remote"])},
)

SIM_WINDOWS = Table(
    name="SIM_WINDOWS",
    one_row_per="window, region of origin, model and tier",
    columns=_WINDOW
    | _SERIES
    | {
        "arrived": _number("requests", "arrivals in the window"),
        "served": _number("requests", "completions in the window"),
        "backlog": _number("requests", "queued or running at the end of the window"),
        "shed": _number("requests", "refused in the window"),
        "missed_deadlines": _number("requests", "deadlines that passed in the window without completion"),
        "oldest_wait_s": _number("s", "age of the oldest request not yet released; 0 when none waits"),
        "served_elsewhere": _number("requests", "arrivals that were routed to another region"),
        "ttft_mean_s": _number(
            "s", "mean time to first token of the arrivals; without one, the age at the end", nullable=True
        ),
        "ttft_p50_s": _number("s", "median; null where the window is saturated or empty", nullable=True),
        "ttft_p95_s": _number("s", "95th percentile; null likewise", nullable=True),
        "ttft_p99_s": _number("s", "99th percentile; null likewise", nullable=True),
        "itl_mean_s": _number("s", "mean gap between tokens after the first", nullable=True),
        "slo_attainment_fraction": _number(
            "1", "share of arrivals with a first token in time; for a deferrable tier of deadlines kept", nullable=True
        ),
        "is_saturated": Column(
            dtype=FLAG, unit="", meaning="the pool that served it was within 5 % of what it can do, or beyond"
        ),
    },
    key=("window_start", "region", "model", "tier"),
    rules=_not_negative("arrived", "served", "backlog", "shed") | _fraction("slo_attainment_fraction"),
)

SIM_POOLS = Table(
    name="SIM_POOLS",
    one_row_per="window, region, model, GPU kind and silo",
    columns=_WINDOW
    | _REGION
    | _MODEL
    | _GPU
    | {
        "silo": _text("shared, or the interactive, deferrable or mixed side of a siloed fleet"),
        "ready": _number("replicas", "mean ready to serve"),
        "starting_reclaim": _number("replicas", "mean starting on a lent VM of the same model"),
        "starting_swap": _number("replicas", "mean starting on a lent VM of another model"),
        "starting_remote": _number("replicas", "mean starting with weights from elsewhere"),
        "draining": _number("replicas", "mean finishing their last requests"),
        "lent": _number("replicas", "mean lent to the spot pool with this model loaded"),
        "running": _number("requests", "mean in running batches"),
        "waiting": _number("requests", "mean waiting for a slot"),
        "kv_cache_used_fraction": _number("1", "KV cache held / room of the ready replicas"),
        "batch_slots_used_fraction": _number("1", "running requests / slots of the ready replicas"),
        "work_fraction": _number("1", "work being done / time of the ready replicas (rho)"),
        "gpu_hours": _number("GPU h", "held by the pool: ready, starting and draining"),
        "waste_gpu_hours": _number("GPU h", "held but not yet usable: starting"),
        "lent_gpu_hours": _number("GPU h", "lent to the spot pool"),
        "cost_usd": _number("USD", "gpu_hours at the pool's price"),
    },
    key=("window_start", "region", "model", "gpu", "silo"),
    rules=_not_negative("ready", "running", "waiting", "gpu_hours", "waste_gpu_hours", "lent_gpu_hours", "cost_usd"),
)

TTFT_HISTOGRAM = Table(
    name="TTFT_HISTOGRAM",
    one_row_per="hour, region of origin, model, tier and latency bin that is not empty",
    columns=_WINDOW
    | _SERIES
    | {
        "ttft_low_s": _number("s", "lower edge of the bin"),
        "ttft_high_s": _number("s", "upper edge of the bin"),
        "requests": _number("requests", "arrivals whose time to first token falls in the bin, unfinished included"),
    },
    rules=_not_negative("requests") | {"low < high": pl.col("ttft_low_s") < pl.col("ttft_high_s")},
)

E2E_HISTOGRAM = Table(
    name="E2E_HISTOGRAM",
    one_row_per="hour, region of origin, model, tier and latency bin that is not empty",
    columns=_WINDOW
    | _SERIES
    | {
        "e2e_low_s": _number("s", "lower edge of the bin"),
        "e2e_high_s": _number("s", "upper edge of the bin"),
        "requests": _number("requests", "arrivals whose time to last token falls in the bin, unfinished included"),
    },
    rules=_not_negative("requests") | {"low < high": pl.col("e2e_low_s") < pl.col("e2e_high_s")},
)

SCALING = Table(
    name="SCALING",
    one_row_per="window, region, model, GPU kind, silo and kind of scaling event",
    columns=_WINDOW
    | _REGION
    | _MODEL
    | _GPU
    | {
        "silo": _text("shared, interactive, deferrable or mixed"),
        "kind": _text("in, reclaim, swap, remote, or refused when the region had no GPU left"),
        "replicas": _number("replicas", "events in the window"),
    },
    key=("window_start", "region", "model", "gpu", "silo", "kind"),
    rules=_not_negative("replicas"),
)

STANDING = Table(
    name="STANDING",
    one_row_per="pool of a fleet at an instant",
    columns=_REGION
    | _MODEL
    | _GPU
    | {
        "ready": _count("replicas", "serving"),
        "starting_reclaim": _count("replicas", "lent with the model loaded, on their way back"),
        "starting_swap": _count("replicas", "loading their weights on GPUs that were lent with another model"),
        "starting_remote": _count("replicas", "on GPUs and with weights from elsewhere"),
        "draining": _count("replicas", "finishing what they run"),
        "lent": _count("replicas", "lent with the model loaded"),
    },
    key=("region", "model", "gpu"),
    rules=_not_negative("ready", "starting_reclaim", "starting_swap", "starting_remote", "draining", "lent"),
)

WAITING = Table(
    name="WAITING",
    one_row_per="hour of arrival, region, model and deferrable tier with requests that wait for release",
    columns={"arrived_hour": Column(dtype=INSTANT, unit="UTC", meaning="begin of the hour of arrival")}
    | _SERIES
    | {
        "requests": _number("requests", "that wait"),
        "input_tokens": _number("tokens", "of their prompts"),
        "output_tokens": _number("tokens", "of their answers, as they turn out"),
    },
    key=("arrived_hour", "region", "model", "tier"),
    rules=_not_negative("requests", "input_tokens", "output_tokens"),
)

DURATION = Table(
    name="DURATION",
    one_row_per="region, GPU kind, year and VM counted from the one that is used most",
    columns=_REGION
    | _GPU
    | {
        "year": _count("years", "year of the plan, the first is 1"),
        "vm_rank": _count("VMs", "1 for the VM that is used most"),
        "used_fraction": _number("1", "share of the year's hours in which so many VMs or more are needed"),
    },
    key=("region", "gpu", "year", "vm_rank"),
    rules=_fraction("used_fraction") | {"vm_rank >= 1": pl.col("vm_rank") >= 1},
)

COMMITMENTS = Table(
    name="COMMITMENTS",
    one_row_per="region, GPU kind and year",
    columns=_REGION
    | _GPU
    | {
        "vm": _text("machine whose prices are taken"),
        "year": _count("years", "year of the plan, the first is 1"),
        "reserved_1y_vms": _count("VMs", "to hold under a 1-year reservation in that year"),
        "reserved_3y_vms": _count("VMs", "to hold under a 3-year reservation"),
        "peak_vms": _count("VMs", "most that any hour needs"),
        "on_demand_vm_hours": _number("VM h", "bought by the hour beside the reservations"),
        "idle_vm_hours": _number("VM h", "reserved and not needed"),
        "cost_usd": _number("USD", "of the year with the reservations"),
        "on_demand_cost_usd": _number("USD", "of the year with everything bought by the hour"),
        "break_even_1y_fraction": _number("1", "share of hours from which a 1-year reservation pays", nullable=True),
        "break_even_3y_fraction": _number("1", "share of hours from which a 3-year reservation pays", nullable=True),
    },
    key=("region", "gpu", "year"),
    rules=_not_negative("reserved_1y_vms", "reserved_3y_vms", "on_demand_vm_hours", "idle_vm_hours", "cost_usd"),
)

SIM_REQUESTS = Table(
    name="SIM_REQUESTS",
    one_row_per="request that arrived in the span",
    columns={"arrived_at": Column(dtype=INSTANT, unit="UTC", meaning="arrival")}
    | _SERIES
    | {
        "input_tokens": _count("tokens", "prompt length"),
        "output_tokens": _count("tokens", "generated length"),
        "wait_s": _number("s", "from arrival to admission to a batch; null where it never came to that", nullable=True),
        "ttft_s": _number("s", "time to first token as the origin sees it, network included", nullable=True),
        "e2e_s": _number("s", "time to last token as the origin sees it", nullable=True),
        "itl_s": _number("s", "mean gap between its tokens after the first; null for a single token", nullable=True),
        "served_in": _text("region of the pool that it went to; null where it went to none", nullable=True),
        "outcome": _text("served; inside a pool or queued before one when the span ends; shed as it fits in none"),
    },
    rules={"outcome is known": pl.col("outcome").is_in(["served", "inside", "queued", "shed"])},
)

_FORECAST_SERIES = _SERIES | {"measure": _text("rps, input_tps or output_tps")}
FORECAST_COMPONENTS = Table(
    name="FORECAST_COMPONENTS",
    one_row_per="window, region, model, tier, measure and component",
    columns=_WINDOW
    | _FORECAST_SERIES
    | {
        "component": _text(
            "realised, level, curve and forecast as rates; daily, weekly, events, correction as factors"
        ),
        "value": _number("per second or 1", "the rate, or the factor that multiplies it"),
    },
    key=("window_start", "region", "model", "tier", "measure", "component"),
    rules=_not_negative("value"),
)

_METHOD = {"method": _text("forecast method that was asked for; oracle is a perfect forecast")}
_HORIZON = {"horizon_s": _number("s", "windows that begin less than this after the origin")}
_ERRORS = {
    "windows": _count("windows", "pairs of forecast and known window that were compared"),
    "realised_mean": _number("per second", "mean of what came in those windows"),
    "wape": _number("1", "sum |realised - median| / sum realised; null where nothing came", nullable=True),
    "bias": _number("1", "sum (median - realised) / sum realised; null where nothing came", nullable=True),
}
_BACKTESTED = ("region", "model", "tier", "measure", "method")

BACKTEST_SCORES = Table(
    name="BACKTEST_SCORES",
    one_row_per="region, model, tier, measure, method and horizon",
    columns=_FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {"origins": _count("origins", "instants from which was forecast")}
    | _ERRORS
    | {
        "mase": _number(
            "1", "mean |realised - median| / that of the day before in the history before; null without", nullable=True
        ),
        "interval_coverage_fraction": _number(
            "1", "windows between quantiles 0.05 and 0.95; null where these were not asked for", nullable=True
        ),
    },
    key=(*_BACKTESTED, "horizon_s"),
    rules=_not_negative("windows", "wape", "mase") | _fraction("interval_coverage_fraction"),
)

BACKTEST_QUANTILES = Table(
    name="BACKTEST_QUANTILES",
    one_row_per="region, model, tier, measure, method, horizon and quantile",
    columns=_FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {
        "quantile": _number("1", "probability that the value is not exceeded"),
        "windows": _count("windows", "pairs of forecast and known window that were compared"),
        "realised_mean": _number("per second", "mean of what came in those windows"),
        "pinball": _number("per second", "mean quantile loss"),
        "coverage_fraction": _number("1", "windows at or below the value"),
    },
    key=(*_BACKTESTED, "horizon_s", "quantile"),
    rules=_not_negative("pinball") | _fraction("coverage_fraction"),
)

BACKTEST_LEADS = Table(
    name="BACKTEST_LEADS",
    one_row_per="region, model, tier, measure, method and hour of lead",
    columns=_FORECAST_SERIES
    | _METHOD
    | {"lead_s": _number("s", "from the origin to the first window of the hour ahead")}
    | _ERRORS,
    key=(*_BACKTESTED, "lead_s"),
    rules=_not_negative("lead_s", "wape"),
)

BACKTEST_HOURS = Table(
    name="BACKTEST_HOURS",
    one_row_per="region, model, tier, measure, method, horizon and hour that was forecast",
    columns=_FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {"hour_start": Column(dtype=INSTANT, unit="UTC", meaning="left edge of the hour the windows lie in")}
    | _ERRORS,
    key=(*_BACKTESTED, "horizon_s", "hour_start"),
    rules=_not_negative("wape"),
)

BACKTEST_WINDOWS = Table(
    name="BACKTEST_WINDOWS",
    one_row_per="window, region, model, tier, measure and method, forecast from the last origin before it",
    columns=_WINDOW
    | _FORECAST_SERIES
    | _METHOD
    | {
        "lead_s": _number("s", "from that origin to the window"),
        "realised": _number("per second", "what came"),
        "value": _number("per second", "median of the forecast"),
        "low": _number("per second", "quantile 0.05; null where it was not asked for", nullable=True),
        "high": _number("per second", "quantile 0.95; null where it was not asked for", nullable=True),
    },
    key=("window_start", *_BACKTESTED),
    rules=_not_negative("lead_s", "realised", "value"),
)

BACKTEST_FITS = Table(
    name="BACKTEST_FITS",
    one_row_per="region, model, tier and method",
    columns=_SERIES
    | _METHOD
    | {
        "origins": _count("origins", "instants from which was forecast"),
        "fit_s": _number("s", "seconds by the clock that one origin took, fit and forecast of its measures, as a mean"),
    },
    key=("region", "model", "tier", "method"),
    rules=_not_negative("fit_s"),
)

BACKTEST_NOTES = Table(
    name="BACKTEST_NOTES",
    one_row_per="region, model, tier, measure, method and method that was used",
    columns=_FORECAST_SERIES
    | _METHOD
    | {
        "used": _text("the method that made the forecasts"),
        "note": _text("why another than the one asked for was used, or what else is to be known; of the first origin"),
        "origins": _count("origins", "instants of which that holds"),
    },
    key=(*_BACKTESTED, "used", "note"),
)

DECISION_TOTALS = Table(
    name="DECISION_TOTALS",
    one_row_per="forecast method, quantile and headroom that were planned for, and strategy",
    columns=_METHOD
    | {
        "quantile": _number("1", "quantile of the forecast that the plan carries"),
        "headroom_fraction": _number("1", "what the plan adds to it"),
        "strategy": _text("strategy that followed the plan"),
        "gpu_hours": _number("GPU h", "held in the simulation: ready, starting and draining"),
        "cost_usd": _number("USD", "gpu_hours at list prices"),
        "waste_gpu_hours": _number("GPU h", "held but not yet usable"),
        "starts": _number("replicas", "started in the simulation"),
        "plan_cost_usd": _number("USD", "what the plan alone would cost"),
        "shortfall_tokens": _number("tokens", "prompt tokens of the requirement that the plan could not cover"),
        "under_planned_fraction": _number(
            "1", "prompt tokens that came above what was required of the plan / all that came, without deferrable tiers"
        ),
        "over_planned_fraction": _number("1", "prompt tokens required that did not come / all that came, likewise"),
        "wape": _number("1", "of the medians, input tokens of the tiers that cannot wait", nullable=True),
        "slo_attainment_fraction": _number("1", "of all requests of the tiers that cannot wait", nullable=True),
        "deferrable_backlog": _number("requests", "of the tiers that can wait, still waiting at the end"),
    },
    key=("method", "quantile", "headroom_fraction", "strategy"),
    rules=_not_negative("gpu_hours", "cost_usd", "shortfall_tokens") | _fraction("slo_attainment_fraction"),
)

DECISION_TIERS = Table(
    name="DECISION_TIERS",
    one_row_per="forecast method, quantile and headroom that were planned for, strategy and tier",
    columns=_METHOD
    | {
        "quantile": _number("1", "quantile of the forecast that the plan carries"),
        "headroom_fraction": _number("1", "what the plan adds to it"),
        "strategy": _text("strategy that followed the plan"),
    }
    | _TIER
    | {
        "arrived": _number("requests", "arrivals"),
        "slo_attainment_fraction": _number(
            "1", "share with a first token in time; of a deferrable tier, deadlines kept", nullable=True
        ),
        "ttft_p95_s": _number("s", "95th percentile over all arrivals", nullable=True),
        "missed_deadlines": _number("requests", "deadlines that passed without completion"),
        "backlog": _number("requests", "queued or running at the end"),
    },
    key=("method", "quantile", "headroom_fraction", "strategy", "tier"),
    rules=_not_negative("arrived", "backlog") | _fraction("slo_attainment_fraction"),
)

TABLES = (
    REQUESTS,
    DEMAND,
    SHAPE,
    FORECAST,
    FORECAST_NOTES,
    EVENTS,
    REQUIREMENT,
    REPLICA_RATES,
    ALLOCATION,
    SHORTFALL,
    FLOWS,
    DEFERRED,
    SUPPLY,
    STARTS,
    SIM_WINDOWS,
    SIM_POOLS,
    TTFT_HISTOGRAM,
    E2E_HISTOGRAM,
    SCALING,
    STANDING,
    WAITING,
    DURATION,
    COMMITMENTS,
    SIM_REQUESTS,
    FORECAST_COMPONENTS,
    BACKTEST_SCORES,
    BACKTEST_QUANTILES,
    BACKTEST_LEADS,
    BACKTEST_HOURS,
    BACKTEST_WINDOWS,
    BACKTEST_FITS,
    BACKTEST_NOTES,
    DECISION_TOTALS,
    DECISION_TIERS,
)
