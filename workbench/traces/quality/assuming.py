"""How a trace was read, in words: every option that changes its numbers, so that no study hides what it rests on.

What was made of a source (regions, tiers) has findings of its own. A sample is a warning, as every rate that is not
scaled up again is too low by its share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workbench.traces.mapping import ColumnMapping
from workbench.traces.measures import FORMS, LENGTHS, form_in
from workbench.traces.options import Source, TraceOptions
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.readers.formats import Detected

WHAT = "read as asked"
SAMPLE_ADVICE = "scale a study by it (demand.scale), or draw the whole (sample = 1)"
NUMBER_CONSTANTS = (*FORMS, "cached_tokens")


def read_as_asked(found: Sequence[tuple[Source, Detected]]) -> list[Finding]:
    """Tell per source which options changed its numbers, and what was done; once where it holds for all of them."""
    notes = {source.path.name: "; ".join(_assumed(source.options, detected)) for source, detected in found}
    samples = {source.path.name: _sampled(source.options, detected) for source, detected in found}
    told = [finding(WHAT, where, None, text, level="warning", advice=SAMPLE_ADVICE) for where, text in _once(samples)]
    return told + [finding(WHAT, where, None, text) for where, text in _once(notes)]


def _once(said: dict[str, str]) -> list[tuple[str, str]]:
    if len(said) > 1 and len(set(said.values())) == 1:
        said = {"trace": next(iter(said.values()))}
    return [(where, text) for where, text in said.items() if text]


def _sampled(options: TraceOptions, detected: Detected) -> str:
    if options.sample is None or options.sample >= 1 or "sample" not in detected.format.takes:
        return ""
    times = 1 / options.sample
    return (
        f"one request in {times:,.4g} was drawn (seed {options.seed}): multiply by demand.scale = {times:.6g} for the "
        "load of the source"
    )


def _assumed(options: TraceOptions, detected: Detected) -> Iterator[str]:
    mapping = options.mapping
    if mapping is not None:
        yield from _mapped(mapping)
    if options.keep:
        yield f"of its models only {', '.join(options.keep)} {'is' if len(options.keep) == 1 else 'are'} kept"
    if options.start is not None and "start" in detected.lacks:
        yield f"its time is counted from {options.start:%Y-%m-%d %H:%M:%S} UTC, as given"
    if detected.format.kind == "series":
        yield from _lengths(options, mapping.known if mapping else detected.columns)
    if "prefix_cache_tokens" in detected.format.takes:
        bound = options.prefix_cache_tokens
        size = "without a bound" if bound is None else f"of {bound:,} tokens"
        yield f"cached tokens are what one prefix cache {size} would hold"


def _mapped(mapping: ColumnMapping) -> Iterator[str]:
    about = f" ({mapping.about})" if mapping.about else ""
    yield f"the columns are read as {mapping.kind} by a mapping{about}"
    fixed = [f"{name} {mapping.constants[name]:,}" for name in NUMBER_CONSTANTS if name in mapping.constants]
    if fixed:
        yield f"every row has {', '.join(fixed)}, as the mapping says"


def _lengths(options: TraceOptions, known: Sequence[str]) -> Iterator[str]:
    given = {measure: getattr(options, name) for measure, name in LENGTHS.items()}
    said = [_length(measure.removesuffix("_tokens"), value) for measure, value in given.items() if value]
    if not said:
        return
    makes_requests = form_in("requests", known) is None
    # a source without requests states its input tokens, whatever it calls them
    others = [measure for measure, value in given.items() if value and not (makes_requests and "input" in measure)]
    made = ["requests are made from tokens"] if makes_requests else []
    for measure in others:
        where = " where none are stated" if form_in(measure, known) else ""
        made.append(f"{measure.replace('_', ' ')} are made from requests{where}")
    yield f"{' and '.join(said)} tokens per request are assumed: {', '.join(made)}"


def _length(kind: str, value: float | Mapping[str, float]) -> str:
    if not isinstance(value, Mapping):
        return f"{value:,.6g} {kind}"
    return ", ".join(f"{number:,.6g} {kind} ({label})" for label, number in value.items())
