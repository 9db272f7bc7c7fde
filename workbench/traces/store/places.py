"""Where a lake lies: a folder, or object storage through the file systems of Arrow; the same few questions to both.

DuckDB reads object storage only with an extension that it would download, so files elsewhere are read by Arrow and
handed to DuckDB as a data set. Credentials come from the environment, as each storage's own tools take them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import StoreError
from workbench.traces.store.lake_layout import URI, LakeFile, keys_of

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.dataset import Dataset


class Place:
    """A folder or a bucket that may hold a lake; ``name`` is how messages call it, without credentials."""

    def __init__(self, where: Path | str) -> None:
        from pyarrow import fs

        # a Path folds the two slashes of a URI into one
        uri = re.sub(URI, r"\1://", str(where), count=1) if URI.match(str(where)) else ""
        self.is_local = not uri
        self.name = re.sub(r"(?<=://)[^/@]*@|\?.*", "", uri) or str(where)
        with self._reached():
            if uri:
                self._files, root = fs.FileSystem.from_uri(uri)
            else:
                self._files, root = fs.LocalFileSystem(), str(Path(where).absolute())
        self._root = root.rstrip("/")
        self.folder = self._root.rpartition("/")[2]

    def files(self) -> list[LakeFile]:
        """Return every file below, in order of path, with the keys that the names of the folders hold."""
        from pyarrow import fs

        with self._reached():
            found = self._files.get_file_info(fs.FileSelector(self._root, recursive=True, allow_not_found=True))
        files = []
        for info in found:
            if info.type == fs.FileType.File:
                path = info.path.removeprefix(f"{self._root}/")
                files.append(LakeFile(path=path, size_bytes=info.size, keys=keys_of(f"{self.folder}/{path}")))
        return sorted(files, key=lambda file: file.path)

    def text(self, path: str) -> str:
        """Return the content of a small text file."""
        with self._reached(), self._files.open_input_stream(f"{self._root}/{path}") as stream:
            return str(stream.read().decode("utf-8", errors="replace"))

    def frame(self, path: str) -> pl.DataFrame:
        """Return a Parquet file as a frame."""
        from pyarrow import parquet

        with self._reached():
            return pl.DataFrame(pl.from_arrow(parquet.read_table(f"{self._root}/{path}", filesystem=self._files)))

    def schema(self, path: str) -> Schema:
        """Return the columns of a Parquet file."""
        from pyarrow import parquet

        with self._reached():
            return parquet.read_schema(f"{self._root}/{path}", filesystem=self._files)

    def scan(self, paths: list[str]) -> str:
        """Return the table function with which DuckDB reads Parquet files of a folder itself."""
        listed = ", ".join("'" + escape(f"{self._root}/{path}").replace("'", "''") + "'" for path in paths)
        return f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"

    def dataset(self, paths: list[str], keys: list[str]) -> Dataset:
        """Return Parquet files as one data set, with the keys of their folders as columns of text."""
        import pyarrow as pa
        from pyarrow import dataset

        named = pa.schema([(key, pa.string()) for key in keys])
        with self._reached():
            return dataset.dataset(
                [f"{self._root}/{path}" for path in paths],
                filesystem=self._files,
                format="parquet",
                partitioning=dataset.partitioning(named, flavor="hive"),
            )

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            found = " ".join(str(error).split())[:300]
            raise StoreError(
                f"the lake {self.name} cannot be read: {found}. Check the address, the credentials in the environment "
                "and that every file is whole."
            ) from error
