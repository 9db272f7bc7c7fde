"""The trace store: one DuckDB file with many named traces, and lakes of Parquet; the only package that knows DuckDB.

Request traces and demand series lie side by side, each in its own table, with a catalogue, the findings of the ingest,
the refused rows and the gaps. Everything about one trace is written in one transaction: an ingest that is interrupted
in any way leaves what was there before. A process that writes excludes all others, so a store is opened late, read-only
where possible, and closed early. A lake holds such traces as Hive-partitioned Parquet and answers the same questions.
"""

from workbench.traces.store.exporting import export_trace, import_trace
from workbench.traces.store.lake import Lake, open_lake
from workbench.traces.store.opening import open_store
from workbench.traces.store.reading import Reading
from workbench.traces.store.writing import Store, Writing

__all__ = ["Lake", "Reading", "Store", "Writing", "export_trace", "import_trace", "open_lake", "open_store"]
