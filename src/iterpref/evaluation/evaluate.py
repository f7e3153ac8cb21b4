"""Model → Result: ask for completions of every task of a benchmark, run them, count what passes.

In: tasks, a ledger (model calls), a sandbox, a store. Out: one `Result` in the store, with every completion as it came,
the program taken from it, and its Execution. A killed evaluation repeats no answered call and no finished execution; a
finished one is returned as it is. Decoding and execution overlap: each program runs as soon as it has been written.

A broken sandbox is never scored as a failing program: it is tried again, then the evaluation stops and says so.
Not here: comparing two Results (`analysis/compare.py`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iterpref.clients import Ledger, Request, Sampling
from iterpref.config import EvaluationConfig
from iterpref.errors import ConfigError, RecordError, SandboxError
from iterpref.evaluation.benchmarks import dataset_hash
from iterpref.evaluation.pass_at_k import mean_and_error, pass_at_k
from iterpref.programs import extract_program
from iterpref.records import Execution, Limits, Result, Sample, Task, as_messages, fingerprint
from iterpref.sandbox import Executor, Sandbox
from iterpref.store import Store

Progress = Callable[[int, int, str], None]
SANDBOX_TRIES = 3


async def evaluate(
    tasks: Sequence[Task],
    benchmark: str,
    ledger: Ledger,
    sandbox: Sandbox,
    store: Store,
    settings: EvaluationConfig,
    seed: int = 0,
    limits: Limits | None = None,
    on_progress: Progress | None = None,
) -> Result:
    """Evaluate the ledger's model on `tasks`, each with `settings.samples` completions.

    Args:
        benchmark: Name that the Result carries.
        limits: Bounds of every execution, in place of each task's own.
        on_progress: Called with (samples done, samples in all, a few words such as "passed 12").

    Raises:
        ConfigError: `k` is larger than `samples`, or several greedy completions are asked for.
        RecordError: No tasks, or two tasks with one id.
        ClientError: The model can't answer.
        SandboxError: The sandbox could not run a program in `SANDBOX_TRIES` tries.
    """
    _check(tasks, benchmark, settings)
    data = dataset_hash(tasks)
    described = {**settings.model_dump(mode="json"), "seed": seed, "limits": limits.model_dump() if limits else None}
    result_id = fingerprint([benchmark, data, ledger.name, described])
    finished = store.result(result_id)
    if finished is not None:
        return finished
    samples = await _Evaluation(ledger, Executor(sandbox, store, seed, limits), settings, seed).run(tasks, on_progress)
    result = Result(
        result_id=result_id,
        benchmark=benchmark,
        model=ledger.name,
        dataset_hash=data,
        protocol=_protocol(settings),
        samples=tuple(samples),
        metrics=metrics(samples, settings.k),
        settings=described,
    )
    store.put_result(result)
    return result


def metrics(samples: Sequence[Sample], k: Sequence[int]) -> dict[str, float]:
    """`pass@k` over tasks, and `pass@k_stderr` where there are at least two tasks."""
    drawn = Counter(sample.task_id for sample in samples)
    correct = Counter(sample.task_id for sample in samples if sample.execution.passed)
    values: dict[str, float] = {}
    for size in k:
        estimates = [pass_at_k(count, correct[task_id], size) for task_id, count in drawn.items()]
        values[f"pass@{size}"], error = mean_and_error(estimates)
        if error is not None:
            values[f"pass@{size}_stderr"] = error
    return values


@dataclass(frozen=True)
class _Evaluation:
    """The tools of one evaluation, and the way of one sample through them."""

    ledger: Ledger
    executor: Executor
    settings: EvaluationConfig
    seed: int

    async def run(self, tasks: Sequence[Task], on_progress: Progress | None) -> list[Sample]:
        """All samples, in the order of the tasks. The first error stops the rest."""
        work = [asyncio.create_task(self._sample(task, i)) for task in tasks for i in range(self.settings.samples)]
        passed = 0
        try:
            for done, finished in enumerate(asyncio.as_completed(work), start=1):
                passed += (await finished).execution.passed
                if on_progress:
                    on_progress(done, len(work), f"passed {passed}")
        finally:
            for item in work:
                item.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        return [item.result() for item in work]

    async def _sample(self, task: Task, index: int) -> Sample:
        request = Request(
            messages=as_messages(task.prompt),
            sampling=Sampling(**self.settings.sampling.model_dump(), seed=self.seed),
            sample_index=index,
        )
        _, completion = await self.ledger.complete(request)
        program = extract_program(completion.text, task.entry_point)
        execution = await self._execute(task, program, cut=completion.finish_reason == "length")
        return Sample(
            task_id=task.task_id,
            sample_index=index,
            completion=completion.text,
            program=program,
            execution=execution,
        )

    async def _execute(self, task: Task, program: str, *, cut: bool) -> Execution:
        """The outcome of a program; a broken sandbox stops the evaluation rather than be scored."""
        for _ in range(SANDBOX_TRIES):
            _, execution = await self.executor.execute(task, program, cut=cut)
            if execution.verdict != "sandbox_error":
                return execution
        raise SandboxError(
            f"task {task.task_id}: the sandbox failed {SANDBOX_TRIES} times ({execution.error or 'no reason given'}). "
            "This says nothing about the program and is not scored; the rest is stored, so run the same command again"
        )


def _check(tasks: Sequence[Task], benchmark: str, settings: EvaluationConfig) -> None:
    if not tasks:
        raise RecordError(f"benchmark {benchmark}: no tasks; check evaluation.benchmark and evaluation.split")
    task_id, count = Counter(task.task_id for task in tasks).most_common(1)[0]
    if count > 1:
        raise RecordError(f"benchmark {benchmark}: {count} tasks have the id {task_id}; give each task its own id")
    if not settings.k or min(settings.k) < 1 or max(settings.k) > settings.samples:
        raise ConfigError(
            f"evaluation.k is {list(settings.k)} with evaluation.samples = {settings.samples}; pass@k needs k from 1 "
            "to samples: raise samples or lower k"
        )
    if settings.samples > 1 and settings.sampling.temperature == 0:
        raise ConfigError(
            f"evaluation.samples is {settings.samples} at temperature 0, where all completions of a task are equal; "
            "set evaluation.sampling.temperature, or samples to 1"
        )


def _protocol(settings: EvaluationConfig) -> str:
    """How the completions were asked for, in words."""
    sampling = settings.sampling
    how = f"T={sampling.temperature:g}, top_p={sampling.top_p:g}" if sampling.temperature else "greedy"
    number = "1 sample" if settings.samples == 1 else f"{settings.samples} samples"
    return f"chat, {how}, {number} per task, at most {sampling.max_tokens} new tokens"
