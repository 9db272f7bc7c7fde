"""workbench.catalog.benchmarks.reading, .runs, .vllm, .guidellm: true structures are read, broken ones named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.benchmarks.benchmark_cases import guidellm_report, serve, vllm_result, written
from workbench.catalog.benchmarks.guidellm import guidellm_runs
from workbench.catalog.benchmarks.reading import read_benchmarks
from workbench.catalog.benchmarks.runs import Part
from workbench.catalog.benchmarks.vllm import vllm_run
from workbench.errors import CatalogError

SERVED = serve(2, [(100, 11), (200, 21), (300, 31)])


def vllm(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (vllm_result(SERVED, 2) | changes).items() if value is not ...}


def guidellm(request: dict[str, Any] | None = None, **level: Any) -> dict[str, Any]:
    report = guidellm_report({2: SERVED})
    report["benchmarks"][0] |= level
    for item in report["benchmarks"][0]["requests"]["successful"]:
        item |= request or {}
    return report


def test_a_vllm_result_becomes_a_level_of_load():
    run = vllm_run(Part(vllm(), "a.json"))
    assert (run.label, run.concurrency, run.is_timeline, run.date) == ("a.json, 2 at once", 2, True, "2026-03-14")
    first = min(run.requests, key=lambda request: request.input_tokens)
    assert (first.input_tokens, first.output_tokens) == (100, 11)
    assert first.end_s - first.first_token_s == pytest.approx(SERVED[0].end_s - SERVED[0].first_s)


def test_a_rate_is_no_concurrency():
    run = vllm_run(Part(vllm(max_concurrency=None, request_rate=4.0), "a.json"))
    assert (run.label, run.concurrency) == ("a.json, 4.0 a second", None)
    assert run.others_rps == run.rps == pytest.approx(3 / max(request.end_s for request in SERVED))


def test_failed_requests_are_left_out():
    run = vllm_run(Part(vllm(errors=["", "Connection reset", ""]), "a.json"))
    assert len(run.requests) == 2
    with pytest.raises(CatalogError, match=r"^a\.json: none of its requests succeeded"):
        vllm_run(Part(vllm(errors=["x"] * 3), "a.json"))


def test_appended_results_are_read_line_by_line(tmp_path: Path):
    path = tmp_path / "all.json"
    path.write_text("\n".join(json.dumps(vllm(max_concurrency=streams)) for streams in (1, 2)))
    assert [run.label for run in read_benchmarks([path], format="vllm")] == [
        "all.json line 1, 1 at once",
        "all.json line 2, 2 at once",
    ]


@pytest.mark.parametrize("version", ["0.5", "0.3"])
def test_a_guidellm_report_becomes_levels_of_load(version: str):
    one, two = guidellm_runs(Part(guidellm_report({1: serve(1, [(90, 5)] * 2), 2: SERVED}, version=version), "g"))
    assert (one.label, one.concurrency, one.is_timeline) == ("g, benchmarks 0, synchronous", 1, True)
    assert (two.label, two.concurrency, two.date) == ("g, benchmarks 1, 2 at once", 2, "2025-10-09")
    assert sorted(request.input_tokens for request in two.requests) == [100, 200, 300]


def test_a_sample_of_the_requests_is_no_timeline():
    metrics = {"requests_per_second": {"successful": {"mean": 7.0}}, "request_totals": {"successful": 3000}}
    (run,) = guidellm_runs(Part(guidellm(metrics=metrics), "g"))
    assert (run.is_timeline, run.rps) == (False, 7.0)


def test_a_rate_of_guidellm_is_named():
    config = {"strategy": {"type_": "poisson", "rate": 2.5}}
    (run,) = guidellm_runs(Part(guidellm(config=config), "g"))
    assert (run.label, run.concurrency) == ("g, benchmarks 0, poisson, 2.5 a second", None)
    (run,) = guidellm_runs(Part(guidellm(config=None), "g"))
    assert (run.label, run.concurrency) == ("g, benchmarks 0, unknown load", None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"completed": ...}, "completed is missing; "),
        ({"completed": 0}, "completed: must be a number of 1 or more, found 0"),
        ({"duration": math.nan}, "duration: must be a number of .* found nan"),
        ({"ttfts": [0.1, "fast", 0.1]}, "ttfts 1: must be a number of .* found 'fast'"),
        ({"ttfts": [0.1, math.nan, 0.1]}, "ttfts 1: must be a number of .* found nan"),
        ({"ttfts": [0.1, 0.1]}, "lists are of different lengths .*ttfts 2"),
        ({"itls": ...}, "itls is missing"),
        ({"itls": [[0.01], [-1.0], [0.01]]}, "itls 1 0: must be a number of 0 or more, found -1.0"),
        (
            {"ttfts": [45.0, 45.0, 45.0]},
            "times to the first token are 45 s by one field and .* unit that",
        ),
        (
            {"ttfts": ..., "total_input_tokens": ...},
            "total_input_tokens is missing; did you mean",
        ),
    ],
)
def test_a_broken_vllm_result_is_named(changes: dict[str, Any], told: str):
    with pytest.raises(CatalogError, match=f"^a.json.*{told}"):
        vllm_run(Part(vllm(**changes), "a.json"))


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"avg_latency": 1.0, "latencies": [1.0], "percentiles": {}}, "vllm bench latency: it has no lengths"),
        ({"elapsed_time": 9.0, "num_requests": 10, "total_num_tokens": 99}, "vllm bench throughput"),
        ([1, 2], r"must be an object with the key completed, found \[1, 2\]"),
    ],
)
def test_another_benchmark_of_vllm_is_refused(result: object, told: str):
    with pytest.raises(CatalogError, match=told):
        vllm_run(Part(result, "a.json"))


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({"benchmarks": []}, "benchmarks is empty"),
        ({"benchmark": []}, "benchmarks is missing; did you mean 'benchmark'"),
        ({"benchmarks": {"a": 1}}, "benchmarks: must be a list"),
        (guidellm(requests={"successful": []}), "no successful request"),
        (guidellm(metrics={}), "requests_per_second is missing"),
        (guidellm({"prompt_tokens": None}), "successful 0: prompt_tokens is missing"),
        (guidellm({"prompt_tokens": 0}), "prompt_tokens: must be a number of 1 or more, found 0"),
        (guidellm({"time_to_first_token_ms": math.inf}), "time_to_first_token_ms: must be a number of .* found inf"),
        (guidellm({"inter_token_latency_ms": 0.008}), "the seconds of a request are .* unit that the tool writes"),
        (guidellm({"time_to_first_token_ms": 45_000.0}), "the seconds of a request are 45"),
    ],
)
def test_a_broken_guidellm_report_is_named(report: object, told: str):
    with pytest.raises(CatalogError, match=told):
        guidellm_runs(Part(report, "g.json"))


def test_files_that_are_none_are_refused(tmp_path: Path):
    with pytest.raises(CatalogError, match="no such file"):
        read_benchmarks([tmp_path / "absent.json"], format="vllm")
    for text, told in (("{", "is no JSON"), ("", "is no JSON"), ('{"a": 1}\n{', "is no JSON")):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(CatalogError, match=f"broken.json {told}"):
            read_benchmarks([tmp_path / "broken.json"], format="vllm")
    with pytest.raises(CatalogError, match="format 'vlm' is unknown; did you mean 'vllm'"):
        read_benchmarks([written(tmp_path, "a.json", vllm())], format="vlm")
    with pytest.raises(CatalogError, match="no file was given"):
        read_benchmarks([], format="vllm")
