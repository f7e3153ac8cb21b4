"""On-policy rounds: debug with the model as it is now, pair, train, and again with what came out.

    OUTPUT/round-N/   a run folder each: trajectories, pairs, the round's model

The reference of a round is the model that it began with. Without a budget each round debugs all tasks. With one it is
shared out evenly: a round goes through the tasks from where the last one stopped, from the first again after the last,
while what is left of its share surely pays for another; what a round leaves goes to those after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.analysis.funnel import pass_rate_by_iteration
from iterpref.config import Config
from iterpref.errors import ConfigError
from iterpref.opened_run import OpenedRun
from iterpref.records import Task

from .arm import ArmSummary, Asked, Clock, once
from .runs import RunSettings, opened, spent

Score = Callable[[Path], float]


@dataclass(frozen=True)
class RoundsSettings:
    """`programs`: the budget of all rounds together."""

    rounds: int = 3
    programs: int | None = None
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds: rounds={self.rounds}; expected 1 or more")


def train_rounds(
    model: Path, tasks: Sequence[Task], settings: RoundsSettings, seed: int, output: Path, score: Score | None = None
) -> ArmSummary:
    """`model` after some rounds on the tasks.

    Args:
        score: A model's pass@1. With it each round's facts hold what it gained, also by generated program; the clock
            stands still meanwhile.

    Raises:
        ConfigError: A round's share of the budget doesn't surely pay for one task.
    """

    def work(clock: Clock) -> ArmSummary:
        gains = _Gains(score, clock)
        rounds: list[ArmSummary] = []
        left, begin = settings.programs, 0
        for number in range(settings.rounds):
            share = None if left is None else left // (settings.rounds - number)
            start = Path(rounds[-1].model) if rounds else model
            in_turn = [*tasks[begin:], *tasks[:begin]]
            made = _round(start, in_turn, share, settings.run, seed, output / f"round-{number + 1}")
            begin = (begin + made.facts["tasks"]) % len(tasks)
            left = None if left is None else left - made.spent.programs
            rounds.append(made.model_copy(update={"facts": made.facts | gains.of(start, made)}))
        return ArmSummary.of_parts("rounds", rounds)

    return once(Asked("rounds", model, tasks, settings, seed), output, work)


def _round(
    model: Path, tasks: Sequence[Task], share: int | None, settings: RunSettings, seed: int, folder: Path
) -> ArmSummary:
    """One pass of debugging, pairing and training; a round without a pair leaves the model as it is."""
    clock, config = Clock(), settings.config(model, seed)
    with opened(folder, config) as run:
        _debug(run, tasks, share, config)
        pipeline.pair(run)
        rates = pass_rate_by_iteration(run.store.trajectories("debugging"), config.debugging.max_iterations)
        made, kept, place = spent(run.store, "debugging"), run.store.count_kept_pairs(), run.folder
        facts = {"tasks": run.store.count_tasks(), "pairs": kept, "passed_by_iteration": rates}
    trained = pipeline.train(place, config) if kept else None
    return ArmSummary(
        trainer="round",
        model=str(place.model if trained else model),
        spent=made,
        rows=trained.trained_pairs if trained else 0,
        steps=trained.steps if trained else 0,
        **clock.taken,
        facts=facts,
    )


def _debug(run: OpenedRun, tasks: Sequence[Task], share: int | None, config: Config) -> None:
    """Debug tasks in order, as many at a time as surely fit, until none does; a killed one goes on alike."""
    most = config.debugging.max_iterations + 1
    if share is not None and share < most:
        raise ConfigError(f"rounds: a round's share is {share} programs, and one task may take {most}; debug "
                          "more tasks, or lower rounds")  # fmt: skip
    while True:
        there = run.store.count_tasks()
        if there:
            pipeline.debug(run)
        fits = len(tasks) if share is None else (share - spent(run.store, "debugging").programs) // most
        if fits < 1 or there == len(tasks):
            return
        run.store.put_tasks(tasks[there : there + fits])


class _Gains:
    """pass@1 of models, each scored once."""

    def __init__(self, score: Score | None, clock: Clock) -> None:
        self._score, self._clock = score, clock
        self._known: dict[str, float] = {}

    def of(self, before: Path, made: ArmSummary) -> dict[str, Any]:
        """What a round brought; nothing where models aren't scored."""
        if self._score is None:
            return {}
        first, second = self._of(self._score, str(before)), self._of(self._score, made.model)
        gain = second - first
        by_program = gain / made.spent.programs if made.spent.programs else 0.0
        return {"before": first, "after": second, "gain": round(gain, 6), "gain_per_program": round(by_program, 8)}

    def _of(self, score: Score, model: str) -> float:
        if model not in self._known:
            with self._clock.paused():
                self._known[model] = score(Path(model))
        return self._known[model]
