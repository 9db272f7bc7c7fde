"""Where a span says what: the attribute names of vLLM, SGLang and the GenAI conventions, and the two shapes of a span.

The first attribute of a list that a span has is taken; what the span lacks is looked for in its resource. An OTLP file
holds batches of spans with typed attributes, the exporters of the SDKs write one plain span per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",  # vLLM, SGLang and conventions up to 1.26
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",  # OpenInference
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cached_tokens",  # SGLang
        "llm.token_count.prompt_details.cache_read",
    ),
    # the model that answered stands before the name that was asked for: a router may send a request elsewhere
    "model": ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
    "region": ("cloud.region",),
    "app": ("service.name",),
    "tenant": ("enduser.id", "user.id"),
    "operation": ("gen_ai.operation.name",),
}
# operations around requests: their usage is the sum of requests that have spans of their own
AROUND_REQUESTS = ("invoke_agent", "create_agent", "invoke_workflow", "plan", "execute_tool")
# the same table read from the other side: which field an attribute gives, and how far down in the list it stands
PLACES = {name: (field, rank) for field, names in ATTRIBUTES.items() for rank, name in enumerate(names)}
NOTHING: Mapping[str, str | None] = dict.fromkeys(ATTRIBUTES)
OTLP_VALUES = ("stringValue", "intValue", "doubleValue", "boolValue")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span as read: identity, start (nanoseconds since 1970, or an ISO text) and the fields of ``ATTRIBUTES``."""

    id: str
    parent_id: str
    name: str
    start: str
    fields: Mapping[str, str | None]

    @property
    def has_usage(self) -> bool:
        """Tell whether the span says how many tokens went in or out."""
        return self.fields["input_tokens"] is not None or self.fields["output_tokens"] is not None


def spans_of(value: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the spans of one line, an OTLP batch or a single span of an SDK.

    Raises TypeError, KeyError or AttributeError where it has another shape.
    """
    if "resourceSpans" not in value:
        yield _sdk_span(value)
        return
    for group in value["resourceSpans"]:
        resource = _fields(_typed(group.get("resource", {}).get("attributes", [])), NOTHING)
        for scope in group.get("scopeSpans", group.get("instrumentationLibrarySpans", [])):
            for span in scope["spans"]:
                trace = span.get("traceId", "")
                yield Span(
                    id=_identity(trace, span.get("spanId")),
                    parent_id=_identity(trace, span.get("parentSpanId")),
                    name=str(span.get("name", "")),
                    start=str(span["startTimeUnixNano"]),
                    fields=_fields(_typed(span.get("attributes", [])), resource),
                )


def names_in(value: Mapping[str, Any]) -> set[str]:
    """Return the fields of ``ATTRIBUTES`` that some span of a line has."""
    try:
        return {name for span in spans_of(value) for name, found in span.fields.items() if found is not None}
    except (TypeError, KeyError, AttributeError):
        return set()


def _sdk_span(span: Mapping[str, Any]) -> Span:
    context = span.get("context") or {}
    trace = context.get("trace_id", "")
    resource = (span.get("resource") or {}).get("attributes") or {}
    return Span(
        id=_identity(trace, context.get("span_id")),
        parent_id=_identity(trace, span.get("parent_id")),
        name=str(span.get("name", "")),
        start=str(span["start_time"]),
        fields=_fields((span.get("attributes") or {}).items(), _fields(resource.items(), NOTHING)),
    )


def _identity(trace: object, span: object) -> str:
    return f"{trace}/{span}" if span else ""


def _typed(attributes: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an OTLP span that are fields, without the type of their value."""
    for attribute in attributes:
        if attribute["key"] in PLACES:
            value = attribute["value"]
            yield attribute["key"], next((value[kind] for kind in OTLP_VALUES if kind in value), None)


def _fields(attributes: Iterable[tuple[str, Any]], inherited: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return every field, from the first of its attributes in the order of the table, else what is inherited."""
    fields = dict(inherited)
    ranks = dict.fromkeys(fields, len(PLACES))
    for name, value in attributes:
        place = PLACES.get(name)
        if place is not None and value is not None and place[1] < ranks[place[0]]:
            fields[place[0]], ranks[place[0]] = str(value), place[1]
    return fields
