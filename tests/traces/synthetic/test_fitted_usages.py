"""workbench.traces.synthetic.fitted_usages: mixes and lengths of a sample; clients lose their names."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.synthetic.fitting_cases import kept, requests_at
from workbench.traces import open_store
from workbench.traces.synthetic import fitted_usages
from workbench.traces.synthetic.fitted_usages import usages_of_requests, usages_of_sums
from workbench.traces.synthetic.lengths import BAND_LEVELS, LEVELS, mean_of
from workbench.traces.synthetic.workloads import Part

START = datetime(2025, 1, 6)


def test_apps_keep_their_names_and_clients_do_not(tmp_path: Path) -> None:
    apps = ["chat"] * 6 + [None] * 2 + ["code"] * 2
    clients = ["Contoso"] * 7 + ["Fabrikam"] * 3
    frame = requests_at([float(i) for i in range(10)], app=apps, tenant=clients, cached_tokens=[50] * 10)
    with open_store(tmp_path / "traces.duckdb") as store:
        kept(store, frame)
        (usage,) = usages_of_requests(store, "trace", since=START, until=START + timedelta(minutes=1))
    assert usage.apps[0] == Part(key="chat", share=0.6)
    assert {(part.key, part.share) for part in usage.apps} == {("chat", 0.6), (None, 0.2), ("code", 0.2)}
    assert usage.tenants == (Part(key="client_001", share=0.7), Part(key="client_002", share=0.3))
    assert usage.lengths.cached_known_fraction == 1.0
    assert usage.lengths.cached[0][0] == 0.5


def test_many_keys_end_in_one_part(tmp_path: Path) -> None:
    frame = requests_at([float(i) for i in range(300)], tenant=[f"client of ours {i:03d}" for i in range(300)])
    with open_store(tmp_path / "traces.duckdb") as store:
        kept(store, frame)
        (usage,) = usages_of_requests(store, "trace", since=START, until=START + timedelta(hours=1))
    assert len(usage.tenants) == fitted_usages.PARTS_KEPT + 1
    assert usage.tenants[-1] == Part(key="other", share=pytest.approx(2 / 3))


def test_a_long_trace_is_sampled_over_its_whole_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts grow from 1 to 10,000 over the trace: a tenth of it, taken evenly, has their mean."""
    monkeypatch.setattr(fitted_usages, "STRETCH_ROWS", 100)
    monkeypatch.setattr(fitted_usages, "SAMPLE_ROWS", 1000)
    frame = requests_at([float(i) for i in range(10_000)], input_tokens=list(range(1, 10_001)))
    with open_store(tmp_path / "traces.duckdb") as store:
        kept(store, frame)
        (usage,) = usages_of_requests(store, "trace", since=START, until=START + timedelta(seconds=10_000))
    assert mean_of(usage.lengths.prompt, LEVELS) == pytest.approx(5000, rel=0.05)


def test_sums_give_means() -> None:
    sums = pl.DataFrame(
        {"model": ["m"], "tier": ["t"], "requests": [10.0], "input_tokens": [5e4], "output_tokens": [0.0]}
    )
    (usage,) = usages_of_sums(sums)
    assert mean_of(usage.lengths.prompt, LEVELS) == pytest.approx(5000, rel=1e-3)
    assert mean_of(usage.lengths.output[0], BAND_LEVELS) == pytest.approx(1.0, abs=0.1)
