"""Tables and prose as HTML: escaped, with thousands separators, a dash for what is not known."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from workbench.reporting.rendering import labels, paragraphs, source_line, table
from workbench.results import Study


def test_numbers_stand_right_with_separators_and_text_is_escaped() -> None:
    frame = pl.DataFrame({"what <b>": ["a & b", None], "cost, USD": [1234567.4, None], "count": [12345, 2]})
    text = table(frame, caption="Cost & more").text
    assert '<th>what &lt;b&gt;</th><th class="number">cost, USD</th>' in text
    assert '<td>a &amp; b</td><td class="number">1,234,567</td><td class="number">12,345</td>' in text
    assert '<td>–</td><td class="number">–</td><td class="number">2</td>' in text
    assert "<caption>Cost &amp; more</caption>" in text


def test_decimals_follow_the_largest_number_of_a_column() -> None:
    frame = pl.DataFrame(
        {"a": [1500.26, 0.5], "b": [23.456, 0.5], "c": [2.345, 0.5], "d": [0.12345, 0.5], "e": [3.0, 4.0]}
    )
    cells = [part.split("<")[0] for part in table(frame).text.split('<td class="number">')[1:]]
    assert cells[:5] == ["1,500", "23.5", "2.35", "0.123", "3"]
    assert ">0.12345<" in table(frame, decimals={"d": 5}).text


def test_flags_and_instants_are_words() -> None:
    frame = pl.DataFrame(
        {"ok": [True, False], "at": [datetime(2026, 3, 2, 9, 5)] * 2, "day": [date(2026, 3, 2)] * 2, "n": [None, None]}
    )
    text = table(frame, strong="x").text
    assert '<td class="yes">yes</td>' in text
    assert '<td class="no">no</td>' in text
    assert "<td>2026-03-02 09:05</td><td>2026-03-02</td><td>–</td>" in text


def test_a_row_can_be_set_apart() -> None:
    assert table(pl.DataFrame({"model": ["a", "all"]}), strong="all").text.count('class="strong"') == 1


def test_an_empty_table_is_its_head() -> None:
    assert "<tbody></tbody>" in table(pl.DataFrame(schema={"model": pl.String, "usd": pl.Float64})).text


def test_paragraphs_are_escaped_and_of_a_kind() -> None:
    assert paragraphs(["1 < 2"]).text == "<p>1 &lt; 2</p>"
    assert paragraphs(["a", "b"], kind="list").text == "<ul><li>a</li><li>b</li></ul>"
    assert paragraphs([], kind="list").text == "<p>None.</p>"
    assert paragraphs(["a"], kind="headline")._repr_html_() == '<div class="headline"><p>a</p></div>'
    assert paragraphs(["a"], kind="subtitle").text == '<p class="subtitle">a</p>'


def test_a_source_line_names_study_trace_and_span(small_study: Study) -> None:
    line = source_line(small_study)
    assert small_study.id in line
    assert "trace small" in line
    assert f"{small_study.hours:g} h from" in line


def test_every_key_of_a_study_has_a_label(small_study: Study) -> None:
    names = labels(small_study)
    assert names["reactive"] == "Reactive"
    assert {tier.key for tier in small_study.fleet.tiers} <= set(names)
