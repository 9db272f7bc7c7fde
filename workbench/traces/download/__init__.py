"""Public traces from where they are published, resumed when broken off, and kept only when proven whole.

The catalog says what there is (:class:`workbench.catalog.TraceSource`); this package fetches a file, proves it by
checksum, size or number of rows, and says what is already there. The standard library's HTTP is its only door to the
network.
"""

from workbench.traces.download.fetching import Patience, fetch
from workbench.traces.download.keeping import Downloaded, download, downloads_at, ingest_command
from workbench.traces.download.proving import prove

__all__ = ["Downloaded", "Patience", "download", "downloads_at", "fetch", "ingest_command", "prove"]
