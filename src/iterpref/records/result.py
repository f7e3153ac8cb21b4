"""How a model did on a benchmark."""

from typing import Any

from pydantic import Field

from .base import Record
from .execution import Execution


class Repair(Record):
    """One more answer to a task, after the model had read `feedback` on its last program; the rest as of a Sample."""

    feedback: str
    completion: str
    program: str
    execution: Execution
    cut: bool = False


class Sample(Record):
    """One completion of a benchmark task: raw (`completion`), as a `program`, and what its tests said (`execution`).

    `sample_index` counts the samples of one `task_id` from 0. `repairs` followed where it failed and repairs were asked
    for (`evaluation.repairs`), until one passed. `cut`: it was cut at `max_tokens` before its program ended; where that
    isn't known, it is False.
    """

    task_id: str
    sample_index: int
    completion: str
    program: str
    execution: Execution
    repairs: tuple[Repair, ...] = ()
    cut: bool = False


class Result(Record):
    """One model on one benchmark.

    `metrics` holds `pass@k`, a share from 0 to 1 (unbiased, arXiv:2107.03374), and its standard error `pass@k_stderr`;
    with repairs also `repair@k`, the share of samples that pass after at most k of them. `samples` are n per task.
    `result_id`, `benchmark`, its `version` and `dataset_hash`, `model`, `protocol` and `settings` say how it was
    reached.

    `broken`: tasks that can't be judged on this machine, with the cause; they have no samples and count in no metric.
    `difficulty`: task id → what its publishers call it (`easy`), else its reference's length (`reference: 6-10 lines`).
    """

    result_id: str
    benchmark: str
    model: str
    dataset_hash: str
    protocol: str
    samples: tuple[Sample, ...]
    metrics: dict[str, float]
    settings: dict[str, Any] = Field(default_factory=dict)
    version: str = ""
    broken: dict[str, str] = Field(default_factory=dict)
    difficulty: dict[str, str] = Field(default_factory=dict)

    @property
    def cut_replies(self) -> int:
        """Replies that were cut at `max_tokens` before their program ended, and failed; those to repairs included."""
        made: list[Sample | Repair] = [*self.samples]
        made += [repair for sample in self.samples for repair in sample.repairs]
        return sum(answer.cut and not answer.execution.passed for answer in made)
