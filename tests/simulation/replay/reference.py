"""The replay once more, slowly: plain Python, one iteration at a time, lists for queues, every sum taken anew.

One model and one pool a region. It shares with the engine only the numbers of a policy and the two rules that
:mod:`workbench.simulation.rules` states and tests by themselves: which pool, and which scaling step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.simulation.replay.reference_machine import Asked, Machine
from workbench import performance
from workbench.domain import Fleet, Policy
from workbench.simulation import rules as r
from workbench.simulation import state
from workbench.simulation.scheduling import Scheduling

STEP_S = 10.0
SHED = -2
AVERAGED_OVER = 1024.0
FIRST_SCALING_S = 60.0
DEFERRABLE_TIER = 2


class PoolOf:
    """The replicas of one region and the load signal as it was last noted."""

    def __init__(
        self, fleet: Fleet, region: str, scheduling: Scheduling, promise_s: Sequence[float], *, kv_cache_only: bool
    ) -> None:
        self.kv_cache_only = kv_cache_only
        self.replica, self.scheduling, self.promise_s = fleet.replicas[0], scheduling, promise_s
        cell = (region, self.replica.model, self.replica.gpu)
        self.ready_at_start, self.lent = fleet.initial_replicas[cell], fleet.initial_lent_replicas[cell]
        mix = fleet.mixes[self.replica.model]
        self.mix, self.prompt, self.output = mix, mix.input_tokens, mix.output_tokens
        stock = fleet.stock_gpus[region, self.replica.gpu] // self.replica.gpus
        self.free = stock - self.ready_at_start - self.lent
        self.places: list[Machine | None] = [None] * stock
        self.parked: list[Asked] = []
        self.starting: list[int] = []  # the step each becomes ready
        self.signal, self.decode_s, self.credits, self.last_action_s = 0.0, 0.0, 0, 0.0
        for place in range(self.ready_at_start):
            self.places[place] = Machine(self.replica, scheduling, promise_s)
        self.note_lengths()

    def machines(self) -> list[Machine]:
        return [machine for machine in self.places if machine is not None]

    def ready(self) -> list[Machine]:
        return [machine for machine in self.machines() if not machine.is_draining]

    def note_lengths(self) -> None:
        """Seconds a request of the mean lengths decodes over the work it brings (simulation.md section 3)."""
        held = self.mix.cross_ratio * self.prompt + 0.5 * self.mix.output_square_ratio * self.output
        slope = self.replica.decode_per_request_s + self.replica.decode_per_token_s * held
        place = math.log2(max(self.prompt, 1.0)) * 4.0
        around = (int(place), int(place) + 1)
        low, high = (performance.prompt_s_per_token(self.replica, 2.0 ** (knot / 4.0)) for knot in around)
        prompt_s = (low + (high - low) * (place - around[0])) * self.prompt
        self.decode_s = self.output * self.replica.decode_base_s / (prompt_s + self.output * slope)

    def note_signal(self) -> None:
        """The larger of slots (in number or in KV reserved) and work, never below KV held; or KV held alone."""
        everyone = self.parked + [asked for machine in self.ready() for asked in machine.everyone()]
        n, inside = float(len(self.ready())), float(len(everyone))
        if n == 0.0:
            self.signal = 1.0 if everyone else 0.0
            return
        room = self.replica.kv_cache_tokens
        if self.kv_cache_only:
            owed = sum(asked.prompt for asked in self.parked) + sum(machine.owed() for machine in self.ready())
            self.signal = min((sum(machine.held for machine in self.ready()) + owed) / (n * room), 1.0)
            return
        needed = float(sum(asked.prompt + asked.output for asked in everyone))
        slots = min(max(inside / (n * self.replica.batch_cap), needed / (n * room)), 1.0)
        each = inside / n
        if slots >= 1.0:
            each = min(each, float(self.replica.batch_cap), room * inside / needed)
        self.signal = max(slots, each / (each + self.decode_s))

    def carry(self, until_s: float) -> None:
        for machine in self.machines():
            while machine.ends_s <= until_s:
                machine.end()
            if not machine.is_draining:
                self.credits += machine.completions
            machine.completions = 0

    def take(self, asked: Asked, now_s: float) -> None:
        """Hand a request to the least loaded of the ready replicas, the first of equals."""
        self.prompt += (asked.prompt - self.prompt) / AVERAGED_OVER
        self.output += (asked.output - self.output) / AVERAGED_OVER
        self.carry(now_s)
        if self.ready():
            chosen = min(self.ready(), key=Machine.load)
            chosen.waiting.append(asked)
            if math.isinf(chosen.ends_s):
                chosen.begin(now_s)
        else:
            self.parked.append(asked)
        self.note_signal()

    def change(self, step: int) -> None:
        """What the tick's readiness brings: replicas that start or have drained; parked requests find one."""
        for place, machine in enumerate(self.places):
            if machine is not None and machine.is_draining and not machine.everyone():
                self.places[place] = None
                self.lent += 1
        for _ in range(self.starting.count(step)):
            self.places[self.places.index(None)] = Machine(self.replica, self.scheduling, self.promise_s)
        self.starting = [at for at in self.starting if at > step]
        if self.ready() and self.parked:
            parked, self.parked = self.parked, []
            for asked in parked:
                self.take(asked, step * STEP_S)
        self.note_signal()

    def retire(self, now_s: float) -> None:
        """Take the emptiest replica out of routing; what waits before it goes to the others."""
        machine = min(self.ready(), key=lambda machine: len(machine.everyone()))
        machine.is_draining = True
        waiting, machine.waiting = sorted(machine.waiting, key=lambda asked: machine.queue(asked, now_s)), []
        for asked in waiting:
            self.take(asked, now_s)
        self.note_signal()


class Reference:
    """Regions with a pool each, requests of one model, ticks of ten seconds."""

    def __init__(self, fleet: Fleet, policy: Policy, scheduling: Scheduling, tables: state.Inputs) -> None:
        self.policy, self.rules, self.tables = policy, r.rules_of(policy), tables
        self.pools = [
            PoolOf(
                fleet,
                region.key,
                scheduling,
                tables.promise_s.tolist(),
                kv_cache_only=self.rules.kv_cache_only,
            )
            for region in fleet.regions
        ]
        for pool in self.pools:
            pool.last_action_s = FIRST_SCALING_S - policy.cooldown_s
        self.deferred: list[list[Asked]] = [[] for _ in self.pools]

    def send(self, asked: Asked, now_s: float) -> None:
        if asked.prompt + asked.output > self.pools[0].replica.kv_cache_tokens:
            asked.pool = SHED
            return
        records = np.zeros(len(self.pools), dtype=state.POOL).view(np.recarray)
        records.signal = [pool.signal for pool in self.pools]
        records.ready = [len(pool.ready()) for pool in self.pools]
        x = self.tables
        asked.pool = r.choose_pool(self.rules, x.preference, asked.origin, x.pools_in, 0, 0, records)
        self.pools[asked.pool].take(asked, now_s)

    def release(self, p: int, now_s: float) -> None:
        """At each signal of spare capacity one or two of the region's deferrable requests go."""
        pool, queue = self.pools[p], self.deferred[p]
        while pool.credits and queue:
            pool.credits -= 1
            allowed = r.released_per_signal(self.rules, pool.signal)
            if not allowed:
                break
            for asked in [queue.pop(0) for _ in range(min(allowed, len(queue)))]:
                if asked.prompt + asked.output > pool.replica.kv_cache_tokens:
                    asked.pool = SHED
                else:
                    asked.pool = p
                    pool.take(asked, now_s)
        pool.credits = 0

    def scale(self, step: int) -> None:
        now_s = step * STEP_S
        for pool in self.pools:
            if now_s - pool.last_action_s < self.policy.cooldown_s:
                continue
            ready, coming = len(pool.ready()), len(pool.starting)
            change = r.scaling_step(
                self.rules, pool.signal, ready, coming, ready, ready + coming, 0, now_s % 3600.0, 1.0
            )
            if change:
                pool.last_action_s = now_s
            if change < 0:
                pool.retire(now_s)
            elif change > 0 and pool.lent + pool.free > 0:
                delay_s = self.policy.reclaim_s if pool.lent else self.policy.remote_s
                pool.lent, pool.free = (pool.lent - 1, pool.free) if pool.lent else (0, pool.free - 1)
                pool.starting.append(step + max(math.ceil(delay_s / STEP_S), 1))

    def tick(self, step: int) -> None:
        now_s = step * STEP_S
        for pool in self.pools:
            pool.change(step)
        self.scale(step)
        for queue in self.deferred:
            while queue and queue[0].arrival_s <= now_s - self.policy.deferrable_ages_after_s:
                self.send(queue.pop(0), now_s)
        for p, pool in enumerate(self.pools):
            pool.credits += len(pool.ready())
            self.release(p, now_s)

    def run(self, requests: Sequence[Asked], steps: int) -> None:
        """Take in every request between the ticks, in order of arrival."""
        ahead = list(requests)
        for step in range(steps):
            self.tick(step)
            while ahead and ahead[0].arrival_s < (step + 1) * STEP_S:
                asked = ahead.pop(0)
                if asked.tier == DEFERRABLE_TIER:
                    self.deferred[asked.origin].append(asked)
                    continue
                self.send(asked, asked.arrival_s)
                if asked.pool >= 0 and self.deferred[asked.pool]:
                    self.release(asked.pool, asked.arrival_s)
            for pool in self.pools:
                pool.carry((step + 1) * STEP_S)
                pool.note_lengths()
                pool.note_signal()
