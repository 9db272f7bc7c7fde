"""The verbs about speed profiles: fit one from benchmarks of one's own server, list them, hold them against records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.places import DATA, DataDir

if TYPE_CHECKING:
    import polars as pl

    from workbench.catalog import FittedBenchmarks
    from workbench.domain import Profile

FIT_EXAMPLE = (
    "Example: workbench profile fit c1.json c8.json c64.json --format vllm --model llama31_8b --gpu h100_80gb "
    "--gpus-per-replica 1"
)
profile_app = typer.Typer(help="Fit, list and check how fast a model runs on a GPU kind.", no_args_is_help=True)


@profile_app.command("fit", epilog=FIT_EXAMPLE)
def profile_fit(
    files: Annotated[list[Path], typer.Argument(help="Benchmarks of one server at several levels of load.")],
    model: Annotated[str, typer.Option(help="Model it serves, as the catalog names it.")],
    gpu: Annotated[str, typer.Option(help="GPU kind it runs on, as the catalog names it.")],
    gpus_per_replica: Annotated[int, typer.Option(help="GPUs that one copy of the model runs on.")],
    format: Annotated[str, typer.Option(help="vllm (vllm bench serve --save-detailed) or guidellm.")] = "vllm",
    batch_cap: Annotated[int, typer.Option(help="Requests that the engine runs at once (max_num_seqs).")] = 512,
    chunk_tokens: Annotated[int, typer.Option(help="Prompt tokens an iteration reads; 0 for whole prompts.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a profile of the same model and GPU.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Fit a profile to benchmarks of your own server and keep it in DATA_DIR/catalog, where studies find it."""
    from workbench import catalog, console

    known = catalog.load_beside(data_dir)
    found = catalog.fit_benchmarks(
        files,
        format=format,
        model=known.model(model),
        gpu=known.gpu(gpu),
        gpus_per_replica=gpus_per_replica,
        batch_cap=batch_cap,
        chunk_tokens=chunk_tokens,
    )
    path = catalog.add_profile(found.profile, data_dir / catalog.OWN_FOLDER, replace=replace)
    console.print_frame(_errors(found), f"{model} on {gpus_per_replica} x {gpu}: how far the fit lies from what it saw")
    screen = console.screen()
    screen.print(_told(found.profile), markup=False, soft_wrap=True)
    for note in found.notes:
        screen.print(f"Note: {note}.", markup=False, soft_wrap=True)
    screen.print(f"Written to {path}", markup=False, soft_wrap=True)


@profile_app.command("list", epilog="Example: workbench profile list --model llama31_8b")
def profile_list(
    model: Annotated[str | None, typer.Option(help="Only those of this model.")] = None, data_dir: DataDir = DATA
) -> None:
    """List the profiles with how far they reach and how well they fit."""
    import polars as pl

    from workbench import catalog, console

    known = catalog.load_beside(data_dir)
    if model is not None:
        known.model(model)
    rows = [_row(profile) for profile in known.profiles.values() if model in (None, profile.model)]
    console.print_frame(pl.DataFrame(rows), "Profiles; their sources stand in profiles.toml", whole_words=True)


@profile_app.command("check", epilog="Example: workbench profile check")
def profile_check(data_dir: DataDir = DATA) -> None:
    """Hold the profiles against the best that others have published: what share they reach, and what was expected."""
    import polars as pl

    from workbench import catalog, console, performance

    table = performance.against_records(catalog.load_beside(data_dir))
    ends = ((pl.col(f"expected_{end}_fraction") * 100).cast(pl.Int64) for end in ("from", "to"))
    shown = table.select(
        "model",
        "gpu",
        pl.col("gpus_per_replica").alias("GPUs"),
        pl.col("record").str.replace(", Llama 2 70B", "", literal=True),
        pl.col("precision").alias("in"),
        pl.col("output_tps_per_gpu").round(0).alias("ours"),
        pl.col("record_output_tps_per_gpu").round(0).alias("theirs"),
        (pl.col("reached_fraction") * 100).round(0).alias("reached, %"),
        pl.format("{} to {}", *ends).alias("expected, %"),
        "verdict",
    )
    title = "Output tokens per second and GPU against the best published, Llama 2 70B"
    console.print_frame(shown, title, whole_words=True)


def _errors(found: FittedBenchmarks) -> pl.DataFrame:
    import polars as pl

    profile = found.profile
    judged = {
        "on its own points": (profile.prefill_fit, profile.decode_fit),
        "held out": (profile.prefill_held_out, profile.decode_held_out),
    }
    return pl.DataFrame(
        [
            {
                "judged": name,
                "prefill R2": prefill and prefill.r2,
                "prefill mean error, %": prefill and prefill.mape_fraction * 100,
                "decode R2": decode and decode.r2,
                "decode mean error, %": decode and decode.mape_fraction * 100,
            }
            for name, (prefill, decode) in judged.items()
        ],
        schema_overrides={"prefill R2": pl.Float64, "prefill mean error, %": pl.Float64},
    )


def _told(profile: Profile) -> str:
    valid = profile.validity
    return (
        f"A decode iteration takes {profile.decode_base_s * 1e3:.3g} ms + {profile.decode_per_request_s * 1e6:.3g} us "
        f"per request + {profile.decode_per_token_s * 1e9:.3g} ns per token of KV cache; a prompt of "
        f"{profile.prefill_tokens[-1]:,.0f} tokens {profile.prefill_s[-1] * 1e3:,.0f} ms. Measured with prompts of "
        f"{valid.prompt_tokens_min:,.0f} to {valid.prompt_tokens_max:,.0f} tokens, batches to {valid.batch_max:,} and "
        f"{valid.kv_tokens_max:,.0f} tokens of KV cache."
    )


def _row(profile: Profile) -> dict[str, object]:
    valid = profile.validity
    return {
        "model": profile.model,
        "gpu": profile.gpu,
        "GPUs": profile.gpus_per_replica,
        "basis": profile.basis,
        "prompts to": int(valid.prompt_tokens_max),
        "batches to": valid.batch_max,
        "KV to": int(valid.kv_tokens_max),
        "prefill R2": round(profile.prefill_fit.r2, 3),
        "error of prefill, %": round(profile.prefill_fit.mape_fraction * 100, 1),
        "decode R2": round(profile.decode_fit.r2, 3),
        "error of decode, %": round(profile.decode_fit.mape_fraction * 100, 1),
    }
