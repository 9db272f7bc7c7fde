"""A made trace straight into the store, batch by batch, so that its rows never lie in memory together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from workbench.errors import TraceError
from workbench.results import QualityReport
from workbench.traces import quality
from workbench.traces.catalogue import MADE, TraceHeader
from workbench.traces.ingesting import NAME, report
from workbench.traces.store import Store, Writing
from workbench.traces.synthetic.generating import expected, generate
from workbench.traces.synthetic.workload_files import as_text
from workbench.traces.synthetic.workloads import Workload
from workbench.units import SECONDS_PER_DAY, span_in_words

#: A copy this much longer than what its laws were taken from is told to repeat them.
LONGER = 1.05
Progress = Callable[[float, int], None]


def store_generated(
    workload: Workload,
    *,
    store: Store,
    name: str,
    seed: int,
    start: datetime | None = None,
    days: float | None = None,
    requests: float | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> QualityReport:
    """Generate a trace into the store under a name and look at it as at any other; arguments as in ``generate``.

    ``progress`` is called with the fraction made and the rows so far. The same workload, seed and span under the same
    name is a no-op (``was_there``). Raises TraceError where the name is no name or taken by other content and
    ``replace`` is not set, or where the workload makes no request.
    """
    if not NAME.fullmatch(name):
        raise TraceError(f"'{name}' is no name for a trace; use letters, digits, dot, dash and underscore.")
    batches = generate(workload, seed=seed, start=start, days=days, requests=requests)
    text = "\x1f".join([as_text(workload), str(seed), str(start), str(days), str(requests)])
    header = TraceHeader(
        name=name,
        kind="requests",
        format=MADE,
        source=f"{workload.source}, seed {seed}",
        fingerprint=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
    )
    if store.has(name) and store.describe(name).header.fingerprint == header.fingerprint:
        return report(store, name, was_there=True)
    wanted = max(expected(workload, start=start, days=days, requests=requests), 1.0)
    with store.writing(header, replace=replace) as writing:
        for batch in batches:
            writing.add(batch)
            writing.rows_read += batch.height
            if progress is not None:
                progress(min(writing.rows_read / wanted, 1.0), writing.rows_read)
        writing.rows_kept = writing.rows_read
        _look(writing, workload, days=workload.days if days is None else days)
    return report(store, name)


def _look(writing: Writing, workload: Workload, *, days: float) -> None:
    rows, _, _ = writing.span()
    if not rows:
        raise TraceError(f"the workload '{workload.source}' made no request in that span; ask for more, or for longer.")
    looked = quality.look_at_written(writing, ())
    counted = [quality.finding("rows", workload.source, rows, f"{rows:,} rows")]
    counted += [quality.finding("about the format", workload.source, None, note) for note in workload.notes]
    writing.find(quality.as_frame([*counted, *_too_long(workload, days), *looked.findings]))
    if looked.gaps.height:
        writing.mark_gaps(looked.gaps)


def _too_long(workload: Workload, days: float) -> list[quality.Finding]:
    """Warn where laws of less than a day make a longer trace: it repeats what they know, and no night comes."""
    if workload.days >= 1.0 or days <= workload.days * LONGER:
        return []
    detail = (
        f"the laws are those of {span_in_words(workload.days * SECONDS_PER_DAY)} and {days:,.3g} days are made "
        "of them: the trace has no shape of a day or week of its own"
    )
    advice = "plan no day with it; fit a trace of a week (--like), or start from the published week (no --like)"
    return [quality.finding("about the format", workload.source, None, detail, level="warning", advice=advice)]
