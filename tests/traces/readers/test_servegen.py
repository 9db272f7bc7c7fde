"""ServeGen's clients as a series and as drawn requests, on a hand-made folder, on laws alone and on the real files.

The modules are workbench.traces.readers.servegen_source, workbench.traces.readers.servegen_chunks,
workbench.traces.readers.servegen_lengths, workbench.traces.readers.servegen_clients and
workbench.traces.readers.servegen_requests.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.options import TraceOptions
from workbench.traces.readers import batches, servegen_10min, servegen_clients, servegen_requests
from workbench.traces.readers.formats import detect
from workbench.traces.readers.servegen_lengths import laws_of_histograms, laws_of_summaries
from workbench.traces.readers.servegen_requests import arrivals
from workbench.traces.readers.servegen_source import RATES, TOKENS, read_clients

FOLDER = SAMPLES / "servegen"
REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "servegen"
START = datetime(2025, 1, 6)
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the shared data are not there")


def drawn(path: Path, **options: object) -> pl.DataFrame:
    given_options = TraceOptions(start=START, **{"sample": 1.0} | options)  # type: ignore[arg-type]
    return pl.concat(batch.good for batch in servegen_requests.read(path, given_options))


def series(path: Path) -> pl.DataFrame:
    return pl.concat(batch.good for batch in servegen_clients.read(path, TraceOptions(start=START)))


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """The hand-made folder in the other layout: constant lengths, so that both layouts draw the same ones."""
    rates = [("m", 0, 0, 30, 1.2, "Gamma", 0.7), ("m", 1, 0, 60, 1.0, "Gamma", 1.0), ("m", 0, 600, 0, 0.0, "none", 0.0),
             ("m", 1, 600, 0, 0.0, "none", 0.0), ("m", 2, 0, -1, 0.0, "none", 0.0)]  # fmt: skip
    names = ("model", "client", "t_s", "n_requests", "cv", "dist", "p1")
    pl.DataFrame(rates, schema=names, orient="row").with_columns(
        pl.col("model", "dist").cast(pl.Categorical)
    ).write_parquet(tmp_path / RATES)
    lengths = [("m", 0, 0, "input_tokens", 200.0), ("m", 0, 0, "output_tokens", 20.0)]
    quantiles = [(*row, *[row[-1]] * 6) for row in lengths]
    columns = ("model", "client", "t_s", "field", "mean", "min", "p50", "p90", "p95", "p99", "max")
    pl.DataFrame(quantiles, schema=columns, orient="row").write_parquet(tmp_path / TOKENS)
    return tmp_path


def test_a_folder_of_either_layout_and_the_rates_alone_are_recognised(parquet: Path) -> None:
    for path in (FOLDER, FOLDER / "m-tiny", parquet, parquet / RATES):
        found = detect(path)
        assert found.format == servegen_clients.FORMAT
        assert found.lacks == ("region", "tier", "start")
        assert detect(path, format="servegen_requests").lacks == ("region", "tier", "start", "sample")
    assert [part.name for part in detect(parquet / RATES).parts] == [RATES, TOKENS]
    assert [part.name for part in detect(FOLDER).parts][:4] == [
        "chunk-0-trace.csv", "chunk-0-dataset.json", "chunk-1-trace.csv", "chunk-1-dataset.json",
    ]  # fmt: skip
    with pytest.raises(TraceError, match="is a folder"):
        detect(FOLDER, format="azure_llm")


def test_the_series_sums_clients_and_leaves_holes_open() -> None:
    """Window 0: 30 x (200, 20), 60 x (1000, 20), 6 without lengths at the mean (733.3, 20); window 2: 60 and 120."""
    frame = series(FOLDER)
    assert frame["window_start"].to_list() == [START + timedelta(minutes=m) for m in (0, 10, 20)]
    assert frame["requests"].to_list() == [96, None, 180]
    assert frame["input_tokens"].to_list() == [
        pytest.approx(96 * (30 * 200 + 60 * 1000) / 90),
        None,
        60 * 200 + 120 * 2000,
    ]
    assert frame["output_tokens"].to_list() == [pytest.approx(96 * 20), None, pytest.approx(60 * 20 + 120 * 40)]
    assert frame["model"].unique().to_list() == ["m-tiny"]


def test_drawn_requests_have_the_published_counts_and_lengths() -> None:
    frame = drawn(FOLDER)
    window = frame["arrived_at"].dt.truncate("10m")
    counts = frame.group_by(window, "tenant").len().sort("arrived_at", "tenant").rows()
    first, third = START, START + timedelta(minutes=20)
    assert counts == [
        (first, "m-tiny/0", 30),
        (first, "m-tiny/1", 60),
        (first, "m-tiny/10", 6),
        (third, "m-tiny/0", 60),
        (third, "m-tiny/1", 120),
    ]
    by_client = {name: part for (name,), part in frame.partition_by("tenant", as_dict=True).items()}
    assert set(by_client["m-tiny/0"]["input_tokens"]) == {100, 300}
    assert set(by_client["m-tiny/1"]["input_tokens"]) == {1000, 2000}
    assert set(by_client["m-tiny/10"]["input_tokens"]) <= {100, 300, 1000}
    assert frame["arrived_at"].is_sorted()


@pytest.mark.parametrize("rows_per_batch", [1, 50, 10**6])
def test_the_same_seed_gives_the_same_requests_in_any_batches(
    rows_per_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drawn(FOLDER)
    monkeypatch.setattr(batches, "ROWS_PER_BATCH", rows_per_batch)
    assert drawn(FOLDER).equals(whole)
    assert not drawn(FOLDER, seed=8).equals(whole)


def test_a_sample_loses_no_requests_to_rounding(parquet: Path) -> None:
    assert drawn(FOLDER, sample=0.5).height == pytest.approx(138, abs=3)
    assert drawn(parquet, sample=0.1).height == pytest.approx(9, abs=2)


def test_parquet_lengths_are_drawn_and_borrowed_and_bad_counts_refused(parquet: Path) -> None:
    frame = drawn(parquet / RATES)
    assert frame.height == 90
    assert set(frame.select("input_tokens", "output_tokens").rows()) == {(200, 20)}
    (batch,) = servegen_clients.read(parquet, TraceOptions(start=START))
    assert batch.rejected.select("line", "reason").rows() == [(5, "n_requests is negative")]
    (parquet / TOKENS).unlink()
    with pytest.raises(TraceError, match="must lie beside it"):
        read_clients(parquet)


def test_images_count_as_often_as_a_prompt_has_them(tmp_path: Path) -> None:
    """Two images of 500 tokens and 100 of text make a prompt of 1100."""
    folder = tmp_path / "mm"
    folder.mkdir()
    (folder / "chunk-0-trace.csv").write_text("0,0.05,1.0,Gamma,1.0,1.0\n600,0.05,1.0,Gamma,1.0,1.0\n")
    fields = {"text_tokens": "{100: 1}", "image_count": "{2: 1}", "image_tokens": "{500: 1}", "output_tokens": "{9: 1}"}
    (folder / "chunk-0-dataset.json").write_text('{"0": ' + str(fields).replace("'", '"') + "}")
    assert set(drawn(folder)["input_tokens"]) == {1100}
    assert series(folder)["input_tokens"].to_list() == [30 * 1100, 30 * 1100]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chunk-0-trace.csv", "0,1.0\n"),
        ("chunk-0-dataset.json", '{"0": {"input_tokens": "{1: x}"}}'),
        ("chunk-0-dataset.json", "[]"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, name: str, content: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "s")
    path = tmp_path / "s" / "m-tiny" / name
    path.chmod(0o644)
    path.write_text(content)
    with pytest.raises(TraceError, match=name):
        read_clients(tmp_path / "s")


def test_lengths_that_nobody_publishes_are_not_made_up(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "chunk-0-trace.csv").write_text("0,0.05,1.0,Gamma,1.0,1.0\n")
    with pytest.raises(TraceError, match="no client of m has published lengths"):
        drawn(folder)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=5),
    law=st.sampled_from(["Gamma", "Weibull", ""]),
    shape=st.floats(1e-4, 1e4),
    cv=st.floats(0, 1000),
)
def test_every_arrival_falls_into_its_window(sizes: list[int], law: str, shape: float, cv: float) -> None:
    count = len(sizes)
    at_s = arrivals(
        np.array(sizes), np.array([law] * count), np.full(count, shape), np.full(count, cv), np.random.default_rng(1)
    )
    assert at_s.size == sum(sizes)
    assert ((at_s >= 0) & (at_s < 600)).all()


def test_gaps_vary_as_the_law_says() -> None:
    """The coefficient of variation of a Gamma law is one over the root of its shape; a Weibull of shape 1 has 1."""
    for law, shape, expected in (("Gamma", 0.25, 2.0), ("Gamma", 4.0, 0.5), ("Weibull", 1.0, 1.0), ("", 0.0, 3.0)):
        at_s = arrivals(
            np.array([20_000]), np.array([law]), np.array([shape]), np.array([3.0]), np.random.default_rng(3)
        )
        gaps = np.diff(np.sort(at_s))
        assert gaps.std() / gaps.mean() == pytest.approx(expected, rel=0.1)


def test_a_law_of_a_summary_keeps_its_quantiles_and_its_mean() -> None:
    quantiles = np.array([[224.0, 275, 380, 422, 4826, 5073], [7.0, 7, 7, 7, 7, 7]])
    laws = laws_of_summaries(quantiles, np.array([427.5, 7.0]))
    assert laws.means() == pytest.approx([427.5, 7.0])
    lengths = laws.draw(np.zeros(200_000, dtype=np.int64), np.random.default_rng(2))
    assert lengths.mean() == pytest.approx(427.5, rel=0.02)
    shares = [float((lengths <= quantile).mean()) for quantile in (275, 380, 422, 4826)]
    assert shares == pytest.approx([0.50, 0.90, 0.95, 0.99], abs=0.01)
    assert (lengths.min(), lengths.max()) >= (224, 5000)
    assert set(laws.draw(np.ones(100, dtype=np.int64), np.random.default_rng(2))) == {7}


@settings(deadline=None)
@given(
    histograms=st.lists(
        st.dictionaries(st.integers(0, 9000), st.floats(1e-9, 1), min_size=1, max_size=9), min_size=1, max_size=9
    )
)
def test_only_lengths_of_the_law_asked_for_are_drawn(histograms: list[dict[int, float]]) -> None:
    laws = laws_of_histograms([(np.array([*h], dtype=float), np.array([*h.values()])) for h in histograms])
    asked = np.repeat(np.arange(len(histograms)), 40)
    lengths = laws.draw(asked, np.random.default_rng(5))
    assert all(int(length) in histograms[law] for law, length in zip(asked, lengths, strict=True))
    for histogram, mean in zip(histograms, laws.means(), strict=True):
        assert mean == pytest.approx(sum(k * p for k, p in histogram.items()) / sum(histogram.values()))


@needs_real
def test_the_real_clients_sum_up_to_the_real_totals() -> None:
    """Where neither has a gap; images are multiplied by their mean number there, request by request here."""
    mine = series(REAL)
    totals = pl.concat(
        batch.good for batch in servegen_10min.read(REAL / "model_10min.parquet", TraceOptions(start=START))
    )
    both = mine.join(totals, on=["window_start", "model"], suffix="_total").drop_nulls()
    assert (both["requests"] == both["requests_total"]).all()
    text = both.filter(pl.col("model") != "mm-image")
    for name in ("input_tokens", "output_tokens"):
        assert (text[name] / text[f"{name}_total"] - 1).abs().max() < 1e-6  # type: ignore[operator]
    holes = mine.filter(pl.col("requests").is_null()).group_by("model").len().rows()
    assert holes == [("m-mid", 84)]


@needs_real
def test_real_requests_are_drawn_in_number_and_mean_as_published() -> None:
    frame = drawn(REAL, sample=0.05, keep=("deepseek-r1",))
    total = (
        series(REAL).filter(pl.col("model") == "deepseek-r1").select("requests", "input_tokens", "output_tokens").sum()
    )
    requests, inputs, outputs = total.row(0)
    assert frame.height == pytest.approx(requests * 0.05, abs=73)
    assert frame["input_tokens"].mean() == pytest.approx(inputs / requests, rel=0.03)
    assert frame["output_tokens"].mean() == pytest.approx(outputs / requests, rel=0.03)
