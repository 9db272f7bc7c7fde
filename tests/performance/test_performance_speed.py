"""workbench.performance.speed: prefill by its lines, and what a prompt costs in an iteration that decodes anyway."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.performance.performance_cases import MIX, SMALL, replicas
from workbench import performance
from workbench.domain import Replica
from workbench.performance.speed import decode_s_per_request


@pytest.mark.parametrize(
    ("tokens", "seconds"),
    [(0, 0.03), (500, 0.08), (1000, 0.13), (1500, 0.18), (2500, 0.33), (3000, 0.43), (4000, 0.63)],
)
def test_prefill_follows_its_lines_and_continues_the_last(tokens: float, seconds: float):
    assert performance.prefill_s(SMALL, tokens) == pytest.approx(seconds)


def test_a_prompt_in_a_mixed_iteration_does_not_pay_the_fixed_part_again():
    # fixed part 30 ms, of which the iteration pays its own 20 ms: (130 - 20) ms / 1000 and (430 - 20) ms / 3000
    assert performance.prompt_s_per_token(SMALL, 1000) == pytest.approx(1.1e-4)
    assert performance.prompt_s_per_token(SMALL, 3000) == pytest.approx(0.41 / 3000)


def test_a_fixed_part_below_zero_counts_as_none():
    steep = replace(SMALL, prefill_s=(0.05, 0.20, 0.43))
    assert performance.prompt_s_per_token(steep, 1000) == pytest.approx(0.05 / 1000)
    assert performance.prefill_s(steep, 500) == pytest.approx(0.025)


def test_the_work_of_a_request_by_hand():
    # prompt 110 ms and 100 iterations of 1 ms + 1050 tokens x 1 us
    kind = replace(SMALL, decode_per_token_s=1e-6)
    assert decode_s_per_request(kind, MIX) == pytest.approx(0.00205)
    assert performance.work_s(kind, MIX) == pytest.approx(0.11 + 0.205)


@settings(deadline=None)
@given(kind=replicas, tokens=st.floats(1, 20_000), more=st.floats(0, 20_000))
def test_a_longer_prompt_never_takes_less(kind: Replica, tokens: float, more: float):
    assert performance.prefill_s(kind, tokens + more) >= performance.prefill_s(kind, tokens) * (1 - 1e-12)
    assert performance.prompt_s_per_token(kind, tokens) >= 0
