"""The verbs about traces: ingest, list, check, describe, remove, export, import, upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.places import DATA, DataDir, StorePath, now, store_at

if TYPE_CHECKING:
    from workbench.traces import TraceOptions

MODEL_HELP = (
    "Model key, or LABEL=KEY pairs; * is every other label. LABEL is the source's model, or the file's name up to the "
    "first dot where the file has no such column."
)

# a longer list of files is cut to the first of them
LONG_NAME = 40

traces_app = typer.Typer(help="What is in the trace store.", no_args_is_help=True)


INGEST_EXAMPLE = (
    "Example: workbench ingest code.csv conv.csv --name azure_2023 --model code=llama31_8b,conv=llama2_70b "
    "--region us_east --tier interactive_fast"
)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="One file or more; together they become one trace.")],
    name: Annotated[str, typer.Option(help="Name of the trace in the store.")],
    format: Annotated[str, typer.Option(help="Format of the files; auto recognises it by the columns.")] = "auto",
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    region: Annotated[str | None, typer.Option(help="Region key, or LABEL=KEY pairs; * is every other label.")] = None,
    tier: Annotated[str | None, typer.Option(help="Tier key, or LABEL=KEY pairs; * is every other label.")] = None,
    keep: Annotated[str | None, typer.Option(help="Models of the source to keep, with commas.")] = None,
    region_split: Annotated[
        str | None, typer.Option(help="REGION=SHARE:HOURS,... spreads a source without regions, hours later.")
    ] = None,
    tier_split: Annotated[
        str | None, typer.Option(help="LABEL=TIER:SHARE+TIER:SHARE,... spreads a label over tiers; * is any.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First instant (UTC) of a source with offsets only.")] = None,
    input_tokens: Annotated[str | None, typer.Option(help="Input tokens per request, for series.")] = None,
    output_tokens: Annotated[str | None, typer.Option(help="Output tokens per request, for series.")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that maps the columns of any file to ours; see data/mappings.")
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="Share of the requests to draw (0.01 or 1%), for ServeGen's laws.")
    ] = None,
    prefix_cache_tokens: Annotated[
        str | None,
        typer.Option(help="Size of the prefix cache replayed over Mooncake's blocks; without bounds if left out."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of an extra catalog whose models, regions and tiers are known too.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a trace of that name.")] = False,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Read files into the trace store and print the quality report."""
    from workbench import catalog as catalogs
    from workbench import console
    from workbench.traces import detect, open_store
    from workbench.traces import ingest as ingest_files

    options = _trace_options(
        model=model,
        region=region,
        tier=tier,
        keep=keep,
        region_split=region_split,
        tier_split=tier_split,
        start=start,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        mapping=str(mapping) if mapping else None,
        sample=sample,
        prefix_cache_tokens=prefix_cache_tokens,
    )
    known = catalogs.load(catalog) if catalog else catalogs.load_beside(data_dir)
    for path in paths:
        taken = detect(path, format=format, options=options)
        console.screen().print(f"{path.name}: {taken.words}", highlight=False, markup=False, soft_wrap=True)
    with console.progress() as tell, open_store(store_at(store, data_dir=data_dir)) as opened:
        report = ingest_files(
            paths,
            store=opened,
            name=name,
            format=format,
            options=options,
            replace=replace,
            progress=lambda file, share, rows: tell(f"Reading {file}"[:36], share),
            catalog=known,
        )
    console.show_quality(report)


def _trace_options(**text: str | None) -> TraceOptions:
    from workbench import traces

    parsers: dict[str, Any] = {
        "model": traces.parse_labels,
        "region": traces.parse_labels,
        "tier": traces.parse_labels,
        "keep": lambda value: tuple(word.strip() for word in value.split(",")),
        "region_split": traces.parse_region_split,
        "tier_split": traces.parse_tier_split,
        "start": traces.parse_start,
        "input_tokens": traces.parse_lengths,
        "output_tokens": traces.parse_lengths,
        "mapping": lambda value: traces.load_mapping(Path(value)),
        "sample": traces.parse_share,
        "prefix_cache_tokens": traces.parse_tokens,
    }
    fields = {"input_tokens": "input_tokens_per_request", "output_tokens": "output_tokens_per_request"}
    return traces.TraceOptions(
        **{fields.get(key, key): parsers[key](value) for key, value in text.items() if value is not None}
    )


@traces_app.command("list", epilog="Example: workbench traces list")
def traces_list(store: StorePath = None, data_dir: DataDir = DATA) -> None:
    """List the traces of the store."""
    import polars as pl

    from workbench import console
    from workbench.traces import open_store

    with open_store(store_at(store, data_dir=data_dir), read_only=True) as opened:
        listed = opened.traces().drop("fingerprint", "rows_read", "version", strict=False)
        files = pl.col("source").str.split(", ")
        rest = pl.format(" and {} more", files.list.len() - 1)
        first = files.list.first() + pl.when(files.list.len() > 1).then(rest).otherwise(pl.lit(""))
        is_long = pl.col("source").str.len_chars() > LONG_NAME
        listed = listed.with_columns(source=pl.when(is_long).then(first).otherwise("source"))
        console.print_frame(
            listed.rename({"rows_kept": "rows of the source", "rows": "rows stored"}, strict=False), "Traces"
        )


@traces_app.command("check", epilog="Example: workbench traces check azure_2023")
def traces_check(
    name: Annotated[str, typer.Argument(help="Name of the trace.")], store: StorePath = None, data_dir: DataDir = DATA
) -> None:
    """Look at the rows of a trace again: print its quality report, what differs from it, and rejected rows."""
    from workbench import console
    from workbench.traces import check, open_store

    with open_store(store_at(store, data_dir=data_dir), read_only=True) as opened:
        console.show_quality(check(opened, name))
        rejected = opened.rejected(name)
    if rejected.height:
        console.print_frame(rejected.head(20), f"Rejected rows, {min(rejected.height, 20)} of {rejected.height:,}")


@traces_app.command("describe", epilog="Example: workbench traces describe azure_2023 --html azure_2023.html")
def traces_describe(
    name: Annotated[str, typer.Argument(help="Name of the trace.")],
    html: Annotated[Path | None, typer.Option(help="Write a page with every chart to this file as well.")] = None,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Print what the load of a trace looks like: rates, shape, periodicity, burstiness, lengths, senders."""
    from workbench import catalog, console, features
    from workbench.traces import open_store

    with open_store(store_at(store, data_dir=data_dir), read_only=True) as opened:
        load = features.characterise(opened, name, tiers=catalog.load_beside(data_dir).tiers)
        info, findings = opened.describe(name), opened.findings(name)
    console.show_load(load)
    if html is not None:
        from workbench.reporting.describing import write_load_page

        source = f"trace {name}, {info.first_at:%Y-%m-%d %H:%M} to {info.last_at:%Y-%m-%d %H:%M} UTC"
        write_load_page(html, load, findings=findings, source=source, made_at=now())
        console.screen().print(f"Page: {html}")


@traces_app.command("remove", epilog="Example: workbench traces remove azure_2023")
def traces_remove(
    name: Annotated[str, typer.Argument(help="Name of the trace.")], store: StorePath = None, data_dir: DataDir = DATA
) -> None:
    """Remove a trace from the store."""
    from workbench import console
    from workbench.traces import open_store

    with open_store(store_at(store, data_dir=data_dir)) as opened:
        opened.remove(name)
    console.screen().print(f"Trace {name} is removed.")


@traces_app.command("export", epilog="Example: workbench traces export azure_2023 data/lake")
def traces_export(
    name: Annotated[str, typer.Argument(help="Name of the trace.")],
    folder: Annotated[str, typer.Argument(help="Folder of the lake; the trace gets a folder of its own in it.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the lake has of that name.")] = False,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Write a trace as Parquet files by model and day, which --store reads where they lie."""
    from workbench import console
    from workbench.traces import export_trace, open_store

    with console.progress() as tell, open_store(store_at(store, data_dir=data_dir), read_only=True) as opened:
        made = export_trace(
            opened, name, folder, replace=replace, progress=lambda what, share: tell(f"Writing {what}"[:36], share)
        )
    console.screen().print(f"Trace {name} is in {made}.")


@traces_app.command("import", epilog="Example: workbench traces import data/lake azure_2023")
def traces_import(
    lake: Annotated[str, typer.Argument(help="Folder or URI of a lake, or another store.")],
    name: Annotated[str, typer.Argument(help="Name of the trace there.")],
    rename: Annotated[str | None, typer.Option(help="Name it gets here.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a trace of that name.")] = False,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Copy a trace of a lake into the store and print its quality report."""
    from workbench import console
    from workbench.traces import import_trace, open_store, report

    with (
        console.progress() as tell,
        open_store(lake, read_only=True) as origin,
        open_store(store_at(store, data_dir=data_dir)) as opened,
    ):
        info = import_trace(
            origin,
            name,
            store=opened,
            rename=rename,
            replace=replace,
            progress=lambda what, share: tell(f"Copying {what}"[:36], share),
        )
        copied = report(opened, info.header.name)
    console.show_quality(copied)


@traces_app.command("upgrade", epilog="Example: workbench traces upgrade")
def traces_upgrade(store: StorePath = None, data_dir: DataDir = DATA) -> None:
    """Bring a store that an older workbench made to the layout of this one."""
    from workbench import console
    from workbench.traces import open_store

    place = store_at(store, data_dir=data_dir)
    with open_store(place) as opened:
        count = opened.traces().height
    console.screen().print(f"The store {place} is up to date; traces: {count}.")
