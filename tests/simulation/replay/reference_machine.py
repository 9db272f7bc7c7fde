"""One replica of the reference: continuous batching, an iteration at a time, with lists for queues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench import performance
from workbench.domain import Replica
from workbench.simulation.scheduling import Scheduling


@dataclass
class Asked:
    """One request and what became of it."""

    arrival_s: float
    prompt: int
    output: int
    tier: int
    origin: int
    read: int = 0
    made: int = 0
    ttft_s: float = math.nan
    e2e_s: float = math.nan
    pool: int = -1


def marginal_s(replica: Replica, tokens: int) -> float:
    """What a prompt adds to an iteration: prefill less the iteration's own overhead, which is paid once."""
    base_s = min(performance.prefill_s(replica, 0.0), replica.decode_base_s)
    return performance.prefill_s(replica, float(tokens)) - base_s if tokens else 0.0


@dataclass
class Machine:
    """One replica: what waits, whose prompt is being read, what decodes."""

    replica: Replica
    scheduling: Scheduling
    promise_s: Sequence[float]
    waiting: list[Asked] = field(default_factory=list)
    reading: list[Asked] = field(default_factory=list)
    running: list[Asked] = field(default_factory=list)
    portions: list[tuple[Asked, int]] = field(default_factory=list)
    ends_s: float = math.inf
    is_draining: bool = False
    completions: int = 0
    held: int = 0  # KV tokens of what decodes, as they were when prompts, ends or admissions last changed the batch
    is_changed: bool = True

    def everyone(self) -> list[Asked]:
        return self.waiting + self.reading + self.running

    def owed(self) -> int:
        return sum(asked.prompt for asked in self.waiting + self.reading)

    def load(self) -> tuple[int, int]:
        """What the choice of a replica compares."""
        owed, requests = self.owed(), len(self.everyone())
        return (owed, requests) if self.scheduling.balance == "prefill_tokens" else (requests, owed)

    def queue(self, asked: Asked, now_s: float) -> tuple[int, int, float]:
        """Where a request waits: under DPA what is past its promise behind the rest, then by tier and arrival."""
        if self.scheduling.order == "fcfs":
            return 0, 0, 0.0
        slack_s = asked.arrival_s + self.promise_s[asked.tier] - now_s
        is_late = (slack_s < 0.0) + (slack_s < -self.scheduling.severe_s) if self.scheduling.order == "dpa" else 0
        return is_late, asked.tier, asked.arrival_s

    def rank(self, asked: Asked, now_s: float) -> tuple[float, float]:
        """The order of sageserve.md section 4.4, least first."""
        slack_s = asked.arrival_s + self.promise_s[asked.tier] - now_s
        if self.scheduling.order == "fcfs":
            return 0.0, 0.0
        if self.scheduling.order == "edf":
            return 0.0, slack_s
        if self.scheduling.order == "pf":
            return float(asked.tier), 0.0
        if slack_s < -self.scheduling.severe_s:
            return 0.0, slack_s
        if slack_s < 0.0:
            return 9.0, slack_s
        return (1.0 if slack_s <= self.scheduling.urgent_s else 4.0) + asked.tier, slack_s

    def begin(self, now_s: float) -> None:
        """Admit in order as far as slots, KV room and prompt tokens go, and run one iteration."""
        budget = self.scheduling.chunk_tokens or math.inf
        owed = sum(asked.prompt - asked.read for asked in self.reading) if self.scheduling.chunk_tokens else 0
        while self.waiting and owed < budget:
            first = min(self.waiting, key=lambda asked: self.rank(asked, now_s))  # the first of equals
            is_full = len(self.reading) + len(self.running) >= self.replica.batch_cap
            if is_full or self.reserved_with(first) > self.replica.kv_cache_tokens:
                break
            self.waiting.remove(first)
            (self.running if first.made else self.reading).append(first)
            self.is_changed = True
            owed += first.prompt - first.read
        if self.is_changed:
            self.held = sum(asked.prompt + asked.made for asked in self.running)
        if not self.reading and not self.running:
            self.ends_s = math.inf
            return
        left, self.portions = budget, []
        for asked in self.reading:
            tokens = int(min(left, asked.prompt - asked.read))
            if tokens <= 0:
                break
            left -= tokens
            self.portions.append((asked, tokens))
        self.ends_s = now_s + self.iteration_s()

    def reserved_with(self, first: Asked) -> int:
        """Prompt and output of everyone admitted and of one more."""
        return sum(asked.prompt + asked.output for asked in (*self.reading, *self.running, first))

    def iteration_s(self) -> float:
        """Decoding of everyone who runs, and what the tokens read of prompts add."""
        held = sum(asked.prompt + asked.made for asked in self.running)
        length_s = self.replica.decode_base_s + self.replica.decode_per_request_s * len(self.running)
        length_s += self.replica.decode_per_token_s * held
        for asked, tokens in self.portions:
            length_s += marginal_s(self.replica, asked.read + tokens) - marginal_s(self.replica, asked.read)
        return length_s

    def decode(self, born: list[Asked]) -> None:
        """Go on with those whose prompt is read: they keep their place in the batch."""
        self.running += born

    def end(self) -> None:
        """Hand out a token to everyone who decodes and to whom the prompt is read; then the next iteration."""
        now_s, born = self.ends_s, []
        for asked in self.running:
            asked.made += 1
        for asked, tokens in self.portions:
            asked.read += tokens
            if asked.read == asked.prompt:
                asked.ttft_s, asked.made = now_s - asked.arrival_s, 1
                born.append(asked)
        self.is_changed = bool(self.portions)
        self.portions = []
        self.reading = [asked for asked in self.reading if asked.read < asked.prompt]
        self.decode(born)
        for asked in [asked for asked in self.running if asked.made >= asked.output]:
            asked.e2e_s = now_s - asked.arrival_s
            self.running.remove(asked)
            self.completions += 1
            self.is_changed = True
        self.begin(now_s)
