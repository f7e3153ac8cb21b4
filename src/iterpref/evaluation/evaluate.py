"""Answers to a benchmark's tasks → one `Result` in the store: get each program, run it, count what passes.

A killed evaluation repeats no answered call and no finished execution; a finished one is returned as it is. Decoding
and execution overlap. A broken sandbox is never scored as a failing program. A task whose canonical solution fails here
is listed, not scored.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from iterpref.clients.ask import as_finished
from iterpref.config import Config
from iterpref.doing import doing
from iterpref.errors import ConfigError, RecordError, SandboxError
from iterpref.evaluation.answer_sources import AnswerSource
from iterpref.evaluation.benchmarks import Benchmark, dataset_hash
from iterpref.evaluation.benchmarks.evalplus import BASE, PLUS
from iterpref.evaluation.benchmarks.releases import cache_folder
from iterpref.executor import Executor, lacking_packages
from iterpref.files import write_json
from iterpref.records import Execution, Result, Sample, Task, fingerprint
from iterpref.sandbox import ENGINE_VERSION, Job
from iterpref.sandbox.remote import AnySandbox
from iterpref.statistics import mean_and_error, pass_at_k_by_task, passes
from iterpref.store import Store
from iterpref.task_tests import problem_of

OnSample = Callable[[int, int, str], None]
SANDBOX_TRIES = 3
NO_ANSWER = "NoAnswer"
RUN_AT_A_TIME = 256  # beside the samples that are asked for, so that slow programs don't keep the model waiting


async def evaluate(
    benchmark: Benchmark,
    answers: AnswerSource,
    config: Config,
    *,
    sandbox: AnySandbox,
    store: Store,
    on_progress: OnSample | None = None,
    again: bool = False,
) -> Result:
    """Score the answers to a benchmark's tasks. A request that the model refuses is a failing sample (`NO_ANSWER`).

    Args:
        again: Also where there is a Result already, which is replaced.
        config: Its `evaluation`, `seed` and `limits` say how; limits are in place of each task's own.
        on_progress: Called with (samples done, samples in all, a few words such as "passed 12").

    Raises:
        ConfigError: `k` is larger than the number of answers to a task.
        RecordError: No tasks, or two tasks with one id.
        ClientError: The model can't answer.
        SandboxError: The sandbox could not run a program in `SANDBOX_TRIES` tries.
    """
    _check(benchmark, answers, config.evaluation.k)
    settings = _settings(config)
    data = dataset_hash(benchmark.tasks)
    result_id = fingerprint([benchmark.name, data, answers.name, answers.protocol, settings])
    finished = store.result(result_id)
    if finished is not None and not again and not count_refused(finished):  # what was refused may be asked again by now
        return finished
    broken = await asyncio.to_thread(_broken, benchmark, sandbox)
    tasks = [task for task in benchmark.tasks if task.task_id not in broken]
    executor = Executor(sandbox, store, config.seed, config.limits)
    samples = await _Evaluation(answers, executor).run(tasks, on_progress)
    result = Result(
        result_id=result_id,
        benchmark=benchmark.name,
        version=benchmark.definition.version,
        model=answers.name,
        dataset_hash=data,
        protocol=answers.protocol,
        samples=tuple(samples),
        metrics=metrics(samples, config.evaluation.k),
        settings=settings | {"source": benchmark.place},
        broken=broken,
        difficulty=benchmark.difficulty,
    )
    store.put_result(result)
    return result


def _settings(config: Config) -> dict[str, Any]:
    """What the numbers depend on, for the Result and its id."""
    # Not where rows are read; the client is in the answers' name.
    values = config.evaluation.model_dump(mode="json", exclude={"path", "benchmark", "client"})
    # These of LiveCodeBench's are in each Result's id, given or not.
    options = {"since": None, "until": None, "difficulty": None} | values.pop("options")
    limits = config.limits.model_dump() if config.limits else None
    return {**options, **values, "seed": config.seed, "limits": limits}


def _broken(benchmark: Benchmark, sandbox: AnySandbox) -> dict[str, str]:
    """Task id → why it can't be judged here; RecordError if no task can."""
    with doing(f"running the references of {len(benchmark.tasks)} tasks"):
        failing = preflight(benchmark.tasks, sandbox) if benchmark.preflight else {}
    broken = {**benchmark.broken, **failing}
    if all(task.task_id in broken for task in benchmark.tasks):
        task_id, why = next(iter(broken.items()))
        raise RecordError(f"benchmark {benchmark.name}: no canonical solution passes here; {task_id}: {why}")
    return broken


def preflight(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → cause: of tasks whose reference does not pass here, and of those without one whose tests are wrong."""
    unknown = {task.task_id: problem_of(task) for task in tasks if not task.reference}
    found = _failing_references(tasks, sandbox) | {task_id: said for task_id, said in unknown.items() if said}
    return found | _lacking([task for task in tasks if task.task_id in found or not task.reference], sandbox)


def _lacking(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → which packages it needs that programs here don't have: no program could show that it is right."""
    lacking = set(lacking_packages(sandbox, sorted({name for task in tasks for name in task.packages})))
    needs = {task.task_id: [name for name in task.packages if name in lacking] for task in tasks}
    return {
        task_id: f"needs {', '.join(names)}, which the sandbox's Python lacks"
        for task_id, names in needs.items()
        if names
    }


def _failing_references(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Kept in the user's cache by the tasks, the Python, the sandbox's engine and the packages that the tasks name.

    What ran out of time there runs again: the machine may have been busy that day.
    """
    known = [task for task in tasks if task.reference]
    if not known:
        return {}
    path = cache_folder() / "preflight" / f"{_preflight_identity(known, sandbox)}.json"
    if path.is_file():
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        doubtful = [task for task in known if stored.get(task.task_id, "").startswith("timeout")]
        lasting = {task_id: cause for task_id, cause in stored.items() if not cause.startswith("timeout")}
    else:
        doubtful, lasting = known, {}
    again = _failing(doubtful, sandbox)
    if not any(cause.startswith("sandbox_error") for cause in again.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, lasting | again)
    return lasting | again


def _failing(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → cause, of those whose reference does not pass now."""
    ordered = sorted(tasks, key=_slow_first)
    executions = sandbox.run_many(Job.from_task(task, task.reference or "") for task in ordered)
    return {
        task.task_id: f"{execution.verdict}: {execution.headline}" if execution.headline else execution.verdict
        for task, execution in zip(ordered, executions, strict=True)
        if not execution.passed
    }


def _slow_first(task: Task) -> float:
    """Sorts tasks so that the last one to finish is none that takes long."""
    return -(task.limits.call_cpu_s or task.limits.cpu_s)


def _preflight_identity(tasks: Sequence[Task], sandbox: AnySandbox) -> str:
    references = [[task.task_id, task.reference, task.limits.model_dump()] for task in tasks]
    packages = [[name, _version(name)] for name in sorted({package for task in tasks for package in task.packages})]
    state = [ENGINE_VERSION, sys.version, sandbox.isolation, sandbox.place, packages]
    return fingerprint([dataset_hash(tasks), references, state])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def metrics(samples: Sequence[Sample], k: Sequence[int]) -> dict[str, float]:
    """`pass@k` over tasks and `pass@k_stderr` (of the mean, tasks as units) where there are at least two tasks.

    Where tasks have base and plus tests, `pass@k` asks for both, and `base_pass@k` for the base tests only.
    """
    counted = {"": passes}
    if any(test.name == PLUS for sample in samples for test in sample.execution.tests):
        counted["base_"] = passed_base
    values: dict[str, float] = {}
    for prefix, right in counted.items():
        for size in k:
            name = f"{prefix}pass@{size}"
            values[name], error = mean_and_error(list(pass_at_k_by_task(samples, size, right).values()))
            if error is not None:
                values[f"{name}_stderr"] = error
    return values


def passed_base(sample: Sample) -> bool:
    """Whether a sample passes the base tests of an EvalPlus task."""
    execution = sample.execution
    return execution.passed or any(t.name == BASE and t.verdict == "passed" for t in execution.tests)


def count_refused(result: Result) -> int:
    """Samples for which the model gave no answer."""
    return sum(sample.execution.error_type == NO_ANSWER for sample in result.samples)


@dataclass(frozen=True)
class _Evaluation:
    """The way of samples through answers and execution."""

    answers: AnswerSource
    executor: Executor

    async def run(self, tasks: Sequence[Task], on_progress: OnSample | None) -> list[Sample]:
        """All samples, in the order of the tasks. The first error stops the rest."""
        places = [(task, i) for task in tasks for i in range(self.answers.count(task))]
        order = sorted(places, key=lambda place: _slow_first(place[0]))
        asked = self.answers.at_a_time
        limit = None if asked is None else asked + RUN_AT_A_TIME
        drawn: dict[tuple[str, int], Sample] = {}
        passed = 0
        async for sample in as_finished((self._sample(*place) for place in order), limit):
            drawn[sample.task_id, sample.sample_index] = sample
            passed += sample.execution.passed
            if on_progress:
                on_progress(len(drawn), len(places), f"passed {passed}")
        return [drawn[task.task_id, index] for task, index in places]

    async def _sample(self, task: Task, index: int) -> Sample:
        answer = await self.answers.answer(task, index)
        executed = None if answer.refused else await self._execute(task, answer.program, cut=answer.cut)
        return Sample(
            task_id=task.task_id,
            sample_index=index,
            completion=answer.completion,
            program=answer.program,
            execution=executed or self.executor.not_run(NO_ANSWER, answer.refused),
        )

    async def _execute(self, task: Task, program: str, cut: bool) -> Execution:
        for _ in range(SANDBOX_TRIES):
            _, execution = await self.executor.execute(task, program, cut=cut)
            if execution.verdict != "sandbox_error":
                return execution
        raise SandboxError(
            f"task {task.task_id}: the sandbox failed {SANDBOX_TRIES} times ({execution.error or 'no reason given'}). "
            "This says nothing about the program and is not scored; the rest is stored, so run the same command again"
        )


def _check(benchmark: Benchmark, answers: AnswerSource, k: Sequence[int]) -> None:
    name, tasks = benchmark.name, benchmark.tasks
    if not tasks:
        raise RecordError(f"benchmark {name}: no tasks; check evaluation.benchmark and evaluation.split")
    task_id, count = Counter(task.task_id for task in tasks).most_common(1)[0]
    if count > 1:
        raise RecordError(f"benchmark {name}: {count} tasks have the id {task_id}; give each task its own id")
    fewest = min(answers.count(task) for task in tasks)
    if not k or min(k) < 1 or max(k) > fewest:
        raise ConfigError(
            f"evaluation.k is {list(k)} with evaluation.samples = {fewest}; pass@k needs k from 1 "
            "to samples: raise samples or lower k"
        )
