"""Charts of forecasts: bands from symmetric quantiles, sums of series, realised rates over them."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, at, demand
from workbench.charts import forecasts


def frame(values: dict[float, float]) -> pl.DataFrame:
    """A forecast of two models over two windows that has the same values everywhere."""
    rows = [
        (at(minutes), "us_east", model, "interactive_fast", "input_tps", quantile, value)
        for minutes in (0, 10)
        for model in ("a", "b")
        for quantile, value in values.items()
    ]
    names = ["window_start", "region", "model", "tier", "measure", "quantile", "value"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_series_are_added_up_and_bands_are_the_symmetric_quantiles() -> None:
    values = {0.05: 1.0, 0.25: 2.0, 0.5: 3.0, 0.75: 4.0, 0.95: 5.0, 0.99: 9.0}
    figure = forecasts.forecast_fan(frame(values), demand(), source=SOURCE)
    drawn = {trace.name: list(trace.y) for trace in figure.data if trace.name}
    assert drawn["90% band if all series err together"] == [10.0, 10.0]
    assert drawn["50% band if all series err together"] == [8.0, 8.0]
    assert drawn["median"] == [6.0, 6.0]
    assert drawn["realised"] == [11.0, None]
    assert [list(trace.y) for trace in figure.data if not trace.name] == [[2.0, 2.0], [4.0, 4.0]]


def test_one_series_of_a_forecast() -> None:
    figure = forecasts.forecast_fan(frame({0.5: 3.0}), demand(), window_s=300.0, model="b", source=SOURCE)
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn == {"median": [3.0, 3.0], "realised": [2.0, None]}
    assert figure.layout.title.text == "Forecast and what came: b"


def test_a_forecast_without_rows_says_so() -> None:
    figure = forecasts.forecast_fan(frame({0.5: 3.0}), None, model="c", source=SOURCE)
    assert not figure.data
    assert "no forecast of these series" in [note.text for note in figure.layout.annotations]


def accuracy() -> pl.DataFrame:
    """Two regions of one model and tier, errors of 10 % and 30 %."""
    return pl.DataFrame(
        {
            "region": ["us_east", "us_west", "us_east"],
            "model": "a",
            "tier": "interactive_fast",
            "measure": "input_tps",
            "quantile": [0.5, 0.5, 0.9],
            "windows": [10, 30, 10],
            "wape": [0.1, 0.3, 0.9],
            "bias": [-0.1, 0.1, 0.9],
            "coverage_fraction": [0.4, 0.8, 1.0],
        }
    )


def test_accuracy_is_the_mean_over_series_at_the_median() -> None:
    (bars,) = forecasts.accuracy_bars(accuracy(), source=SOURCE).data
    assert (list(bars.x), [round(value, 9) for value in bars.y]) == (["a"], [20.0])
    assert forecasts.accuracy_bars(accuracy(), source=SOURCE, metric="bias", by="region").data[0].y[0] == -10.0


def test_coverage_is_weighted_by_windows() -> None:
    honest, line = forecasts.coverage(accuracy(), source=SOURCE).data
    assert list(honest.x) == list(honest.y) == [0, 100]
    assert [round(value, 9) for value in line.y] == [70.0, 100.0]


def test_components_are_rates_above_and_a_panel_for_each_factor() -> None:
    rows = [
        (at(minutes), component, value)
        for component, value in {"realised": 3.0, "curve": 2.0, "forecast": 2.5, "level": 2.0, "daily": 1.1}.items()
        for minutes in (0, 10)
    ]
    parts = pl.DataFrame(rows, schema=["window_start", "component", "value"], orient="row")
    figure = forecasts.forecast_components(parts, source=SOURCE, as_of=at(10))
    assert [trace.yaxis for trace in figure.data] == ["y", "y", "y", "y2"]
    assert [list(trace.y) for trace in figure.data] == [[3.0, 3.0], [2.0, 2.0], [2.5, 2.5], [1.1, 1.1]]
    assert figure.layout.yaxis2.title.text == "factor"
