"""Parameters of a template: read from its own cell, and checked before a kernel is started.

papermill passes an unknown parameter on with a warning and turns dates, paths and NumPy numbers into text, so a
mistake would show up as a report about something else. The cell tagged ``parameters`` is the only list of what a
template takes: annotated literals, one a line.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ReportError, nearest, together

TAG = "parameters"
#: Annotation of a parameter -> what is accepted for it. A whole number is fine where a float is asked for.
TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a template: its type as annotated, whether it may be None, and its default."""

    name: str
    type: str
    optional: bool
    default: Any

    def takes(self, value: Any) -> bool:
        """Whether a value has the type; True and False are no numbers."""
        if value is None:
            return self.optional
        if isinstance(value, bool) and self.type != "bool":
            return False
        return isinstance(value, TYPES[self.type])


def declared(template: Path) -> dict[str, Parameter]:
    """Return the parameters of a template by name, in its order.

    Raises ReportError where the notebook cannot be read, has no cell tagged ``parameters``, or where a line of that
    cell is anything but an annotated literal.
    """
    source = _tagged_cell(template)
    lines = source.splitlines()
    found = {}
    for statement in ast.parse(source).body:
        parameter = _parameter(statement)
        if parameter is None:
            raise ReportError(
                f"template {template}: the cell tagged {TAG} may hold only lines such as "
                f"'month: str = \"2025-07\"  # what it is'; found {lines[statement.lineno - 1].strip()!r}."
            )
        found[parameter.name] = parameter
    return found


def checked(template: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters to run a template with: those given, after all of them were checked.

    Raises ReportError listing every name the template does not take, with the nearest it does, and every wrong type.
    """
    known = declared(template)
    findings = [f"{name} is no parameter; {nearest(name, known)}" for name in given if name not in known]
    findings += [
        f"{name} takes {known[name].type}, got {type(value).__name__} {value!r}"
        for name, value in given.items()
        if name in known and not known[name].takes(value)
    ]
    if findings:
        raise ReportError(f"template {template.stem}: {together(findings)}.")
    return dict(given)


def _tagged_cell(template: Path) -> str:
    try:
        cells = json.loads(template.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"template {template} cannot be read as a notebook ({error!r}).") from error
    for cell in cells:
        if TAG in cell.get("metadata", {}).get("tags", []):
            return "".join(cell["source"])
    raise ReportError(f"template {template} has no cell tagged {TAG}; tag the cell that holds its parameters.")


def _parameter(statement: ast.stmt) -> Parameter | None:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or not statement.value:
        return None
    words = {word.strip() for word in ast.unparse(statement.annotation).split("|")}
    kind = next(iter(words - {"None"}), "")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        return None
    if kind.partition("[")[0] not in TYPES or len(words - {"None"}) != 1:
        return None
    return Parameter(
        name=statement.target.id,
        type=kind.partition("[")[0],
        optional="None" in words,
        default=default,
    )
