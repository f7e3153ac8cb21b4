"""Answers to a benchmark's tasks → one `Result` in the store: get each program, run it, count what passes.

A killed evaluation repeats no answered call and no finished execution; a finished one is returned as it is. Decoding
and execution overlap. A broken sandbox is never scored as a failing program. A task whose canonical solution fails here
is listed, not scored.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.clients.ask import as_finished
from iterpref.config import Config, EvaluationConfig
from iterpref.doing import doing
from iterpref.errors import ConfigError, RecordError, SandboxError
from iterpref.evaluation.answer_sources import AnswerSource
from iterpref.evaluation.benchmarks import Benchmark, dataset_hash
from iterpref.evaluation.benchmarks.evalplus import BASE, PLUS
from iterpref.evaluation.preflight import preflight, slow_first
from iterpref.evaluation.repairs import NO_ANSWER, Repairer, Repairing, repair_metrics
from iterpref.evaluation.samples import Answer
from iterpref.executor import Executor
from iterpref.records import Execution, Result, Sample, Task, fingerprint
from iterpref.sandbox.remote import AnySandbox
from iterpref.statistics import mean_and_error, pass_at_k_by_task, passes
from iterpref.store import Store

OnSample = Callable[[int, int, str], None]
SANDBOX_TRIES = 3
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
    _check(benchmark, answers, config.evaluation)
    settings = _settings(config)
    data = dataset_hash(benchmark.tasks)
    result_id = fingerprint([benchmark.name, data, answers.name, answers.protocol, settings])
    finished = store.result(result_id)
    if finished is not None and not again and not count_refused(finished):  # what was refused may be asked again by now
        return finished
    broken = await asyncio.to_thread(_broken, benchmark, sandbox)
    tasks = [task for task in benchmark.tasks if task.task_id not in broken]
    executor = Executor(sandbox, store, config.seed, config.limits)
    samples = await _Evaluation(answers, executor, benchmark, config.evaluation).run(tasks, on_progress)
    result = Result(
        result_id=result_id,
        benchmark=benchmark.name,
        version=benchmark.definition.version,
        model=answers.name,
        dataset_hash=data,
        protocol=answers.protocol,
        samples=tuple(samples),
        metrics=metrics(samples, config.evaluation.k) | repair_metrics(samples, config.evaluation.repairs),
        settings=settings | {"source": benchmark.place},
        broken=broken,
        difficulty=benchmark.difficulty,
    )
    store.put_result(result)
    return result


def _settings(config: Config) -> dict[str, Any]:
    """What the numbers depend on, for the Result and its id."""
    # Not where rows are read; the client is in the answers' name. Without repairs, as before there were any.
    without = set() if config.evaluation.repairs else {"repairs", "repair_feedback"}
    values = config.evaluation.model_dump(mode="json", exclude={"path", "benchmark", "client"} | without)
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
    """The way of samples through answers, execution and repairs."""

    answers: AnswerSource
    executor: Executor
    benchmark: Benchmark
    settings: EvaluationConfig

    async def run(self, tasks: Sequence[Task], on_progress: OnSample | None) -> list[Sample]:
        """All samples, in the order of the tasks. The first error stops the rest."""
        places = [(task, i) for task in tasks for i in range(self.answers.count(task))]
        order = sorted(places, key=lambda place: slow_first(place[0]))
        asked = self.answers.at_a_time
        limit = None if asked is None else asked + RUN_AT_A_TIME
        drawn: dict[tuple[str, int], Sample] = {}
        passed = repaired = 0
        async for sample in as_finished((self._sample(*place) for place in order), limit):
            drawn[sample.task_id, sample.sample_index] = sample
            passed += sample.execution.passed
            repaired += any(repair.execution.passed for repair in sample.repairs)
            if on_progress:
                also = f", repaired {repaired}" if self.settings.repairs else ""
                on_progress(len(drawn), len(places), f"passed {passed}{also}")
        return [drawn[task.task_id, index] for task, index in places]

    async def _sample(self, task: Task, index: int) -> Sample:
        answer = await self.answers.answer(task, index)
        sample = Sample(
            task_id=task.task_id,
            sample_index=index,
            completion=answer.completion,
            program=answer.program,
            execution=await self._execute(task, answer),
            cut=answer.cut,
        )
        if not self.settings.repairs or not isinstance(self.answers, Repairing):
            return sample
        public = self.benchmark.definition.public_tests
        return await Repairer(self.answers, self.settings, public, self._execute).run(task, sample)

    async def _execute(self, task: Task, answer: Answer) -> Execution:
        if answer.refused:
            return self.executor.not_run(NO_ANSWER, answer.refused)
        for _ in range(SANDBOX_TRIES):
            _, execution = await self.executor.execute(task, answer.program, cut=answer.cut)
            if execution.verdict != "sandbox_error":
                return execution
        raise SandboxError(
            f"task {task.task_id}: the sandbox failed {SANDBOX_TRIES} times ({execution.error or 'no reason given'}). "
            "This says nothing about the program and is not scored; the rest is stored, so run the same command again"
        )


def _check(benchmark: Benchmark, answers: AnswerSource, settings: EvaluationConfig) -> None:
    name, tasks, k = benchmark.name, benchmark.tasks, settings.k
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
    if settings.repairs and not isinstance(answers, Repairing):
        raise ConfigError(
            f"evaluation.repairs is {settings.repairs}, and {answers.name} has no model that could repair; evaluate "
            "the model (--model), or set evaluation.repairs=0"
        )
