"""How programs fail, in kinds that can be counted and compared: one vocabulary, for attempts and for samples.

Each failing program has exactly one kind.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterpref.programs import length_label
from iterpref.records import Execution, Result, Sample

# The four that the paper's Table 18 counts, then the rest, as they are listed.
PAPER_KINDS = ("AttributeError", "KeyError", "NameError", "FileNotFoundError")
_BY_EXCEPTION = {
    "UnboundLocalError": "NameError", "ModuleNotFoundError": "ImportError", "IndentationError": "SyntaxError",
    "TabError": "SyntaxError", "UnicodeDecodeError": "ValueError", "UnicodeEncodeError": "ValueError",
    "JSONDecodeError": "ValueError",
}  # fmt: skip
_NAMED = (*PAPER_KINDS, "TypeError", "ValueError", "IndexError", "SyntaxError", "ImportError", "ZeroDivisionError",
          "RecursionError")  # fmt: skip
_BY_VERDICT = {"timeout": "timeout", "out_of_memory": "memory", "output_limit": "output limit", "crashed": "crash",
               "exited_early": "early exit", "tampered": "tampering", "unverified": "unverified"}  # fmt: skip
_REFUSALS = ("i'm sorry", "i am sorry", "i cannot", "i can't", "as an ai", "i'm unable", "i am unable")
KINDS = ("wrong output", "assertion", *_NAMED, "other exception", "extraction", "refusal",
         *dict.fromkeys(_BY_VERDICT.values()))  # fmt: skip
_DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class KindRow:
    """One kind of failure: how many samples, and one of them."""

    kind: str
    count: int
    example: Sample


@dataclass(frozen=True)
class Crossed:
    """Samples of one Result by group, in order: how many, how many passed, and each kind of failure by group."""

    groups: list[str]
    samples: list[int]
    passed: list[int]
    kinds: list[tuple[str, list[int]]]


@dataclass(frozen=True)
class PaperRow:
    """One Result in the form of the paper's Table 18: a count for each of `PAPER_KINDS`, and their sum."""

    model: str
    benchmark: str
    samples: int
    failed: int
    counts: list[int]

    @property
    def sum(self) -> int:
        return sum(self.counts)


def failure_kind(execution: Execution, completion: str = "") -> str:
    """The kind of one outcome, of `KINDS`; "" for a pass. `completion` tells a refusal from a reply without code."""
    match execution.verdict:
        case "passed":
            return ""
        case "failed":
            return "wrong output" if execution.failing_case is not None else "assertion"
        case "error" if execution.error_type == "NoAnswer":
            return "refusal"
        case "error" if execution.error_type == "NoProgram":
            return "refusal" if completion.strip().lower().startswith(_REFUSALS) else "extraction"
        case "error":
            name = _BY_EXCEPTION.get(execution.error_type, execution.error_type)
            if name == "AssertionError":
                return "assertion"
            return name if name in _NAMED else "other exception"
        case verdict:
            return _BY_VERDICT.get(verdict, verdict)


def taxonomy(result: Result) -> list[KindRow]:
    """Kinds that occur, the most frequent first."""
    examples: dict[str, Sample] = {}
    for sample in result.samples:
        examples.setdefault(failure_kind(sample.execution, sample.completion), sample)
    return [KindRow(name, count, examples[name]) for name, count in _counts(result).most_common()]


def kinds_by_model(results: Sequence[Result]) -> list[tuple[str, list[int]]]:
    """(kind, its count in each Result) for the kinds that any of them has, in the order of `KINDS`."""
    columns = [_counts(result) for result in results]
    return [(name, [column[name] for column in columns]) for name in KINDS if any(column[name] for column in columns)]


def paper_counts(results: Sequence[Result]) -> list[PaperRow]:
    """AttributeError, KeyError, NameError and FileNotFoundError by Result, zeros included."""
    rows = []
    for result in results:
        counts = _counts(result)
        paper = [counts[name] for name in PAPER_KINDS]
        rows.append(PaperRow(result.model, result.benchmark, len(result.samples), counts.total(), paper))
    return rows


def by_length(result: Result) -> Crossed:
    """Outcomes by non-empty lines of the program."""
    lengths = {id(s): sum(1 for line in s.program.split("\n") if line.strip()) for s in result.samples}
    return _crossed(result, {sample: length_label(lines) for sample, lines in lengths.items()})


def by_difficulty(result: Result) -> Crossed | None:
    """Outcomes by difficulty of the task; None where the Result knows none."""
    groups = {id(s): result.difficulty[s.task_id] for s in result.samples if s.task_id in result.difficulty}
    return _crossed(result, groups) if groups else None


def _counts(result: Result) -> Counter[str]:
    kinds = (failure_kind(sample.execution, sample.completion) for sample in result.samples)
    return Counter(kind for kind in kinds if kind)


def _crossed(result: Result, group_of: Mapping[int, str]) -> Crossed:
    """`group_of`: id of a sample → its group; samples without one are left out."""
    groups = sorted(set(group_of.values()), key=_in_order)
    samples: Counter[str] = Counter(group_of.values())
    outcomes: Counter[tuple[str, str]] = Counter()
    for sample in result.samples:
        if id(sample) in group_of:
            outcomes[group_of[id(sample)], failure_kind(sample.execution, sample.completion)] += 1
    rows = [(name, [outcomes[group, name] for group in groups]) for name in KINDS]
    return Crossed(
        groups,
        [samples[group] for group in groups],
        [outcomes[group, ""] for group in groups],
        [(name, counts) for name, counts in rows if any(counts)],
    )


def _in_order(group: str) -> tuple[int, str]:
    """Easy before hard, short before long."""
    if group in _DIFFICULTIES:
        return _DIFFICULTIES.index(group), group
    number = re.search(r"\d+", group)
    return (int(number.group()) if number else 0), group
