"""Rejection-sampling SFT: draw programs, keep those that pass, learn them (RFT, arXiv:2308.01825; STaR before it).

RFT keeps distinct ways to the answer; here a task's programs with the same syntax tree count once. The calls are as
many as an arm of debugging made, so that the two can be compared. A task that passes often teaches more distinct
programs, none that always fails teaches any; nothing weighs against that, as in RFT.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iterpref import pipeline
from iterpref.errors import TrainingError
from iterpref.line_diff import DIFF_VERSION
from iterpref.pairing import write_dataset
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Task, as_messages
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .arm import ArmSummary, Asked, Clock, once
from .runs import RunSettings, draw, shape


@dataclass(frozen=True)
class RejectionSettings:
    """`programs`: how many are drawn, over all tasks. `run.training` is trained with method `sft`."""

    programs: int
    run: RunSettings = field(default_factory=RunSettings)


def train_rejection(
    model: Path, tasks: Sequence[Task], settings: RejectionSettings, seed: int, output: Path
) -> ArmSummary:
    """Draws of `model` for the tasks → `model` after SFT on those that passed.

    Raises:
        TrainingError: None passed.
    """

    def work(clock: Clock) -> ArmSummary:
        made = draw(output / "run", settings.run, model, seed, tasks, settings.programs)
        with Store.open(output / "run", write=False) as store:
            rows = list(passing_rows(store))
        if not rows:
            raise TrainingError(f"rejection: none of {made.programs} programs passes, so there is nothing to learn")
        folder = RunFolder(output / "run")
        write_dataset(folder.pairs, rows)
        trained = pipeline.train(folder, settings.run.config(model, seed, training={"method": "sft"}))
        facts = {"solved": len({row.task_id for row in rows})}
        return ArmSummary(trainer="rejection", model=str(folder.model), spent=made, rows=trained.trained_pairs,
                          steps=trained.steps, facts=facts)  # fmt: skip

    return once(Asked("rejection", model, tasks, settings, seed), output, work)


def passing_rows(store: Store) -> Iterator[PreferencePair]:
    """Each distinct passing draw of each task, as a row for SFT."""
    for trajectory in store.trajectories("sampling"):
        passed = {shape(a.program): a for a in reversed(trajectory.attempts) if a.execution.passed}
        task = store.task(trajectory.task_id)
        for attempt in sorted(passed.values(), key=lambda attempt: attempt.iteration):
            yield _row(task, attempt.program, f"{trajectory.trajectory_id}#{attempt.iteration}")


def _row(task: Task, program: str, pair_id: str) -> PreferencePair:
    """SFT reads the chosen side alone; a side may not be empty, so the same stands on the other."""
    text = fenced(program)
    return PreferencePair(
        pair_id=pair_id, task_id=task.task_id, prompt=as_messages(task.prompt), chosen=text, rejected=text,
        chosen_spans=(), rejected_spans=(), diff="none", diff_version=DIFF_VERSION, render_template="fenced_python",
        origin="sampling",
    )  # fmt: skip
