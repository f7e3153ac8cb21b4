"""Trainings one after another: losses on the same pairs (SFT, then Target-DPO), and focal pairs mixed with RL.

In stages the reference of a stage is the model that the one before it left, as the package's `train` takes the model
that it begins with. The mixture alternates: focal pairs of some tasks, then GRPO on all tasks, each with half of the
budget of programs. A step never mixes both losses, for their scales have no common measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.clients.base import Completion
from iterpref.errors import ConfigError, TrainingError
from iterpref.pairing import write_dataset
from iterpref.records import PreferencePair, Task
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .arm import ArmSummary, Asked, Clock, Spent, once
from .grpo import GrpoSettings, train_grpo
from .runs import RunSettings, Section

SFT_THEN_TARGET_DPO: tuple[Section, ...] = ({"method": "sft"}, {"method": "target_dpo"})


@dataclass(frozen=True)
class StagesSettings:
    """`stages`: keys of a `training` section for each, put over `run.training`."""

    stages: tuple[Section, ...] = SFT_THEN_TARGET_DPO
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError("stages: there is none; expected at least one, such as {'method': 'sft'}")


@dataclass(frozen=True)
class MixtureSettings:
    """`programs` is the whole budget. Tasks give their pairs in order, while what debugging them took fits into half of
    it; GRPO has the rest. Both are cut into `cycles` parts, which alternate. The pairs are the base's own in every
    cycle. `grpo`: keys of `GrpoSettings`, but the budget."""

    programs: int
    cycles: int = 1
    grpo: Section = field(default_factory=dict)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.cycles < 1:
            raise ConfigError(f"mixture: cycles={self.cycles}; expected 1 or more")
        known = {*GrpoSettings.__dataclass_fields__} - {"programs", "wall_s"}
        if strange := sorted(self.grpo.keys() - known):
            raise ConfigError(f"mixture: grpo.{strange[0]} is unknown; expected {', '.join(sorted(known))}")
        self.of_grpo(self.programs // 2 // self.cycles)

    def of_grpo(self, programs: int) -> GrpoSettings:
        return GrpoSettings(programs=programs, **self.grpo)


def train_in_stages(
    model: Path, pairs: Sequence[PreferencePair], settings: StagesSettings, seed: int, output: Path
) -> ArmSummary:
    """`model` after each stage in turn on the same pairs; nothing is generated."""

    def work(clock: Clock) -> ArmSummary:
        parts: list[ArmSummary] = []
        for number, stage in enumerate(settings.stages, 1):
            start = Path(parts[-1].model) if parts else model
            parts.append(_focal(start, pairs, settings.run, stage, seed, output / f"stage-{number}"))
        return ArmSummary.of_parts("stages", parts)

    return once(Asked("stages", model, pairs, settings, seed), output, work)


def train_mixture(
    model: Path,
    tasks: Sequence[Task],
    pairs: Sequence[PreferencePair],
    made: Mapping[str, Spent],
    settings: MixtureSettings,
    seed: int,
    output: Path,
) -> ArmSummary:
    """`model` after focal pairs and GRPO in turn.

    Args:
        pairs: Of the tasks' debugging; those of tasks that don't fit into the budget are left.
        made: Task id → what its debugging generated, see `spent_by_task`.

    Raises:
        TrainingError: A part of the tasks has no pair.
    """

    def work(clock: Clock) -> ArmSummary:
        chosen = affordable(tasks, made, settings.programs // 2)
        left = settings.programs - sum(made[task_id].programs for task_id in chosen)
        parts: list[ArmSummary] = []
        for number in range(settings.cycles):
            ids = set(chosen[number :: settings.cycles])
            own = [pair for pair in pairs if pair.task_id in ids]
            if not own:
                raise TrainingError(
                    f"mixture: the {len(ids)} tasks of cycle {number + 1} have no pair; raise programs or lower cycles"
                )
            start = Path(parts[-1].model) if parts else model
            focal = _focal(start, own, settings.run, {}, seed, output / f"focal-{number + 1}")
            spent = sum((made[task_id] for task_id in ids), Spent())
            parts.append(focal.model_copy(update={"spent": spent}))
            grpo = settings.of_grpo(left // settings.cycles)
            parts.append(train_grpo(Path(focal.model), tasks, grpo, seed + number, output / f"grpo-{number + 1}"))
        return ArmSummary.of_parts("mixture", parts)

    return once(Asked("mixture", model, [*tasks, *pairs], settings, seed), output, work)


def affordable(tasks: Sequence[Task], made: Mapping[str, Spent], programs: int) -> list[str]:
    """Ids of the first tasks whose debugging took at most so many programs in all."""
    ids: list[str] = []
    for task in tasks:
        programs -= made.get(task.task_id, Spent()).programs
        if programs < 0:
            break
        if task.task_id in made:
            ids.append(task.task_id)
    return ids


def spent_by_task(store: Store, origin: str = "debugging") -> dict[str, Spent]:
    """Task id → programs and tokens of its trajectory."""
    found: dict[str, Spent] = {}
    for trajectory in store.trajectories(origin):
        calls = [store.call(attempt.call_id, Completion) for attempt in trajectory.attempts]
        found[trajectory.task_id] = Spent(
            programs=len(calls),
            prompt_tokens=sum(call.prompt_tokens for call in calls if call),
            completion_tokens=sum(call.completion_tokens for call in calls if call),
        )
    return found


def _focal(
    model: Path, pairs: Sequence[PreferencePair], settings: RunSettings, keys: Mapping[str, Any], seed: int, place: Path
) -> ArmSummary:
    """One training by the package, in a run folder of its own."""
    clock, folder = Clock(), RunFolder(place)
    config = settings.config(model, seed, training=keys)
    write_dataset(folder.pairs, pairs)
    trained = pipeline.train(folder, config)
    return ArmSummary(
        trainer=trained.method, model=str(folder.model), rows=trained.trained_pairs, steps=trained.steps,
        **clock.taken,
    )  # fmt: skip
