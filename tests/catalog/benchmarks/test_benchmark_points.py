"""workbench.catalog.benchmarks.points: spans of a request solved by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.catalog.benchmarks.points import decode_points, prefill_points, tells_context_apart
from workbench.catalog.benchmarks.runs import BenchmarkRun, TimedRequest
from workbench.catalog.measurements import DecodePoint


def timed(start_s: float, ttft_s: float, decode_s: float, *, prompt: float = 100.0, output: float = 11.0):
    return TimedRequest(input_tokens=prompt, output_tokens=output, ttft_s=ttft_s, decode_s=decode_s, start_s=start_s)


def run(*requests: TimedRequest, timeline: bool = True, concurrency: float | None = None, rps: float = 1.0):
    return BenchmarkRun(
        label="run", requests=requests, rps=rps, concurrency=concurrency, is_timeline=timeline, date="2026"
    )


def free(tokens):
    return np.zeros_like(tokens)


def test_who_is_served_while_nobody_else_is_ran_alone():
    first, second, third, fourth = timed(0, 1, 2), timed(2.5, 1, 2), timed(5.0, 1, 1), timed(9.0, 1, 1)
    # the second starts while the first decodes, the third while the second does; the fourth comes when all is quiet
    points = prefill_points([run(first, second, third, fourth)])
    assert [point.seconds for point in points] == [1, 1]
    follower = timed(0.5, 1, 2)
    assert prefill_points([run(first, follower)]) == ()  # the first is joined before its first token


def test_without_instants_only_a_client_of_one_at_a_time_counts():
    requests = (timed(0, 1, 2), timed(0, 3, 2))
    assert prefill_points([run(*requests, timeline=False, concurrency=2.0)]) == ()
    assert len(prefill_points([run(*requests, timeline=False, concurrency=1.0)])) == 2


def test_many_lengths_are_gathered_along_their_line():
    requests = [timed(10.0 * i, 0.01 + 1e-4 * tokens, 1.0, prompt=tokens) for i, tokens in enumerate(range(100, 900))]
    points = prefill_points([run(*requests)])
    assert len({point.input_tokens for point in points}) == 8
    for point in points:
        assert point.seconds == pytest.approx(0.01 + 1e-4 * point.input_tokens)


def test_two_that_overlap_by_half_see_one_and_a_half_by_hand():
    # A decodes from 1 to 3, B from 2 to 4, ten gaps each; K = 105.5 each; B's prompt took 0.5 s out of A's span
    a, b = timed(0, 1, 2), timed(1, 1, 2)
    points = decode_points([run(a, b)], lambda tokens: np.full_like(tokens, 0.5))
    assert [point.requests for point in points] == pytest.approx([1.5, 1.5])
    assert [point.kv_tokens for point in points] == pytest.approx([1.5 * 105.5] * 2)
    assert [point.seconds for point in points] == pytest.approx([0.15, 0.20])


def test_the_mean_request_by_hand():
    # 3 at once, each 1 s to the first token and 3 s of decoding: others come 2 / 4 a second, 1.5 decode beside
    mean = timed(0, 1, 3, output=31.0)
    (point,) = decode_points([run(mean, timeline=False, concurrency=3.0)], lambda tokens: np.full_like(tokens, 0.4))
    assert point.requests == pytest.approx(2.5)
    assert point.kv_tokens == pytest.approx(2.5 * 115.5)
    assert point.seconds == pytest.approx(0.1 * (1 - 0.2))
    # open arrivals: 0.5 a second likewise
    (open_one,) = decode_points([run(mean, timeline=False, rps=0.5)], lambda tokens: np.full_like(tokens, 0.4))
    assert (open_one.requests, open_one.seconds) == (point.requests, point.seconds)


def test_outputs_too_short_to_tell_a_gap_are_left_out():
    assert decode_points([run(timed(0, 1, 0.1, output=2.0))], free) == ()
    assert decode_points([run(timed(0, 1, 0.1, output=2.0), timeline=False)], free) == ()


def test_context_is_told_apart_where_it_varies_beside_the_batch():
    def points(*contexts: float):
        return [
            DecodePoint(requests=batch, kv_tokens=batch * context, seconds=1.0)
            for batch in (1.0, 8.0, 64.0)
            for context in contexts
        ]

    assert not tells_context_apart(points(500.0))
    assert tells_context_apart(points(500.0, 2000.0))
