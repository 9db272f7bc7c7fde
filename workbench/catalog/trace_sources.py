"""Where public traces come from, as rows: the file, its checksum and who vouches for it, licence, citation, page.

A row is enough to fetch a file, to know whether what arrived is whole, to say what must be cited, and to recognise a
file that somebody placed by hand. What a publisher states about dates is kept beside the rows, because some state
another date than their time stamps (Azure 2023).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.domain.facts import refuse
from workbench.errors import CatalogError

SHA256 = re.compile(r"[0-9a-f]{64}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class TraceSource:
    """One published file of a trace; what is not known of it is None.

    ``collection`` names the files that belong together. ``size_bytes``, ``sha256`` and ``rows`` are those of the file
    as published (requests, without the header line); ``verified_by`` says who published or measured them.
    ``stated_from`` and ``stated_until`` are the first and last day that the publisher's page states. ``format`` is the
    key of the reader, ``ingest_options`` what the source does not say, as an example of options for the command line;
    ``unpacked`` is where the trace lies in an archive that must be unpacked first. ``date`` is the day on which the row
    was checked.
    """

    key: str
    collection: str
    label: str
    file: str
    url: str
    size_bytes: int | None
    sha256: str | None
    verified_by: str
    rows: int | None
    stated_from: str | None
    stated_until: str | None
    format: str
    ingest_options: str
    unpacked: str | None
    licence: str
    citation: str
    note: str | None
    source: str
    date: str

    def __post_init__(self) -> None:
        days = [day for day in (self.stated_from, self.stated_until) if day is not None]
        refuse(
            CatalogError,
            f"trace source {self.key}",
            {
                f"url must begin with https://, got {self.url}": not self.url.startswith("https://"),
                f"file must be a bare file name, got {self.file!r}": re.search(r"[/\\]|^\.*$", self.file) is not None,
                f"sha256 must be 64 lower-case hexadecimal digits, got {self.sha256!r}": self.sha256 is not None
                and not SHA256.fullmatch(self.sha256),
                f"size_bytes must be positive, got {self.size_bytes}": self.size_bytes is not None
                and self.size_bytes <= 0,
                f"rows must be positive, got {self.rows}": self.rows is not None and self.rows <= 0,
                f"stated days must be YYYY-MM-DD and in order, got {days}": days != sorted(days)
                or not all(DAY.fullmatch(day) for day in days),
            },
        )

    @property
    def stem(self) -> str:
        """The file's name up to the first dot, which a copy packed by hand keeps."""
        return self.file.partition(".")[0]

    def is_named_like(self, file_name: str) -> bool:
        """Tell whether a file of this name may be a copy of the source, packed or not."""
        return file_name.partition(".")[0] == self.stem
