"""A sample that fails → repairs: the model reads what its tests said, in the words of debugging, and answers again.

`evaluation.repair_feedback` says which tests it is told of. `failing`: the first that fails, with its input and what is
expected, whichever test it is; so a benchmark's hidden tests leak, and `repair@k` measures debugging with a judge at
hand. `public`: only the examples that the prompt shows; a program that passes those is the last one, whatever the
hidden tests say, so that nothing leaks. Of each program the whole tests decide whether it is right.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from iterpref.config import EvaluationConfig
from iterpref.errors import ConfigError
from iterpref.evaluation import protocols
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition
from iterpref.evaluation.samples import Answer
from iterpref.feedback import feedback_text
from iterpref.records import Execution, Repair, Sample, Task
from iterpref.statistics import mean_and_error

NO_ANSWER = "NoAnswer"


@runtime_checkable
class Repairing(Protocol):
    """Answers of a model that can be told what was wrong with its last one."""

    async def repair(self, task: Task, index: int, number: int, last: Sample | Repair, feedback: str) -> Answer:
        """Repair `number` (from 1) of the sample `index`."""


@dataclass(frozen=True)
class Repairer:
    """What repairs take: the model, how many there may be, which tests it is told of, and how programs are run."""

    answers: Repairing
    settings: EvaluationConfig
    public_tests: tuple[str, ...]
    execute: Callable[[Task, Answer], Awaitable[Execution]]

    async def run(self, task: Task, sample: Sample) -> Sample:
        """The sample with its repairs; as it is where it passes."""
        last: Sample | Repair = sample
        repairs: list[Repair] = []
        while len(repairs) < self.settings.repairs and (feedback := await self._feedback(task, last)):
            answer = await self.answers.repair(task, sample.sample_index, len(repairs) + 1, last, feedback)
            execution = await self.execute(task, answer)
            last = Repair(
                feedback=feedback,
                completion=answer.completion,
                program=answer.program,
                execution=execution,
                cut=answer.cut,
            )
            repairs.append(last)
        return sample.model_copy(update={"repairs": tuple(repairs)}) if repairs else sample

    async def _feedback(self, task: Task, last: Sample | Repair) -> str:
        """What the model reads about its program; "" where there is nothing to tell."""
        if last.execution.passed or last.execution.error_type == NO_ANSWER:
            return ""
        if self.settings.repair_feedback == "failing":
            return feedback_text(last.execution)
        shown = tuple(test for test in task.tests if test.path in self.public_tests)
        if not shown:
            return ""
        answer = Answer(last.completion, last.program)
        execution = await self.execute(task.model_copy(update={"tests": shown}), answer)
        return "" if execution.passed else feedback_text(execution)


def check_repairs(definition: BenchmarkDefinition, settings: EvaluationConfig) -> None:
    """ConfigError where the repairs that are asked for can't be made."""
    if not settings.repairs:
        return
    if not definition.repairable:
        raise ConfigError(
            f"evaluation.repairs is {settings.repairs}, but the tests of {definition.name} hold the very answer that "
            "is asked for; set evaluation.repairs=0"
        )
    if protocols.chosen(definition, settings.protocol) == "base":
        raise ConfigError(
            f"evaluation.repairs is {settings.repairs} with evaluation.protocol=base; a repair is a turn of a chat, "
            "which a base model doesn't have: set evaluation.protocol=plain, or evaluation.repairs=0"
        )
    if settings.repair_feedback == "public" and not definition.public_tests:
        raise ConfigError(
            f"evaluation.repair_feedback is public, but of {definition.name} it isn't known which tests its prompts "
            "show; set it to failing (hidden tests leak then), or take a benchmark of LiveCodeBench"
        )


def repairs_in_words(settings: EvaluationConfig) -> str:
    """For a Result's protocol; "" without repairs."""
    if not settings.repairs:
        return ""
    told = {"failing": "the failing test, hidden ones included", "public": "the prompt's own examples alone"}
    return f"up to {settings.repairs} repairs told of {told[settings.repair_feedback]}"


def repair_metrics(samples: Sequence[Sample], repairs: int) -> dict[str, float]:
    """`repair@k` for k = 1 to `repairs`: the mean over tasks of the share of samples that pass after at most k repairs,
    with its standard error where there are at least two tasks."""
    values: dict[str, float] = {}
    for most in range(1, repairs + 1):
        by_task: dict[str, list[bool]] = {}
        for sample in samples:
            tried = [sample.execution, *(repair.execution for repair in sample.repairs[:most])]
            by_task.setdefault(sample.task_id, []).append(any(execution.passed for execution in tried))
        values[f"repair@{most}"], error = mean_and_error([sum(solved) / len(solved) for solved in by_task.values()])
        if error is not None:
            values[f"repair@{most}_stderr"] = error
    return values
