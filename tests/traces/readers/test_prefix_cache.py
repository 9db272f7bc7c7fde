"""A replayed prefix cache: hand-solved cases, and what holds for any requests and any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.traces.readers.prefix_cache import PrefixCache, cached_tokens


def chain_of(words: list[int]) -> list[tuple[int, ...]]:
    """Ids of a prompt's blocks: each stands for the whole prefix up to it."""
    return [tuple(words[: end + 1]) for end in range(len(words))]


def hits(chains: list[list[int]], capacity_blocks: int | None) -> list[int]:
    """Blocks found for each prompt in turn; prefixes are numbered as they come."""
    numbers: dict[tuple[int, ...], int] = {}
    cache = PrefixCache(capacity_blocks=capacity_blocks)
    return [
        cache.hit_blocks([numbers.setdefault(prefix, len(numbers)) for prefix in chain_of(words)]) for words in chains
    ]


def test_a_prompt_finds_the_longest_leading_run() -> None:
    cache = PrefixCache()
    assert [cache.hit_blocks(chain) for chain in ([1, 2, 3], [1, 2, 4], [9, 2], [1, 2, 4, 5], [])] == [0, 2, 0, 3, 0]


def test_the_blocks_used_longest_ago_are_forgotten_last_ones_first() -> None:
    """Room for 3: after [1 2 3] and [7], block 3 is gone (the last of the older prompt), 1 and 2 are there."""
    cache = PrefixCache(capacity_blocks=3)
    assert [cache.hit_blocks(chain) for chain in ([1, 2, 3], [7], [1, 2, 3])] == [0, 0, 2]
    # now 1, 2, 3 are the newest and 7 is gone
    assert cache.hit_blocks([7]) == 0
    assert PrefixCache(capacity_blocks=0).hit_blocks([1]) == 0


def test_a_prompt_longer_than_the_cache_leaves_its_beginning() -> None:
    cache = PrefixCache(capacity_blocks=2)
    assert [cache.hit_blocks([1, 2, 3, 4]), cache.hit_blocks([1, 2, 3, 4])] == [0, 2]


def test_the_last_token_is_always_computed() -> None:
    assert cached_tokens(hit_blocks=2, block_tokens=512, input_tokens=1100) == 1024
    assert cached_tokens(hit_blocks=3, block_tokens=512, input_tokens=1100) == 1099
    assert cached_tokens(hit_blocks=2, block_tokens=512, input_tokens=1024) == 1023
    assert cached_tokens(hit_blocks=0, block_tokens=512, input_tokens=0) == 0


PROMPTS = st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=30)


@given(prompts=PROMPTS, small=st.integers(0, 12), more=st.integers(0, 12))
def test_more_room_never_finds_less_and_no_bound_finds_most(prompts: list[list[int]], small: int, more: int) -> None:
    bounded, larger, unbounded = (hits(prompts, size) for size in (small, small + more, None))
    assert all(b <= w for b, w in zip(larger, unbounded, strict=True))
    assert sum(bounded) <= sum(larger) <= sum(unbounded)
    seen: set[tuple[int, ...]] = set()
    for prompt, found in zip(prompts, unbounded, strict=True):
        assert found == sum(prefix in seen for prefix in chain_of(prompt))
        seen |= set(chain_of(prompt))
