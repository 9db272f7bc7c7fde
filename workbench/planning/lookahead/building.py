"""From an outlook to the whole programme: columns, every constraint, one sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.planning.handover import Matrix
from workbench.planning.lookahead.columns import Block, Columns, columns
from workbench.planning.lookahead.constraints import CONSTRAINTS
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.rows import Rows
from workbench.planning.lookahead.supplying import reserved_usd


@dataclass(frozen=True, kw_only=True, eq=False)
class Programme:
    """An outlook with its columns, its rows and both as a matrix."""

    outlook: Outlook
    columns: Columns
    rows: tuple[Rows, ...]
    matrix: Matrix

    def rows_of(self, name: str) -> slice:
        """Return which rows of the matrix belong to the constraint of a name."""
        first = 0
        for block in self.rows:
            if block.name == name:
                return slice(first, first + block.right.size)
            first += block.right.size
        return slice(0, 0)


def build(outlook: Outlook) -> Programme:
    """Return the programme of an outlook with every constraint of CONSTRAINTS."""
    chosen = columns(outlook)
    blocks = tuple(chain.from_iterable(constraint(outlook, chosen) for constraint in CONSTRAINTS))
    return Programme(outlook=outlook, columns=chosen, rows=blocks, matrix=assemble(chosen.blocks, blocks, outlook))


def assemble(blocks: Sequence[Block], constraints: Sequence[Rows], outlook: Outlook) -> Matrix:
    """Return columns and rows as one matrix, entries sorted by row and column and summed where they repeat."""
    sizes = [block.right.size for block in constraints]
    firsts = np.concatenate(([0], np.cumsum(sizes)))
    row = _joined([first + block.rows for first, block in zip(firsts, constraints, strict=False)], np.int64)
    column = _joined([block.columns for block in constraints], np.int64)
    value = _joined([block.coefficients for block in constraints], np.float64)
    order = np.lexsort((column, row))
    row, column, value = row[order], column[order], value[order]
    is_new = np.concatenate(([True], (np.diff(row) != 0) | (np.diff(column) != 0)))[: row.size]
    value = np.add.reduceat(value, np.flatnonzero(is_new)) if row.size else value
    row, column = row[is_new], column[is_new]
    keep = value != 0.0
    row, column, value = row[keep], column[keep], value[keep]
    return Matrix(
        column_names=list(chain.from_iterable(block.labels for block in blocks)),
        lower=_joined([block.lower.ravel() for block in blocks], np.float64),
        upper=_joined([block.upper.ravel() for block in blocks], np.float64),
        cost=_joined([block.cost.ravel() for block in blocks], np.float64),
        is_whole=_joined([block.is_whole.ravel() for block in blocks], np.bool_),
        row_names=list(chain.from_iterable(block.labels for block in constraints)),
        senses=[sense for block in constraints for sense in [block.sense] * block.right.size],
        right=_joined([block.right for block in constraints], np.float64),
        starts=np.searchsorted(row, np.arange(firsts[-1] + 1)),
        columns=column,
        coefficients=value,
        constant=reserved_usd(outlook),
    )


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([*parts, np.empty(0)]).astype(dtype)
