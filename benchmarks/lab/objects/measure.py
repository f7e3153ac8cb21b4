"""What a domain's tasks are like: `python -m benchmarks.lab.objects.measure --tasks 3000`.

Prints how programs drawn by habit fail, how a misconception alone shows, what greedy decoding can reach at best, and
how many compositions there are: the table of docs/playground.md. No model; about a minute for a thousand tasks.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter

from benchmarks.lab.objects.domain import OBJECTS, PARTS
from benchmarks.lab.objects.parts import DESCRIPTION, RESULT

from iterpref.playground.domain import Domain
from iterpref.playground.drafts import diagnose, draft_by_habit
from iterpref.playground.operations import Form
from iterpref.playground.puzzles import Puzzle, distinct_puzzles
from iterpref.playground.tasks import PLAYGROUND

DOMAINS = {domain.name: domain for domain in (OBJECTS, PLAYGROUND)}
PASSED, ENDLESS, WRONG = "passes", "endless loop", "wrong value"


@dataclass
class Figures:
    """Counts over a number of tasks. `by_habit`: one program each; `alone`: each misconception in a right program."""

    tasks: int = 0
    signatures: set[tuple[str, ...]] = field(default_factory=set)
    lines: Counter[int] = field(default_factory=Counter)
    faults: Counter[int] = field(default_factory=Counter)
    by_habit: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    ceiling: int = 0  # tasks that the most frequent reading of each wording passes
    greedy: int = 0  # tasks that the most habitual form of each part passes


def figures(domain: Domain, tasks: int, seed: int = 0) -> Figures:
    """Of the first `tasks` tasks for training; a seed gives the same every time."""
    found, rng = Figures(), random.Random(f"measure/{seed}")
    for puzzle in islice(distinct_puzzles(domain, "train", seed), tasks):
        found.tasks += 1
        found.signatures.add(puzzle.signature)
        found.lines[puzzle.reference.count("\n") + 1] += 1
        draft = draft_by_habit(puzzle, rng)
        found.faults[len(draft.faults)] += 1
        found.by_habit[outcome(draft.text, puzzle)] += 1
        found.alone.update(_alone(puzzle))
        found.ceiling += _passes(puzzle, _most(puzzle, attrgetter("wanted")))
        found.greedy += _passes(puzzle, _most(puzzle, attrgetter("habit")))
    return found


def outcome(text: str, puzzle: Puzzle) -> str:
    """How the first failing test fails: the exception's type, or one of the words above."""
    failed = diagnose(text, puzzle)
    if failed is None:
        return PASSED
    _, got, words = failed
    if got is None:
        return words.partition(":")[0]
    return ENDLESS if got.endless else got.shown.partition(":")[0] if got.raised else WRONG


def compositions() -> int:
    """How many signatures the second domain has, before those that are too long are left out."""
    routes = {RESULT: 1}

    def onward(kind: str) -> int:
        if kind not in routes:
            routes[kind] = sum(onward(part.gives) for part in PARTS if part.takes == kind)
        return routes[kind]

    return sum(onward(kind) for kind in DESCRIPTION)


def _alone(puzzle: Puzzle) -> list[str]:
    wanted, found = puzzle.wanted, []
    for place, site in enumerate(puzzle.sites):
        for form in site.operation.misconceptions:
            found.append(outcome(_program(puzzle, [*wanted[:place], form, *wanted[place + 1 :]]), puzzle))
    return found


def _most(puzzle: Puzzle, share: Callable[[Form], float]) -> list[int]:
    """The form of the largest share at each site."""
    return [site.operation.forms.index(max(site.operation.forms, key=share)) for site in puzzle.sites]


def _passes(puzzle: Puzzle, forms: Sequence[int]) -> bool:
    return diagnose(_program(puzzle, forms), puzzle) is None


def _program(puzzle: Puzzle, forms: Sequence[int]) -> str:
    return puzzle.domain.program(puzzle.sites, forms, [0] * len(forms))


def report(found: Figures) -> str:
    """The figures as Markdown."""
    seen = sum(found.alone.values()) - found.alone[PASSED]
    failed = found.tasks - found.by_habit[PASSED]
    rows = sorted(set(found.by_habit) | set(found.alone), key=lambda kind: -found.by_habit[kind])
    share = "| {} | {:.0%} | {:.0%} |".format
    table = [share(kind, found.by_habit[kind] / failed, found.alone[kind] / seen) for kind in rows if kind != PASSED]
    mean = sum(n * count for n, count in found.faults.items()) / found.tasks
    return "\n".join(
        [
            f"- {found.tasks} tasks of {len(found.signatures)} signatures;"
            f" programs of {min(found.lines)} to {max(found.lines)} lines",
            f"- {mean:.2f} faults a program by habit; {found.by_habit[PASSED] / found.tasks:.1%} pass",
            f"- the most habitual form of each part passes {found.greedy / found.tasks:.1%},"
            f" the most frequent reading {found.ceiling / found.tasks:.1%}",
            f"- {sum(found.alone.values())} misconceptions alone;"
            f" {1 - seen / sum(found.alone.values()):.0%} change no test",
            "",
            "| first failure | programs by habit | a misconception alone |",
            "|---|---|---|",
            *table,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the tasks of a domain.")
    parser.add_argument("--tasks", type=int, default=1000, help="default 1000")
    parser.add_argument("--domain", choices=DOMAINS, default=OBJECTS.name, help=f"default {OBJECTS.name}")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    chosen = parser.parse_args()
    if chosen.tasks < 1:
        parser.error(f"--tasks is {chosen.tasks}; at least 1 is needed")
    print(report(figures(DOMAINS[chosen.domain], chosen.tasks, chosen.seed)))
    if chosen.domain == OBJECTS.name:
        print(f"\n{compositions():,} compositions, the few of more than 35 lines included")


if __name__ == "__main__":
    main()
