"""Charts of the load: sums become rates, gaps stay gaps, groups keep their place."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, at, demand, source_of
from workbench.charts import load


def test_sums_become_rates_per_second_and_a_gap_stays_one() -> None:
    figure = load.rates_over_time(demand(), source=SOURCE, by="model", measure="rps", labels={"a": "Model A"})
    first, second = figure.data
    assert (first.name, list(first.y)) == ("Model A", [1.0, 2.0])
    assert (second.name, list(second.y)) == ("b", [0.1, None])
    assert figure.layout.yaxis.title.text == "requests per second"
    assert source_of(figure) == f"Source: {SOURCE}"


def test_a_group_with_one_unknown_series_is_unknown() -> None:
    (line,) = load.rates_over_time(demand(), source=SOURCE, by="tier", measure="input_tps").data
    assert list(line.y) == [11.0, None]


def test_a_day_has_a_line_per_group_and_day_type() -> None:
    profile = pl.DataFrame(
        {
            "tier": ["fast", "fast", "fast"],
            "day_type": ["weekday", "weekday", "weekend"],
            "hour": [1, 0, 0],
            "rps_mean": [3.0, 1.0, 1.0],
            "relative_to_mean_ratio": [1.5, 0.5, 0.4],
        }
    )
    weekday, weekend = load.diurnal(profile, source=SOURCE).data
    assert (weekday.name, list(weekday.x)) == ("fast, weekday", list(range(24)))
    assert list(weekday.y)[:3] == [0.5, 1.5, None], "an hour without a value is a gap"
    assert (weekend.name, weekend.line.dash) == ("fast, weekend", "dash")
    alone = load.diurnal(profile.drop("tier"), source=SOURCE).data
    assert [line.name for line in alone] == ["weekday", "weekend"]


def test_a_week_runs_from_monday_to_sunday() -> None:
    profile = pl.DataFrame(
        {"weekday": [7, 1], "hour": [23, 0], "rps_mean": [1.0, 1.0], "relative_to_mean_ratio": [0.7, 1.3]},
        schema_overrides={"weekday": pl.Int8, "hour": pl.Int8},
    )
    (line,) = load.weekly(profile, source=SOURCE).data
    assert list(line.x) == list(range(168))
    assert [value for value in line.y if value is not None] == [1.3, 0.7]


def test_a_split_is_shown_in_percent_of_each_group() -> None:
    split = pl.DataFrame(
        {
            "model": ["a", "a"],
            "region": ["us_east", "us_west"],
            "requests_fraction": [0.25, 0.75],
            "input_tokens_fraction": [0.5, 0.5],
            "output_tokens_fraction": [0.5, 0.5],
        }
    )
    east, west = load.split_bars(split, source=SOURCE).data
    assert (list(east.x), list(west.x)) == ([25.0], [75.0])
    assert list(east.y) == ["a"]
    whole = load.split_bars(split.drop("model"), source=SOURCE, measure="input_tokens")
    assert [list(bar.x) for bar in whole.data] == [[50.0], [50.0]]
    assert whole.layout.xaxis.title.text == "share of input tokens, %"


def test_periodicity_has_a_bar_per_key() -> None:
    scores = pl.DataFrame({"model": ["a", "b"], "tier": ["fast", "fast"], "periodicity_fraction": [0.9, None]})
    scores = scores.with_columns(autocorrelation_24h=pl.lit(0.5), hours=pl.lit(48))
    (bars,) = load.periodicity(scores, source=SOURCE).data
    assert (list(bars.x), list(bars.y), list(bars.text)) == (["a", "b"], [0.9, None], ["0.90", ""])
    assert [bar.name for bar in load.periodicity(scores.drop("model").head(1), source=SOURCE).data] == ["fast"]


def test_a_long_line_is_thinned_and_keeps_its_peak() -> None:
    minutes = 60 * 24 * 30
    values = [1.0] * minutes
    values[12_345] = 50.0
    starts = [at(float(minute)) for minute in range(minutes)]
    keys = {"region": "r", "model": "m", "tier": "t"}
    long = pl.DataFrame({"window_start": starts, "requests": values}).with_columns(
        input_tokens="requests", output_tokens="requests", **{name: pl.lit(key) for name, key in keys.items()}
    )
    (line,) = load.rates_over_time(long, source=SOURCE).data
    assert len(line.x) < 7000
    assert max(line.y) == 50.0 / 60


def test_a_part_too_narrow_for_its_number_has_none() -> None:
    columns = {f"{name}_fraction": [0.97, 0.03] for name in ("requests", "input_tokens", "output_tokens")}
    wide, narrow = load.split_bars(pl.DataFrame({"tier": ["a", "b"]} | columns), source=SOURCE).data
    assert (list(wide.text), list(narrow.text)) == (["97 %"], [""])
