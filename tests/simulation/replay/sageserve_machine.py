"""The reference under SageServe's rules: its iteration law, its two reservations and its choice of an instance.

The loop is that of :mod:`tests.simulation.replay.reference_machine`, an iteration at a time, which proves our replay;
each rule replaces one of ours and can be switched on alone. No rule knows an answer of a run.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tests.simulation.replay.reference_machine import Asked, Machine
from tests.simulation.replay.sageserve_files import BATCH_CAP, MIXED, OVERHEAD_S, ROOM_TOKENS, curves_of
from workbench.domain import Replica
from workbench.simulation.scheduling import Scheduling

#: Seconds of an iteration that reads prompts of some tokens in all while some requests decode.
Law = Callable[[int, int], float]
#: The index of the machine that takes the next request.
Choice = Callable[[Sequence[Machine]], int]


def replica_of(model: str, *, mixed: bool = False) -> Replica:
    """Fit a replica to the points of a model: the prompts' own points, and decoding by the first two.

    Decoding is a line up to 256 requests at once, more than any scenario of A and B reaches. ``mixed`` takes the
    prompts' times from iterations that also decode, as a benchmark under load would measure them.
    """
    curves = curves_of(model)
    tokens, prompt_ms = zip(*curves.prompt_ms.points, strict=True)
    base_ms = curves.decode_ms(0.0)
    return Replica(
        model="m",
        gpu="h100",
        gpus=8,
        prefill_tokens=tuple(float(x) for x in tokens),
        prefill_s=tuple((MIXED if mixed else 1.0) * y / 1000.0 + OVERHEAD_S for y in prompt_ms),
        decode_base_s=base_ms / 1000.0 + OVERHEAD_S,
        decode_per_request_s=(curves.decode_ms(1.0) - base_ms) / 1000.0,
        decode_per_token_s=0.0,
        kv_cache_tokens=float(ROOM_TOKENS[model]),
        batch_cap=BATCH_CAP,
    )


def sageserve_law(model: str) -> Law:
    """Return the law of SageServe's simulator; a mixed iteration takes 1.1 times a prompt's over all it holds."""
    curves = curves_of(model)
    decode_s = [abs(curves.decode_ms(n)) / 1000.0 + OVERHEAD_S for n in range(BATCH_CAP + 1)]

    def law(prompt_tokens: int, decoding: int) -> float:
        if not prompt_tokens:
            return decode_s[decoding]
        share = MIXED if decoding else 1.0
        return share * abs(curves.prompt_ms(prompt_tokens + decoding)) / 1000.0 + OVERHEAD_S

    return law


def joint_prompts_law(model: str) -> Law:
    """Return our law for an iteration of one prompt, with all prompts of an iteration priced as if they were one."""
    replica, curves = replica_of(model), curves_of(model)

    def law(prompt_tokens: int, decoding: int) -> float:
        decode_s = replica.decode_base_s + replica.decode_per_request_s * decoding
        if not prompt_tokens:
            return decode_s
        return decode_s + curves.prompt_ms(prompt_tokens) / 1000.0 + OVERHEAD_S - replica.decode_base_s

    return law


@dataclass
class Instance(Machine):
    """A machine with another law, and with memory and place in the batch taken in two phases where asked for.

    Its clock carries on what a sum rounds away: 370,000 equal iterations would drift by 0.2 microseconds.
    """

    law: Law | None = None
    in_two_phases: bool = False
    length_s: float = 0.0
    lost_s: float = 0.0

    def begin(self, now_s: float) -> None:
        """Begin the next iteration and note what the sum of its begin and its length lost."""
        super().begin(now_s)
        self.lost_s = self.ends_s - now_s - self.length_s if math.isfinite(self.ends_s) else 0.0

    def reserved_with(self, first: Asked) -> int:
        """In two phases: prompt and one token with the prompt, kept while it waits to decode, then the rest."""
        if not self.in_two_phases:
            return super().reserved_with(first)
        between = [asked for asked in self.waiting if asked.made and asked is not first]
        whole = sum(asked.prompt + asked.output for asked in self.running)
        whole += first.prompt + (first.output if first.made else 1)
        return whole + sum(asked.prompt + 1 for asked in (*self.reading, *between))

    def iteration_s(self) -> float:
        """Ask the law."""
        read = sum(tokens for _, tokens in self.portions)
        self.length_s = super().iteration_s() if self.law is None else self.law(read, len(self.running))
        self.length_s -= self.lost_s
        return self.length_s

    def decode(self, born: list[Asked]) -> None:
        """In two phases: those whose prompt is read wait by arrival, before every later prompt."""
        for asked in born:
            if self.in_two_phases and asked.made < asked.output:
                insort(self.waiting, asked, key=lambda other: other.arrival_s)
            else:
                self.running.append(asked)


def instances(model: str, count: int, *, law: Law | None = None, in_two_phases: bool = False) -> list[Instance]:
    """Return idle instances of a model."""
    replica = replica_of(model)
    return [Instance(replica, Scheduling(), (math.inf,), law=law, in_two_phases=in_two_phases) for _ in range(count)]


def fewest_owed(machines: Sequence[Machine]) -> int:
    """Return the machine that owes the fewest prompt tokens, then requests, then the first: our rule."""
    loads = [(machine.owed(), len(machine.everyone())) for machine in machines]
    return loads.index(min(loads))


def grouped(machines: Sequence[Machine]) -> int:
    """Return the least loaded machine of the group that holds the one with the least queue: SageServe's rule."""
    if len(machines) == 1:
        return 0
    groups = groups_of(len(machines))
    queues = [min(_queued(machines[i]) for i in group) for group in groups]
    group = groups[queues.index(min(queues))]
    loads = [_scheduled(machines[i]) for i in group]
    return group[loads.index(min(loads))]


def groups_of(count: int) -> list[range]:
    """Return places in groups of three and, at the end, as many of two as it takes.

    One instance is a group by itself; with one left over, the last three and it become two groups of two.
    """
    if count == 1:
        return [range(1)]
    twos = {0: 0, 1: 2, 2: 1}[count % 3]
    threes = (count - 2 * twos) // 3
    edges = accumulate([3] * threes + [2] * twos, initial=0)
    return [range(first, last) for first, last in pairwise(edges)]


def labels_of(count: int) -> list[str]:
    """Return how the files call the instances: group and number in the group."""
    return [f"{g}.{i}" for g, group in enumerate(groups_of(count)) for i in range(len(group))]


def play(requests: Sequence[Asked], machines: Sequence[Machine], choose: Choice) -> None:
    """Serve requests, in order of arrival, to the last token; ``pool`` of each becomes the machine's place."""
    for asked in requests:
        for machine in machines:
            while machine.ends_s <= asked.arrival_s:
                machine.end()
        asked.pool = choose(machines)
        chosen = machines[asked.pool]
        chosen.waiting.append(asked)
        if math.isinf(chosen.ends_s):
            chosen.begin(asked.arrival_s)
    for machine in machines:
        while math.isfinite(machine.ends_s):
            machine.end()


def _queued(machine: Machine) -> int:
    """Prompt tokens not yet in the batch, and one for each request that does not decode yet."""
    return sum(1 if asked.made else asked.prompt + 1 for asked in machine.waiting) + len(machine.reading)


def _scheduled(machine: Machine) -> int:
    """Prompt tokens not yet read, and one for each request."""
    return sum(asked.prompt for asked in machine.everyone() if not asked.made) + len(machine.everyone())
