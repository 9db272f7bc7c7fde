"""How many requests a second the replay takes: twelve endpoints under all rules, a fixed fleet, two hundred replicas.

CPU time of the replay itself, after everything is compiled, from arrays of requests to latencies of each; the week is
also measured the whole way, from frame to windows. The ratio is to the plain-Python simulator of the tests, which runs
every iteration, on the same requests in turns. ``python -m tests.benchmarks.replay 1 10 100`` prints the curve over
that many million requests of the same week on as many times the replicas, read in blocks in a process of its own, and
over the number of pools.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from tests.benchmarks.timing import Figure, Spread, cold_start, measure, side_by_side
from tests.simulation.replay.reference import Reference
from tests.simulation.replay.reference_machine import Asked
from tests.simulation.replay.replay_cases import STILL, TIERS, prepared
from tests.simulation.simulation_cases import START, fleet
from workbench import performance, simulation
from workbench.domain import Fleet, Policy
from workbench.simulation.scheduling import Scheduling
from workbench.tables import REQUESTS

REGIONS, MODELS = ("east", "central", "west"), ("a", "b", "c", "d")
SHARES = (0.45, 0.27, 0.28)
REACTIVE = Policy(key="reactive", label="Reactive")
STAYING = Policy(key="staying", label="A fleet as large as the load from the start", scale_in_below_fraction=0.0)
WEEK_HOURS, WEEK_REQUESTS = 168.0, 10_000_000
PER_BLOCK = 100_000
POOLS = ((3, 4), (6, 8), (12, 16), (20, 20))  # regions and models
ROOT = Path(__file__).resolve().parents[2]

COLD = "from tests.benchmarks import replay; replay.few()"

STREAM = """
import json, resource, sys, time
from tests.benchmarks import replay
from workbench import simulation
world = replay.fleet(regions=replay.REGIONS, models=replay.MODELS, ready=max(4 * int(sys.argv[1]) // 10, 2), lent=4)
asked = dict(fleet=world, policy=replay.STAYING, start=replay.START, engine="replay")
simulation.run(replay.requests(1000, 1.0), hours=1.0, **asked)  # compiled, and its memory taken
start = time.process_time()
made = sum(block.height for block in replay.blocks(int(sys.argv[1])))
making = time.process_time() - start
start = time.process_time()
done = simulation.run(replay.blocks(int(sys.argv[1])), hours=replay.WEEK_HOURS, **asked)
seconds = time.process_time() - start - making
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"requests": made, "served": done.windows["served"].sum(), "s": seconds, "peak": peak}))
"""


def requests(count: int, hours: float, *, regions: tuple[str, ...] = REGIONS, models: tuple[str, ...] = MODELS,
             shares: tuple[float, ...] = SHARES, wave: float = 0.6, first_hour: float = 0.0,
             seed: int = 3) -> pl.DataFrame:  # fmt: skip
    """Lognormal lengths as in simulation.md, three tiers, a daily wave."""
    drawn = np.random.default_rng(seed)
    grid = np.linspace(first_hour * 3600.0, (first_hour + hours) * 3600.0, 20_001)
    heights = np.cumsum(1.0 - wave * np.cos(2.0 * np.pi * grid / 86_400.0))
    at_s = np.interp(np.sort(drawn.random(count)) * (heights[-1] - heights[0]) + heights[0], heights, grid)
    names = {"region": regions, "model": models, "tier": TIERS[: len(shares)]}
    chances = {"tier": np.array(shares) / sum(shares)}
    columns = {
        name: pl.Series(drawn.choice(len(values), count, p=chances.get(name)).astype(np.uint32))
        .replace_strict(list(range(len(values))), list(values), return_dtype=pl.String)
        for name, values in names.items()
    }  # fmt: skip
    return REQUESTS.conform(
        pl.DataFrame({"us": (at_s * 1e6).astype(np.int64).clip(0, int((first_hour + hours) * 3.6e9) - 1)}).select(
            arrived_at=pl.lit(START).cast(pl.Datetime("us")) + pl.duration(microseconds="us"),
            **columns,
            app=pl.lit(None, dtype=pl.String),
            tenant=pl.lit(None, dtype=pl.String),
            input_tokens=pl.Series(drawn.lognormal(np.log(1490) - 0.5, 1.0, count).clip(1, 60_000).astype(np.int64)),
            output_tokens=pl.Series(drawn.lognormal(np.log(299) - 0.32, 0.8, count).clip(1, 8_000).astype(np.int64)),
            cached_tokens=pl.lit(None, dtype=pl.Int64),
        )
    )


def blocks(millions: int) -> Iterator[pl.DataFrame]:
    """Yield so many million requests of a week in blocks of one length in time, about a hundred thousand each."""
    number = max(millions * 1_000_000 // PER_BLOCK, 1)
    hours = WEEK_HOURS / number
    for i in range(number):
        share = 1.0 - 0.6 * np.cos(2.0 * np.pi * (i + 0.5) * hours / 24.0)
        yield requests(round(PER_BLOCK * share), hours, first_hour=i * hours, seed=i)


def kernel_seconds(load: pl.DataFrame, world: Fleet, policy: Policy, hours: float, runs: int = 3) -> Spread:
    """CPU seconds of the compiled part; the arrays are made anew for each run."""
    ready = [prepared(load, world, policy, hours=hours) for _ in range(runs + 1)]

    def once() -> None:
        made, _, _, _, steps = ready.pop()
        made.advance(0, steps)

    return measure(once, runs=runs, clock=time.process_time)


def rate(load: pl.DataFrame, world: Fleet, policy: Policy, hours: float) -> Spread:
    """Requests per CPU second."""
    seconds = kernel_seconds(load, world, policy, hours)
    count = load.height
    return Spread(median=count / seconds.median, low=count / seconds.high, high=count / seconds.low)


def fixed(replicas: int, count: int) -> Spread:
    """Requests a second on one endpoint of so many replicas at six tenths of what they can do, interactive only."""
    world = fleet(ready=replicas)
    rps = 0.6 * performance.max_rps(world.replicas[0], world.mixes["m"]) * replicas
    hours = max(round(count / rps / 360.0), 1) / 10.0
    load = requests(int(rps * hours * 3600.0), hours, regions=("east",), models=("m",), shares=(1.0,), wave=0.0)
    return rate(load, world, STILL, hours)


def against_the_reference() -> tuple[Spread, float]:
    """Seconds of the replay on a thousand requests, and how many times as long the reference takes."""
    load = requests(1000, 0.1, regions=("east",), models=("m",), shares=(1.0,), wave=0.0)
    world, how = fleet(ready=4), Scheduling()
    ready = [prepared(load, world, STILL, hours=0.1) for _ in range(4)]
    tables, rows = ready[0][1], load.sort("arrived_at").select("arrived_at", "input_tokens", "output_tokens").rows()

    def slow() -> None:
        asked = [Asked((at - START) / timedelta(seconds=1), prompt, output, 0, 0) for at, prompt, output in rows]
        Reference(world, STILL, how, tables).run(asked, 36)

    def fast() -> None:
        made, _, _, _, steps = ready.pop()
        made.advance(0, steps)

    _, seconds, ratio = side_by_side(slow, fast, runs=3, clock=time.process_time)
    return seconds, ratio


def bytes_per_request(load: pl.DataFrame, world: Fleet, hours: float) -> float:
    """Times and place of every request, slots for those in the system at once, and what summing up takes at its peak.

    The slots are reserved for all requests, but memory is only taken by those that were ever used.
    """
    few()  # what compiling takes is not the requests'
    made, _, _, _, steps = prepared(load, world, REACTIVE, hours=hours)
    made.advance(0, steps)
    tracemalloc.start()
    made.sum_up()
    summing = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    slots = int(made.outside.fresh[0]) * (made.world.slots.itemsize + made.world.free_slots.itemsize)
    return (made.world.latencies_s.nbytes + made.outside.pool_of.nbytes + slots + summing) / load.height


def week() -> list[Figure]:
    """Ten million requests over seven days on twelve endpoints: arrays in and out, and frames in and frames out."""
    load = requests(WEEK_REQUESTS, WEEK_HOURS)
    world = fleet(regions=REGIONS, models=MODELS, ready=4, lent=4, free_gpus=320)
    made, _, _, _, steps = prepared(load, world, REACTIVE, hours=WEEK_HOURS)
    arrays = measure(lambda: made.advance(0, steps), runs=1, warmup=0, clock=time.process_time)

    def whole() -> None:
        simulation.run(load, fleet=world, policy=REACTIVE, start=START, hours=WEEK_HOURS, engine="replay")

    frames = measure(whole, runs=1, warmup=0, clock=time.process_time)
    return [
        Figure(metric="week_10m_s", unit="s", spread=arrays),
        Figure(metric="week_10m_frames_s", unit="s", spread=frames),
    ]


def run() -> list[Figure]:
    """Measure every figure that issue and page ask for."""
    world = fleet(regions=REGIONS, models=MODELS, ready=4, lent=2, free_gpus=320)
    load = requests(700_000, 12.0)
    all_rules = rate(load, world, REACTIVE, 12.0)
    seconds, ratio = against_the_reference()
    held = bytes_per_request(load, world, 12.0)
    return [
        Figure(metric="requests_per_s", unit="1/s", spread=all_rules),
        Figure(metric="requests_per_s_jsq", unit="1/s", spread=fixed(17, 600_000)),
        Figure(metric="requests_per_s_200_replicas", unit="1/s", spread=fixed(200, 600_000)),
        Figure(metric="reference_1000_s", unit="s", spread=seconds, ratio=ratio),
        Figure(metric="bytes_per_request", unit="B", spread=Spread(median=held, low=held, high=held)),
        *week(),
        Figure(metric="cached_start_s", unit="s", spread=cold_start(COLD)),
    ]


def few() -> object:
    """Replay a thousand requests of a week on twelve pools once, as a process does that was started for it."""
    world = fleet(regions=REGIONS, models=MODELS, ready=4, lent=4, free_gpus=320)
    return simulation.run(
        requests(1000, WEEK_HOURS), fleet=world, policy=REACTIVE, start=START, hours=WEEK_HOURS, engine="replay"
    )


def streamed(millions: int) -> dict[str, float]:
    """Replay a week of so many million requests in blocks, in another process; CPU seconds without making them."""
    command = [sys.executable, "-c", STREAM, str(millions)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {key: float(value) for key, value in json.loads(answer.stdout.splitlines()[-1]).items()}


def curve(sizes: Iterable[int]) -> Table:
    """Replay weeks of so many million requests; what one costs more than in the first is shown, and the memory."""
    table = Table("million requests", "CPU s", "s per million", "peak RSS, GB", "cost per request against the first")
    first = None
    streamed(0)  # compiles what is to compile, which takes memory of its own
    for millions in sizes:
        found = streamed(millions)
        each = found["s"] / found["requests"] * 1e6
        first = first or each
        table.add_row(
            f"{millions}", f"{found['s']:.1f}", f"{each:.2f}", f"{found['peak'] / 1e9:.2f}", f"{each / first:.2f}"
        )
    return table


def pools_curve(count: int = 1_000_000, hours: float = 16.8) -> Table:
    """Replay the same number of requests on ever more pools."""
    table = Table("pools", "regions", "models", "CPU s", "cost against the first")
    first = None
    for regions, models in POOLS:
        names = tuple(f"r{i}" for i in range(regions)), tuple(f"m{i}" for i in range(models))
        world = fleet(regions=names[0], models=names[1], ready=2, lent=2, free_gpus=320)
        load = requests(count, hours, regions=names[0], models=names[1])
        seconds = kernel_seconds(load, world, REACTIVE, hours, runs=1).median
        first = first or seconds
        table.add_row(f"{regions * models}", f"{regions}", f"{models}", f"{seconds:.2f}", f"{seconds / first:.1f}")
    return table


if __name__ == "__main__":
    Console().print(curve(int(word) for word in sys.argv[1:]))
    Console().print(pools_curve())
