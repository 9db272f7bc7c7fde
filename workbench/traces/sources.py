"""The files of a trace before and while they are read: what is missing is asked for, and every row is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from workbench.errors import TraceError, together
from workbench.traces.options import Share, Source, TraceOptions
from workbench.traces.quality import SourceTally
from workbench.traces.readers.formats import Detected, unanswered, unheeded
from workbench.traces.spreading import mapped

Found = Sequence[tuple[Source, Detected]]
# called with the name of the file, the fraction of it that is read, and its rows so far
Progress = Callable[[str, float, int], None]


def refuse_twice(sources: Sequence[Source]) -> None:
    """Raise TraceError where one file is named more than once: its rows would be counted twice."""
    times = Counter(source.path.resolve() for source in sources)
    twice = [path.name for path, count in times.items() if count > 1]
    if twice:
        raise TraceError(f"{', '.join(twice)} is named more than once; its rows would be counted twice. Name it once.")


def refuse_incomplete(found: Found) -> None:
    """Raise TraceError where no file was named, kinds are mixed, or options are missing: all of them at once."""
    if not found:
        raise TraceError("no file was named; name at least one file to ingest.")
    kinds = {detected.format.kind for _, detected in found}
    if len(kinds) > 1:
        named = ", ".join(f"{source.path.name} ({detected.format.kind})" for source, detected in found)
        raise TraceError(
            f"single requests and series of sums cannot be one trace: {named}; ingest them under two names."
        )
    missing = [text for source, detected in found for text in unanswered(detected, source.options)]
    idle = [text for source, detected in found for text in unheeded(detected, source.options)]
    told = []
    if missing:
        told.append(
            "options must say what the files do not (on the command line --region, --region-split, --input-tokens and "
            "so on): " + together(missing)
        )
    if idle:
        told.append("an option would have no effect: " + together(idle))
    if told:
        raise TraceError("\n".join(told))


def rows_of(
    source: Source, detected: Detected, *, tally: SourceTally, progress: Progress | None = None
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the rows of one file with our keys, and the refused ones (``REJECTED``), batch by batch; count them.

    The rows have the columns of ``REQUESTS`` or ``DEMAND``. Raises TraceError where a label has no key, and at the end
    where there was no row, every one was refused, or none is of a model to keep.
    """
    for batch in detected.format.read(source.path, source.options):
        kept = mapped(batch.good, source.options)
        tally.add(batch, kept)
        if progress is not None:
            progress(tally.source, batch.done_fraction, tally.read)
        yield kept, batch.rejected
    _refuse_useless(tally, source.options)


def _refuse_useless(tally: SourceTally, options: TraceOptions) -> None:
    if not tally.read:
        raise TraceError(f"{tally.source} has a header but no rows; nothing was stored.")
    if tally.refused == tally.read:
        raise TraceError(f"{tally.source}: every one of {tally.read:,} rows was refused: {tally.refusals()}.")
    if not tally.kept:
        raise TraceError(
            f"{tally.source}: none of the models to keep ({', '.join(options.keep)}) is in it; "
            f"it has {', '.join(sorted(tally.labels['model']))}."
        )


def shares_of(found: Found) -> tuple[Share, ...]:
    """Return the regions that are made of all files, one after another."""
    return tuple(part for source, _ in found for part in source.options.region_split)
