"""Object storage is read through the file systems of Arrow over HTTP, in earnest: workbench.traces.store.places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.traces.store.bucket_server import BUCKET, bucket
from tests.traces.store.lake_cases import answers, write
from tests.traces.trace_cases import after_s
from workbench.errors import StoreError
from workbench.traces.store import export_trace, import_trace, open_lake, open_store
from workbench.traces.store.places import Place

fs = pytest.importorskip("pyarrow.fs")
if not hasattr(fs, "S3FileSystem"):
    pytest.skip("this build of Arrow knows no S3", allow_module_level=True)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A store, its lake in a bucket and the options of its URI."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    with open_store(tmp_path / "t.duckdb") as store:
        write(store)
        export_trace(store, "days", tmp_path / "bucket" / "traces")
    with bucket(tmp_path / "bucket") as (options, opened):
        yield options, opened


def test_a_lake_in_a_bucket_answers_as_the_store_did(served: tuple[str, list[str]], tmp_path: Path) -> None:
    options, _ = served
    with open_store(tmp_path / "t.duckdb", read_only=True) as store:
        expected = answers(store, "days")
    for where in (f"s3://{BUCKET}/traces?{options}", Path(f"s3://{BUCKET}/traces?{options}")):
        with open_store(where, read_only=True) as lake:
            assert answers(lake, "days") == expected
    with open_lake(f"s3://{BUCKET}/traces?{options}") as lake, open_store(tmp_path / "new.duckdb") as other:
        import_trace(lake, "days", store=other)
        assert answers(other, "days") == expected


def test_only_the_days_of_a_span_are_fetched(served: tuple[str, list[str]]) -> None:
    options, opened = served
    with open_lake(f"s3://{BUCKET}/traces?{options}") as lake:
        opened.clear()
        assert lake.requests("days", until=after_s(80_000)).height == 23 * 6
        rows = {key for key in opened if key.endswith("rows.parquet")}
        assert {key.split("day=")[1][:10] for key in rows} == {"2025-07-09"}


def test_a_bucket_that_cannot_be_read_says_so_without_the_credentials(served: tuple[str, list[str]]) -> None:
    options, _ = served
    with pytest.raises(StoreError, match="no lake at s3://lake/elsewhere"):
        open_lake(f"s3://{BUCKET}/elsewhere?{options}")
    with pytest.raises(StoreError, match=r"no lake at s3://none/x:") as caught:
        open_lake(f"s3://me:hidden@none/x?{options}")
    assert "hidden" not in str(caught.value)
    with pytest.raises(StoreError, match="cannot be read"):
        Place("nosuch://bucket/lake")


def test_part_of_a_copy_is_noticed(served: tuple[str, list[str]], tmp_path: Path) -> None:
    options, _ = served
    next((tmp_path / "bucket").rglob("rows.parquet")).unlink()
    with pytest.raises(StoreError, match="1 missing"):
        open_lake(f"s3://{BUCKET}/traces?{options}")
