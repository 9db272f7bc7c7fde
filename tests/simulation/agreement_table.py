"""Print how far the fluid engine is off the replay over loads, sizes, burstiness, lengths, scaling and public traces.

``python -m tests.simulation.agreement_table`` prints all of it (some minutes); ``quick`` leaves out all but a few
cells, and names of groups (constant, elsewhere, reading, day, reactive, deferrable, azure, calibrated) choose. Errors
are in percent of the replay, the attainment's in points; P95 of the replay in seconds. Of a cell that is drawn several
times the errors are of the means over the draws, and the last columns tell by how much the replay's own KV cache and
P95 differ from draw to draw (standard deviation, in percent): no engine can be held to less on a single draw. ``x``
marks a cell beyond what is promised for pools of four replicas or more at nine tenths of what they can take or less:
KV cache 5 %, GPU-hours 3 %, P95 10 %. ``.`` is a cell for which nothing is promised, ``1`` one draw of a cell that is
judged by its mean, ``s`` one in which the fluid itself says that it is saturated.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from tests.simulation import agreement_cases as cases
from tests.simulation.simulation_cases import MIX, fleet
from workbench.simulation import agreement, calibration
from workbench.simulation.agreement import trust
from workbench.simulation.agreement.trials import STILL

COLUMNS = {
    "kv_cache_used_fraction": "KV",
    "running": "run",
    "gpu_hours": "GPU-h",
    "itl_mean_s": "ITL",
    "ttft_mean_s": "mean",
    "ttft_p50_s": "P50",
    "ttft_p95_s": "P95",
    "ttft_p99_s": "P99",
}
SHIFTS = ((1.0, 1.0), (0.73, 1.0), (1.33, 1.0), (1.0, 0.8), (1.0, 2.0), (0.73, 2.0), (1.33, 0.8))
DRAWS = 3
DRAWS_READING = 6
DRAWS_ELSEWHERE = 12  # of pools that are done with their requests in minutes, in which KV caches differ by 9 %
TRUSTED_FRACTION = 0.9  # of a pool's work, from which on a day with scaling is counted
CV_SQUARES, SIZES, LOADS = (1.0, 4.0, 16.0), (1, 4, 8, 16, 40), (0.3, 0.6, 0.8, 0.9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table: errors as fractions, None where there is none."""

    group: str
    name: str
    replicas: int
    load: float
    cv_square: float
    errors: dict[str, float | None]
    attainment: float
    p95_s: float
    is_saturated: bool
    is_promised: bool = True
    draws: int = 1
    spreads: tuple[float | None, float | None] = (None, None)  # of the replay's KV cache and P95 over the draws
    is_part: bool = False  # a single draw of a cell that is judged by the mean of several

    @property
    def mark(self) -> str:
        """x beyond the promise, s saturated, a dot where nothing is promised, 1 a part of a cell, else nothing."""
        if self.is_part:
            return "1"
        if self.is_saturated:
            return "s"
        if not self.is_promised or self.replicas < 4 or self.load > 0.9 + 1e-9:
            return "."
        return "" if self.holds else "x"

    @property
    def holds(self) -> bool:
        """Whether KV cache, GPU-hours and P95 are as near as is promised."""
        return all(abs(self.errors[name] or 0.0) <= limit for name, limit in self.limits().items())

    @staticmethod
    def limits() -> dict[str, float]:
        """What is promised, by measure."""
        return {
            "kv_cache_used_fraction": cases.KV_TOLERANCE,
            "gpu_hours": cases.GPU_HOURS_TOLERANCE,
            "ttft_p95_s": cases.P95_TOLERANCE,
        }

    def line(self) -> str:
        """The cell as a line of the table."""
        numbers = " ".join(
            f"{'-':>6}" if (error := self.errors[name]) is None else f"{100.0 * error:+6.1f}" for name in COLUMNS
        )
        where = f"{self.name:30} {self.replicas:3d} {self.load:5.2f} {self.cv_square:5.0f}"
        spreads = " ".join(f"{'-':>5}" if spread is None else f"{100.0 * spread:5.1f}" for spread in self.spreads)
        return (
            f"{where} {numbers} {100.0 * self.attainment:+7.2f} {self.p95_s:8.3f} {self.draws:2d} {spreads} "
            f"{self.mark:>2}"
        )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def cell_of(
    group: str, draws: Sequence[cases.Case], *, given: calibration.Calibration | None = None, is_part: bool = False
) -> Cell:
    """The comparison of one case, in the mean of its draws, as a cell.

    Clumped arrivals are told, not promised, and so is a pool that scales and has fewer than four replicas for long.
    """
    case = draws[0]
    is_large = case.policy is STILL or np.mean([one.trusted_fraction for one in draws]) >= TRUSTED_FRACTION
    rows = agreement.mean_over([one.frame(given) for one in draws])
    return Cell(
        group=group,
        name=case.name + (" calibrated" if given else ""),
        replicas=case.replicas,
        load=float(np.mean([one.load for one in draws])),
        cv_square=case.cv_square,
        errors={name: rows[name]["relative_error"] for name in COLUMNS},
        attainment=rows["slo_attainment_fraction"]["difference"],
        p95_s=rows["ttft_p95_s"]["replay"],
        is_saturated=rows["ttft_p95_s"]["is_saturated"],
        is_promised=case.cv_square <= 1.0 and bool(is_large) and not case.name.endswith("code"),
        draws=len(draws),
        spreads=(rows["kv_cache_used_fraction"]["spread"], rows["ttft_p95_s"]["spread"]),
        is_part=is_part,
    )


def cells_of(group: str, name: str, table: pl.DataFrame, *, draws: int = 1, is_promised: bool = True) -> Iterator[Cell]:
    """The rows of an error map as cells."""
    for row in table.iter_rows(named=True):
        yield Cell(
            group=group,
            name=name,
            replicas=row["replicas"],
            load=row["load_fraction"],
            cv_square=row["cv_square"],
            errors={measure: row[f"{measure}_error"] for measure in COLUMNS},
            attainment=row["slo_attainment_fraction_error"],
            p95_s=row["ttft_p95_s"],
            is_saturated=row["is_saturated"],
            is_promised=is_promised and row["cv_square"] <= 1.0,
            draws=draws,
            spreads=(row["kv_cache_used_fraction_spread"], row["ttft_p95_s_spread"]),
        )


def constant(*, is_quick: bool) -> Iterator[Cell]:
    """Constant loads over all kinds of lengths, sizes, loads and CV^2; drawn anew where something is promised."""
    large = tuple(size for size in SIZES if size >= 4)
    grids: list[tuple[dict[str, object], int]] = [
        ({"replicas": large, "loads": LOADS}, DRAWS),
        ({"replicas": SIZES[:1], "loads": LOADS}, 1),
        ({"replicas": SIZES, "loads": LOADS, "cv_squares": CV_SQUARES[1:]}, 1),
    ]
    if is_quick:
        grids = [({"replicas": (4, 16), "loads": (0.3, 0.9)}, DRAWS)]
    for name, mix in cases.MIXES.items():
        for grid, draws in grids:
            table = agreement.error_map(fleet(mix=mix), draws=draws, **grid)  # type: ignore[arg-type]
            yield from cells_of("constant", name, table, draws=draws)


def elsewhere(*, is_quick: bool) -> Iterator[Cell]:
    """Other models and GPU kinds, from the catalog, and the lengths of public traces: nothing was fitted to any."""
    for name, world, requests in cases.elsewhere():
        table = agreement.error_map(
            world,
            requests=requests,
            replicas=(4, 16),
            loads=(0.6,) if is_quick else (0.5, 0.7, 0.9),
            draws=DRAWS_ELSEWHERE,
        )
        yield from cells_of("elsewhere", name, table, draws=DRAWS_ELSEWHERE)


def reading(*, is_quick: bool) -> Iterator[Cell]:
    """Pools that mostly read prompts, of sizes and at loads between those of the other groups."""
    sizes, loads = ((4,), (0.7,)) if is_quick else ((4, 6, 12), (0.5, 0.7, 0.8, 0.9))
    for name, world, requests in cases.readers():
        table = agreement.error_map(world, requests=requests, replicas=sizes, loads=loads, draws=DRAWS_READING, seed=5)
        roomy = trust.long_requests(world.replicas[0], world.mixes["m"]) >= trust.LEAST_LONG
        yield from cells_of("reading", name, table, draws=DRAWS_READING, is_promised=roomy)


def day(*, is_quick: bool) -> Iterator[Cell]:
    """Fixed pools over a day, up to nine tenths at its peak."""
    sizes, kinds = ((8,), ("chat",)) if is_quick else ((4, 8, 16), tuple(cases.MIXES))
    for kind in kinds:
        for size in sizes:
            yield cell_of("day", [cases.day(size, 0.9, kind=kind, seed=seed) for seed in (13, 14, 15)])


def reactive(*, is_quick: bool) -> Iterator[Cell]:
    """Pools that scale, over a day: decisions near a threshold make single runs differ, so the mean is judged."""
    for size, seeds in ((30, 2),) if is_quick else ((4, 4), (8, 4), (12, 6), (30, 3)):
        days = [cases.scaling_day(size, seed=seed) for seed in range(1, seeds + 1)]
        for one in days:
            yield cell_of("reactive", [one], is_part=True)
        yield cell_of("reactive", days)
    if not is_quick:
        yield cell_of("reactive", [cases.scaling_day(12, cv_square=4.0, seed=seed) for seed in (1, 2, 3)])


def deferrable(*, is_quick: bool) -> Iterator[Cell]:
    """Deferrable work let in below a signal, under two orders of what waits."""
    for size, peak in ((8, 0.5),) if is_quick else ((4, 0.5), (8, 0.5), (16, 0.5)):
        for order in ("fcfs", "pf"):
            yield cell_of("deferrable", [cases.mixed_day(size, peak, order=order, seed=seed) for seed in (14, 15, 16)])


def azure(*, is_quick: bool) -> Iterator[Cell]:
    """The public hours of 2023, plain and, for conversations, calibrated on their own lengths."""
    if not cases.AZURE.is_dir():
        say("the public traces are not there: azure is left out")
        return
    for name in ("conv",) if is_quick else ("conv", "code"):
        for size in (8,) if is_quick else (2, 4, 8, 16):
            for load in cases.azure_loads(name, size, (0.46, 0.7, 0.85)):
                draws = [cases.azure(name, size, load, seed=seed) for seed in (11, 12, 13)]
                yield cell_of("azure", draws)
                if name == "conv":
                    measured = calibration.calibrate(draws[0].fleet, requests=draws[0].requests)
                    yield cell_of("azure", draws, given=measured)


def calibrated(*, is_quick: bool) -> Iterator[Cell]:
    """A calibration on lengths other than it was measured with."""
    given = calibration.calibrate(fleet())
    for prompts, outputs in SHIFTS[:2] if is_quick else SHIFTS:
        mix = dataclasses.replace(
            MIX, input_tokens=prompts * MIX.input_tokens, output_tokens=outputs * MIX.output_tokens
        )
        shifted = agreement.error_map(
            fleet(mix=mix), replicas=(4, 8, 16, 40), loads=(0.3, 0.6, 0.85), draws=DRAWS, seed=99, calibration=given
        )
        yield from cells_of("calibrated", f"P {prompts - 1.0:+.0%}, O {outputs - 1.0:+.0%}", shifted, draws=DRAWS)


GROUPS = {one.__name__: one for one in (constant, elsewhere, reading, day, reactive, deferrable, azure, calibrated)}


def summary(group: str, cells: list[Cell]) -> str:
    """What a group comes to: of all cells, and of those for which something is promised."""
    whole = [cell for cell in cells if not cell.is_part]
    errors = np.array([abs(cell.errors["ttft_p95_s"] or 0.0) for cell in whole if not cell.is_saturated])
    promised = [cell for cell in whole if cell.mark in ("", "x")]
    kept = sum(cell.holds for cell in promised)
    within = {
        name: sum(abs(cell.errors[name] or 0.0) <= limit for cell in promised) for name, limit in Cell.limits().items()
    }
    parts = ", ".join(f"{COLUMNS[name]} in {count}" for name, count in within.items())
    return (
        f"{group}: P95 within 10 % in {(errors <= 0.10).mean():.0%} of {errors.size} cells that are not saturated "
        f"(mean {errors.mean():.1%}); the promise holds in {kept} of {len(promised)} ({parts})."
    )


def main(words: list[str]) -> None:
    """Print the groups that are named, or all."""
    say(__doc__.partition("\n\n")[2])
    head = " ".join(f"{name:>6}" for name in COLUMNS.values())
    say(f"{'case':30} {'n':>3} {'load':>5} {'CV^2':>5} {head} {'SLO,pt':>7} {'P95,s':>8}  d  KV+-  P95+-")
    every: list[Cell] = []
    for name in [word for word in words if word in GROUPS] or list(GROUPS):
        cells = []
        for cell in GROUPS[name](is_quick="quick" in words):
            say(cell.line())
            cells.append(cell)
        if cells:
            say(summary(name, cells))
        every += cells
    say(summary("all", every))


if __name__ == "__main__":
    main(sys.argv[1:])
