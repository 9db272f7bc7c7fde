"""What SageServe's simulator was given and gave back: its performance points, its fixed fleets, its runs.

The files lie in ../shared/reference/sageserve, whose README states their columns, units and tolerance.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl

from tests.simulation.replay.reference_machine import Asked

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "sageserve"
ABSENT = "needs ../shared/reference/sageserve"
ROUNDING_S = 0.5e-6  # the files give times to the microsecond
BATCH_CAP = 512
OVERHEAD_S = 0.01  # added to every iteration
MIXED = 1.1  # an iteration that reads prompts and decodes takes so many times one that only reads
ROUTING_S = 1.0  # the routing delay of the runs in strategies/
ROOM_TOKENS = {"A": 210_645, "B": 89_234, "C": 303_361, "D": 1_273_526}


class Curve:
    """Lines through points, the first and the last of them continued."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self.points = sorted(points)
        self._knots = [x for x, _ in self.points]
        self._slopes = [(y - low) / (x - left) for (left, low), (x, y) in pairwise(self.points)]

    def __call__(self, x: float) -> float:
        i = min(max(bisect_right(self._knots, x) - 1, 0), len(self._slopes) - 1)
        left, low = self.points[i]
        return low + self._slopes[i] * (x - left)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Milliseconds of prompts by their tokens, and of decoding by the number of requests."""

    prompt_ms: Curve
    decode_ms: Curve


@cache
def curves_of(model: str) -> Curves:
    """Return the curves that every run used: eight A100 of 80 GB, tensor parallel 8."""
    points = pl.read_csv(FOLDER / "perf_points.csv").filter(
        (pl.col("model") == model) & (pl.col("hardware") == "a100-80gb") & (pl.col("tensor_parallel") == 8)
    )
    prompt, decode = (
        Curve(list(points.select("batch_tokens", column).iter_rows())) for column in ("prompt_median", "token_median")
    )
    return Curves(prompt_ms=prompt, decode_ms=decode)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenario:
    """One run on a fixed fleet: ``requests`` as it ended, and ``summary`` as the simulator's own statistics."""

    name: str
    model: str
    instances: int
    requests: pl.DataFrame
    summary: dict[str, float]

    def asked(self) -> list[Asked]:
        """Return the requests as the reference takes them."""
        rows = self.requests.select("arrival", "prompt", "output").iter_rows()
        return [Asked(arrival, prompt, output, 0, 0) for arrival, prompt, output in rows]


@cache
def names() -> tuple[str, ...]:
    """Return the names of the fixed fleets, in the order of their summary."""
    return tuple(pl.read_csv(FOLDER / "fixed" / "summary.csv").get_column("scenario"))


@cache
def scenario(name: str) -> Scenario:
    """Return a run on a fixed fleet by its name."""
    row = pl.read_csv(FOLDER / "fixed" / "summary.csv").row(by_predicate=pl.col("scenario") == name, named=True)
    return Scenario(
        name=name,
        model=row["model"],
        instances=row["instances"],
        requests=_requests(FOLDER / "fixed" / "requests" / f"{name}.csv.gz"),
        summary={key: value for key, value in row.items() if isinstance(value, float | int)},
    )


def endpoints(run: str) -> list[Scenario]:
    """Return the parts of a run of twenty instances a region and model, which do not meet, as fixed fleets.

    Arrival is when the request came to its region: :data:`ROUTING_S` later than in the file.
    """
    requests = _requests(FOLDER / "strategies" / "requests" / f"{run}.csv.gz").with_columns(
        pl.col("arrival") + ROUTING_S, pl.col("ttft", "e2e") - ROUTING_S
    )
    return [
        Scenario(name=f"{run} {region}{model}", model=str(model), instances=20, requests=part, summary={})
        for (region, model), part in sorted(requests.partition_by("region", "model", as_dict=True).items())
    ]


def _requests(path: Path) -> pl.DataFrame:
    """Return requests by arrival; the instance stays a label, group and number."""
    return pl.read_csv(path, schema_overrides={"instance": pl.String}).sort("arrival", "request_id")
