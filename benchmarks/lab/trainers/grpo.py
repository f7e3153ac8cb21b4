"""GRPO (arXiv:2402.03300) by TRL, with the sandbox's verdict as its reward: what people would do today.

The budget is a number of generated programs (as many as debugging made for the same seed) or seconds of wall time,
model loading included. Of programs the most that whole batches can use are generated, never more. Of seconds, a step
that would likely end later is not begun; the first always is.

Where the time goes (playground's coder, steps of 128 programs, CPU seconds a step): `generate` 1.9, the package's
decoding in its place 1.1 (rollouts.py); rewards 0.2; forward and backward 2.1 to 2.5, and those stay.
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref.config import SandboxConfig
from iterpref.demo import CONFIG
from iterpref.errors import ConfigError
from iterpref.opened_run import open_sandbox
from iterpref.records import Limits, Task, as_messages
from iterpref.rewards import CodeReward

from .arm import MODEL, ArmSummary, Asked, Clock, once

LEFT = 0.02  # of a budget of programs; so much may be left for batches of the size asked for
PART = 32  # programs of one forward and backward pass: a quarter of the memory of 128, and not measurably slower
COLUMNS = ("tests", "style", "entry_point", "prefix")
DEADLINE_S = 120.0  # of the rewards of a step
LIMITS = Limits(cpu_s=2.0, wall_s=6.0)


@dataclass(frozen=True)
class GrpoSettings:
    """`programs` or `wall_s` is the budget.

    `group` programs are drawn for a prompt, and about `prompts` prompts make a batch: by up to a quarter more or less
    where that leaves less of `programs`, of which 2 % may be left. A batch is learned in `iterations` steps, of which
    those after the first are off-policy (TRL's `num_iterations`). The rate is constant; there is no KL term unless
    `beta` weighs one.
    """

    programs: int | None = None
    wall_s: float | None = None
    learning_rate: float = 3e-4
    group: int = 8
    prompts: int = 8
    iterations: int = 1
    temperature: float = 1.0
    max_tokens: int = 192
    beta: float = 0.0
    limits: Limits = LIMITS
    sandbox: Mapping[str, Any] = field(default_factory=lambda: dict(CONFIG["sandbox"]))

    def __post_init__(self) -> None:
        if (self.programs is None) == (self.wall_s is None):
            raise ConfigError(f"grpo: programs={self.programs}, wall_s={self.wall_s}; expected one of them, the budget")
        for name, least in (("group", 2), ("prompts", 1), ("iterations", 1), ("max_tokens", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"grpo: {name}={getattr(self, name)}; expected {least} or more")
        if self.programs is not None and self.programs < self.group:
            raise ConfigError(f"grpo: programs={self.programs} is less than one group of {self.group}")
        if self.wall_s is not None and self.wall_s <= 0:
            raise ConfigError(f"grpo: wall_s={self.wall_s}; expected more than 0")

    def plan(self, tasks: int) -> tuple[int, int]:
        """(prompts of a batch, batches) for so many tasks; a budget of time has no last batch."""
        most = min(self.prompts, tasks)
        if self.programs is None:
            return most, 1 << 20
        groups = self.programs // self.group
        sizes = range(max(1, most - most // 4), min(most + most // 4, tasks) + 1)
        fitting = [size for size in sizes if size <= groups] or [min(groups, tasks)]
        size = min(fitting, key=lambda size: (max(groups % size, LEFT * groups), abs(size - most)))
        return size, groups // size


def train_grpo(model: Path, tasks: Sequence[Task], settings: GrpoSettings, seed: int, output: Path) -> ArmSummary:
    """`model` after GRPO on the tasks, in `output/model`. A killed one begins anew.

    Raises:
        ConfigError: see `GrpoSettings`; a prompt that fills the model's context.
        SandboxError: This machine isolates too little.
    """

    def work(clock: Clock) -> ArmSummary:
        from .trl_training import quiet

        config = SandboxConfig.model_validate(settings.sandbox)
        with closing(open_sandbox(config)) as sandbox, quiet(bars=False):
            reward = CodeReward(deadline_s=DEADLINE_S, limits=settings.limits, sandbox=sandbox)
            return _train(model, tasks, settings, seed, output, reward, clock)

    return once(Asked("grpo", model, tasks, settings, seed), output, work)


def _train(
    model: Path, tasks: Sequence[Task], settings: GrpoSettings, seed: int, output: Path, reward: CodeReward,
    clock: Clock,
) -> ArmSummary:  # fmt: skip
    from .rollouts import Rollouts
    from .trl_training import load, train_and_save

    network, tokenizer = load(model)
    prompts, batches = settings.plan(len(tasks))
    arguments = _arguments(settings, prompts * settings.group, batches, seed, output)
    rollouts = Rollouts(model, tokenizer, str(arguments.device), seed, settings.temperature, settings.max_tokens)
    trainer = _trainer(network, tasks, tokenizer, arguments, reward, rollouts)
    if settings.wall_s is not None:
        trainer.add_callback(_stop_in_time(clock, settings.wall_s))
    steps = train_and_save(trainer, output)
    facts = {
        "rewards": [round(float(entry["reward"]), 4) for entry in trainer.state.log_history if "reward" in entry],
        "no_verdict": reward.metrics.no_verdict,
        "reward_s": round(reward.metrics.batch_s, 2),
        "programs_a_batch": prompts * settings.group,
    }
    return ArmSummary(trainer="grpo", model=str(output / MODEL), spent=rollouts.spent, rows=rollouts.spent.programs,
                      steps=steps, facts=facts)  # fmt: skip


def _arguments(settings: GrpoSettings, batch: int, batches: int, seed: int, output: Path) -> Any:
    from trl import GRPOConfig

    from .trl_training import plain_arguments

    part = max(size for size in range(1, min(PART, batch) + 1) if batch % size == 0)
    return GRPOConfig(
        **plain_arguments(output, seed), max_steps=batches * settings.iterations,
        learning_rate=settings.learning_rate, lr_scheduler_type="constant", beta=settings.beta,
        per_device_train_batch_size=part, gradient_accumulation_steps=batch // part,
        num_generations=settings.group, num_iterations=settings.iterations, temperature=settings.temperature,
        max_completion_length=settings.max_tokens,
    )  # fmt: skip


def _trainer(
    network: Any, tasks: Sequence[Task], tokenizer: Any, arguments: Any, reward: CodeReward, rollouts: Any
) -> Any:
    from datasets import Dataset
    from trl import GRPOTrainer

    rows = [
        {"prompt": [message.model_dump() for message in as_messages(task.prompt)],
         **task.model_dump(mode="json", include=set(COLUMNS))}
        for task in tasks
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'")  # see rollouts.py
        return GRPOTrainer(
            network,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            rollout_func=rollouts,
        )


def _stop_in_time(clock: Clock, wall_s: float) -> Any:
    """Stops a training before the step that would likely end after its time."""
    from transformers import TrainerCallback

    class Stop(TrainerCallback):  # type: ignore[misc]
        started, longest = 0.0, 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.started = clock.taken["seconds"]

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            now = clock.taken["seconds"]
            self.longest = max(self.longest, now - self.started)
            control.should_training_stop |= now + self.longest > wall_s

    return Stop()
