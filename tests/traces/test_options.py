from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workbench.errors import TraceError
from workbench.traces import (
    Share,
    TraceOptions,
    parse_labels,
    parse_lengths,
    parse_region_split,
    parse_share,
    parse_start,
    parse_tier_split,
    parse_tokens,
)


def test_strings_of_a_command_line_become_options() -> None:
    assert parse_labels("llama2_70b") == "llama2_70b"
    assert parse_labels("A=llama2_70b, C=llama31_8b") == {"A": "llama2_70b", "C": "llama31_8b"}
    assert parse_lengths("5000") == 5000.0
    assert parse_lengths("A=5000,C=4200") == {"A": 5000.0, "C": 4200.0}
    assert parse_region_split("us_east=0.43:0,us_west=0.57:3") == (
        Share(key="us_east", share=0.43),
        Share(key="us_west", share=0.57, shift_h=3.0),
    )
    assert parse_tier_split("fast=0.6,slow=0.4") == {"*": (Share(key="fast", share=0.6), Share(key="slow", share=0.4))}
    assert parse_tier_split("prod=fast:0.6+slow:0.4,dev=batch:1") == {
        "prod": (Share(key="fast", share=0.6), Share(key="slow", share=0.4)),
        "dev": (Share(key="batch", share=1.0),),
    }
    assert (parse_share("0.01"), parse_share("2%")) == (0.01, 0.02)
    assert parse_tokens("2_000_000") == 2_000_000
    assert parse_start("2025-07-09") == datetime(2025, 7, 9)
    assert parse_start("2025-07-09T06:00+00:00") == datetime(2025, 7, 9, 6)


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_labels, "", "is empty"),
        (parse_labels, "A=,B=x", "is empty"),
        (parse_labels, "A=x,A=y", "comes twice"),
        (parse_lengths, "many", "'many' is no number"),
        (parse_lengths, "A=many", "'many' is no number"),
        (parse_region_split, "us_east=0.43:soon", "'soon' is no number"),
        (parse_region_split, "us_east", "is empty"),
        (parse_tier_split, "prod=fast", "'fast' is no number"),
        (parse_tier_split, "prod=fast:0.6+:0.4", "is empty"),
        (parse_share, "some", "'some' is no number; expected a share"),
        (parse_tokens, "1e6", "expected a whole number of tokens"),
        (parse_start, "Wednesday", "expected a date or instant"),
    ],
)
def test_a_string_that_cannot_be_read_says_what_was_expected(parse: object, text: str, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        parse(text)  # type: ignore[operator]


def test_options_refuse_all_that_is_wrong_at_once() -> None:
    with pytest.raises(TraceError) as caught:
        TraceOptions(
            region="us_east",
            region_split=(Share(key="us_east", share=0.5), Share(key="us_east", share=0.4)),
            tier_split={"prod": (Share(key="fast", share=1.0, shift_h=2.0),)},
            start=datetime(2025, 7, 9, tzinfo=UTC),
            input_tokens_per_request={"A": 0.0},
            sample=1.5,
            prefix_cache_tokens=-1,
        )
    text = str(caught.value)
    assert "shares must sum to 1, got 0.9" in text
    assert "a key appears twice in us_east, us_east" in text
    assert "tier_split of prod cannot shift in time" in text
    assert "region and region_split exclude each other" in text
    assert "start must be UTC without a time zone" in text
    assert "input_tokens_per_request must be positive, got 0.0" in text
    assert "sample must be a share above 0 and up to 1, got 1.5" in text
    assert "prefix_cache_tokens must be 0 or more, got -1" in text


def test_equal_options_have_equal_texts_whatever_the_order_of_a_mapping() -> None:
    one = TraceOptions(model={"A": "x", "B": "y"}, start=datetime(2025, 7, 9))
    other = TraceOptions(model={"B": "y", "A": "x"}, start=datetime(2025, 7, 9))
    assert one.canonical() == other.canonical()
    assert one.canonical() != TraceOptions(model={"A": "x", "B": "y"}).canonical()
