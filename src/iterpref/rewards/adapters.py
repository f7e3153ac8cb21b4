"""How trainers ask for rewards: the arguments that each passes, and the answer that it wants.

TRL's GRPOTrainer takes a `CodeReward` as it is; for others a method of it is named in their configuration:

    verl        custom_reward_function.name=compute_score   compute_score = CodeReward().compute_score
    OpenRLHF    --remote_rm_url FILE                        reward_func = CodeReward().reward_func
    verifiers   vf.Rubric(funcs=[CodeReward().rubric_score])

verl, OpenRLHF and verifiers have no word for "no verdict": they get 0, with `no_verdict` beside it where they log more.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from .metrics import RewardMetrics
from .row_tasks import RowTasks


class Scores(Protocol):
    metrics: RewardMetrics
    _task: RowTasks

    def score(self, completions: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[float | None]: ...


class TrainerSignatures:
    """The signatures, on top of `score`."""

    __name__ = "code_reward"  # what trainers log it as

    def __call__(
        self: Scores, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """TRL: `reward_funcs`. Columns of the data set come as lists, beside what isn't one."""
        lists = {name: values for name, values in columns.items() if _one_each(values, completions)}
        rows = [{name: values[number] for name, values in lists.items()} for number in range(len(completions))]
        before = self.metrics.snapshot()
        rewards = self.score(completions, rows)
        if callable(log := columns.get("log_metric")):
            for name, value in self.metrics.snapshot().items():  # zeros, too: means are over all that log
                log(f"code_reward/{name}", value - before[name])
        return rewards

    def compute_score(
        self: Scores, data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None
    ) -> dict[str, float]:
        """verl: one reward; `ground_truth` are the tests, and `extra_info` may have further columns of the row."""
        [reward] = self.score([solution_str], [{**_columns(extra_info), self._task.tests: ground_truth}])
        return {"score": reward or 0.0, "no_verdict": float(reward is None)}

    def reward_func(self: Scores, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> Any:
        """OpenRLHF: queries are prompts with their answers, labels tests, or JSON objects of columns."""
        import torch

        pairs = zip(queries, prompts, strict=True)
        rewards = self.score(
            [query.removeprefix(prompt) for query, prompt in pairs], [_row(label, self._task) for label in labels]
        )
        values = torch.tensor([reward or 0.0 for reward in rewards])
        missing = torch.tensor([float(reward is None) for reward in rewards])
        return {"rewards": values, "scores": values, "extra_logs": {"no_verdict": missing}}

    async def rubric_score(self: Scores, completion: Any, answer: Any = "", info: Any = None) -> float:
        """verifiers: one reward; `info` has the row's columns, and `answer` the tests where it has none."""
        row = _columns(info)
        row = row if self._task.names_tests(row) else {**row, self._task.tests: answer}
        [reward] = await asyncio.to_thread(self.score, [completion], [row])
        return reward or 0.0


def _one_each(values: Any, completions: Sequence[Any]) -> bool:
    return isinstance(values, list | tuple) and len(values) == len(completions)


def _columns(value: Any) -> dict[str, Any]:
    """Columns of a row, given as an object or as JSON."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    return dict(value) if isinstance(value, Mapping) else {}


def _row(label: Any, task: RowTasks) -> dict[str, Any]:
    """A label with columns of its own, or nothing but tests."""
    return found if task.names_tests(found := _columns(label)) else {task.tests: label}
