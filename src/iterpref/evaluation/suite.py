"""Models × benchmarks → a Result each. What is finished is in the store, so a suite that was stopped goes on.

Every name is checked before the first model is loaded. A cell that can't be had (data that isn't there, a model that
doesn't load) leaves the others alone; what stops an evaluation for all (a budget, an endpoint that is down) stops it.
A Result is filed under the weights that gave it, which are only known once they are loaded; so that a finished suite
loads none, the run notes which Result each cell came to, by the model's files, the tasks and the settings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from iterpref.clients import LocalConfig
from iterpref.config import EvaluationConfig
from iterpref.errors import BudgetError, ConfigError, EndpointError, IterPrefError, MissingPackageError, StoppedError
from iterpref.evaluation.benchmarks import dataset_hash
from iterpref.evaluation.benchmarks.registry import find
from iterpref.evaluation.evaluate import count_refused
from iterpref.evaluation.evaluate_run import benchmark_of, evaluate_model, trained
from iterpref.model_identity import folder_identity
from iterpref.opened_run import OpenedRun
from iterpref.playground.coder import resolve_model
from iterpref.records import Result, fingerprint
from iterpref.run_folder import SUITE_NOTE

_STOPPING = (BudgetError, EndpointError, MissingPackageError, StoppedError)


@dataclass(frozen=True)
class SuiteCell:
    """One model on one benchmark: a Result, or why there is none."""

    model: str
    benchmark: str
    result: Result | None
    why: str = ""


def suite_settings(
    evaluation: EvaluationConfig, benchmarks: Mapping[str, Mapping[str, Any]]
) -> dict[str, EvaluationConfig]:
    """Benchmark → how it is evaluated: as the run's `evaluation` says, but for what its own entry says.

    Raises:
        ConfigError: An unknown benchmark, or a key or value that `evaluation` can't have.
    """
    found = {}
    for name, own in benchmarks.items():
        find(name)
        values = _merged(evaluation.model_dump(), {"benchmark": name, "path": None} | dict(own))
        try:
            found[name] = EvaluationConfig.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["suite.benchmarks", name, *map(str, first["loc"])])
            raise ConfigError(f"{place}: {first['msg']}, got {first['input']!r}") from None
    return found


def evaluate_suite(
    run: OpenedRun, models: Sequence[str], settings: Mapping[str, EvaluationConfig]
) -> Iterator[SuiteCell]:
    """Each model on each benchmark, benchmark by benchmark; see `evaluate_model`."""
    for name, evaluation in settings.items():
        part = replace(run, config=run.config.model_copy(update={"evaluation": evaluation}))
        try:
            with part.sandbox() as sandbox:
                data = dataset_hash(benchmark_of(part, sandbox).tasks)
        except IterPrefError as error:
            yield from (SuiteCell(model, name, None, str(error)) for model in models)
            continue
        for model in models:
            yield _cell(part, model, name, data)


def _cell(run: OpenedRun, model: str, benchmark: str, data: str) -> SuiteCell:
    try:
        key = _key(run, model, data)
        known = None if key is None or run.asks_again else _noted(run, key)
        if known is not None:
            return SuiteCell(model, benchmark, known)
        with run.noting("evaluate"):
            result = evaluate_model(run, model)
    except _STOPPING:
        raise
    except IterPrefError as error:
        return SuiteCell(model, benchmark, None, str(error))
    if key is not None:
        run.store.put_note(SUITE_NOTE, {**(run.store.note(SUITE_NOTE) or {}), key: result.result_id})
    return SuiteCell(model, benchmark, result)


def _key(run: OpenedRun, model: str, data: str) -> str | None:
    """What decides a cell of a model in this process; None at an endpoint, which is asked what it serves."""
    config = run.config
    client = config.evaluation.client or config.client
    if config.evaluation.client is not None and not isinstance(client, LocalConfig):
        return None
    files = folder_identity(resolve_model(trained(run, model)))
    limits = config.limits.model_dump() if config.limits else None
    own = client.model_dump(mode="json") if isinstance(client, LocalConfig) else {}
    return fingerprint([files, data, config.evaluation.model_dump(mode="json"), own, config.seed, limits])


def _noted(run: OpenedRun, key: str) -> Result | None:
    result = run.store.result((run.store.note(SUITE_NOTE) or {}).get(key, ""))
    return None if result is None or count_refused(result) else result


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged
