"""Several models on several benchmarks: each pair compared, and p-values corrected for how many there are."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from iterpref.analysis.compare import Comparison, compare
from iterpref.errors import RecordError
from iterpref.records import Record, Result
from iterpref.store import Store


class Entrant(Record):
    """One model in the comparison, by the name it is shown under, with its Results by benchmark."""

    name: str
    results: dict[str, Result]


class Matrix(Record):
    """`values`: benchmark → entrant → pass@k (None where it wasn't evaluated). `comparisons` in the order of entrants,
    each with its p-value after Holm's correction over all of them."""

    k: int
    level: float
    entrants: tuple[str, ...]
    values: dict[str, dict[str, float | None]]
    comparisons: tuple[Comparison, ...]
    not_compared: tuple[str, ...] = ()


def load_entrant(source: Path, name: str | None = None) -> Entrant:
    """The Results of a file (`results/ID.json`) or of a run folder that has one for each benchmark.

    Raises:
        RecordError: Not a Result, or several on one benchmark.
        StoreError: The folder is no run.
    """
    if source.is_dir():
        with Store.open(source, write=False) as store:
            results = list(store.results())
    else:
        results = [_read_result(source)]
    found: dict[str, Result] = {}
    for result in results:
        if result.benchmark in found:
            raise RecordError(
                f"{source}: several results on {result.benchmark} ({found[result.benchmark].result_id} and "
                f"{result.result_id}); name one of its files, {source / 'results' / (result.result_id + '.json')}"
            )
        found[result.benchmark] = result
    if not found:
        raise RecordError(f"{source}: no results; evaluate a model in it first")
    return Entrant(name=name or _short(source), results=found)


def compare_all(entrants: Sequence[Entrant], k: int = 1, level: float = 0.95, seed: int = 0) -> Matrix:
    """Every pair of entrants on every benchmark that both have.

    Raises:
        RecordError: Two entrants of one name, or no benchmark that two of them share.
    """
    names = [entrant.name for entrant in entrants]
    if len(set(names)) < len(names):
        raise RecordError(f"compare: the names {', '.join(names)} are not distinct; rename the files or folders")
    benchmarks = list(dict.fromkeys(name for entrant in entrants for name in entrant.results))
    comparisons, missing = [], []
    for benchmark in benchmarks:
        for first, second in combinations(entrants, 2):
            if benchmark not in first.results or benchmark not in second.results:
                missing.append(f"{benchmark}: only one of {first.name} and {second.name} was evaluated")
                continue
            found = compare(first.results[benchmark], second.results[benchmark], level, seed, k)
            comparisons.append(found.model_copy(update={"first": first.name, "second": second.name}))
    if not comparisons:
        raise RecordError(f"compare: no benchmark in common; {'; '.join(missing) or 'name at least two results'}")
    values: dict[str, dict[str, float | None]] = {benchmark: dict.fromkeys(names) for benchmark in benchmarks}
    for found in comparisons:
        values[found.benchmark][found.first] = found.first_pass_at_k
        values[found.benchmark][found.second] = found.second_pass_at_k
    return Matrix(
        k=k,
        level=level,
        entrants=tuple(names),
        values=values,
        comparisons=_corrected(comparisons),
        not_compared=tuple(missing),
    )


def _corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Each with its p-value after Holm's correction, where it has one."""
    adjusted = iter(holm([c.mcnemar_p for c in comparisons if c.mcnemar_p is not None]))
    return tuple(c if c.mcnemar_p is None else c.model_copy(update={"holm_p": next(adjusted)}) for c in comparisons)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6, 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def outcome_of(entrants: Mapping[str, Entrant], benchmark: str, name: str, task_id: str) -> tuple[str, str]:
    """A program of an entrant for a task and what its tests said, for the task lists."""
    sample = next(s for s in entrants[name].results[benchmark].samples if s.task_id == task_id)
    return sample.program, "passed" if sample.execution.passed else sample.execution.text or sample.execution.verdict


def _read_result(path: Path) -> Result:
    try:
        # Not model_validate_json: a program may hold a lone surrogate, which it refuses.
        return Result.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecordError(
            f"{path}: can't read this result ({error.strerror}); expected a run or results/ID.json"
        ) from None
    except ValueError:
        raise RecordError(f"{path}: not a Result; expected a file that iterpref evaluate wrote into results/") from None


def _short(source: Path) -> str:
    """`runs/a/results/0f3c….json` → `a/0f3c`; a run folder → its name."""
    path = source.resolve()
    return path.name if path.is_dir() else f"{path.parent.parent.name}/{path.stem[:8]}"
