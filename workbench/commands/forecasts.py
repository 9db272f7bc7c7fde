"""The verbs about forecasts: which methods there are, what one says, how far off they are, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.durations import duration_s, durations_s
from workbench.commands.places import DATA, DataDir, StorePath, store_at
from workbench.errors import ForecastError

if TYPE_CHECKING:
    import polars as pl

    from workbench.results import Forecast

Trace = Annotated[str, typer.Argument(help="Name of the trace in the store.")]
Window = Annotated[
    str | None, typer.Option(help="Length of a window, such as 15min; a series has its own, requests 15min.")
]
Scale = Annotated[float, typer.Option(help="Multiplies every rate, for traces that are samples.")]
Measures = Annotated[str, typer.Option(help="input_tps, output_tps, rps; several with commas.")]
OnlyRegions = Annotated[str | None, typer.Option("--region", help="Only these regions, with commas.")]
OnlyModels = Annotated[str | None, typer.Option("--model", help="Only these models, with commas.")]
OnlyTiers = Annotated[str | None, typer.Option("--tier", help="Only these tiers, with commas.")]
Methods = Annotated[str | None, typer.Option(help="Methods with commas; all without. oracle is the perfect forecast.")]
Workers = Annotated[int | None, typer.Option(help="Most processes to use; one per core without.")]
Seed = Annotated[int, typer.Option(help="Seed of methods that draw.")]
Folder = Annotated[Path | None, typer.Option("--out", help="Folder to write every table to.")]
Kind = Annotated[str, typer.Option("--format", help="Of the tables: parquet or csv.")]

forecast_app = typer.Typer(help="Forecast a load, and judge the methods.", no_args_is_help=True)


@forecast_app.command("methods", epilog="Example: workbench forecast methods")
def forecast_methods() -> None:
    """List the methods and the least history each needs."""
    import polars as pl

    from workbench import console, forecasting

    rows = [(key, method.label, method.least_days) for key, method in forecasting.METHODS.items()]
    names = ["method", "what it is", "least history, days"]
    console.print_frame(pl.DataFrame(rows, schema=names, orient="row"), "Forecast methods")


@forecast_app.command("show", epilog="Example: workbench forecast show azure_2023 --at 2023-11-16T19:00 --horizon 1h")
def forecast_show(
    name: Trace,
    at: Annotated[str | None, typer.Option(help="Instant (UTC) it is made at; the end of the trace without.")] = None,
    horizon: Annotated[str, typer.Option(help="How far ahead: 1h, 24h, 7d.")] = "24h",
    method: Annotated[str | None, typer.Option(help="Method; that of a study without.")] = None,
    quantiles: Annotated[str, typer.Option(help="Quantiles with commas.")] = "0.05,0.5,0.95",
    window: Window = None,
    measures: Measures = "input_tps",
    region: OnlyRegions = None,
    model: OnlyModels = None,
    tier: OnlyTiers = None,
    scale: Scale = 1.0,
    seed: Seed = 7,
    out: Annotated[Path | None, typer.Option(help="File to write every value to: .parquet or .csv.")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write the chart to, as a page.")] = None,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Forecast a trace from one instant and print each series; where the trace goes on, how far off it was."""
    from functools import partial

    from workbench import console, forecasting

    demand = _demand(name, window, region, model, tier, scale=scale, place=store_at(store, data_dir=data_dir))
    as_of = _instant(at) if at else _end_of(demand)
    predict = partial(forecasting.predict, method=method) if method else forecasting.predict
    with console.progress() as tell:
        forecast = predict(
            demand,
            as_of=as_of,
            horizon_s=duration_s(horizon),
            quantiles=_numbers(quantiles),
            measures=_words(measures) or (),
            seed=seed,
            progress=lambda done, total: tell("Forecasting", done / total),
        )
    title = f"{name}, {horizon} from {as_of} UTC, by {forecast.method}"
    console.print_frame(_shown(forecast, demand), title, whole_words=True)
    if out is not None:
        _write({out.stem: forecast.frame}, out.parent, out.suffix.removeprefix("."))
        console.screen().print(f"Values: {out}")
    if html is not None:
        _write_chart(html, forecast, demand, source=f"trace {name}, forecast by {forecast.method} at {as_of} UTC")
        console.screen().print(f"Chart: {html}")


BACKTEST_EXAMPLE = (
    "Example: workbench forecast backtest sageserve_week --methods prophet,seasonal_naive --days 3 --horizons 1h,24h "
    "--window 15min --out backtest"
)


@forecast_app.command("backtest", epilog=BACKTEST_EXAMPLE)
def forecast_backtest(
    name: Trace,
    methods: Methods = None,
    days: Annotated[
        float | None, typer.Option(help="Forecast from the last so many days; a week, or half of a shorter trace.")
    ] = None,
    every: Annotated[str, typer.Option(help="Time between two forecasts.")] = "1h",
    horizons: Annotated[str, typer.Option(help="How far ahead is judged, with commas.")] = "1h,24h,7d",
    quantiles: Annotated[str, typer.Option(help="Quantiles with commas.")] = "0.05,0.5,0.9,0.95,0.99",
    window: Window = None,
    measures: Measures = "input_tps",
    region: OnlyRegions = None,
    model: OnlyModels = None,
    tier: OnlyTiers = None,
    scale: Scale = 1.0,
    seed: Seed = 7,
    workers: Workers = None,
    by_series: Annotated[bool, typer.Option("--by-series", help="Print the WAPE of every series too.")] = False,
    out: Folder = None,
    format: Kind = "parquet",
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Forecast a trace from every hour of its last days with each method, and print how far off they were."""
    from datetime import timedelta

    from workbench import console, forecasting

    demand = _demand(name, window, region, model, tier, scale=scale, place=store_at(store, data_dir=data_dir))
    since = None if days is None else _end_of(demand) - timedelta(days=days)
    with console.progress() as tell:
        made = forecasting.backtest(
            demand,
            since=since,
            every_s=duration_s(every),
            horizons_s=durations_s(horizons),
            methods=_words(methods),
            quantiles=_numbers(quantiles),
            measures=_words(measures) or (),
            seed=seed,
            workers=workers,
            progress=lambda done, total: tell("Forecasting", done / total),
        )
    for title, frame in forecasting.readable(made, by_series=by_series).items():
        console.print_frame(frame, title, whole_words=True)
    for remark in made.remarks:
        console.screen().print(f"Note: {remark}", markup=False)
    if out is not None:
        _write({field: getattr(made, field) for field in forecasting.BACKTEST_FRAMES}, out, format)
        console.screen().print(f"Tables: {out}")


@forecast_app.command("value", epilog="Example: workbench forecast value latest --methods prophet,seasonal_naive")
def forecast_value(
    study: Annotated[str, typer.Argument(help="Study to decide anew: name, a unique beginning of one, or latest.")],
    methods: Methods = None,
    every: Annotated[str, typer.Option(help="Time between two plans, whole hours.")] = "24h",
    quantiles: Annotated[str, typer.Option(help="Quantiles to plan for, with commas.")] = "0.5,0.7,0.9,0.95",
    strategies: Annotated[str | None, typer.Option(help="Strategies that follow a plan, with commas; all.")] = None,
    service: Annotated[
        float | None, typer.Option(help="Share of promises to compare at, 0-1; the best reached less half a point.")
    ] = None,
    workers: Workers = None,
    out: Folder = None,
    format: Kind = "parquet",
    data_dir: DataDir = DATA,
) -> None:
    """Plan and simulate a study with each forecast method: what a better forecast saves at equal service."""
    from workbench import console, studies

    opened = studies.open_study(study, root=data_dir / "studies")
    with console.progress() as tell:
        made = studies.decision_value(
            opened,
            methods=_words(methods),
            every_s=duration_s(every),
            quantiles=_numbers(quantiles),
            strategies=_words(strategies),
            workers=workers,
            progress=lambda done, total: tell("Deciding", done / total),
        )
    for title, frame in studies.readable_value(made, attainment_fraction=service).items():
        console.print_frame(frame, title, whole_words=True)
    if out is not None:
        _write(
            {
                "totals": made.totals,
                "tiers": made.tiers,
                "equal_service": studies.at_equal_service(made, attainment_fraction=service),
            },
            out,
            format,
        )
        console.screen().print(f"Tables: {out}")


def _demand(
    name: str,
    window: str | None,
    region: str | None,
    model: str | None,
    tier: str | None,
    *,
    scale: float,
    place: Path | str,
) -> pl.DataFrame:
    from workbench import studies
    from workbench.traces import open_store

    with open_store(place, read_only=True) as opened:
        return studies.history_of(
            opened,
            name,
            window_s=duration_s(window) if window else None,
            regions=_words(region) or (),
            models=_words(model) or (),
            tiers=_words(tier) or (),
            scale=scale,
        )


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise ForecastError(f"{text!r} are no numbers; write them with commas, such as 0.05,0.5,0.95.") from error


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise ForecastError(f"--at {text!r} is no instant; write it as 2023-11-16T19:00 (UTC).") from error


def _end_of(demand: pl.DataFrame) -> datetime:
    from workbench.tables import window_s_of
    from workbench.units import after

    return after(demand.get_column("window_start").max(), window_s_of(demand))  # type: ignore[arg-type]


def _shown(forecast: Forecast, demand: pl.DataFrame) -> pl.DataFrame:
    """Return one row per series: its mean and peak, and how far off it was where the trace goes on."""
    import polars as pl

    from workbench import forecasting
    from workbench.forecasting.accuracy import SERIES

    quantiles = forecast.frame.get_column("quantile").unique().sort().to_list()
    middle = min(quantiles, key=lambda quantile: abs(quantile - 0.5))
    at = {quantile: pl.col("value").filter(pl.col("quantile") == quantile) for quantile in quantiles}
    shown = forecast.frame.group_by(*SERIES, maintain_order=True).agg(
        at[middle].mean().alias(f"mean, q{middle:g}"),
        *(at[quantile].max().alias(f"peak, q{quantile:g}") for quantile in dict.fromkeys((middle, quantiles[-1]))),
    )
    shown = shown.join(forecast.notes.rename({"method": "made by"}), on=SERIES, how="left")
    if demand.filter(pl.col("window_start") >= forecast.as_of).drop_nulls("requests").is_empty():
        return shown
    scored = forecasting.accuracy(forecast, demand).filter(pl.col("quantile") == middle)
    return shown.join(scored.select(*SERIES, (pl.col("wape") * 100).alias("WAPE, %")), on=SERIES, how="left")


def _write(frames: Mapping[str, pl.DataFrame], folder: Path, kind: str) -> None:
    if kind not in ("parquet", "csv"):
        raise ForecastError(f"tables are written as parquet or csv, not as {kind!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        path = folder / f"{name}.{kind}"
        if kind == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)


def _write_chart(path: Path, forecast: Forecast, demand: pl.DataFrame, *, source: str) -> None:
    from workbench import charts

    measure = forecast.frame.get_column("measure").item(0)
    figure = charts.forecast_fan(forecast.frame, demand, source=source, measure=measure, window_s=forecast.window_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(figure.to_html(include_plotlyjs=True))
