"""An opened run's model, or a file of a model's samples → Result on the configured benchmark, and its files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from iterpref.clients import LocalConfig, in_this_process
from iterpref.doing import doing
from iterpref.errors import ConfigError
from iterpref.evaluation.answer_sources import AnswerSource, GeneratedAnswers, RecordedAnswers
from iterpref.evaluation.benchmarks import Benchmark, TaskChoice, load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.evaluation.protocols import chosen
from iterpref.evaluation.repairs import check_repairs
from iterpref.evaluation.samples import read_samples, write_result
from iterpref.opened_run import OpenedRun
from iterpref.records import Result, Task
from iterpref.sandbox.remote import AnySandbox
from iterpref.waiting import wait_for


def evaluate_model(run: OpenedRun, model: str) -> Result:
    """Score what a model answers: the endpoint of `evaluation.client`, or `model` loaded in this process.

    `model` is a folder, a hub id, or the name of one of the run's trainings.
    """
    settings, client = run.config.evaluation, run.config.evaluation.client
    if client is None or isinstance(client, LocalConfig):
        client = in_this_process(client or run.config.client, trained(run, model))
    else:
        client = client.model_copy(update={"model": model})
    with run.sandbox() as sandbox:
        benchmark = benchmark_of(run, sandbox)  # a mistake in its name should not wait for a model to load
        check_repairs(benchmark.definition, settings)
        raw = chosen(benchmark.definition, settings.protocol) == "base"
        with run.ledger(client, raw=raw) as ledger:
            return _score(run, benchmark, GeneratedAnswers(ledger, benchmark, run.config), sandbox)


def trained(run: OpenedRun, model: str) -> str:
    """The folder of the run's training of this name; any other name as it is."""
    trained, here = run.folder.trainings().get(model), Path(model)
    if trained is None:
        return model
    if here.exists() and not here.samefile(trained):
        raise ConfigError(f"--model {model}: a training of the run ({trained}), or the folder ./{model}? Give the path")
    return str(trained)


def evaluate_samples(
    run: OpenedRun, path: Path, sanitized: bool = False, tasks: Sequence[Task] | None = None
) -> Result:
    """Score a file of completions; `sanitized` cuts each program down to what its entry point needs first.

    With `tasks` on these, else on the configured benchmark.
    """
    with run.sandbox() as sandbox:
        benchmark = benchmark_of(run, sandbox) if tasks is None else Benchmark("tasks", list(tasks), preflight=True)
        given = read_samples(path, benchmark.tasks, sanitized, benchmark.broken, benchmark.outside)
        answers = RecordedAnswers(given, benchmark.tasks, run.config.evaluation.k)
        result = _score(run, benchmark, answers, sandbox)
        return _with_facts(run, result, given.facts(result))


def stronger_tasks(run: OpenedRun) -> dict[str, Task]:
    """Task id → the task with the stronger tests that `validation.stronger_tests` names; none if it names none."""
    settings = run.config.validation
    if not settings.stronger_tests:
        return {}
    with run.sandbox() as sandbox:
        choice = TaskChoice(form=run.config.importing)
        benchmark = load_benchmark(settings.stronger_tests, choice, path=settings.stronger_path, sandbox=sandbox)
    return {task.task_id: task for task in benchmark.tasks}


def benchmark_of(run: OpenedRun, sandbox: AnySandbox) -> Benchmark:
    settings = run.config.evaluation
    with doing(f"reading the benchmark {settings.benchmark}"):
        return load_benchmark(settings.benchmark, TaskChoice.of(run.config), path=settings.path, sandbox=sandbox)


def _with_facts(run: OpenedRun, result: Result, facts: dict[str, Any]) -> Result:
    """The Result with what is known of its samples file; it may have been stored by a version that didn't say it."""
    said = result.model_copy(update={"settings": result.settings | facts})
    if said != result:
        run.store.put_result(said)
        write_result(said, run.folder.results)
    return said


def _score(run: OpenedRun, benchmark: Benchmark, answers: AnswerSource, sandbox: AnySandbox) -> Result:
    show = partial(run.on_progress, "evaluate")
    work = evaluate(benchmark, answers, run.config, sandbox=sandbox, store=run.store, on_progress=show,
                    again=run.asks_again)  # fmt: skip
    result = wait_for(work)
    write_result(result, run.folder.results)
    return result
