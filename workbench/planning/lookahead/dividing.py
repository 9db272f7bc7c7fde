"""Parts of an outlook: one model alone, or all models in longer windows; and some windows of a programme.

The first two are outlooks again, so the same functions lay their programmes out. A model alone keeps every region, GPU
kind and window: its programme has the columns and rows that the whole programme has for it. Longer windows hold the
mean of the work, prices and supply of the windows they span; what such a programme says of prices is near enough to be
of use, and nothing else is read from it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from workbench.planning.handover import Matrix
from workbench.planning.lookahead.building import Programme
from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.outlook import Numbers, Outlook, Places

BY_PLACE = ("replicas", "spot", "lent")
BY_DEFERRING = ("served", "waiting", "late")


def of_model(outlook: Outlook, model: int) -> Outlook:
    """Return the outlook of one model, with all of the stock to itself."""
    own = outlook.place_model == model
    return dataclasses.replace(
        outlook,
        models=(outlook.models[model],),
        unit_input_tps=outlook.unit_input_tps[[model]],
        bound=outlook.bound[[model]],
        pooled=outlook.pooled[[model]],
        quiet=outlook.quiet[[model]],
        arriving=outlook.arriving[[model]],
        not_due=outlook.not_due[[model]],
        waiting_now=outlook.waiting_now[[model]],
        place_model=np.zeros(int(own.sum()), dtype=np.int64),
        place_region=outlook.place_region[own],
        place_key=outlook.place_key[own],
        rate=outlook.rate[own],
        place_gpus=outlook.place_gpus[own],
        serving_now=outlook.serving_now[own],
        lent_now=outlook.lent_now[own],
    )


def columns_of_model(outlook: Outlook, chosen: Columns, model: int) -> dict[str, Places]:
    """Return by block where the columns of one model stand in the whole programme."""
    own = outlook.place_model == model
    found = {}
    for block in chosen.blocks:
        if not block.index.size:
            continue
        if block.name in BY_PLACE:
            found[block.name] = block.index[own]
        elif block.name == "begun":
            found[block.name] = block.index[:, own]
        elif block.name in BY_DEFERRING:
            found[block.name] = block.index[outlook.deferring == model]
        else:
            found[block.name] = block.index[[model]]
    return found


def in_longer_windows(outlook: Outlook, span: int) -> Outlook:
    """Return the outlook with ``span`` windows to each of its windows; the last spans what is left.

    Work that may still wait at the end of a long window is what may wait at the end of its last short one. Amounts of
    work are counted in rates times windows, so they shrink as windows grow.
    """
    firsts = np.arange(0, outlook.windows, span)
    sizes = np.diff(np.append(firsts, outlook.windows))
    lasts = firsts + sizes - 1

    def mean(values: Numbers) -> Numbers:
        """Return the mean over the windows that each long one spans."""
        return np.asarray(np.add.reduceat(values, firsts, axis=-1) / sizes)

    return dataclasses.replace(
        outlook,
        starts=tuple(outlook.starts[first] for first in firsts.tolist()),
        window_s=outlook.window_s * span,
        bound=mean(outlook.bound),
        pooled=mean(outlook.pooled),
        quiet=mean(outlook.quiet),
        arriving=mean(outlook.arriving),
        not_due=outlook.not_due[:, :, lasts] / span,
        waiting_now=outlook.waiting_now / span,
        spot=mean(outlook.spot),
        energy_usd=mean(outlook.energy_usd) * span,
        carbon_kg=mean(outlook.carbon_kg) * span,
    )


def of_windows(programme: Programme, values: Numbers, windows: slice) -> tuple[Programme, Places]:
    """Return the programme of some windows, all others held at given values, and its columns' old numbers.

    Its rows are those that a column of the windows stands in, less what the other windows take of them.
    """
    matrix = programme.matrix
    old = np.concatenate([block.index[..., windows].ravel() for block in programme.columns.blocks])
    new = np.full(matrix.cost.size, -1, dtype=np.int64)
    new[old] = np.arange(old.size)
    row_of = np.repeat(np.arange(matrix.right.size), np.diff(matrix.starts))
    is_free = new[matrix.columns] >= 0
    taken = matrix.coefficients * values[matrix.columns]
    held = np.bincount(row_of[~is_free], weights=taken[~is_free], minlength=matrix.right.size)
    rows = np.unique(row_of[is_free])
    cut = Matrix(
        column_names=[matrix.column_names[column] for column in old.tolist()],
        lower=matrix.lower[old],
        upper=matrix.upper[old],
        cost=matrix.cost[old],
        is_whole=matrix.is_whole[old],
        row_names=[matrix.row_names[row] for row in rows.tolist()],
        senses=[matrix.senses[row] for row in rows.tolist()],
        right=(matrix.right - held)[rows],
        starts=np.searchsorted(row_of[is_free], np.append(rows, matrix.right.size)),
        columns=new[matrix.columns[is_free]],
        coefficients=matrix.coefficients[is_free],
    )
    renumbered = {block.name: new[block.index[..., windows]] for block in programme.columns.blocks}
    columns = dataclasses.replace(programme.columns, blocks=(), **renumbered)
    return dataclasses.replace(programme, columns=columns, rows=(), matrix=cut), old
