"""Print how our replay and SageServe's simulator differ on its own fixed fleets, and which rule makes the difference.

``python -m tests.simulation.replay.sageserve_table [TEXT ...]`` takes the scenarios whose names hold a text; without
one all 44, and the fixed fleets of twenty of its strategy runs w1 and w2.

What it shows. Under SageServe's rules the plain loop that proves our replay (1e-9 s on random cases, 3 ns in the
longest of these scenarios) gives every first token and every end of its 44 scenarios, and of w1 and w2, to the rounding
of its files, 0.5 microseconds, at the same instance. So what differs between our replay and SageServe's simulator is
rules, and each can be switched on alone:

*Iteration law.* An iteration that only decodes or only reads one prompt takes the same in both: an idle instance gives
the same first token. Where both meet, SageServe takes 1.1 times a prompt of S + n tokens; ours takes the prompt and the
decoding of n. Ours is shorter by 0.1 I_p(S) + 1.1 (I_p(S + n) - I_p(S)) - d n: for A at 1,024 tokens 17 ms in 188, 9 %.
TTFT is shorter by one such saving and the shorter wait for those of others (6-13 % while under a quarter of the time
goes to prompts), E2E by s phi / (1 - phi), s the share saved and phi the share of time with a prompt in the batch:
0.2 % at phi 0.02, 2 % at 0.19, 6 % at 0.37. In one group with memory to spare the law is the whole difference, request
by request. SageServe prices the prompts of one iteration together and we one by one: a second prompt of A of 128
tokens adds 1 ms there and 23 here, one of 1,024 tokens 122 and 118. That counts where short prompts crowd: 11 points of
TTFT at conv_A_N1_azconv_r2, and only tenths at light load. Near capacity the law decides whether there is a queue:
overloaded, an instance of A completes 4.2 requests a second there and 5.0 here, so TTFT differs by 95-99 % at 4 and 5
requests a second; that is no error of either loop. A profile whose prompts are measured in mixed iterations
(1.1 I_p + 10 ms) brings our replay, under our rules, to 5 % in TTFT and 1 % in E2E at light load; what is left grows
with the batch, as 1.1 (I_p(S + n) - I_p(S)).

*Memory in two phases.* SageServe reads a prompt when prompt + 1 tokens fit and reserves the answer afterwards; we
reserve both at admission. Without effect to the last request until memory is short. Then its prompts are read while
ours wait (mean TTFT 27 % longer by our rule at 77 % of the memory), and wait between prompt and answer instead.

*Choice of an instance.* With one group (1 or 3 instances) its choice is ours but for a few ties of prompts. With more,
SageServe fills group by group: of 8 instances at light load the first three take 78 % of the requests. First tokens
hardly change at light load (1 %), but batches there are larger: one choice among all makes E2E 4-18 % shorter.

*No difference.* An arrival during an iteration waits for its end and joins the next, in both; none of these arrivals
falls on a boundary (the nearest is 31 ns away), so the rule for that case is not put to the test. Running requests
follow E2E by Little's law. Memory: SageServe's figure is what is reserved, an answer's room from its first token on,
and ours reserved agrees with it as running does; what we report as used is what is held, P + O/2 in place of P + O.

Models C and D are only reproduced: their table is in other units than its reader takes it in, so no profile is fitted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import polars as pl

from tests.simulation.replay import sageserve_comparing as comparing
from tests.simulation.replay.sageserve_files import ABSENT, FOLDER, Scenario, endpoints, names, scenario
from workbench.console import print_frame, progress, screen
from workbench.results import Tell

PROFILED = ("A", "B")  # the tables of C and D are in other units than their reader takes them in
RUNS = ("w1_fixed20", "w2_fixed20")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code: 2 where the files are absent or no scenario has such a name."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay.sageserve_table", description=__doc__)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="part of a scenario's name; all scenarios without one")
    asked = parser.parse_args(arguments)
    if not FOLDER.exists():
        parser.error(ABSENT)
    chosen = [scenario(name) for name in names() if not asked.texts or any(text in name for text in asked.texts)]
    if not chosen:
        parser.error(f"no scenario has any of {', '.join(asked.texts)} in its name; the first is {names()[0]}")
    parts = [] if asked.texts else [part for run in RUNS for part in endpoints(run)]
    profiled = [one for one in chosen if one.model in PROFILED]
    with progress() as tell:
        same = _each([*chosen, *parts], reproduction, "SageServe's rules", tell)
        beside = _each(profiled, latencies, "our replay", tell)
        inside = _each(profiled, occupancy, "batches and memory", tell)
        steps = {
            name: _each(profiled, partial(decomposition, latency=name), f"rule by rule: {name.upper()}", tell)
            for name in ("ttft", "e2e")
        }
    largest = same.select(pl.max_horizontal("TTFT apart us", "E2E apart us").max()).item()
    _print(same, "The reference under SageServe's rules against its files, request by request: microseconds")
    screen().print(
        f"{same['requests'].sum():,} requests: at most {largest:.3f} microseconds apart, "
        f"{same['other instance'].sum()} at another instance.\n"
    )
    if profiled:
        _print(beside, "SageServe's latencies in s, and by how many % those of our replay under our rules differ")
        _print(inside, "Mean requests in batches and shares of the KV cache in %; largest gap of replay and reference")
        for name, frame in steps.items():
            _print(
                frame, f"Mean {name.upper()}: difference to SageServe's in %, its rules switched on one after another"
            )
    return 0


def reproduction(scenario: Scenario) -> dict[str, object]:
    """Return how far the reference under SageServe's rules is from a run of it."""
    done = comparing.served(scenario, comparing.SAGESERVE)
    apart = comparing.apart_s(scenario.requests, done)
    return {
        "scenario": scenario.name,
        "instances": scenario.instances,
        "requests": done.height,
        "TTFT apart us": 1e6 * apart["ttft"],
        "E2E apart us": 1e6 * apart["e2e"],
        "other instance": comparing.other_instance(scenario, done),
    }


def latencies(scenario: Scenario) -> dict[str, object]:
    """Return SageServe's latencies and how ours differ."""
    found = comparing.differences(scenario, comparing.replay(scenario))
    row: dict[str, object] = {"scenario": scenario.name}
    for name, share in found.items():
        title = name.replace("ttft", "TTFT").replace("e2e", "E2E").replace("_p", " P").replace("_", " ")
        row |= {title: scenario.summary[name], f"{title} %": _percent(share)}
    return row


def occupancy(scenario: Scenario) -> dict[str, object]:
    """Return what runs and what memory it takes; SageServe's KV is what it reserves."""
    done = comparing.replay(scenario)
    apart = comparing.apart_s(done, comparing.served(scenario, comparing.OURS))
    return {
        "scenario": scenario.name,
        "running": scenario.summary["mean_running"],
        "ours running": comparing.mean_running(scenario, done),
        "KV reserved": 100.0 * scenario.summary["mean_kv_utilisation"],
        "ours KV reserved": 100.0 * comparing.kv_reserved_fraction(scenario, done),
        "ours KV held": 100.0 * comparing.kv_held_fraction(scenario),
        "apart ns": 1e9 * max(apart.values()),
    }


def decomposition(scenario: Scenario, latency: str) -> dict[str, object]:
    """Return what is left of a mean's difference after each rule, and with a profile of mixed iterations in our replay.

    For E2E also what the closed form of the law says, where it holds.
    """
    row: dict[str, object] = {"scenario": scenario.name}
    found = {step: comparing.served(scenario, rules) for step, rules in comparing.STEPS.items()}
    found["ours, mixed profile"] = comparing.replay(scenario, mixed=True)
    row |= {step: _percent(comparing.differences(scenario, done)[f"{latency}_mean"]) for step, done in found.items()}
    if latency == "e2e":
        holds = comparing.is_first_order(scenario)
        row["ours, closed form"] = _percent(-comparing.expected(scenario).e2e_share) if holds else None
    return row


def _percent(share: float) -> float:
    return round(100.0 * share, 2) + 0.0  # no minus before a nought


def _print(frame: pl.DataFrame, title: str) -> None:
    print_frame(frame, title, whole_words=True)


def _each(
    scenarios: Sequence[Scenario], row_of: Callable[[Scenario], dict[str, object]], stage: str, tell: Tell
) -> pl.DataFrame:
    rows = []
    for i, one in enumerate(scenarios):
        tell(stage, i / len(scenarios))
        rows.append(row_of(one))
    return pl.DataFrame(rows)


if __name__ == "__main__":
    raise SystemExit(main())
