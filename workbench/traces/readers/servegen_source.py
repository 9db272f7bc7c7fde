"""What ServeGen publishes per client, read from either layout: counts per window, the law of gaps, laws of lengths.

The native folders hold two files per client (``chunk-3-trace.csv``, ``chunk-3-dataset.json``) in a folder per model;
the Parquet layout holds all of them in ``client_rates.parquet`` and ``client_tokens_6h.parquet`` beside it, the lengths
as summaries. A client's lengths of some six hours hold until its next ones, as in the source's own sampler. The length
of an image is published per image: a prompt holds as many as its count says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.errors import TraceError
from workbench.tables import COUNT, NUMBER, TEXT
from workbench.traces.catalogue import REJECTED
from workbench.traces.readers.batches import LINE, Raw, judged
from workbench.traces.readers.parquet_rows import parquet_batches
from workbench.traces.readers.servegen_chunks import chunks_in, read_chunks
from workbench.traces.readers.servegen_lengths import SUMMARY, LengthLaws, laws_of_summaries
from workbench.traces.readers.values import counts, numbers

COLUMNS = ("model", "client", "t_s", "n_requests", "cv", "dist", "p1")
RATES = "client_rates.parquet"
TOKENS = "client_tokens_6h.parquet"
WINDOW_S = 600
# parts of a prompt that are lengths per piece, with the field that says how many pieces there are
PIECES = {"image_tokens": "image_count", "audio_tokens": "audio_count", "video_tokens": "video_count"}
PROMPT = ("input_tokens", "text_tokens", *PIECES)
OUTPUT = "output_tokens"
FIELDS = (*PROMPT, *PIECES.values(), OUTPUT)

RATE_CHECKS = {
    "t_s is missing or no whole number": pl.col("t_s").is_null(),
    "n_requests is missing or no whole number": pl.col("n_requests").is_null(),
    "n_requests is negative": pl.col("n_requests") < 0,
    "model is empty": pl.col("model").is_null() | (pl.col("model") == ""),
    "client is empty": pl.col("client").is_null() | (pl.col("client") == ""),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Clients:
    """Cells (one row per model, client and window) with the number of the law of each field (null: not published).

    ``cells`` are sorted by model, window and client, with columns model, client, t_s, n_requests, gap_law (Gamma,
    Weibull or empty), gap_shape, cv, one column per field of ``FIELDS`` with the law, and the means prompt_mean and
    output_mean in tokens.
    """

    cells: pl.DataFrame
    laws: LengthLaws
    rejected: pl.DataFrame


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the files of a ServeGen source: of a folder, or of its client_rates.parquet; none of another folder."""
    rates = path / RATES if path.is_dir() else path
    if rates.is_file():
        return tuple(part for part in (rates, rates.with_name(TOKENS)) if part.is_file())
    return tuple(file for chunk in chunks_in(path) for file in chunk.files)


def read_clients(path: Path) -> Clients:
    """Read the clients of a folder or of a client_rates.parquet.

    Raises TraceError where the lengths are missing or a file has not the form of the source.
    """
    rates = path / RATES if path.is_dir() else path
    if not rates.is_file():
        rows, lengths, laws = read_chunks(path)
        rates_frame, rejected = _checked(rows, rates)
    else:
        tokens = rates.with_name(TOKENS)
        if not tokens.is_file():
            raise TraceError(
                f"{rates.name} holds counts only; {TOKENS} with the lengths must lie beside it in {rates.parent}."
            )
        rates_frame, rejected = _rates(rates)
        lengths, laws = _lengths(tokens)
    return Clients(cells=_with_lengths(rates_frame, lengths), laws=laws, rejected=rejected)


def _rates(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    raws = parquet_batches(path, list(COLUMNS))
    checked = [_checked(raw.frame, path) for raw in raws]
    return pl.concat([good for good, _ in checked]), pl.concat([refused for _, refused in checked])


def _checked(source: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    read = pl.DataFrame(
        {
            "model": source["model"].cast(TEXT),
            "client": source["client"].cast(TEXT),
            "t_s": counts(source["t_s"]),
            "n_requests": counts(source["n_requests"]),
            "gap_law": source["dist"].cast(TEXT).fill_null(""),
            "gap_shape": numbers(source["p1"]),
            "cv": numbers(source["cv"]),
        }
    )
    raw = Raw(frame=source, malformed=REJECTED.empty(), done_fraction=0.0)
    batch = judged(raw, read, RATE_CHECKS, path=path)
    return batch.good, batch.rejected


def _lengths(path: Path) -> tuple[pl.DataFrame, LengthLaws]:
    wanted = ("model", "client", "t_s", "field", "mean", *SUMMARY)
    frame = pl.concat([raw.frame for raw in parquet_batches(path, list(wanted))])
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise TraceError(f"{path.name}: column(s) {', '.join(missing)} are missing; found {', '.join(frame.columns)}.")
    whole = frame.filter(pl.col("field").is_in(FIELDS)).drop_nulls().drop(LINE)
    laws = laws_of_summaries(whole.select(SUMMARY).cast(NUMBER).to_numpy(), whole["mean"].cast(NUMBER).to_numpy())
    named = whole.select(
        pl.col("model", "client", "field").cast(TEXT), pl.col("t_s").cast(COUNT), pl.col("mean").cast(NUMBER)
    )
    return named.with_row_index("law"), laws


def _with_lengths(rates: pl.DataFrame, lengths: pl.DataFrame) -> pl.DataFrame:
    """Add to each cell the law and the mean of each field that holds in its window."""
    by = ["model", "client"]
    cells = rates.sort("t_s")
    known = [field for field in FIELDS if field in lengths["field"].unique().to_list()]
    for field in known:
        mine = lengths.filter(pl.col("field") == field).sort("t_s")
        mine = mine.select(*by, "t_s", pl.col("law").cast(COUNT).alias(field), pl.col("mean").alias(f"{field}_mean"))
        cells = cells.join_asof(mine, on="t_s", by=by, strategy="backward", check_sortedness=False)
    cells = cells.with_columns(pl.lit(None, dtype=COUNT).alias(field) for field in FIELDS if field not in known)
    cells = cells.with_columns(
        pl.lit(None, dtype=NUMBER).alias(f"{field}_mean") for field in FIELDS if field not in known
    )
    per_part = [
        pl.col(f"{field}_mean") * pl.col(f"{PIECES[field]}_mean") if field in PIECES else pl.col(f"{field}_mean")
        for field in PROMPT
    ]
    return cells.select(
        *(name for name in rates.columns),
        *FIELDS,
        prompt_mean=pl.when(pl.any_horizontal(part.is_not_null() for part in per_part)).then(
            pl.sum_horizontal(per_part)
        ),
        output_mean=pl.col(f"{OUTPUT}_mean"),
    ).sort("model", "t_s", "client")
