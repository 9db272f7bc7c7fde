"""The look-ahead programme of two windows, two regions, two GPU kinds and one model, as LP text per constraint.

``python -m tests.planning.lookahead.golden_ahead`` rewrites the files under tests/planning/lookahead/golden after a
change that is meant; review the difference like code.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pulp

from tests.planning.lookahead.lookahead_cases import USUAL, hourly
from tests.planning.planning_cases import fleet, rates, requirement
from workbench.planning.handover import to_pulp
from workbench.planning.lookahead import Energy, LookAhead, Outlook, outlook
from workbench.planning.lookahead.building import assemble, build
from workbench.planning.lookahead.columns import columns
from workbench.planning.lookahead.constraints import CONSTRAINTS

GOLDEN = Path(__file__).parent / "golden"
EAST, WEST = ("east", "a100"), ("west", "h100")


def case() -> Outlook:
    """Return an outlook in which every constraint has a row."""
    rows = [
        *hourly([300.0, 200.0]),
        *hourly([100.0, 100.0], region="west"),
        *hourly([50.0, 0.0], region="west", tier="normal"),
        *hourly([80.0, 20.0], tier="batch"),
    ]
    options = LookAhead(
        lead_s=USUAL,
        floor_replicas=1,
        starts_per_window=4,
        stops_per_window=4,
        quota_gpus={EAST: 6},
        reserved_gpus={EAST: 1},
        reserved_usd_per_gpu_hour={EAST: 0.5},
        idle_usd_per_gpu_hour={EAST: 0.2},
        spot_gpus={WEST: 2},
        spot_usd_per_gpu_hour={WEST: 0.6},
        interactive_on_spot_fraction=0.25,
        residency={"west": frozenset({"west"})},
        lost_region_fraction=0.5,
        kw_per_gpu={"a100": 0.4, "h100": 0.7},
        energy={"east": Energy(usd_per_kwh=(0.1,), carbon_kg_per_kwh=(0.5,))},
        carbon_cap_kg=10.0,
        budget_usd=50.0,
    )
    world = fleet(
        stock={EAST: 8, WEST: 8},
        gpus={"a100": 1, "h100": 2},
        initial={("east", "m", "a100"): 1},
        lent={("east", "m", "a100"): 2},
        usd={EAST: 1.0, WEST: 2.0},
    )
    theta = rates({("m", "a100"): 100.0, ("m", "h100"): 250.0}, gpus={"a100": 1, "h100": 2})
    return outlook(requirement(rows), fleet=world, rates=theta, options=options)


def texts() -> dict[str, str]:
    """Return the LP text of each constraint by itself and of the whole programme, by file name."""
    ahead = case()
    chosen = columns(ahead)
    made = {}
    for constraint in CONSTRAINTS:
        alone = to_pulp(assemble(chosen.blocks, tuple(constraint(ahead, chosen)), ahead))
        alone.programme.setObjective(pulp.LpAffineExpression())
        made[f"{constraint.__name__}.lp"] = _text(alone.programme)
    return made | {"programme.lp": _text(to_pulp(build(ahead).matrix).programme)}


def _text(programme: pulp.LpProblem) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "programme.lp"
        programme.writeLP(str(path))
        return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in texts().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
