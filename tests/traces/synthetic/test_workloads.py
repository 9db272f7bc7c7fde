"""workbench.traces.synthetic.workloads: a workload is checked, and variations change what they name and no more."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import TraceError
from workbench.traces.synthetic import Workload, published, varied
from workbench.traces.synthetic.published import REQUESTS_PER_WEEK
from workbench.traces.synthetic.workloads import Part


@pytest.fixture(scope="module")
def workload() -> Workload:
    return published()


def test_the_published_workload_has_the_published_shares(workload: Workload) -> None:
    assert workload.rps * 7 * 86_400 == pytest.approx(REQUESTS_PER_WEEK)
    assert workload.shares("region") == pytest.approx({"us_east": 0.43, "us_central": 0.29, "us_west": 0.28})
    assert workload.shares("tier")["non_interactive"] == pytest.approx(0.28)
    assert workload.usage("llama2_70b", "non_interactive").apps[0] == Part(key="rag", share=0.412)


def test_new_shares_leave_the_proportions_of_the_others(workload: Workload) -> None:
    other = varied(workload, tiers={"non_interactive": 0.64}, regions={"us_east": 0.0})
    tiers = other.shares("tier")
    assert other.rps == pytest.approx(workload.rps)
    assert tiers["non_interactive"] == pytest.approx(0.64)
    assert tiers["interactive_fast"] / tiers["interactive_normal"] == pytest.approx(0.45 / 0.27)
    assert other.shares("region")["us_east"] == 0.0


def test_shares_of_models_and_regions_hold_together(workload: Workload) -> None:
    """Bloom lies mostly in the east, so that new regions alone would move the models."""
    other = varied(workload, models={"bloom_176b": 0.6}, regions={"us_west": 0.6}, tiers={"non_interactive": 0.5})
    assert other.shares("model")["bloom_176b"] == pytest.approx(0.6, abs=1e-6)
    assert other.shares("region")["us_west"] == pytest.approx(0.6, abs=1e-6)
    assert other.shares("tier")["non_interactive"] == pytest.approx(0.5, abs=1e-6)
    assert other.rps == pytest.approx(workload.rps)


def test_shares_that_cannot_hold_together_are_refused(workload: Workload) -> None:
    """A model that is only in the west cannot have half of a load that is all in the east."""
    apart = dataclasses.replace(
        workload,
        streams=tuple(s for s in workload.streams if (s.model == "bloom_176b") == (s.region == "us_west")),
    )
    with pytest.raises(TraceError, match="cannot hold together"):
        varied(apart, models={"bloom_176b": 0.5}, regions={"us_west": 0.1})


@settings(deadline=None, max_examples=25)
@given(east=st.floats(0.0, 0.7), west=st.floats(0.0, 0.3), rps=st.floats(0.01, 1e4), noise=st.floats(0.0, 3.0))
def test_a_variation_has_the_rate_and_shares_asked_for(east: float, west: float, rps: float, noise: float) -> None:
    workload = published()
    other = varied(workload, rps=rps, regions={"us_east": east, "us_west": west}, noise_ratio=noise)
    shares = other.shares("region")
    assert other.rps == pytest.approx(rps)
    assert (shares["us_east"], shares["us_west"]) == pytest.approx((east, west))
    assert other.streams[0].noise[0].cv == pytest.approx(workload.streams[0].noise[0].cv * noise)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"us_est": 0.5}, "no region 'us_est': did you mean"),
        ({"us_east": 0.8, "us_west": 0.3}, "sum to 1"),
        ({"us_east": -0.1}, "zero or more"),
        ({"us_east": 0.2, "us_central": 0.2, "us_west": 0.2}, "sum to 1"),
    ],
)
def test_impossible_shares_are_refused(workload: Workload, shares: dict[str, float], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        varied(workload, regions=shares)


def test_what_has_nothing_cannot_be_given_a_share(workload: Workload) -> None:
    without = varied(workload, regions={"us_east": 0.0})
    with pytest.raises(TraceError, match="has no requests"):
        varied(without, regions={"us_east": 0.5})


def test_a_workload_that_does_not_hold_together_is_refused(workload: Workload) -> None:
    with pytest.raises(TraceError, match="no usage says"):
        dataclasses.replace(workload, usages=workload.usages[:-1])
    with pytest.raises(TraceError, match="comes twice"):
        dataclasses.replace(workload, streams=(*workload.streams, workload.streams[0]))
    with pytest.raises(TraceError, match="no stream"):
        dataclasses.replace(workload, streams=())
    with pytest.raises(TraceError, match="more than -1"):
        dataclasses.replace(workload, growth_per_week=-1.0)
    with pytest.raises(TraceError, match="must be zero or more"):
        dataclasses.replace(workload.streams[0], rps=-1.0)
    with pytest.raises(TraceError, match="sum to 1"):
        dataclasses.replace(workload.usages[0], apps=(Part(key="a", share=0.5),))
