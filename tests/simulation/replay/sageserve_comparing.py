"""SageServe's runs beside ours: its rules one at a time in the reference, and our replay on the same arrivals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.simulation.replay.replay_cases import STILL, replayed, requests
from tests.simulation.replay.sageserve_files import ROOM_TOKENS, Scenario
from tests.simulation.replay.sageserve_machine import (
    Choice,
    Law,
    fewest_owed,
    grouped,
    instances,
    joint_prompts_law,
    labels_of,
    play,
    replica_of,
    sageserve_law,
)
from tests.simulation.simulation_cases import FAST, START, fleet
from workbench import performance, simulation
from workbench.domain import Fleet

Floats = NDArray[np.float64]
LATENCIES = tuple(f"{name}_{statistic}" for name in ("ttft", "e2e") for statistic in ("mean", "p50", "p95"))
SHORT_SPAN_S = 1200.0
ROUNDED_TO_S = 0.001  # the summary's window ends with the last arrival; its instants are given to the millisecond


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a run of the reference; ``law`` takes a model, None is our own iteration."""

    law: Callable[[str], Law] | None = None
    in_two_phases: bool = False
    choose: Choice = fewest_owed


OURS = Rules()
#: From our rules to SageServe's, one more at a time.
STEPS = {
    "ours": OURS,
    "prompts as one": Rules(law=joint_prompts_law),
    "iteration law": Rules(law=sageserve_law),
    "two phases": Rules(law=sageserve_law, in_two_phases=True),
    "groups": Rules(law=sageserve_law, in_two_phases=True, choose=grouped),
}
SAGESERVE = STEPS["groups"]


@cache
def served(scenario: Scenario, rules: Rules) -> pl.DataFrame:
    """Return the scenario's requests with ttft, e2e and instance as the reference has them under some rules."""
    asked, law = scenario.asked(), rules.law(scenario.model) if rules.law else None
    machines = instances(scenario.model, scenario.instances, law=law, in_two_phases=rules.in_two_phases)
    play(asked, machines, rules.choose)
    labels = labels_of(scenario.instances)
    return scenario.requests.select("arrival", "prompt", "output").with_columns(
        ttft=pl.Series([one.ttft_s for one in asked]),
        e2e=pl.Series([one.e2e_s for one in asked]),
        instance=pl.Series([labels[one.pool] for one in asked]),
    )


@cache
def replay(scenario: Scenario, *, mixed: bool = False) -> pl.DataFrame:
    """Return the scenario's requests with queue_wait, ttft and e2e as our replay has them."""
    done = replayed(_load(scenario), _fleet(scenario, mixed=mixed), hours=_hours(scenario)).latencies
    return scenario.requests.select("arrival", "prompt", "output").with_columns(
        queue_wait=done.get_column("wait_s"), ttft=done.get_column("ttft_s"), e2e=done.get_column("e2e_s")
    )


def kv_held_fraction(scenario: Scenario) -> float:
    """Return the mean share of the KV cache that our replay holds, from the pools that it reports."""
    first, last = scenario.summary["window_start"], scenario.summary["window_end"]
    pools = simulation.run(
        _load(scenario),
        fleet=_fleet(scenario),
        policy=STILL,
        start=START,
        hours=_hours(scenario),
        window_s=10.0 if last < SHORT_SPAN_S else 60.0,
        engine="replay",
    ).pools
    at = START + pl.duration(microseconds=round(first * 1e6)), START + pl.duration(microseconds=round(last * 1e6))
    return float(pools.filter(pl.col("window_start").is_between(*at)).get_column("kv_cache_used_fraction").mean())


def apart_s(a: pl.DataFrame, b: pl.DataFrame) -> dict[str, float]:
    """Return the largest difference of any request, in seconds, for ttft and e2e."""
    return {name: float((a.get_column(name) - b.get_column(name)).abs().max()) for name in ("ttft", "e2e")}


def other_instance(scenario: Scenario, done: pl.DataFrame) -> int:
    """Return how many requests went to another instance than in the file."""
    return int((scenario.requests.get_column("instance") != done.get_column("instance")).sum())


def statistics(scenario: Scenario, done: pl.DataFrame) -> dict[str, float]:
    """Return mean, median and 95th percentile of ttft and e2e over the requests that the summary is over."""
    inside = done.filter(pl.col("arrival") >= scenario.summary["window_start"] - ROUNDED_TO_S / 2)
    return {
        f"{name}_{statistic}": float(value)
        for name in ("ttft", "e2e")
        for statistic, value in (
            ("mean", inside[name].mean()),
            ("p50", inside[name].quantile(0.5, "linear")),
            ("p95", inside[name].quantile(0.95, "linear")),
        )
    }


def differences(scenario: Scenario, done: pl.DataFrame) -> dict[str, float]:
    """Return by how much the statistics of a run differ from SageServe's, as shares of them."""
    found = statistics(scenario, done)
    return {name: found[name] / scenario.summary[name] - 1.0 for name in LATENCIES}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """By how much less our replay should take than SageServe, from the length of a mixed iteration alone.

    ``iteration_s`` is what an iteration that reads one prompt and decodes the mean batch takes less under our law;
    ``e2e_share`` what that comes to in E2E: the share s of such an iteration that is saved, times the share phi of time
    spent in them, and as requests leave earlier, so many fewer of them fall into a request's time: phi s / (1 - phi).
    """

    iteration_s: float
    e2e_share: float


def expected(scenario: Scenario) -> Expected:
    """Return what our replay should differ by while memory is not short and prompts are read one at a time."""
    replica, law = replica_of(scenario.model), sageserve_law(scenario.model)
    decoding = round(scenario.summary["mean_decoding"] / scenario.instances)
    prompts = scenario.requests.get_column("prompt")
    theirs_s = float(np.mean([law(prompt, decoding) for prompt in prompts]))
    ours_s = float(np.mean([performance.prefill_s(replica, float(prompt)) for prompt in prompts]))
    saved_s = theirs_s - ours_s - replica.decode_per_request_s * decoding
    phi = scenario.summary["prefill_fraction"] / scenario.summary["busy_fraction"]
    return Expected(iteration_s=saved_s, e2e_share=saved_s / theirs_s * phi / (1.0 - phi))


def is_first_order(scenario: Scenario) -> bool:
    """Say whether :func:`expected` holds: one group, seldom idle, half of the time without prompts, memory to spare."""
    seen = scenario.summary
    has_one_group = scenario.instances in (1, 3)
    return (
        has_one_group
        and seen["busy_fraction"] > 0.95
        and seen["prefill_fraction"] < 0.5
        and seen["mean_kv_utilisation"] < 0.6
    )


def mean_running(scenario: Scenario, done: pl.DataFrame) -> float:
    """Return the mean number of requests in running batches over the summary's window."""
    return _mean(scenario, done, "queue_wait", "e2e", np.ones(done.height))


def mean_decoding(scenario: Scenario, done: pl.DataFrame) -> float:
    """Return the mean number of requests past their prompt."""
    return _mean(scenario, done, "ttft", "e2e", np.ones(done.height))


def kv_reserved_fraction(scenario: Scenario, done: pl.DataFrame, *, in_two_phases: bool = False) -> float:
    """Return the mean share of the KV cache that is reserved: prompt and output from admission, or in two phases."""
    room = scenario.instances * ROOM_TOKENS[scenario.model]
    prompt, output = (done.get_column(name).to_numpy().astype(float) for name in ("prompt", "output"))
    if not in_two_phases:
        return _mean(scenario, done, "queue_wait", "e2e", prompt + output) / room
    reading = _mean(scenario, done, "queue_wait", "ttft", prompt + 1.0)
    return (reading + _mean(scenario, done, "ttft", "e2e", prompt + output)) / room


def _mean(scenario: Scenario, done: pl.DataFrame, since: str, until: str, weights: Floats) -> float:
    """Return the mean over the window of what each request weighs between two of its instants."""
    first, last = scenario.summary["window_start"], scenario.summary["window_end"]
    arrival = done.get_column("arrival").to_numpy()
    begin, end = (np.clip(arrival + done.get_column(name).to_numpy(), first, last) for name in (since, until))
    return float(((end - begin) * weights).sum() / (last - first))


def _load(scenario: Scenario) -> pl.DataFrame:
    rows = scenario.requests.select("arrival", "prompt", "output").iter_rows()
    return requests([(arrival, prompt, output, FAST, "east") for arrival, prompt, output in rows])


def _fleet(scenario: Scenario, *, mixed: bool = False) -> Fleet:
    world = fleet(ready=scenario.instances)
    return dataclasses.replace(world, replicas=(replica_of(scenario.model, mixed=mixed),))


def _hours(scenario: Scenario) -> float:
    """Return a span in whole steps that is long enough to serve everything."""
    return math.ceil(scenario.summary["sim_end"] / 10.0 + 60.0) / 360.0
