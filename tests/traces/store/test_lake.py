"""A lake answers as the store it came from, whoever wrote it says what is wrong with it, and it is whole or not there.

Seen through the store: workbench.traces.store.lake, workbench.traces.store.lake_layout,
workbench.traces.store.exporting and workbench.traces.store.places.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.store.lake_cases import THREE_DAYS, answers, series, write
from tests.traces.trace_cases import START, after_s, frame_of
from workbench import features
from workbench.errors import StoreError, TableError, TraceError
from workbench.tables import REQUESTS
from workbench.traces.store import Lake, Store, export_trace, import_trace, open_lake, open_store
from workbench.traces.store.lake_layout import BESIDE, ROWS, SIDECAR, LakeFile, folder_of, keys_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "t.duckdb") as opened:
        write(opened)
        write(opened, series([1, 2, None, 4.5, 5, 6, 7, 8] * 9), name="sums", kind="series", window_s=3600.0)
        yield opened


@pytest.mark.parametrize("name", ["days", "sums"])
def test_a_lake_answers_as_the_store_did_and_so_does_what_is_imported_from_it(
    store: Store, tmp_path: Path, name: str
) -> None:
    expected = answers(store, name)
    export_trace(store, name, tmp_path / "lake")
    with open_lake(tmp_path / "lake") as lake:
        assert answers(lake, name) == expected
        with open_store(tmp_path / "other.duckdb") as other:
            info = import_trace(lake, name, store=other)
            assert answers(other, name) == expected
            assert info == store.describe(name)
            assert info.version == "0.0.7"
    with open_store(tmp_path / "lake", read_only=True) as opened:
        assert isinstance(opened, Lake)
        assert answers(opened, name) == expected


def test_the_files_are_what_any_tool_that_knows_hive_reads(store: Store, tmp_path: Path) -> None:
    folder = export_trace(store, "days", tmp_path / "lake")
    rows = sorted(path.relative_to(folder.parent).as_posix() for path in folder.rglob(ROWS))
    assert rows[0] == "trace=days/model=a/day=2025-07-09/rows.parquet"
    assert rows[-1] == "trace=days/model=b%2F1%20%C3%A4/day=2025-07-11/rows.parquet"
    assert len(rows) == 6
    read = pl.scan_parquet(str(folder / "*" / "*" / ROWS), hive_partitioning=True).collect()
    assert read.height == THREE_DAYS.height
    assert set(read["model"]) == {"a", "b/1 ä"}
    for path in folder.rglob(ROWS):
        part = pl.read_parquet(path, hive_partitioning=False)
        assert part["arrived_at"].is_sorted()
        assert {"model", "day", "trace"}.isdisjoint(part.columns)
        assert str(part["arrived_at"][0].date()) in str(path)
    assert str(tmp_path) not in (folder / SIDECAR).read_text()


def test_equal_traces_make_equal_files(store: Store, tmp_path: Path) -> None:
    first = export_trace(store, "days", tmp_path / "one")
    with open_store(tmp_path / "shuffled.duckdb") as other:
        write(other, THREE_DAYS.sample(fraction=1.0, shuffle=True, seed=3))
        second = export_trace(other, "days", tmp_path / "two")
    for path in first.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


@settings(deadline=None, max_examples=10)
@given(
    rows=st.lists(
        st.tuples(st.floats(-90_000, 90_000), st.text(min_size=1), st.integers(1, 10**6), st.integers(1, 10**4)),
        min_size=1,
        max_size=15,
    )
)
def test_any_rows_and_any_name_of_a_model_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str, int, int]]
) -> None:
    rows = [(s, model.replace("\0", "0").encode("utf-8", "replace").decode(), p, o) for s, model, p, o in rows]
    rows = [(s, model[:20], p, o) for s, model, p, o in rows]  # the name of a folder has an end
    folder = tmp_path_factory.mktemp("lake")
    with open_store(folder / "t.duckdb") as store:
        write(store, frame_of(rows))
        expected = answers(store, "days", spans=[{}])
        export_trace(store, "days", folder / "lake")
    with open_lake(folder / "lake") as lake:
        assert answers(lake, "days", spans=[{}]) == expected


def test_only_the_days_of_a_span_are_opened(store: Store, tmp_path: Path) -> None:
    """The second day's files are spoilt: what does not need them is answered all the same."""
    folder = export_trace(store, "days", tmp_path / "lake")
    for path in folder.glob(f"model=*/day=2025-07-10/{ROWS}"):
        path.write_bytes(bytes(path.stat().st_size))
    with open_lake(tmp_path / "lake") as lake:
        assert lake.requests("days", until=after_s(80_000)).height > 0
        with pytest.raises(StoreError, match="lake"):
            lake.requests("days")


def test_a_name_in_a_lake_is_taken_until_it_is_replaced(store: Store, tmp_path: Path) -> None:
    export_trace(store, "days", tmp_path / "lake")
    with pytest.raises(StoreError, match="is there already"):
        export_trace(store, "days", tmp_path / "lake")
    store.remove("days")
    write(store, THREE_DAYS.head(6))
    export_trace(store, "days", tmp_path / "lake", replace=True)
    export_trace(store, "sums", tmp_path / "lake")
    with open_lake(tmp_path / "lake") as lake:
        assert lake.traces().select("name", "rows").rows() == [("days", 6), ("sums", 144)]
    assert [path.name for path in (tmp_path / "lake").iterdir() if path.name.startswith(".")] == []


def test_an_import_of_the_same_is_nothing_and_of_another_is_refused(store: Store, tmp_path: Path) -> None:
    export_trace(store, "days", tmp_path / "lake")
    with open_lake(tmp_path / "lake") as lake:
        before = store.traces()
        import_trace(lake, "days", store=store)
        assert store.traces().equals(before)
        import_trace(lake, "days", store=store, rename="again")
        assert answers(store, "again")["requests 0"] == answers(store, "days")["requests 0"]
        store.remove("days")
        write(store, THREE_DAYS.head(5), fingerprint="another")
        with pytest.raises(TraceError, match="already has a trace 'days'"):
            import_trace(lake, "days", store=store)
        assert import_trace(lake, "days", store=store, replace=True).rows == THREE_DAYS.height
        with pytest.raises(TraceError, match="has no trace 'dys'"):
            import_trace(lake, "dys", store=store)


def test_a_lake_that_is_not_whole_is_noticed(store: Store, tmp_path: Path) -> None:
    whole = export_trace(store, "days", tmp_path / "lake")
    one = next(iter(whole.rglob(ROWS)))

    def spoilt(change: str) -> Path:
        copy = tmp_path / change / whole.name
        shutil.copytree(whole, copy)
        path = copy / one.relative_to(whole)
        if change == "missing":
            path.unlink()
        elif change == "cut":
            path.write_bytes(path.read_bytes()[:-7])
        elif change == "extra":
            shutil.copy(path, path.with_name("more.parquet"))
        else:
            (copy / SIDECAR).unlink()
        return copy.parent

    for change, said in (
        ("missing", "1 missing"),
        ("cut", "1 of another length"),
        ("extra", "1 not listed"),
        ("listless", f"without its {SIDECAR}"),
    ):
        with pytest.raises(StoreError, match=said):
            open_lake(spoilt(change))
    sidecar = whole / SIDECAR
    content = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(content | {"layout": 99}))
    with pytest.raises(StoreError, match="layout version 99"):
        open_lake(tmp_path / "lake")
    sidecar.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        open_lake(tmp_path / "lake")


def test_gaps_that_an_older_workbench_exported_hold_for_every_region(store: Store, tmp_path: Path) -> None:
    folder = export_trace(store, "days", tmp_path / "lake")
    gaps, sidecar = folder / BESIDE["gaps"], folder / SIDECAR
    pl.read_parquet(gaps).drop("region").write_parquet(gaps)
    said = json.loads(sidecar.read_text())
    said["size_bytes"][BESIDE["gaps"]] = gaps.stat().st_size
    sidecar.write_text(json.dumps(said))
    with open_lake(tmp_path / "lake") as lake:
        assert lake.gaps("days").select("region", "since", "until").rows() == [(None, after_s(5000), after_s(6000))]


def test_a_lake_of_another_program_is_read_by_its_columns(tmp_path: Path) -> None:
    """No list of files, no optional columns, 32-bit tokens, nanoseconds in a zone, the model in the path."""
    zoned = pl.col("arrived_at").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    frame = THREE_DAYS.with_columns(zoned, pl.col("input_tokens").cast(pl.Int32))
    for model, part in frame.partition_by("model", as_dict=True).items():
        where = tmp_path / "lake" / folder_of(trace="theirs", model=str(model[0]))
        where.mkdir(parents=True)
        part.drop("model", "app", "tenant", "cached_tokens").write_parquet(where / "part-0.parquet")
    with open_lake(tmp_path / "lake") as lake:
        info = lake.describe("theirs")
        assert (info.rows, info.header.format, info.first_at) == (THREE_DAYS.height, "lake", START)
        expected = REQUESTS.conform(THREE_DAYS.with_columns(app=pl.lit(None, dtype=pl.String))).sort(pl.all())
        assert lake.requests("theirs").sort(pl.all()).equals(expected)
        assert lake.findings("theirs").is_empty()
        assert lake.gaps("theirs").is_empty()
        assert features.demand(lake, "theirs", window_s=3600)["requests"].sum() == THREE_DAYS.height
        with open_store(tmp_path / "t.duckdb") as store:
            assert import_trace(lake, "theirs", store=store).header.fingerprint == info.header.fingerprint


def test_a_folder_of_plain_files_is_one_trace_called_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    THREE_DAYS.write_parquet(folder / "one.parquet")
    sums = tmp_path / "sums"
    sums.mkdir()
    series([1, 2, 3, 4]).write_parquet(sums / "one.parquet")
    with open_store(folder, read_only=True) as lake:
        assert lake.describe("plain").rows == THREE_DAYS.height
        assert lake.series("plain").height == 4
    with open_lake(sums) as lake:
        assert lake.describe("sums").header.window_s == 3600
        assert features.demand(lake, "sums", window_s=7200)["requests"].to_list() == [3, 7, 3, 7]


def test_what_is_no_lake_says_so(tmp_path: Path, store: Store) -> None:
    (tmp_path / "empty").mkdir()
    for where in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="no lake at"):
            open_lake(where)
    other = tmp_path / "other"
    other.mkdir()
    THREE_DAYS.rename({"input_tokens": "prompt"}).write_parquet(other / "x.parquet")
    with pytest.raises(StoreError, match="input_tokens missing"):
        open_lake(other)
    THREE_DAYS.clear().write_parquet(other / "x.parquet")
    with pytest.raises(StoreError, match="without rows"):
        open_lake(other)
    THREE_DAYS.with_columns(input_tokens=0).write_parquet(other / "x.parquet")
    with open_lake(other) as lake, pytest.raises(TableError, match="input_tokens"):
        import_trace(lake, "other", store=store)
    assert store.traces()["name"].to_list() == ["days", "sums"]
    with pytest.raises(StoreError, match="only read"):
        open_store(other)
    with pytest.raises(StoreError, match="no folder on this machine"):
        export_trace(store, "days", "s3://bucket/lake")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        export_trace(store, "days", tmp_path / "t.duckdb")


def test_keys_stand_in_the_names_of_folders() -> None:
    assert keys_of("trace=a/model=b%2Fc d/day=2025-07-09/rows.parquet") == {
        "trace": "a",
        "model": "b/c d",
        "day": "2025-07-09",
    }
    file = LakeFile(path="x.parquet", size_bytes=1, keys={"day": "2025-07-09"})
    assert file.may_hold(START, START + timedelta(days=1))
    assert not file.may_hold(START + timedelta(days=1), START + timedelta(days=2))
    assert LakeFile(path="x.parquet", size_bytes=1, keys={"day": "9"}).may_hold(START, START)


EXPORTING = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from workbench.traces import export_trace, open_store
    with open_store(sys.argv[1], read_only=True) as store:
        export_trace(store, "days", sys.argv[3], replace=True, progress=lambda *_: print("file", flush=True))
"""


def test_a_killed_export_leaves_the_old_lake(store: Store, tmp_path: Path, repo_root: Path) -> None:
    export_trace(store, "days", tmp_path / "lake")
    expected = answers(store, "days")
    store.close()
    arguments = [sys.executable, "-c", textwrap.dedent(EXPORTING), tmp_path / "t.duckdb", repo_root, tmp_path / "lake"]
    process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "file\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with open_lake(tmp_path / "lake") as lake:
        assert answers(lake, "days") == expected
    with open_store(tmp_path / "t.duckdb") as again:
        export_trace(again, "days", tmp_path / "lake", replace=True)
    assert [path.name for path in (tmp_path / "lake").iterdir()] == ["trace=days"]


def test_what_an_export_set_aside_comes_back_when_it_was_killed_before_the_end(store: Store, tmp_path: Path) -> None:
    folder = export_trace(store, "days", tmp_path / "lake")
    folder.rename(folder.with_name(".trace=days.old"))
    with pytest.raises(StoreError, match="is there already"):
        export_trace(store, "days", tmp_path / "lake")
    with open_lake(tmp_path / "lake") as lake:
        assert answers(lake, "days") == answers(store, "days")
