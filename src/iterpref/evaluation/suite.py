"""Models × benchmarks → a Result each. What is finished is in the store, so a suite that was stopped goes on.

Every name is checked before the first model is loaded. A cell that can't be had (data that isn't there, a model that
doesn't load) leaves the others alone; what stops an evaluation for all (a budget, an endpoint that is down) stops it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from iterpref.config import EvaluationConfig
from iterpref.errors import BudgetError, ConfigError, EndpointError, IterPrefError, StoppedError
from iterpref.evaluation.benchmarks.registry import find
from iterpref.evaluation.evaluate_run import evaluate_model
from iterpref.opened_run import OpenedRun
from iterpref.records import Result

_STOPPING = (BudgetError, EndpointError, StoppedError)


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
    if not benchmarks:
        raise ConfigError("suite.benchmarks names no benchmark")
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
        for model in models:
            yield _cell(part, model, name)


def _cell(run: OpenedRun, model: str, benchmark: str) -> SuiteCell:
    try:
        with run.noting("evaluate"):
            return SuiteCell(model, benchmark, evaluate_model(run, model))
    except _STOPPING:
        raise
    except IterPrefError as error:
        return SuiteCell(model, benchmark, None, str(error))


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged
