"""Reports of GuideLLM (``benchmarks.json``): a list of levels of load, each with its requests by how they ended.

The fields used are the same in every version so far: ``prompt_tokens``, ``output_tokens``, ``time_to_first_token_ms``
and ``inter_token_latency_ms`` of a request, with its start and end (``request_start_time`` and ``request_end_time``
since 0.4, ``start_time`` and ``end_time`` before). The mean gap leaves out the first token, as ours does. A report may
hold a sample of the requests only; the load is then taken from its rate.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.catalog.benchmarks.runs import BenchmarkRun, Part, TimedRequest, refuse_other_unit
from workbench.errors import CatalogError
from workbench.units import ms_to_s

STARTS = ("request_start_time", "start_time")
ENDS = ("request_end_time", "end_time")


def guidellm_runs(report: Part) -> list[BenchmarkRun]:
    """Return the levels of load of a report.

    Raises CatalogError for missing keys, for values that are no times, and where no request succeeded.
    """
    levels = report.part("benchmarks").items()
    if not levels:
        raise CatalogError(f"{report.where}: benchmarks is empty; the run was stopped before its first level of load.")
    return [_run(level) for level in levels]


def _run(level: Part) -> BenchmarkRun:
    listed = level.part("requests").part("successful").items()
    requests = tuple(_request(item) for item in listed if item.has("time_to_first_token_ms"))
    if not requests:
        raise CatalogError(f"{level.where}: no successful request with a time to the first token; was it streamed?")
    rate = level.part("metrics").part("requests_per_second").part("successful").part("mean").number(least=1e-9)
    strategy, concurrency = _strategy(level)
    starts = [request.start_s for request in requests if request.start_s is not None]
    return BenchmarkRun(
        label=f"{level.where}, {strategy}",
        requests=requests,
        rps=rate,
        concurrency=concurrency,
        is_timeline=len(starts) == len(requests) and _made(level) <= len(listed),
        date=_date(min(starts, default=0.0)),
    )


def _request(item: Part) -> TimedRequest:
    output = item.part("output_tokens").number(least=1)
    ttft_s = ms_to_s(item.part("time_to_first_token_ms").number(least=1e-6))
    gap_ms = item.part("inter_token_latency_ms").number() if item.has("inter_token_latency_ms") else 0.0
    start, end = (next((name for name in names if item.has(name)), None) for names in (STARTS, ENDS))
    request = TimedRequest(
        input_tokens=item.part("prompt_tokens").number(least=1),
        output_tokens=output,
        ttft_s=ttft_s,
        decode_s=ms_to_s(gap_ms) * (output - 1.0),
        start_s=item.part(start).number() if start else None,
    )
    if start and end and request.start_s is not None:
        whole_s = item.part(end).number() - request.start_s
        refuse_other_unit(
            "the seconds of a request", one_s=ttft_s + request.decode_s, other_s=whole_s, where=item.where
        )
    return request


def _strategy(level: Part) -> tuple[str, float | None]:
    """Return how the load was made, from where the version keeps it, and how many requests were sent at once."""
    home = next((level.part(name) for name in ("config", "args") if level.has(name)), None)
    if home is None or not home.has("strategy"):
        return "unknown load", None
    strategy = home.part("strategy")
    kind = str(next((strategy.found[name] for name in ("type_", "kind") if strategy.has(name)), "unknown load"))
    if kind == "synchronous":
        return kind, 1.0
    if kind == "concurrent":
        streams = strategy.part("streams").number(least=1)
        return f"{streams:g} at once", streams
    return (f"{kind}, {strategy.part('rate').number():g} a second" if strategy.has("rate") else kind), None


def _made(level: Part) -> float:
    """Return how many requests succeeded by the report's own count, which a sample of them lies under."""
    for home, totals in (("metrics", "request_totals"), ("run_stats", "requests_made")):
        if level.has(home) and level.part(home).has(totals):
            return level.part(home).part(totals).part("successful").number()
    return 0.0


def _date(instant_s: float) -> str:
    return f"{datetime.fromtimestamp(instant_s, UTC):%Y-%m-%d}" if instant_s > 1e9 else "undated"
