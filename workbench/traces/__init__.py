"""Traces: public and own request logs and demand series, read into one store with a report on their quality.

Readers turn each format into our columns, nothing that a source does not say is guessed, refused rows are kept with
the reason, and only :mod:`workbench.traces.store` knows what kind of file the store is. DuckDB is imported when a store
is opened, not before.
"""

from workbench.traces.ingesting import check, ingest, ingest_frame, report
from workbench.traces.mapping import load_mapping
from workbench.traces.options import (
    Share,
    Source,
    TraceOptions,
    parse_labels,
    parse_lengths,
    parse_region_split,
    parse_share,
    parse_start,
    parse_tier_split,
    parse_tokens,
)
from workbench.traces.readers.formats import FORMATS, Detected, detect
from workbench.traces.store import Lake, Reading, Store, export_trace, import_trace, open_lake, open_store

__all__ = [
    "FORMATS",
    "Detected",
    "Lake",
    "Reading",
    "Share",
    "Source",
    "Store",
    "TraceOptions",
    "check",
    "detect",
    "export_trace",
    "import_trace",
    "ingest",
    "ingest_frame",
    "load_mapping",
    "open_lake",
    "open_store",
    "parse_labels",
    "parse_lengths",
    "parse_region_split",
    "parse_share",
    "parse_start",
    "parse_tier_split",
    "parse_tokens",
    "report",
]
