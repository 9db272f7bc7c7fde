"""A prefix cache replayed over blocks of prompts: how much of each prompt was computed before.

Each prompt is a chain of block ids; equal ids stand for the same text up to and including that block, so a prompt finds
in the cache its longest leading run of known blocks. A bounded cache forgets the blocks used longest ago, and of one
prompt the last ones first, as a block without those before it is of no use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """Blocks that were computed, at most ``capacity_blocks`` of them (None: all), in the order of their last use."""

    def __init__(self, *, capacity_blocks: int | None = None) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._capacity_blocks = capacity_blocks

    def hit_blocks(self, chain: Sequence[int]) -> int:
        """Return how many leading blocks of a prompt are there, and remember all of its blocks."""
        known = self._blocks
        hits = 0
        for block in chain:
            if block not in known:
                break
            hits += 1
        if self._capacity_blocks is None:
            known.update(dict.fromkeys(chain[hits:]))
            return hits
        for block in reversed(chain):
            known[block] = None
            known.move_to_end(block)
        while len(known) > self._capacity_blocks:
            known.popitem(last=False)
        return hits


def cached_tokens(*, hit_blocks: int, block_tokens: int, input_tokens: int) -> int:
    """Return the prompt tokens found in the cache: whole blocks, the last one as far as the prompt goes.

    The last token of a prompt is always computed, so that there is something to generate from: less than the input.
    """
    return max(0, min(hit_blocks * block_tokens, input_tokens - 1))
