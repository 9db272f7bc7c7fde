"""The trace store: one DuckDB file with many named traces; the only package that knows DuckDB.

Request traces and demand series lie side by side, each in its own table, with a catalogue, the findings of the ingest
and the refused rows. Everything about one trace is written in one transaction: an ingest that is interrupted in any way
leaves what was there before. A process that writes excludes all others, so a store is opened late, read-only where
possible, and closed early.
"""

from workbench.traces.store.opening import open_store
from workbench.traces.store.writing import Store, Writing

__all__ = ["Store", "Writing", "open_store"]
