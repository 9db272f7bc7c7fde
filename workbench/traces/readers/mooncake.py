"""Mooncake's traces: one JSON object per request with time, two lengths and the ids of its prefix blocks.

The block ids say which prompts begin alike. They become ``cached_tokens`` by replaying a prefix cache over the requests
in the order of their arrival: one without bounds unless ``prefix_cache_tokens`` sets one. The first request of a prefix
has computed it before any later one is served, so the figures are an upper bound of what one cache can save.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import COUNT, TEXT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, Raw, judged
from workbench.traces.readers.heads import head_of, unreadable
from workbench.traces.readers.json_rows import json_batches
from workbench.traces.readers.prefix_cache import PrefixCache, cached_tokens
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.values import counts, numbers, offsets

SCHEMA = {"timestamp": TEXT, "input_length": TEXT, "output_length": TEXT, "hash_ids": pl.List(COUNT)}
COLUMNS = tuple(SCHEMA)
BLOCK_TOKENS = 512


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of one file with what the prefix cache holds of each; time stamps are ms after the start."""
    assert options.start is not None  # asked for before anything is read
    bound = options.prefix_cache_tokens
    cache = PrefixCache(capacity_blocks=None if bound is None else bound // BLOCK_TOKENS)
    try:
        for raw in json_batches(path, SCHEMA):
            inputs = counts(raw.frame["input_length"])
            frame = requests_frame(
                path,
                pl.DataFrame({"cached_tokens": _replayed(raw, inputs, cache)}),
                arrived_at=offsets(raw.frame["timestamp"], since=options.start, unit_s=1e-3),
                input_tokens=inputs,
                output_tokens=counts(raw.frame["output_length"]),
            )
            yield judged(raw, frame, REQUEST_CHECKS, path=path)
    except (OSError, EOFError, ValueError) as error:
        raise unreadable(path, error) from error


def _replayed(raw: Raw, inputs: pl.Series, cache: PrefixCache) -> pl.Series:
    """Return the cached tokens of each row of a batch, replayed in the order of the time stamps; null without ids."""
    arrivals = numbers(raw.frame["timestamp"]).arg_sort().to_list()
    chains = raw.frame["hash_ids"].to_list()
    lengths = inputs.to_list()
    cached: list[int | None] = [None] * len(chains)
    for row in arrivals:
        chain, length = chains[row], lengths[row]
        if chain is None or length is None or None in chain:
            continue
        cached[row] = cached_tokens(hit_blocks=cache.hit_blocks(chain), block_tokens=BLOCK_TOKENS, input_tokens=length)
    return pl.Series(cached, dtype=COUNT)


def _is_lines(path: Path) -> tuple[Path, ...]:
    return (path,) if path.is_file() and head_of(path).layout == "jsonl" else ()


FORMAT = Format(
    key="mooncake",
    label="Mooncake requests with prefix blocks",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("model", "region", "tier", "start"),
    read=read,
    parts=_is_lines,
    takes=("prefix_cache_tokens",),
    notes=(
        "cached tokens are found by replaying one prefix cache in the order of arrival, in blocks of 512 tokens; "
        "without a bound (prefix_cache_tokens) they are the most that a cache can save",
    ),
)
