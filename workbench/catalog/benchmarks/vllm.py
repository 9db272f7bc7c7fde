"""Results of ``vllm bench serve --save-result``: one JSON object per level of load, appended ones line by line.

Sums and means are always there; with ``--save-detailed`` every request is too (``input_lens``, ``output_lens``,
``ttfts`` and ``itls`` in seconds), and from late 2025 on when it started (``start_times``). A stream may hold fewer
gaps than tokens, so a request's decode time is their sum.
"""

from __future__ import annotations

from workbench.catalog.benchmarks.runs import BenchmarkRun, Part, TimedRequest, refuse_other_unit
from workbench.errors import CatalogError
from workbench.units import ms_to_s

LISTS = ("input_lens", "output_lens", "ttfts", "itls")
OTHER_TOOLS = {
    "avg_latency": "vllm bench latency: it has no lengths, and mixes prefill and decode in one time",
    "elapsed_time": "vllm bench throughput: it has one time for all requests together",
}


def vllm_run(result: Part) -> BenchmarkRun:
    """Return the level of load of one result.

    Raises CatalogError for a result of another benchmark of vLLM, for missing keys and for values that are no times.
    """
    for key, what in OTHER_TOOLS.items():
        if result.has(key) and not result.has("mean_ttft_ms"):
            raise CatalogError(f"{result.where}: this is of {what}; a profile needs vllm bench serve --save-detailed.")
    completed = result.part("completed").number(least=1)
    is_detailed = result.has("ttfts")
    concurrency = result.part("max_concurrency").number(least=1) if result.has("max_concurrency") else None
    requests = _every(result) if is_detailed else (_mean(result, completed, is_alone=concurrency == 1),)
    if not requests:
        raise CatalogError(f"{result.where}: none of its requests succeeded.")
    if is_detailed:
        _refuse_other_unit(result, requests)
    load = f"{concurrency:g} at once" if concurrency else f"{result.found.get('request_rate', 'inf')} a second"
    return BenchmarkRun(
        label=f"{result.where}, {load}",
        requests=requests,
        rps=completed / result.part("duration").number(least=1e-9),
        concurrency=concurrency,
        is_timeline=is_detailed and result.has("start_times"),
        date=_date(str(result.found.get("date", ""))),
    )


def _every(result: Part) -> tuple[TimedRequest, ...]:
    lists = {name: result.part(name).items() for name in LISTS}
    count = len(lists["ttfts"])
    if any(len(items) != count for items in lists.values()):
        told = ", ".join(f"{name} {len(items)}" for name, items in lists.items())
        raise CatalogError(f"{result.where}: its lists are of different lengths ({told}); the file is damaged.")
    starts = result.part("start_times").items() if result.has("start_times") else [None] * count
    errors = result.found.get("errors") or [""] * count
    requests = []
    for number in range(min(count, len(starts), len(errors))):
        output = lists["output_lens"][number].number()
        if errors[number] or output < 1:
            continue
        start = starts[number]
        requests.append(
            TimedRequest(
                input_tokens=lists["input_lens"][number].number(least=1),
                output_tokens=output,
                ttft_s=lists["ttfts"][number].number(least=1e-9),
                decode_s=sum(gap.number() for gap in lists["itls"][number].items()),
                start_s=None if start is None else start.number(),
            )
        )
    return tuple(requests)


def _mean(result: Part, completed: float, *, is_alone: bool) -> TimedRequest:
    """Return the mean request; alone, the median of its prefill, which a slow first request does not spoil."""
    output = result.part("total_output_tokens").number(least=1) / completed
    gap = "mean_tpot_ms" if result.has("mean_tpot_ms") else "mean_itl_ms"
    return TimedRequest(
        input_tokens=result.part("total_input_tokens").number(least=1) / completed,
        output_tokens=output,
        ttft_s=ms_to_s(result.part("median_ttft_ms" if is_alone else "mean_ttft_ms").number(least=1e-6)),
        decode_s=ms_to_s(result.part(gap).number()) * (output - 1.0),
    )


def _refuse_other_unit(result: Part, requests: tuple[TimedRequest, ...]) -> None:
    if result.has("mean_ttft_ms"):
        mean_s = sum(request.ttft_s for request in requests) / len(requests)
        stated_s = ms_to_s(result.part("mean_ttft_ms").number())
        refuse_other_unit("times to the first token", one_s=mean_s, other_s=stated_s, where=result.where)


def _date(text: str) -> str:
    """Return the day of a stamp such as 20260314-101500."""
    day = text.partition("-")[0]
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else "undated"
