"""Keys inside of the objects of a JSON lines file, named by dotted paths such as ``request.usage.prompt_tokens``.

A key that has a dot in its own name is taken as it is, as long as it stands at the top of the objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import TraceError
from workbench.tables import TEXT
from workbench.traces.readers.batches import LINE, Raw
from workbench.traces.readers.heads import first_objects
from workbench.traces.readers.json_rows import json_batches

Tree = dict[str, Any]


def paths_in(path: Path) -> tuple[str, ...]:
    """Return the dotted paths of the values inside of the first objects of a JSON lines file."""
    return tuple(dict.fromkeys(found for value in first_objects(path) for found in _paths(value)))


def _paths(value: Mapping[str, Any]) -> Iterator[str]:
    for key, part in value.items():
        if isinstance(part, Mapping):
            yield from (f"{key}.{inner}" for inner in _paths(part))
        else:
            yield key


def path_batches(path: Path, names: Iterable[str], *, top: Sequence[str]) -> Iterator[Raw]:
    """Yield the values of keys and of dotted paths as text columns of those names; ``top`` are the keys at the top.

    What an object lacks on the way is null. Raises TraceError where a name is both a value and a path to one.
    """
    listed = list(dict.fromkeys(names))
    steps = {name: (name,) if name in top else tuple(name.split(".")) for name in listed}
    if all(len(way) == 1 for way in steps.values()):
        yield from json_batches(path, dict.fromkeys(listed, TEXT))
        return
    schema = {key: _dtype(part) for key, part in _tree(path, steps.values()).items()}
    columns = [_value(way).alias(name) for name, way in steps.items()]
    for raw in json_batches(path, schema):
        yield dataclasses.replace(raw, frame=raw.frame.select(*columns, LINE))


def _tree(path: Path, ways: Iterable[Sequence[str]]) -> Tree:
    tree: Tree = {}
    for way in ways:
        here = tree
        for depth, step in enumerate(way):
            is_last = depth == len(way) - 1
            if step in here and is_last != (not here[step]):
                raise TraceError(
                    f"{path.name}: '{'.'.join(way[: depth + 1])}' is asked for as a value and as the way to another; "
                    "name one of them."
                )
            here = here.setdefault(step, {})
    return tree


def _dtype(tree: Tree) -> Any:
    return pl.Struct({key: _dtype(part) for key, part in tree.items()}) if tree else TEXT


def _value(way: Sequence[str]) -> pl.Expr:
    value = pl.col(way[0])
    for step in way[1:]:
        value = value.struct.field(step)
    return value
