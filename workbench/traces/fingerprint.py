"""What makes two ingests the same: the names and bytes of their files, the format each was taken for, the options."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.traces.options import Source
from workbench.traces.readers.formats import Detected

HASH_BLOCK_BYTES = 1 << 20


def fingerprint_of(found: Sequence[tuple[Source, Detected]]) -> str:
    """Return a text that is equal for equal names, formats, options and bytes of all files of a trace."""
    digest = hashlib.blake2b(digest_size=16)
    for source, detected in found:
        digest.update(f"{source.path.name}\x1f{detected.format.key}\x1f{source.options.canonical()}\x1e".encode())
        parts = detected.format.parts(source.path)
        for part in parts:
            if len(parts) > 1:
                digest.update(f"{part.name}\x1f{part.stat().st_size}\x1e".encode())
            with part.open("rb") as file:
                while block := file.read(HASH_BLOCK_BYTES):
                    digest.update(block)
    return digest.hexdigest()
