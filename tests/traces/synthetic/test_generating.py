"""workbench.traces.synthetic.generating and workbench.traces.synthetic.arrivals: rates, order and bytes of requests.

Invariants: (1) equal workload, seed and span give equal rows, whatever the batches; (2) a stream does not depend on the
others; (3) rows are in order and inside the span; (4) the number asked for is the number expected, with growth, bursts
and spikes; (5) without noise the counts are Poisson at the rate of the rhythm.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import TraceError
from workbench.tables import REQUESTS
from workbench.traces.synthetic import Burst, Noise, Rhythm, Spikes, Workload, expected, generate, published, varied
from workbench.traces.synthetic.arrivals import courses, expected_requests
from workbench.traces.synthetic.lengths import BAND_LEVELS, law_of_means
from workbench.traces.synthetic.workloads import MONDAY, Part, Stream, Usage

START = datetime(2025, 1, 6)  # a Monday


def plain(rps: float = 1.0, **changes: object) -> Workload:
    """One stream of a flat rate without noise."""
    stream = Stream(region="here", model="m", tier="t", rps=rps, rhythm=Rhythm(period_s=3600.0, relative=(1.0,)))
    usage = Usage(model="m", tier="t", lengths=law_of_means(1000.0, 100.0))
    made = Workload(source="test", start=START, days=1.0, anchor=MONDAY, streams=(stream,), usages=(usage,))
    own = {name: value for name, value in changes.items() if name in {"noise", "rhythm", "spikes"}}
    rest = {name: value for name, value in changes.items() if name not in own}
    return dataclasses.replace(made, streams=(dataclasses.replace(stream, **own),), **rest)


def rows(workload: Workload, **words: object) -> pl.DataFrame:
    return pl.concat(generate(workload, **({"seed": 1} | words)))


def per(frame: pl.DataFrame, seconds: int, span_s: float) -> np.ndarray:
    since = (frame["arrived_at"] - START).dt.total_microseconds().to_numpy() // (seconds * 1_000_000)
    return np.bincount(since, minlength=round(span_s / seconds))


def test_batches_cut_the_same_rows_differently() -> None:
    whole = rows(published(), requests=5_000, days=0.7)
    for batch_rows in (1, 700, 4_999, 10**9):
        batches = list(generate(published(), seed=1, requests=5_000, days=0.7, batch_rows=batch_rows))
        assert all(batch.height == batch_rows for batch in batches[:-1])
        assert pl.concat(batches).equals(whole)


def test_rows_conform_in_order_inside_the_span() -> None:
    made = rows(published(), requests=3_000, start=datetime(2025, 3, 1, 7, 30), days=1.25)
    assert REQUESTS.conform(made).equals(made)
    assert made["arrived_at"].is_sorted()
    assert made["arrived_at"].min() >= datetime(2025, 3, 1, 7, 30)
    assert made["arrived_at"].max() < datetime(2025, 3, 2, 13, 30)
    assert not made.equals(rows(published(), requests=3_000, start=datetime(2025, 3, 1, 7, 30), days=1.25, seed=2))


def test_a_stream_does_not_depend_on_the_others() -> None:
    workload = varied(published(), rps=0.2)
    first = dataclasses.replace(workload, streams=workload.streams[:1])
    stream = workload.streams[0]
    of_first = (pl.col("region") == stream.region) & (pl.col("model") == stream.model) & (pl.col("tier") == stream.tier)
    assert rows(first, days=3).equals(rows(workload, days=3).filter(of_first))


def test_a_flat_rate_is_a_poisson_process() -> None:
    """1 request/s for 10 h: 36,000 +- 190 in all, variance / mean of the seconds 1, gaps with a CV of 1."""
    made = rows(plain(), days=10 / 24)
    counts = per(made, 1, 36_000)
    assert made.height == pytest.approx(36_000, abs=4 * 190)
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 36_000))
    gaps = np.diff(made["arrived_at"].dt.timestamp("us").to_numpy()) / 1e6
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("dwell_s", "scale_s"), [(1.0, 1), (10.0, 10), (60.0, 60)])
def test_noise_gives_the_dispersion_of_its_scale(dwell_s: float, scale_s: int) -> None:
    """At rate r a factor of CV c for d seconds gives counts in d seconds a dispersion of 1 + r d c^2."""
    made = rows(plain(rps=2.0, noise=(Noise(dwell_s=dwell_s, cv=0.7),)), days=2)
    counts = per(made, scale_s, 2 * 86_400)
    assert counts.var() / counts.mean() == pytest.approx(1 + 2.0 * dwell_s * 0.49, rel=0.15)
    assert made.height == pytest.approx(2 * 2 * 86_400, rel=0.06)


def test_a_rhythm_shapes_the_day_and_the_anchor_places_it() -> None:
    """Four requests in the first half of a day for each in the second."""
    relative = tuple([1.6] * 12 + [0.4] * 12)
    made = rows(plain(rps=0.5, rhythm=Rhythm(period_s=86_400.0, relative=relative)), days=4)
    hours = per(made, 3600, 4 * 86_400).reshape(4, 24).sum(axis=0)
    assert hours[1:11].sum() / hours[13:23].sum() == pytest.approx(4.0, rel=0.05)


def test_a_burst_multiplies_the_rate_and_comes_on_top() -> None:
    """3 times the rate for 30 min every 3 h: 1 + 2 / 6 times as many requests, a third of the bursts' height around."""
    workload = plain(rps=2.0, bursts=(Burst(ratio=3.0, minutes=30.0, every_h=3.0),))
    assert expected(workload) == pytest.approx(2.0 * 86_400 * (1 + 2 / 6))
    halves = per(rows(workload), 1800, 86_400).reshape(8, 6).sum(axis=0)
    assert halves[0] / halves[1:].mean() == pytest.approx(3.0, rel=0.05)


def test_growth_multiplies_week_by_week() -> None:
    weeks = per(rows(plain(rps=0.02, growth_per_week=0.5), days=28), 7 * 86_400, 28 * 86_400)
    assert weeks[1:] / weeks[:-1] == pytest.approx([1.5, 1.5, 1.5], rel=0.08)


@settings(deadline=None, max_examples=25)
@given(
    requests=st.floats(10, 1e6),
    growth=st.floats(-0.3, 1.0),
    ratio=st.floats(0.01, 6.0),
    minutes=st.floats(1.0, 90.0),
    days=st.floats(0.05, 20.0),
)
def test_the_number_asked_for_is_the_number_expected(
    requests: float, growth: float, ratio: float, minutes: float, days: float
) -> None:
    workload = plain(
        growth_per_week=growth,
        bursts=(Burst(ratio=ratio, minutes=minutes, every_h=2.0),),
        spikes=Spikes(per_day=3.0, ratio=2.0, length_s=300.0),
    )
    laid = courses(workload, seed=1, start=START, span_s=days * 86_400, requests=requests)
    assert expected_requests(laid) == pytest.approx(requests, rel=1e-6)


def test_a_number_that_no_moment_is_left_for_is_refused() -> None:
    """A silence of 74 minutes from the start, and a span that is over before it ends."""
    silent = plain(bursts=(Burst(ratio=0.0, minutes=74.0, every_h=2.0),))
    with pytest.raises(TraceError, match=r"no request would come in the 1\.2 h asked for, so 10 cannot"):
        next(iter(generate(silent, seed=1, days=0.05, requests=10)))
    longer = courses(silent, seed=1, start=START, span_s=5_000.0, requests=10)
    assert expected_requests(longer) == pytest.approx(10)


def test_spikes_are_short_and_keep_the_mean() -> None:
    workload = plain(rps=1.0, spikes=Spikes(per_day=24.0, ratio=5.0, length_s=300.0))
    minutes = per(rows(workload, days=4), 60, 4 * 86_400)
    assert minutes.mean() == pytest.approx(60, rel=0.15)
    assert np.mean(minutes > 120) == pytest.approx(24 * 300 / 86_400, rel=0.5)


def test_apps_clients_and_cached_tokens_are_drawn_and_unknown_is_null() -> None:
    law = dataclasses.replace(
        law_of_means(1000.0, 100.0), cached=((0.5,) * BAND_LEVELS.size,), cached_known_fraction=0.25
    )
    mix = (Part(key="chat", share=0.6), Part(key=None, share=0.4))
    usage = Usage(model="m", tier="t", lengths=law, apps=mix, tenants=(Part(key="client_001", share=1.0),))
    made = rows(plain(usages=(usage,)), days=0.25)
    assert made["app"].null_count() / made.height == pytest.approx(0.4, abs=0.02)
    assert made["tenant"].unique().to_list() == ["client_001"]
    known = made.drop_nulls("cached_tokens")
    assert known.height / made.height == pytest.approx(0.25, abs=0.02)
    assert (known["cached_tokens"] == known["input_tokens"] // 2).all()


def test_a_copy_of_the_published_laws_resembles_the_week() -> None:
    made = rows(published(), requests=100_000, seed=7)
    share = dict(made["region"].value_counts(normalize=True).rows())
    assert share == pytest.approx({"us_east": 0.43, "us_central": 0.29, "us_west": 0.28}, abs=0.01)
    for model, part in made.group_by("model"):
        assert 3900 <= part["input_tokens"].quantile(0.5) <= 6100, model
        assert 85 <= part["output_tokens"].quantile(0.5) <= 200, model
        assert 1500 <= part["output_tokens"].quantile(0.99) <= 2500, model
    assert made["app"].value_counts(normalize=True).sort("proportion")[-1, "app"] == "rag"


def test_what_cannot_be_made_is_refused_at_once() -> None:
    for words in ({"days": 0}, {"requests": 0}, {"batch_rows": 0}):
        with pytest.raises(TraceError, match="positive number"):
            generate(plain(), seed=1, **words)
    with pytest.raises(TraceError, match="rate of zero"):
        generate(plain(rps=0.0), seed=1)


@pytest.mark.parametrize("noise", [(), (Noise(dwell_s=10.0, cv=0.1),)])
def test_bursts_of_part_of_a_minute_have_their_ratio_and_their_length(noise: tuple[Noise, ...]) -> None:
    """Five times the rate for 24 s of every hour, from 36 s on."""
    burst = Burst(ratio=5.0, minutes=0.4, every_h=1.0, first_h=0.01)
    made = pl.concat(generate(dataclasses.replace(plain(rps=20.0, noise=noise), bursts=(burst,)), seed=5, days=1.0))
    second = (made["arrived_at"] - START).dt.total_microseconds().to_numpy() / 1e6 % 3600
    inside = (second >= 36) & (second < 60)
    ratio = (inside.sum() / 24) / ((~inside).sum() / (3600 - 24))
    assert ratio == pytest.approx(5.0, rel=0.06)
