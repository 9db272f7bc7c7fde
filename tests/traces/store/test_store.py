"""A store keeps whole traces or none, whatever ends the process, and says in words why it cannot be opened.

Seen through the store: workbench.traces.store.opening, workbench.traces.store.database, workbench.traces.store.reading
and workbench.traces.store.writing.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, after_s, frame_of
from workbench.errors import StoreError, TraceError
from workbench.tables import DEMAND, REQUESTS, SHAPE
from workbench.traces import ingest_frame
from workbench.traces.catalogue import GAPS, REJECTED, TraceHeader
from workbench.traces.store import Store, open_store
from workbench.traces.store.mishaps import explanation
from workbench.traces.store.queries import STORE_VERSION
from workbench.traces.synthetic import week

FEW = frame_of([(0, "a", 100, 10), (30, "a", 300, 30), (30, "b", 50, 5), (3700, "a", 200, 20)])


def header(name: str, **changes: object) -> TraceHeader:
    values = {"name": name, "kind": "requests", "format": "frame", "source": "s", "fingerprint": name} | changes
    return TraceHeader(**values)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "t.duckdb") as opened:
        yield opened


def run(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def test_requests_come_back_in_order_and_are_summed_by_hand(store: Store) -> None:
    ingest_frame(FEW.reverse(), store=store, name="few", source="four rows")
    assert (
        store.requests("few")
        .select("arrived_at", "model", "input_tokens")
        .sort(pl.all())
        .equals(FEW.select("arrived_at", "model", "input_tokens").sort(pl.all()))
    )
    assert store.requests("few")["arrived_at"].is_sorted()
    assert store.requests("few", since=after_s(30), until=after_s(3700)).height == 2
    sums = store.sum_by_window("few", window_s=3600)
    assert sums.select("window_start", "model", "requests", "input_tokens", "output_tokens").rows() == [
        (START, "a", 2.0, 400.0, 40.0),
        (after_s(3600), "a", 1.0, 200.0, 20.0),
        (START, "b", 1.0, 50.0, 5.0),
    ]


def test_the_catalogue_describes_a_trace_without_its_place(store: Store) -> None:
    ingest_frame(FEW, store=store, name="few", source="four rows")
    info = store.describe("few")
    assert (info.rows_read, info.rows_kept, info.rows, info.rejected) == (4, 4, 4, 0)
    assert (info.first_at, info.last_at) == (START, after_s(3700))
    assert (info.header.kind, info.header.source, info.header.window_s) == ("requests", "four rows", None)
    assert store.traces()["name"].to_list() == ["few"]
    assert str(store.path.parent) not in str(store.traces().rows())
    assert store.series("few").rows() == [("us_east", "a", "fast"), ("us_east", "b", "fast")]
    assert store.rejected("few").equals(REJECTED.empty())
    with pytest.raises(TraceError, match="did you mean 'few'"):
        store.describe("fow")


def test_lengths_and_dispersion_by_hour_are_those_of_the_rows(store: Store) -> None:
    """Model a, first hour: P = 100, 300 and O = 10, 30 at seconds 0 and 30 of 3600.

    E[P] = 200, E[P^2] = (1e4 + 9e4)/2, E[P^3] = (1e6 + 27e6)/2, E[O^2] = (100 + 900)/2, E[PO] = (1000 + 9000)/2.
    Two bins of 3600 hold 1: mean 2/3600, variance 2/3600 - (2/3600)^2, so the index is 1 - 2/3600; 1 - 2/360 at 10 s.
    """
    ingest_frame(FEW, store=store, name="few", source="four rows")
    shape = store.shape_by_hour("few")
    row = shape.filter(pl.col("model") == "a").row(0, named=True)
    assert shape.height == 3
    assert (row["requests"], row["input_tokens_mean"], row["output_tokens_mean"]) == (2, 200, 20)
    assert (row["input_tokens_square_mean"], row["input_tokens_cube_mean"]) == (5e4, 14e6)
    assert (row["output_tokens_square_mean"], row["input_output_mean"]) == (500, 5000)
    assert row["dispersion_1s"] == pytest.approx(1 - 2 / 3600)
    assert row["dispersion_10s"] == pytest.approx(1 - 2 / 360)


def test_only_the_part_of_an_hour_inside_the_span_counts_for_dispersion(store: Store) -> None:
    """Four arrivals in one second and one in the next: bins 4 and 1, mean 2.5, variance 2.25."""
    rows = [(10.0, "a", 1, 1)] * 4 + [(11.5, "a", 1, 1)]
    ingest_frame(frame_of(rows), store=store, name="burst", source="five rows")
    assert store.shape_by_hour("burst")["dispersion_1s"].to_list() == [pytest.approx(2.25 / 2.5)]


def test_quantiles_are_those_of_the_rows(store: Store) -> None:
    ingest_frame(frame_of([(i, "a", i + 1, 10 * (i + 1)) for i in range(5)]), store=store, name="q", source="five")
    assert store.token_quantiles("q", quantiles=(0.5, 1.0)).rows() == [
        ("a", "fast", 0.5, 3.0, 30.0),
        ("a", "fast", 1.0, 5.0, 50.0),
    ]


def series(values: list[float | None]) -> pl.DataFrame:
    return DEMAND.conform(
        pl.DataFrame({"requests": values}, schema={"requests": pl.Float64}).select(
            window_start=pl.Series([START + timedelta(minutes=5 * i) for i in range(len(values))]),
            region=pl.lit("us_east"),
            model=pl.lit("m"),
            tier=pl.lit("fast"),
            requests="requests",
            input_tokens=pl.col("requests") * 10,
            output_tokens=pl.col("requests"),
        )
    )


def test_a_series_is_summed_to_whole_multiples_and_gaps_stay_gaps(store: Store) -> None:
    ingest_frame(series([1, 2, 3, None, 5, 6, 7]), store=store, name="s", source="seven windows")
    assert store.sum_by_window("s", window_s=300)["requests"].to_list() == [1, 2, 3, None, 5, 6, 7]
    assert store.sum_by_window("s", window_s=600)["input_tokens"].to_list() == [30, None, 110, None]
    assert store.shape_by_hour("s").equals(SHAPE.empty())
    for window_s in (450, 100):
        with pytest.raises(TraceError, match="series of windows of 300 s"):
            store.sum_by_window("s", window_s=window_s)
    with pytest.raises(TraceError, match="no single requests"):
        store.requests("s")
    with pytest.raises(TraceError, match="longer than zero"):
        store.sum_by_window("s", window_s=0)


@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 90_000), st.sampled_from("ab"), st.integers(1, 10**6), st.integers(1, 10**4)), min_size=1
    ),
    window_s=st.sampled_from([0.25, 1, 7, 60, 300, 3600, 86_400]),
)
def test_windows_of_any_length_add_up_to_the_requests(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str, int, int]], window_s: float
) -> None:
    frame = frame_of(rows)
    with open_store(tmp_path_factory.mktemp("sum") / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        sums = store.sum_by_window("x", window_s=window_s)
        assert sums["requests"].sum() == frame.height
        assert sums["input_tokens"].sum() == frame["input_tokens"].sum()
        assert sums["output_tokens"].sum() == frame["output_tokens"].sum()
        assert store.shape_by_hour("x")["requests"].sum() == frame.height


def write_half(store: Store, error: type[BaseException]) -> None:
    refused = pl.DataFrame({"source": ["s"], "line": [1], "reason": ["r"], "raw": [""]})
    with store.writing(header("few"), replace=True) as writing:
        writing.add(FEW)
        writing.reject(REJECTED.conform(refused))
        raise error


def test_an_exception_leaves_the_old_state(store: Store) -> None:
    ingest_frame(FEW, store=store, name="few", source="four rows")
    before = store.traces()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            write_half(store, error)
        assert store.traces().equals(before)
        assert store.requests("few").height == 4
        assert store.rejected("few").is_empty()


def test_a_name_is_taken_until_it_is_replaced_or_removed(store: Store) -> None:
    ingest_frame(FEW, store=store, name="few", source="four rows")
    other = FEW.head(1)
    with pytest.raises(TraceError, match="already has a trace 'few'"):
        ingest_frame(other, store=store, name="few", source="one row")
    assert not ingest_frame(other, store=store, name="few", source="one row", replace=True).was_there
    assert store.describe("few").rows == 1
    store.remove("few")
    assert store.traces().is_empty()
    with pytest.raises(TraceError, match="has no trace 'few'"):
        store.remove("few")


KILLED = """
    import sys
    sys.path.insert(0, sys.argv[2])
    import polars as pl
    from workbench.traces import open_store
    from workbench.traces.catalogue import TraceHeader
    from workbench.traces.synthetic import week
    frame = week(seed=1, requests=200_000)
    store = open_store(sys.argv[1])
    with store.writing(TraceHeader(name=sys.argv[3], kind="requests", format="f", source="s", fingerprint="x"),
                       replace=True) as writing:
        print("writing", flush=True)
        for _ in range(200):
            writing.add(frame)
"""


@pytest.mark.parametrize(
    ("how", "name"), [(signal.SIGKILL, "few"), (signal.SIGKILL, "new"), (signal.SIGINT, "few")], ids=str
)
def test_a_killed_ingest_leaves_a_store_that_opens_with_the_old_state(
    tmp_path: Path, repo_root: Path, how: signal.Signals, name: str
) -> None:
    file = tmp_path / "t.duckdb"
    with open_store(file) as store:
        ingest_frame(FEW, store=store, name="few", source="four rows")
    process = run(KILLED, file, repo_root, name)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n", process.communicate()
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert how != signal.SIGINT or "KeyboardInterrupt" in error
    with open_store(file) as store:
        assert store.traces().select("name", "rows").rows() == [("few", 4)]
        assert store.requests("few").equals(REQUESTS.conform(FEW))
        ingest_frame(FEW, store=store, name="again", source="four rows")


def test_a_store_held_by_another_process_says_by_which(tmp_path: Path, repo_root: Path) -> None:
    file = tmp_path / "t.duckdb"
    holder = run(
        "import sys; sys.path.insert(0, sys.argv[2]); from workbench.traces import open_store\n"
        "store = open_store(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
        file,
        repo_root,
        stdin=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for read_only in (False, True):
            with pytest.raises(StoreError, match=rf"open in another process \(PID {holder.pid}\)"):
                open_store(file, read_only=read_only)
    finally:
        holder.communicate()
    with open_store(file, read_only=True) as store:
        assert store.traces().is_empty()


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that may only be read; where tests run as root they take another user's rights, as root may write."""
    folder = Path(tempfile.mkdtemp())
    with open_store(folder / "old.duckdb") as store:
        ingest_frame(FEW, store=store, name="few", source="four rows")
    (folder / "old.duckdb").chmod(0o444)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_says_so_and_can_be_read(locked_folder: Path) -> None:
    for file in ("new.duckdb", "old.duckdb"):
        with pytest.raises(StoreError, match="cannot be opened for writing"):
            open_store(locked_folder / file)
    with open_store(locked_folder / "old.duckdb", read_only=True) as store:
        assert store.requests("few").height == 4
        with pytest.raises(StoreError, match="open read-only"):
            store.remove("few")
    assert sorted(path.name for path in locked_folder.iterdir()) == ["old.duckdb"]


FULL = """
    import resource, sys
    sys.path.insert(0, sys.argv[2])
    from workbench.errors import StoreError
    from workbench.traces import ingest_frame, open_store
    from workbench.traces.synthetic import week
    frame = week(seed=1, requests=300_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        with open_store(sys.argv[1]) as store:
            ingest_frame(frame, store=store, name="big", source="synthetic")
    except StoreError as error:
        print(error)
"""


def test_a_full_disk_says_so_and_leaves_the_old_state(tmp_path: Path, repo_root: Path) -> None:
    """No file may pass 2 MB here, which the system reports as it does a full disk."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    file = tmp_path / "t.duckdb"
    with open_store(file) as store:
        ingest_frame(FEW, store=store, name="few", source="four rows")
    process = run(FULL, file, repo_root)
    output, error = process.communicate(timeout=120)
    assert "the disk is full" in output, output + error
    with open_store(file) as store:
        assert store.traces()["name"].to_list() == ["few"]


def test_what_is_no_store_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("no database " * 1000)
    with pytest.raises(StoreError, match="no DuckDB file"):
        open_store(tmp_path / "text.duckdb")
    with pytest.raises(StoreError, match="is a folder"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match=r"is a file, not a folder|no folder"):
        open_store(tmp_path / "text.duckdb" / "t.duckdb")
    with pytest.raises(StoreError, match=r"no trace store at .* yet"):
        open_store(tmp_path / "none.duckdb", read_only=True)
    assert not (tmp_path / "none.duckdb").exists()
    with open_store(tmp_path / "new" / "folder" / "t.duckdb") as store:
        assert store.traces().is_empty()


def test_another_database_and_another_version_are_refused(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "other.duckdb")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(StoreError, match="no trace store"):
        open_store(tmp_path / "other.duckdb")
    open_store(tmp_path / "t.duckdb").close()
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute(f"UPDATE store_version SET version = {STORE_VERSION + 1}")
    with pytest.raises(StoreError, match=f"layout version {STORE_VERSION + 1}"):
        open_store(tmp_path / "t.duckdb")
    damaged = bytearray((tmp_path / "other.duckdb").read_bytes())
    damaged[12:20] = bytes(8)
    (tmp_path / "damaged.duckdb").write_bytes(damaged)
    with pytest.raises(StoreError, match="is damaged"):
        open_store(tmp_path / "damaged.duckdb")


def test_every_mishap_is_one_paragraph_with_the_file() -> None:
    file = Path("folder") / "t.duckdb"
    for text in ("Could not set lock on file (PID 12)", "No space left on device", "something unheard of"):
        said = explanation(file, text)
        assert "t.duckdb" in said
        assert "\n" not in said
    assert re.search(r"PID 12", explanation(file, "Could not set lock on file (PID 12)"))


def test_a_store_of_a_newer_duckdb_says_so(tmp_path: Path) -> None:
    """The version stands in the first block, which begins with its own checksum."""
    file = tmp_path / "t.duckdb"
    open_store(file).close()
    content = bytearray(file.read_bytes())
    content[12:20] = struct.pack("<Q", 5000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", bytes(content[8:4096])):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    content[:8] = struct.pack("<Q", checksum)
    file.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreError, match="made by a newer DuckDB"):
            open_store(file, read_only=read_only)
    assert file.read_bytes() == content


FIRST_LAYOUT = """
CREATE TABLE store_version (version INTEGER); INSERT INTO store_version VALUES (1); CREATE SEQUENCE trace_id;
CREATE TABLE catalogue (
    id INTEGER PRIMARY KEY, name VARCHAR UNIQUE, kind VARCHAR, format VARCHAR, source VARCHAR, fingerprint VARCHAR,
    window_s DOUBLE, rows_read BIGINT, rows_kept BIGINT, rows BIGINT, rejected BIGINT,
    first_at TIMESTAMP, last_at TIMESTAMP, version VARCHAR);
CREATE TABLE findings (id INTEGER, position INTEGER, finding VARCHAR, "where" VARCHAR, count BIGINT, detail VARCHAR);
CREATE TABLE rejected (id INTEGER, source VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);
CREATE TABLE requests_1 (arrived_at TIMESTAMP, region VARCHAR, model VARCHAR, tier VARCHAR, app VARCHAR, tenant VARCHAR,
                         input_tokens BIGINT, output_tokens BIGINT, cached_tokens BIGINT);
CREATE TABLE series_2 (window_start TIMESTAMP, region VARCHAR, model VARCHAR, tier VARCHAR, requests DOUBLE,
                       input_tokens DOUBLE, output_tokens DOUBLE);
INSERT INTO findings VALUES (1, 0, 'rows', 'trace', 4, '4 rows');
INSERT INTO catalogue SELECT nextval('trace_id'), 'few', 'requests', 'frame', 's', 'few', NULL, 4, 4, 4, 0,
    TIMESTAMP '2025-07-09', TIMESTAMP '2025-07-09 01:01:40', '0.1.0';
INSERT INTO catalogue SELECT nextval('trace_id'), 'sums', 'series', 'frame', 's', 'sums', 300, 3, 3, 3, 0,
    TIMESTAMP '2025-07-09', TIMESTAMP '2025-07-09 00:10:00', '0.1.0';
"""


def test_a_store_of_the_first_layout_is_brought_to_this_one(tmp_path: Path) -> None:
    """By the first that opens it for writing; who only reads is told so: workbench.traces.store.upgrading."""
    duckdb = pytest.importorskip("duckdb")
    file = tmp_path / "t.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(FIRST_LAYOUT)
        for table, frame in (("requests_1", REQUESTS.conform(FEW)), ("series_2", series([1, None, 3]))):
            connection.from_arrow(frame.to_arrow()).insert_into(table)
    with pytest.raises(StoreError, match=r"has layout version 1.*workbench traces upgrade"):
        open_store(file, read_only=True)
    open_store(file).close()
    with open_store(file, read_only=True) as store:
        assert store.requests("few").equals(REQUESTS.conform(FEW))
        assert store.series("few")["model"].to_list() == ["a", "b"]
        assert store.sum_by_window("sums", window_s=300)["requests"].to_list() == [1, None, 3]
        assert store.findings("few").rows() == [("rows", "note", "trace", 4, "4 rows", "")]
        assert store.gaps("few").is_empty()
    with open_store(file) as store:
        ingest_frame(FEW, store=store, name="new", source="four rows")
        store.remove("few")
        assert store.traces()["name"].to_list() == ["new", "sums"]


SECOND_GAPS = """
CREATE OR REPLACE TABLE gaps AS SELECT id, model, since, until, reason FROM gaps;
UPDATE store_version SET version = 2;
"""


def test_gaps_of_the_second_layout_hold_for_every_region(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    file = tmp_path / "t.duckdb"
    gaps = pl.DataFrame([(None, "a", after_s(5), after_s(60), "hole")], schema=GAPS.schema, orient="row")
    with open_store(file) as store, store.writing(header("few")) as writing:
        writing.add(FEW)
        writing.mark_gaps(gaps)
    with duckdb.connect(str(file)) as connection:
        connection.execute(SECOND_GAPS)
    with pytest.raises(StoreError, match=r"has layout version 2.*workbench traces upgrade"):
        open_store(file, read_only=True)
    open_store(file).close()
    with open_store(file, read_only=True) as store:
        assert store.gaps("few").equals(gaps)
        assert store.requests("few").equals(REQUESTS.conform(FEW))


TAKING_TURNS = """
    import sys
    sys.path.insert(0, sys.argv[2])
    import polars as pl
    from workbench.traces import open_store
    from workbench.traces.catalogue import TraceHeader
    from workbench.traces.synthetic import week
    frame = week(seed=1, requests=100_000)
    print("ready", flush=True)
    for turn in range(1000):
        length = 1 + turn % 3
        header = TraceHeader(name="t", kind="requests", format="f", source="s", fingerprint=str(length))
        with open_store(sys.argv[1]) as store, store.writing(header, replace=True) as writing:
            for _ in range(length):
                writing.add(frame.with_columns(output_tokens=length))
"""


@pytest.mark.slow
def test_a_store_is_whole_whenever_it_is_killed(tmp_path: Path, repo_root: Path) -> None:
    """Killed while rows come in, at the commit, while the file is closed and its log is worked in: old or new."""
    file, random = tmp_path / "t.duckdb", Random(5)
    found = set()
    for _ in range(12):
        process = run(TAKING_TURNS, file, repo_root)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
        time.sleep(random.uniform(0.02, 0.9))
        process.kill()
        process.communicate(timeout=60)
        with open_store(file) as store:
            if store.has("t"):
                info, (row,) = (
                    store.describe("t"),
                    store.look("t", "SELECT sum(output_tokens), count(*) FROM {t}").rows(),
                )
                length, rows = int(info.header.fingerprint), info.rows
                assert (rows % length, row) == (0, (rows * length, rows))
                found.add(length)
        assert list(tmp_path.glob("*.tmp")) == []
    assert found


def test_what_a_killed_process_spilled_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    open_store(file).close()
    (tmp_path / "t.duckdb.4711.tmp").mkdir()
    (tmp_path / "t.duckdb.4711.tmp" / "duckdb_temp_storage-0.tmp").write_bytes(b"left")
    open_store(file, read_only=True).close()
    assert (tmp_path / "t.duckdb.4711.tmp").exists()
    open_store(file).close()
    assert [path.name for path in tmp_path.iterdir()] == ["t.duckdb"]


def test_many_read_at_once_and_a_writer_waits_its_turn(tmp_path: Path, repo_root: Path) -> None:
    file = tmp_path / "t.duckdb"
    with open_store(file) as store:
        ingest_frame(FEW, store=store, name="few", source="four rows")
    reader = run(
        "import sys; sys.path.insert(0, sys.argv[2]); from workbench.traces import open_store\n"
        "store = open_store(sys.argv[1], read_only=True)\n"
        "print(store.describe('few').rows, flush=True); sys.stdin.read()",
        file,
        repo_root,
        stdin=subprocess.PIPE,
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "4\n"
        with open_store(file, read_only=True) as store:
            assert store.requests("few").height == 4
        with pytest.raises(StoreError, match="open in another process"):
            open_store(file)
    finally:
        reader.communicate()
    open_store(file).close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_runs_full_says_so_and_leaves_the_old_state(small_disk: Path) -> None:
    file = small_disk / "t.duckdb"
    with open_store(file) as store:
        ingest_frame(FEW, store=store, name="few", source="four rows")
    frame = week(seed=1, requests=600_000)
    with pytest.raises(StoreError, match="the disk is full"), open_store(file) as store:
        ingest_frame(frame, store=store, name="big", source="synthetic")
    with open_store(file) as store:
        assert store.traces()["name"].to_list() == ["few"]
        assert store.requests("few").height == 4


def test_importing_the_traces_does_not_import_duckdb(repo_root: Path) -> None:
    program = "import sys, workbench.traces; print({'duckdb', 'pyarrow'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], cwd=repo_root, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "set()"
