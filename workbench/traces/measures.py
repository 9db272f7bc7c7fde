"""The ways in which a series can state its load, and what makes sums per window of them.

A source publishes sums, rates or means per request; the workbench keeps sums per window. Requests that a source does
not count are its input tokens by a given length; tokens that it does not count are its requests by a given length.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from workbench.tables import NUMBER
from workbench.units import SECONDS_PER_MINUTE

MEASURES = ("requests", "input_tokens", "output_tokens")
# per measure: the names it can come by, with the seconds that a rate is per
RATES: Mapping[str, Mapping[str, float]] = {
    "requests": {"rps": 1.0, "requests_per_min": SECONDS_PER_MINUTE},
    "input_tokens": {"input_tps": 1.0, "input_tokens_per_min": SECONDS_PER_MINUTE},
    "output_tokens": {"output_tps": 1.0, "output_tokens_per_min": SECONDS_PER_MINUTE},
}
MEANS = {"input_tokens": "input_tokens_mean", "output_tokens": "output_tokens_mean"}
LENGTHS = {"input_tokens": "input_tokens_per_request", "output_tokens": "output_tokens_per_request"}


def forms_of(measure: str) -> tuple[str, ...]:
    """Return every name by which a measure can come: the sum, rates, the mean per request."""
    return (measure, *RATES[measure], *((MEANS[measure],) if measure in MEANS else ()))


FORMS = tuple(form for measure in MEASURES for form in forms_of(measure))
# one of these makes a series of a file: without requests or sums of input tokens there is no load
LOADS = (*forms_of("requests"), "input_tokens", *RATES["input_tokens"])


def form_in(measure: str, columns: Collection[str]) -> str | None:
    """Return the name by which a measure comes in these columns, None where it does not."""
    return next((form for form in forms_of(measure) if form in columns), None)


def lengths_lacking(columns: Collection[str]) -> tuple[str, ...]:
    """Return which lengths per request must be given to make all sums out of these columns."""
    needs_input = form_in("requests", columns) is None or form_in("input_tokens", columns) is None
    needs_output = form_in("output_tokens", columns) is None
    return tuple(
        LENGTHS[measure] for measure, needs in (("input_tokens", needs_input), ("output_tokens", needs_output)) if needs
    )


def is_rate(form: str | None) -> bool:
    """Tell whether a form is a rate, of which a sum needs the length of the window."""
    return any(form in rates for rates in RATES.values())


def sums(
    values: Mapping[str, pl.Series], *, window_s: float | None, lengths: Mapping[str, pl.Series]
) -> dict[str, pl.Series]:
    """Return the sums per window of all three measures from what a source states (``values`` by form).

    ``lengths`` are tokens per request, row by row, for what the columns lack or leave empty. Without a length a null
    stays unknown, but without requests there are no tokens.
    """
    stated = {measure: _stated(measure, values, window_s) for measure in MEASURES}
    requests = stated["requests"]
    if requests is None:
        assert stated["input_tokens"] is not None  # a series has one of both, or it is none
        requests = stated["input_tokens"] / lengths["input_tokens"]
    known = {"requests": requests.cast(NUMBER)}
    for measure, mean in MEANS.items():
        tokens = stated[measure]
        if tokens is None:
            per_request = values[mean] if mean in values else lengths[measure]
            tokens = (requests * per_request).set((requests == 0).fill_null(value=False), 0.0)
        elif measure in lengths:
            # a column may be empty for one model only: what it does not state is made where a length is given
            tokens = tokens.zip_with(tokens.is_not_null(), (requests * lengths[measure]).cast(tokens.dtype))
        known[measure] = tokens.cast(NUMBER)
    return known


def _stated(measure: str, values: Mapping[str, pl.Series], window_s: float | None) -> pl.Series | None:
    form = form_in(measure, values)
    if form is None or form == MEANS.get(measure):
        return None
    if form == measure:
        return values[form]
    assert window_s is not None  # found before rates are turned into sums
    return values[form] * (window_s / RATES[measure][form])
