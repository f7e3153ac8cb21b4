"""How programs fail, in kinds that can be counted and compared between models.

In: Executions of a Result's samples. Out: counts by kind, the paper's Table 18 for one model, with an example each.
Each failing sample has exactly one kind. Not here: trajectories (funnel.py).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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
LENGTHS = (5, 10, 20, 40)  # program lines; upper bounds of the bins but the last


@dataclass(frozen=True)
class KindRow:
    """One kind of failure: how many samples, and one of them."""

    kind: str
    count: int
    example: Sample


@dataclass(frozen=True)
class LengthRow:
    """Samples whose programs have so many lines."""

    label: str
    samples: int
    passed: int


def kind(execution: Execution, completion: str = "") -> str:
    """The kind of one outcome; "" for a pass. `completion` tells a refusal from a reply without code."""
    match execution.verdict:
        case "passed":
            return ""
        case "failed":
            return "wrong output" if execution.failing_case is not None else "assertion"
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
    counts: Counter[str] = Counter()
    examples: dict[str, Sample] = {}
    for sample in result.samples:
        found = kind(sample.execution, sample.completion)
        if found:
            counts[found] += 1
            examples.setdefault(found, sample)
    return [KindRow(name, count, examples[name]) for name, count in counts.most_common()]


def kinds_by_model(results: Sequence[Result]) -> list[tuple[str, list[int]]]:
    """(kind, its count in each Result) for the kinds that any of them has, in the order of `KINDS`."""
    columns = [Counter(row.kind for row in taxonomy(result) for _ in range(row.count)) for result in results]
    return [(name, [column[name] for column in columns]) for name in KINDS if any(column[name] for column in columns)]


def by_length(result: Result) -> list[LengthRow]:
    """Pass counts by lines of the program."""
    bins = [(0, LENGTHS[0]), *zip(LENGTHS, (*LENGTHS[1:], None), strict=True)]
    rows = []
    for low, high in bins:
        inside = [s for s in result.samples if low < _lines(s) and (high is None or _lines(s) <= high)]
        label = f"{low + 1} to {high}" if high else f"more than {low}"
        if inside:
            rows.append(LengthRow(label, len(inside), sum(s.execution.passed for s in inside)))
    return rows


def _lines(sample: Sample) -> int:
    return max(1, sum(1 for line in sample.program.split("\n") if line.strip()))
