"""Rows of TOML and CSV files into frozen facts, with everything that is wrong in a file reported in one pass.

A key that no fact has is refused with the nearest one that exists, because a misspelt key that is silently dropped
becomes a default that nobody chose. Every fact must say where it was taken from and when.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from workbench.errors import CatalogError, nearest

Fact = TypeVar("Fact")
Row = Mapping[str, Any]

DATES = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?|undated")


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Fact]):
    """One kind of fact: its name in a file, the file, the frozen value of a row, and what makes a row unique."""

    name: str
    file: str
    value: type[Fact]
    key: Callable[[Fact], Hashable]


def read_file(path: Path) -> tuple[dict[str, list[Row]], list[str]]:
    """Return the rows of a file by kind, and what is wrong with it as a whole; a CSV file has one kind, its stem."""
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as lines:
                return {path.stem: [_without_blanks(row) for row in csv.DictReader(lines)]}, []
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [f"{path.name} cannot be read: {error}"]
    wrong = [
        f"{path.name}: {name} must be rows written as [[{name}]]"
        for name, rows in tables.items()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows)
    ]
    return ({}, wrong) if wrong else (tables, [])


def facts_of(kind: Kind[Fact], rows: list[Row], file: str) -> tuple[dict[Hashable, Fact], list[str]]:
    """Return the facts of one kind by their key, and a finding for every row that is none or is there twice."""
    facts: dict[Hashable, Fact] = {}
    findings: list[str] = []
    for number, row in enumerate(rows, start=1):
        where = f"{file}, {kind.name} {row.get('key', number)}"
        values, wrong = _values(kind.value, row)
        if wrong:
            findings += [f"{where}: {finding}" for finding in wrong]
            continue
        try:
            fact = kind.value(**values)
        except CatalogError as error:
            findings.append(f"{file}: {error}")
            continue
        if kind.key(fact) in facts:
            findings.append(f"{where}: a row of the same key {kind.key(fact)} stands above it")
        facts[kind.key(fact)] = fact
    return facts, findings


def _values(value: type, row: Row) -> tuple[dict[str, Any], list[str]]:
    hints = get_type_hints(value)
    optional = {field.name for field in fields(value) if field.default is not MISSING}
    hints = {field.name: hints[field.name] for field in fields(value)}
    findings = [f"unknown key {name}; {nearest(name, hints)}" for name in row if name not in hints]
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        if name in row:
            values[name], wrong = _value(name, row[name], hint)
            findings += wrong
        elif type(None) in get_args(hint):
            values[name] = None
        elif name not in optional:
            findings.append(f"{name} is missing")
    return values, findings + _provenance(values)


def _value(name: str, found: Any, hint: Any) -> tuple[Any, list[str]]:
    """Return one value and what is wrong with it; a value of several parts is written as an inline table."""
    kind = _kind(hint)
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(found, Mapping):
        parts, wrong = _values(kind, found)
        try:
            return (None, [f"{name}.{finding}" for finding in wrong]) if wrong else (kind(**parts), [])
        except CatalogError as error:
            return None, [str(error)]
    try:
        return _typed(found, hint), []
    except (TypeError, ValueError):
        return None, [f"{name} must be {_expected(kind)}, got {found!r}"]


def _kind(hint: Any) -> Any:
    if get_origin(hint) is UnionType:
        return next(choice for choice in get_args(hint) if choice is not type(None))
    return hint


def _provenance(values: Row) -> list[str]:
    findings = []
    if "source" in values and not values["source"].strip():
        findings.append("source must say where the fact was taken from, got nothing")
    if "date" in values and not DATES.fullmatch(values["date"]):
        findings.append(f"date must be YYYY, YYYY-MM, YYYY-MM-DD or 'undated', got {values['date']!r}")
    return findings


def _typed(found: Any, hint: Any) -> Any:
    hint = _kind(hint)
    if is_dataclass(hint):
        raise TypeError
    if get_origin(hint) is tuple:
        return tuple(_typed(item, get_args(hint)[0]) for item in _items(found))
    if get_origin(hint) is Literal:
        return _one_of(found, get_args(hint))
    if hint is str:
        return _text(found)
    if hint is bool or isinstance(found, bool):
        return _exactly(found, hint)
    if hint is int and isinstance(found, float):
        return _exactly(found, int)
    return hint(found)


def _text(found: Any) -> str:
    if isinstance(found, date):
        return found.isoformat()
    return str(_exactly(found, str))


def _exactly(found: Any, kind: type) -> Any:
    if not isinstance(found, kind) or isinstance(found, bool) is not (kind is bool):
        raise TypeError
    return found


def _items(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError
    return found


def _one_of(found: Any, choices: tuple[Any, ...]) -> Any:
    if found not in choices:
        raise ValueError
    return found


def _expected(hint: Any) -> str:
    if is_dataclass(hint):
        return "an inline table { " + ", ".join(f"{field.name} = ..." for field in fields(hint)) + " }"
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return "a list of numbers"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}.get(hint, "a number")


def _without_blanks(row: Mapping[str | None, Any]) -> dict[str, Any]:
    return {str(name): text for name, text in row.items() if text not in ("", None)}
