"""Result files and run folders → the models that are compared, each under a name that a person can tell.

A file is one entrant, and so is a run folder beside others. A run folder alone is compared within itself: each of its
models is one, such as the model before training and the model after it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from iterpref.analysis.compare import Entrant
from iterpref.errors import RecordError
from iterpref.records import Result
from iterpref.store import Store


def load_entrants(sources: Sequence[Path]) -> list[Entrant]:
    """What is to be compared, in the order given, or of a run folder in the order of its evaluations.

    Raises:
        RecordError: Not a Result, or a model with several on one benchmark.
        StoreError: The folder is no run.
    """
    if len(sources) == 1 and sources[0].is_dir():
        return _models_of(sources[0])
    return [load_entrant(source) for source in sources]


def load_entrant(source: Path, name: str | None = None) -> Entrant:
    """The Results of a file (`results/ID.json`) or of a run folder that has one for each benchmark; see above."""
    results = _results(source)
    return Entrant(name=name or _name(source, results), results=_by_benchmark(source, results))


def _models_of(run: Path) -> list[Entrant]:
    results = _results(run)
    by_model: dict[str, list[Result]] = {}
    for result in results:
        by_model.setdefault(result.model, []).append(result)
    if len(by_model) == 1:
        raise RecordError(
            f"{run}: only one model was evaluated; evaluate another, or name a second run or file. There is\n"
            f"{_listed(run, results)}"
        )
    return [Entrant(name=model, results=_by_benchmark(run, found)) for model, found in by_model.items()]


def _by_benchmark(source: Path, results: Sequence[Result]) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for result in results:
        if result.benchmark in found:
            raise RecordError(
                f"{source}: several results on {result.benchmark}; name one of its files:\n"
                f"{_listed(source, [r for r in results if r.benchmark == result.benchmark])}"
            )
        found[result.benchmark] = result
    return found


def _listed(run: Path, results: Sequence[Result]) -> str:
    """One line a Result: its file, and what it is of."""
    return "\n".join(
        f"  {run / 'results' / result.result_id}.json: {result.model} on {result.benchmark} ({result.protocol})"
        for result in results
    )


def _results(path: Path) -> list[Result]:
    if path.is_dir():
        with Store.open(path, write=False) as store:
            found = list(store.results())
        if not found:
            raise RecordError(f"{path}: no results; evaluate a model in it first")
        return found
    try:
        # Not model_validate_json: a program may hold a lone surrogate, which it refuses.
        return [Result.model_validate(json.loads(path.read_text(encoding="utf-8")))]
    except OSError as error:
        why = error.strerror
        raise RecordError(f"{path}: can't read this result ({why}); expected a run or results/ID.json") from None
    except ValueError:
        raise RecordError(f"{path}: not a Result; expected a file that iterpref evaluate wrote into results/") from None


def _name(source: Path, results: Sequence[Result]) -> str:
    """`runs/a/results/0f3c….json` → `a/0f3c MODEL`; a run folder → its name."""
    path = source.resolve()
    return path.name if path.is_dir() else f"{path.parent.parent.name}/{path.stem[:8]} {results[0].model}"
