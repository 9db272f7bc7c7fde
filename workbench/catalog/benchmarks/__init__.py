"""Benchmarks of one's own server, as GuideLLM and ``vllm bench serve`` write them, into a profile.

A server is a replica here: one endpoint on a known number of GPUs, driven at several levels of load. What can be read
off such files: the time of a prompt from requests that ran alone, and the time of a decode iteration from the gaps
between tokens at several batches. What they often cannot show is the time of KV cache apart from that of requests,
because both grow together when only the load is changed; that is checked and said.
"""

from workbench.catalog.benchmarks.profiles import FittedBenchmarks, fit_benchmarks
from workbench.catalog.benchmarks.reading import FORMATS, read_benchmarks
from workbench.catalog.benchmarks.runs import BenchmarkRun, TimedRequest

__all__ = [
    "FORMATS",
    "BenchmarkRun",
    "FittedBenchmarks",
    "TimedRequest",
    "fit_benchmarks",
    "read_benchmarks",
]
