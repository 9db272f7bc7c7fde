"""How long the look-ahead programme takes, from the requirement's frame to the plan's frames.

Rolling: the first hour in whole replicas, the rest in fractions, as an hourly control loop asks for (within 0.5 % of
the bound, the largest within 1 %). Full: every hour whole, within 2 %. The world is synthetic and seeded
(tests/planning/lookahead/lookahead_worlds.py): daily curves shifted around the globe, some eight replicas per model
and region, a third of the work deferrable for a day, lent replicas, three kinds of start. ``build_fraction`` is the
share of laying out, building and handing over in the whole rolling plan of a week. ``python -m
tests.benchmarks.plan_l`` prints how time grows with hours, models and regions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.timing import Figure, Spread, measure
from tests.planning.lookahead.lookahead_worlds import world
from workbench.planning.lookahead import LookAhead, outlook, plan_ahead, solve_outlook

GAPS = {(20, 12, 3, 24): 0.01}
ROLLING = ((4, 3, 3, 24), (4, 3, 3, 168), (10, 6, 3, 48), (20, 12, 3, 24))
FULL = ((4, 3, 3, 24), (4, 3, 3, 168))
LIMIT_S = 300.0


def run() -> list[Figure]:
    """Measure all sizes, the large ones once."""
    figures = [_figure("rolling", size, hours=1.0, gap=GAPS.get(size, 0.005)) for size in ROLLING]
    figures += [_figure("full", size, hours=None, gap=0.02) for size in FULL]
    return [*figures, _build_fraction((4, 3, 3, 168))]


def _figure(form: str, size: tuple[int, int, int, int], *, hours: float | None, gap: float) -> Figure:
    made = world(*size)

    def once() -> None:
        options = LookAhead(integer_hours=hours)
        plan = plan_ahead(
            made.requirement,
            fleet=made.fleet,
            rates=made.rates,
            options=options,
            gap_fraction=gap,
            time_limit_s=LIMIT_S,
        )
        if plan.gap_fraction is None or plan.gap_fraction > gap:
            raise RuntimeError(f"{form} {size}: gap {plan.gap_fraction} of {gap}, status {plan.status}")

    is_large = size[0] > 4
    spread = measure(once, runs=1 if is_large else 5, warmup=0 if is_large else 1)
    return Figure(metric=f"{form}_{'x'.join(map(str, size))}_s", unit="s", spread=spread)


def _build_fraction(size: tuple[int, int, int, int]) -> Figure:
    made = world(*size)
    shares = []
    for _ in range(3):
        began = time.perf_counter()
        ahead = outlook(made.requirement, fleet=made.fleet, rates=made.rates, options=LookAhead(integer_hours=1.0))
        laid_out_s = time.perf_counter() - began
        solved = solve_outlook(ahead, gap_fraction=0.005)
        building_s = laid_out_s + solved.build_s
        shares.append(building_s / (building_s + solved.solve_s))
    return Figure(
        metric="build_fraction", unit="1", spread=Spread(median=median(shares), low=min(shares), high=max(shares))
    )


def growth() -> Iterator[tuple[str, str, float, float]]:
    """Yield (form, size, CPU seconds, gap) as hours, models and regions grow."""
    sizes = [(4, 3, 3, hours) for hours in (12, 24, 48, 96, 168)]
    sizes += [(8, 3, 3, 24), (16, 3, 3, 24), (4, 6, 3, 24)]
    for form, hours, gap in (("rolling", 1.0, 0.005), ("full", None, 0.02)):
        for size in sizes:
            made = world(*size)
            began = time.process_time()
            plan = plan_ahead(
                made.requirement,
                fleet=made.fleet,
                rates=made.rates,
                options=LookAhead(integer_hours=hours),
                gap_fraction=gap,
                time_limit_s=LIMIT_S,
            )
            yield form, "x".join(map(str, size)), time.process_time() - began, plan.gap_fraction or 0.0


if __name__ == "__main__":
    for row in growth():
        print("{:8} {:>12} {:8.2f} CPU s, gap {:.3%}".format(*row), flush=True)
