"""Arms that write programs themselves, or train in phases: what the grid says of them → trainers/.

grpo     the tests as reward; `length`: updates that the programs of debugging make, which is how large batches are
rounds   debug, pair, train, and again with what came out; `length`: epochs of each round
stages   one loss after another on the arm's pairs; `length`: epochs of all stages together
mixture  the arm's pairs for half of the budget, GRPO for the other half; `length`: epochs on the pairs

The budget is the number of programs that debugging wrote for the same seed. With `as_long_as` it is the wall time that
debugging and that arm's training take when they are done again, here and now: what the seed's data took when it was
made says nothing of a machine that is busy with other things today.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from iterpref.errors import ConfigError
from iterpref.section import Section

from .focal import check_settings, settings_of
from .grid import Arm, near
from .records import Record
from .seeds import pairing_of
from .trainers.arm import ArmSummary
from .trainers.composed import (
    SFT_THEN_TARGET_DPO,
    MixtureSettings,
    StagesSettings,
    spent_by_task,
    train_in_stages,
    train_mixture,
)
from .trainers.grpo import LIMITS, GrpoSettings, train_grpo
from .trainers.rounds import RoundsSettings, train_rounds
from .trainers.runs import RunSettings
from .training import DEBUG_TASK_S, Trained, Training, focal_s

CALLS_A_TASK = 2.3  # of debugging
PROGRAM_S = 0.03  # of GRPO: written, run and learned
SCORED_S = 14.0  # a model, on 1,000 tasks


class Grpo(Section):
    group: int = Field(default=8, ge=2)
    """Programs of a prompt."""
    iterations: int = Field(default=1, ge=1)
    """Updates on each batch."""
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.0, ge=0)
    """Weight of the KL term."""


class Rounds(Section):
    rounds: int = Field(default=3, ge=1)


class Stages(Section):
    stages: tuple[Mapping[str, Any], ...] = Field(default=SFT_THEN_TARGET_DPO, min_length=1)
    """Keys of `training` for each, on top of the arm's."""


class Mixture(Section):
    cycles: int = Field(default=1, ge=1)
    """Into how many parts both halves are cut, which alternate."""
    updates: int = Field(default=24, ge=1)
    """Of GRPO, in all cycles."""
    grpo: Grpo = Grpo()


Options = TypeVar("Options", bound=Section)


def options_of(arm: Arm, kind: type[Options]) -> Options:
    """An arm's options; ConfigError for one that its trainer doesn't know, or a value that can't be."""
    try:
        return kind.model_validate(arm.options)
    except ValidationError as error:
        found = error.errors()[0]
    key = ".".join(map(str, found["loc"]))
    if found["type"] != "extra_forbidden":
        raise ConfigError(f"options.{key}: {found['msg']}, got {found['input']!r}")
    fields = Grpo.model_fields if len(found["loc"]) > 1 else kind.model_fields
    raise ConfigError(f"options.{key}: trainer {arm.trainer} has no such option; {near(str(found['loc'][-1]), fields)}")


# --- training ---


def grpo(training: Training) -> Trained:
    """A budget of time makes batches as large as one of programs, but as many as fit."""
    calls, told = training.data.made("debugging")["calls"], {}
    own = _grpo(training, options_of(training.arm, Grpo), calls, training.length)
    budget: dict[str, Any] = {"programs": calls}
    if training.like is not None:
        like = measured(training.like)
        budget, told = {"wall_s": like.seconds}, {"wall_s": like.seconds, "like_cpu_seconds": like.cpu_s}
    tasks, seed = training.data.tasks(), training.data.plan.seed
    made = train_grpo(training.base, tasks, GrpoSettings(**budget, **own), seed, training.folder / "grpo")
    return _trained(made, told)


def rounds(training: Training) -> Trained:
    settings = RoundsSettings(
        options_of(training.arm, Rounds).rounds, training.data.made("debugging")["calls"], _run(training)
    )
    tasks, seed = training.data.tasks(), training.data.plan.seed
    return _trained(train_rounds(training.base, tasks, settings, seed, training.folder / "rounds", training.score))


def stages(training: Training) -> Trained:
    asked = options_of(training.arm, Stages).stages
    settings = StagesSettings(asked, _run(training, len(asked)))
    pairs, seed = training.data.pair_records(training.arm), training.data.plan.seed
    made = train_in_stages(training.base, pairs, settings, seed, training.folder / "stages")
    return _trained(made.model_copy(update={"spent": training.data.spent(training.arm)}))


def mixture(training: Training) -> Trained:
    data, asked = training.data, options_of(training.arm, Mixture)
    calls = data.made("debugging")["calls"]
    own = _grpo(training, asked.grpo, calls // 2, asked.updates)
    settings = MixtureSettings(calls, asked.cycles, own, _run(training))
    with data.read("debugging") as store:
        made = spent_by_task(store)
    pairs, folder = data.pair_records(training.arm), training.folder / "mixture"
    return _trained(train_mixture(training.base, data.tasks(), pairs, made, settings, data.plan.seed, folder))


def measured(training: Training) -> ArmSummary:
    """Debugging all tasks, pairing and this training from nothing, on this machine, now: for the seconds it takes."""
    from trl import GRPOTrainer  # noqa: F401

    import iterpref.training.trainer  # noqa: F401  # with TRL's, before the clock runs

    settings = RoundsSettings(1, run=_run(training))
    folder = training.folder / "measured"
    return train_rounds(training.base, training.data.tasks(), settings, training.data.plan.seed, folder)


def _run(training: Training, parts: int = 1) -> RunSettings:
    plan = training.data.plan
    return RunSettings(
        debugging=plan.debugging,
        pairing=pairing_of(training.arm).model_dump(mode="json"),
        training=settings_of(training, parts),
        sandbox=plan.config.sandbox.model_dump(mode="json"),
    )


def _grpo(training: Training, asked: Grpo, programs: int, updates: float) -> dict[str, Any]:
    """Keys of `GrpoSettings` but the budget, with batches of which so many programs make so many updates. A call is
    bounded as the tasks say."""
    config, limits = training.data.plan.config, training.data.tasks()[0].limits
    return {
        **asked.model_dump(),
        "prompts": max(1, round(programs / asked.group / updates)),
        "learning_rate": training.rate,
        "max_tokens": config.debugging.sampling.max_tokens,
        "limits": LIMITS.model_copy(update={"call_cpu_s": limits.call_cpu_s, "call_wall_s": limits.call_wall_s}),
        "sandbox": config.sandbox.model_dump(mode="json"),
    }


def _trained(made: ArmSummary, more: Mapping[str, Any] | None = None) -> Trained:
    return Trained(Path(made.model), _facts(made) | dict(more or {}))


def _facts(made: ArmSummary) -> Record:
    """What the record keeps: programs and tokens, wall and CPU seconds without scoring, and the same of each phase."""
    facts: Record = {
        "spent": made.spent.model_dump(), "steps": made.steps, "wall_seconds": made.seconds, "cpu_seconds": made.cpu_s,
        **made.facts,
    }  # fmt: skip
    if made.trainer != "grpo":
        learned = [part.rows for part in made.parts if part.trainer != "grpo"] or [made.rows]
        facts["pairs"] = max(learned) if made.trainer == "stages" else sum(learned)  # stages learn the same again
    if made.parts:
        facts["parts"] = [{"trainer": part.trainer, **_facts(part)} for part in made.parts]
    return facts


# --- what an arm can't say ---


def check_grpo(arm: Arm, settings: Mapping[str, Any]) -> None:
    _leaves_out(arm, "training", "pairs", "pairing", "as_many_as", "share", "teacher")
    options_of(arm, Grpo)


def check_rounds(arm: Arm, settings: Mapping[str, Any]) -> None:
    _leaves_out(arm, "pairs", "as_many_as", "share", "teacher")
    if pairing_of(arm).diagnosed is not None:
        raise ConfigError("pairing.diagnosed: trainer rounds makes pairs that nobody diagnosed; leave it out")
    options_of(arm, Rounds)
    check_settings(arm, settings)


def check_stages(arm: Arm, settings: Mapping[str, Any]) -> None:
    for stage in options_of(arm, Stages).stages:
        check_settings(arm, {**settings, **stage}, "options.stages")


def check_mixture(arm: Arm, settings: Mapping[str, Any]) -> None:
    _leaves_out(arm, "pairs", "as_many_as", "share", "teacher")
    options_of(arm, Mixture)
    check_settings(arm, settings)


def _leaves_out(arm: Arm, *keys: str) -> None:
    said = arm.model_dump(exclude_defaults=True)
    if wrong := [key for key in keys if key in said]:
        raise ConfigError(f"{wrong[0]}: says nothing to trainer {arm.trainer}; leave it out")


# --- how long it takes, in seconds of one core ---


def grpo_s(arm: Arm, length: float, tasks: int) -> float:
    """At a budget of time: what is measured first, and then as much again."""
    if arm.as_long_as is not None:
        return 2 * (DEBUG_TASK_S * tasks + focal_s(arm, 4, tasks))
    return CALLS_A_TASK * tasks * PROGRAM_S


def rounds_s(arm: Arm, length: float, tasks: int) -> float:
    """Debugging in portions takes nearly twice as long; and the base and each round's model are scored."""
    return 1.8 * DEBUG_TASK_S * tasks + focal_s(arm, length, tasks) + 3 * SCORED_S


def mixture_s(arm: Arm, length: float, tasks: int) -> float:
    """Half of the pairs, and GRPO with half of the programs."""
    return (focal_s(arm, length, tasks) + CALLS_A_TASK * tasks * PROGRAM_S) / 2
