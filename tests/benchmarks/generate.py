"""How long ten million requests take to generate, in batches as they would pass into the store."""

from __future__ import annotations

from tests.benchmarks.timing import Figure, measure
from workbench.traces import synthetic

REQUESTS = 10_000_000


def run() -> list[Figure]:
    """Generate a week of the published workload, batch by batch; three runs."""

    def once() -> None:
        rows = sum(batch.height for batch in synthetic.generate(synthetic.published(), seed=7, requests=REQUESTS))
        if abs(rows / REQUESTS - 1.0) > 0.01:
            raise RuntimeError(f"{rows:,} requests were made where {REQUESTS:,} were asked for")

    return [Figure(metric="requests_10m_s", unit="s", spread=measure(once, runs=3, warmup=0))]
