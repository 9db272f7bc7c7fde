"""The verbs that bring traces about: download public ones, generate made ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.places import DATA, DataDir, StorePath, store_at
from workbench.commands.settings import setting
from workbench.errors import TraceError

if TYPE_CHECKING:
    import polars as pl

    from workbench.catalog import TraceSource
    from workbench.traces import Store
    from workbench.traces.synthetic import Workload

DOWNLOAD_EXAMPLE = "Example: workbench download azure_llm_2023"
GENERATE_EXAMPLE = (
    "Example: workbench generate busy --requests 10_000_000 --burst 3x20min/6h --set tiers.non_interactive=0.5"
)


def download(
    name: Annotated[str | None, typer.Argument(help="Name of a file or a collection; without one, a table.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the files; DATA_DIR/downloads where not given.")] = None,
    mirror: Annotated[str | None, typer.Option(help="Address that holds files of the same names.")] = None,
    data_dir: DataDir = DATA,
) -> None:
    """Fetch a public trace from where it is published and prove it whole; without a name, list what there is."""
    from workbench import catalog, console
    from workbench.traces.download import download as download_file
    from workbench.traces.download import downloads_at, ingest_command

    known, folder = catalog.load(), to or data_dir / "downloads"
    if name is None:
        console.print_frame(_shown(downloads_at(folder, known.trace_sources.values())), f"Public traces, in {folder}")
        return
    for source in known.sources(name):
        with console.progress() as tell:
            stage = f"Fetching {source.file}"[:36]
            tell(stage, 0.0)
            there = download_file(
                source,
                to=folder,
                mirror=mirror,
                progress=lambda done, total, stage=stage: tell(stage, done / total if total else 0.0),  # type: ignore[misc]
            )
        _say_whole(source, there.path, there.proof, ingest_command(source, there.path), was_there=there.was_there)


def _shown(listed: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    megabytes = (pl.col("size_bytes") / 1e6).round(1).alias("MB")
    return listed.select("name", "what", "rows", megabytes, "licence", "there")


def _say_whole(source: TraceSource, path: Path, proof: str, command: str, *, was_there: bool) -> None:
    from workbench import console

    screen = console.screen()
    screen.print(f"{path} {'was already there' if was_there else 'is there'}: {proof}", soft_wrap=True)
    screen.print(f"Licence: {source.licence} ({source.source}). Cite: {source.citation}", markup=False, soft_wrap=True)
    if source.note:
        screen.print(f"Note: {source.note}", markup=False, soft_wrap=True)
    screen.print(f"Read it with (adapt the keys): {command}", markup=False, soft_wrap=True)


def generate(
    name: Annotated[str, typer.Argument(help="Name of the trace in the store.")],
    like: Annotated[
        str | None, typer.Option(help="Trace of the store to copy the load of, or a saved workload (.json).")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="File (.toml) with the keys of --set.")] = None,
    requests: Annotated[str | None, typer.Option(help="Expected number of requests, such as 10_000_000.")] = None,
    days: Annotated[float | None, typer.Option(help="How many days to make.")] = None,
    start: Annotated[str | None, typer.Option(help="First instant (UTC).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; equal seeds make equal traces.")] = None,
    burst: Annotated[
        list[str] | None,
        typer.Option(
            help="RATIOxMINUTESmin/HOURSh: 3x20min/6h at the same hours of each day, 3x20min/~6h once in every six "
            "hours at random; @2h begins 2 h after the start. May be repeated."
        ),
    ] = None,
    growth: Annotated[str | None, typer.Option(help="Growth, such as 5%/week or 20%/month.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: rps, noise, regions.KEY, models.KEY or tiers.KEY (shares), ..."),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save the workload (.json), which holds no request.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a trace of that name.")] = False,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Make a trace from published facts, or one that resembles a trace of the store, of any size."""
    from workbench import console
    from workbench.traces import open_store, synthetic

    values: dict[str, Any] = {} if recipe is None else synthetic.read_recipe(recipe)
    values |= dict(setting(text, example="tiers.non_interactive=0.5") for text in set_ or [])
    named = {"days": days, "start": start, "seed": seed, "growth": growth, "bursts": burst or None}
    named["requests"] = None if requests is None else _whole(requests)
    values |= {key: value for key, value in named.items() if value is not None}
    wanted = synthetic.recipe_of(values, source="generate" if recipe is None else recipe.name)
    with console.progress() as tell, open_store(store_at(store, data_dir=data_dir)) as opened:
        origin = _workload(opened, like)
        workload = wanted.of(origin)
        if save is not None:
            synthetic.save(workload, save)
        report = synthetic.store_generated(
            workload,
            store=opened,
            name=name,
            seed=wanted.seed,
            start=wanted.start,
            days=wanted.days,
            requests=wanted.requests,
            replace=replace,
            progress=lambda share, _: tell("Generating requests", share),
        )
        is_copy = like is not None and not like.endswith(".json") and wanted == synthetic.Recipe(seed=wanted.seed)
        compared = synthetic.agreement(opened, like, name, workload=workload) if is_copy and like else None
    console.show_quality(report)
    if compared is not None:
        console.print_frame(
            synthetic.summary(compared), f"How {name} agrees with {like}, worst of all models and tiers"
        )


def _workload(store: Store, like: str | None) -> Workload:
    from workbench.traces import synthetic

    if like is None:
        return synthetic.published()
    return synthetic.load(Path(like)) if like.endswith(".json") else synthetic.fit(store, like)


def _whole(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TraceError(f"--requests takes a number such as 10_000_000 or 1e7, got {text!r}.") from None
