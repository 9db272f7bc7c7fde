"""Sums of whatever a series states: hand-solved, and the same load stated in any way gives the same sums."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.traces.measures import FORMS, form_in, forms_of, is_rate, lengths_lacking, sums


def numbers(*values: float | None) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def test_rates_times_the_window_and_means_times_the_requests() -> None:
    """Windows of 300 s: 2 /s make 600, 120 /min make 600; 600 x 100 tokens; 50 tokens/s make 15,000."""
    for requests in ({"rps": numbers(2, 0, None)}, {"requests_per_min": numbers(120, 0, None)}):
        made = sums(
            requests | {"input_tokens_mean": numbers(100, None, 120), "output_tps": numbers(50, 0, None)},
            window_s=300.0,
            lengths={},
        )
        assert made["requests"].to_list() == [600, 0, None]
        assert made["input_tokens"].to_list() == [60_000, 0, None]
        assert made["output_tokens"].to_list() == [15_000, 0, None]


def test_lengths_per_request_stand_in_for_what_a_source_lacks() -> None:
    lengths = {"input_tokens": numbers(500), "output_tokens": numbers(20)}
    made = sums({"input_tokens": numbers(1000)}, window_s=None, lengths=lengths)
    assert {name: values.to_list() for name, values in made.items()} == {
        "requests": [2], "input_tokens": [1000], "output_tokens": [40],
    }  # fmt: skip
    made = sums({"requests": numbers(2)}, window_s=None, lengths=lengths)
    assert made["input_tokens"].to_list() == [1000]


def test_what_is_lacking_is_asked_for() -> None:
    assert lengths_lacking(("requests", "input_tokens", "output_tps")) == ()
    assert lengths_lacking(("rps",)) == ("input_tokens_per_request", "output_tokens_per_request")
    assert lengths_lacking(("input_tokens", "output_tokens")) == ("input_tokens_per_request",)
    assert lengths_lacking(("rps", "input_tokens_mean")) == ("output_tokens_per_request",)
    assert form_in("requests", ("rps", "colour")) == "rps"
    assert form_in("requests", ("colour",)) is None
    assert not is_rate("requests")
    assert len(set(FORMS)) == len(FORMS)


@given(
    requests=st.integers(1, 10**6),
    tokens=st.integers(1, 10**9),
    window_s=st.sampled_from([1.0, 10.0, 60.0, 600.0, 3600.0]),
    form=st.sampled_from(forms_of("requests")),
    token_form=st.sampled_from(forms_of("input_tokens")),
)
def test_one_load_stated_in_any_way_gives_the_same_sums(
    requests: int, tokens: int, window_s: float, form: str, token_form: str
) -> None:
    per = {"requests": 1.0, "rps": 1 / window_s, "requests_per_min": 60 / window_s,
           "input_tokens": 1.0, "input_tps": 1 / window_s, "input_tokens_per_min": 60 / window_s,
           "input_tokens_mean": 1 / requests}  # fmt: skip
    stated = {form: numbers(requests * per[form]), token_form: numbers(tokens * per[token_form])}
    made = sums(stated | {"output_tokens": numbers(1)}, window_s=window_s, lengths={})
    assert made["requests"].item() == pytest.approx(requests)
    assert made["input_tokens"].item() == pytest.approx(tokens)
