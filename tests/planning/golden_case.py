"""The programme of two regions, two GPU kinds and one model, as LP text per constraint.

``python tests/planning/golden_case.py`` rewrites the files under tests/planning/golden after a change that is meant;
review the difference like code.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pulp
from planning_cases import problem

from workbench.planning.constraints import CONSTRAINTS, variables
from workbench.planning.programme import build

GOLDEN = Path(__file__).parent / "golden"
CASE = problem(
    now={("east", "m", "a100"): 1, ("east", "m", "h100"): 0, ("west", "m", "a100"): 2, ("west", "m", "h100"): 3},
    demand={("east", "m"): 300.0, ("west", "m"): 100.0},
    theta={("m", "a100"): 40.0, ("m", "h100"): 100.0},
    stock={("east", "a100"): 8, ("east", "h100"): 16, ("west", "a100"): 16, ("west", "h100"): 24},
    hold={
        ("east", "m", "a100"): 12.0,
        ("east", "m", "h100"): 40.0,
        ("west", "m", "a100"): 10.0,
        ("west", "m", "h100"): 36.0,
    },
    start=5.0,
    epsilon=0.5,
    floor=2,
    gpus={("m", "a100"): 4, ("m", "h100"): 8},
)


def texts() -> dict[str, str]:
    """Return the LP text of each constraint by itself and of the whole programme, by file name."""
    made = {f"{constraint.__name__}.lp": _alone(constraint) for constraint in CONSTRAINTS}
    whole, _ = build(CASE, may_fall_short=True)
    return made | {"programme.lp": _text(whole)}


def _alone(constraint: object) -> str:
    programme = pulp.LpProblem("capacity", pulp.LpMinimize)
    chosen = variables(CASE, programme, may_fall_short=True)
    programme += pulp.lpSum([]), "nothing"
    for name, row in constraint(CASE, chosen):
        programme += row, name
    return _text(programme)


def _text(programme: pulp.LpProblem) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "programme.lp"
        programme.writeLP(str(path))
        return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in texts().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
