"""How a constraint states its inequalities: terms of arrays, so that thousands of rows are one expression."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.planning.lookahead.outlook import Numbers, Outlook, Places


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Inequalities of one kind: for each row, sum of coefficient times column, a sense and a right-hand side.

    ``axes`` name the rows (their product has as many members as there are rows); ``rows``, ``columns`` and
    ``coefficients`` are the entries, of equal length.
    """

    name: str
    axes: tuple[tuple[str, ...], ...]
    sense: str
    right: Numbers
    rows: Places
    columns: Places
    coefficients: Numbers

    @property
    def labels(self) -> list[str]:
        """A name for each row, in their order."""
        return [f"{self.name}|" + "|".join(parts) for parts in itertools.product(*self.axes)]


Part = NDArray[np.generic] | float
Term = tuple[Part, Part, Part]


def rows(name: str, axes: tuple[tuple[str, ...], ...], sense: str, right: ArrayLike, terms: Sequence[Term]) -> Rows:
    """Return rows from terms (row numbers, column numbers, coefficients) whose arrays are stretched to one shape."""
    count = int(np.prod([len(axis) for axis in axes]))
    shape = tuple(len(axis) for axis in axes)
    spread = [np.broadcast_arrays(*(np.asarray(part) for part in term)) for term in terms]
    return Rows(
        name=name,
        axes=axes,
        sense=sense,
        right=np.broadcast_to(np.asarray(right, dtype=float), shape).reshape(count),
        rows=np.concatenate([term[0].ravel() for term in spread]).astype(np.int64),
        columns=np.concatenate([term[1].ravel() for term in spread]).astype(np.int64),
        coefficients=np.concatenate([term[2].ravel() for term in spread]).astype(float),
    )


def numbered(*lengths: int) -> Places:
    """Return the numbers of rows that are laid out along axes of these lengths."""
    return np.arange(int(np.prod(lengths)), dtype=np.int64).reshape(lengths)


def axes_of(outlook: Outlook, *names: str) -> tuple[tuple[str, ...], ...]:
    """Return the names along axes of the outlook."""
    made = outlook.axes
    return tuple(made[name] for name in names)


def only_first(values: ArrayLike, shape: tuple[int, ...]) -> Numbers:
    """Return zeros of a shape whose first window holds the values."""
    first = np.zeros(shape)
    first[..., 0] = values
    return first
