"""Run benchmarks by name and print their medians as a table, or as JSON with one row per figure.

Every row has the keys name, metric, unit, median, low and high, and ratio where two things were measured in turns.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from tests.benchmarks import NAMES
from tests.benchmarks.timing import Figure
from workbench.errors import nearest

NOT_YET = "not yet measured"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and return the exit code: 2 for a name that is unknown or not yet measured."""
    asked = _parser().parse_args(arguments)
    if asked.list:
        for name in NAMES:
            print(f"{name:10} {describe(name)}")
        return 0
    refused = [refusal for name in asked.names if (refusal := why_not(name))]
    if refused:
        print("\n".join(refused), file=sys.stderr)
        return 2
    names = asked.names or [name for name in NAMES if room(name)]
    rows = [row for name in names for row in measured(name)]
    if asked.json:
        print(as_json(rows))
    elif rows:
        Console().print(as_table(rows))
    empty = [name for name in NAMES if not room(name)]
    if empty and not asked.names:
        print(f"{NOT_YET}: {', '.join(empty)}", file=sys.stderr)
    return 0


def room(name: str) -> ModuleType | None:
    """Return the module of a benchmark, or nothing when its room is empty."""
    full = f"{__package__}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


def describe(name: str) -> str:
    """Say what a benchmark measures: the first line of its module."""
    module = room(name)
    return (module.__doc__ or "").strip().splitlines()[0] if module else NOT_YET


def why_not(name: str) -> str:
    """Say why a name cannot be measured; empty when it can."""
    if name not in NAMES:
        return f"no benchmark is called '{name}': {nearest(name, NAMES)}"
    return "" if room(name) else f"{name}: {NOT_YET}; python -m tests.benchmarks --list tells which are"


def measured(name: str) -> list[dict[str, Any]]:
    """Run one benchmark and return its figures as rows."""
    print(f"measuring {name}", file=sys.stderr)
    module = room(name)
    return [row_of(name, figure) for figure in module.run()] if module else []


def row_of(name: str, figure: Figure) -> dict[str, Any]:
    """Return one figure as the row that is printed."""
    row = {
        "name": name,
        "metric": figure.metric,
        "unit": figure.unit,
        "median": figure.spread.median,
        "low": figure.spread.low,
        "high": figure.spread.high,
    }
    return row if figure.ratio is None else row | {"ratio": figure.ratio}


def as_json(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows as one JSON list, a line for each."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def as_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the rows as a table with four significant digits."""
    keys = ("median", "low", "high", "ratio")
    table = Table("benchmark", "metric", "unit", *(Column(key, justify="right") for key in keys))
    for row in rows:
        numbers = [f"{row[key]:.4g}" if key in row else "" for key in keys]
        table.add_row(row["name"], row["metric"], row["unit"], *numbers)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all that are measured without one")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--list", action="store_true", help="list the names and what they measure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
