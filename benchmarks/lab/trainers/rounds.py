"""On-policy rounds: debug with the model as it is now, pair, train, and again with what came out.

    OUTPUT/round-N/   a run folder each: trajectories, pairs, the round's model
    OUTPUT/scores/    a run folder for what scoring the models asks, which counts nowhere else

The reference of a round is the model that it began with. With `parts` each round has its own share of the tasks, so
that all rounds together ask about as much as one pass over them; without, each round debugs all tasks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.analysis.funnel import pass_rate_by_iteration
from iterpref.errors import ConfigError
from iterpref.records import Task

from .arm import ArmSummary, Asked, Clock, once
from .runs import RunSettings, Section, opened, spent

METRIC = "pass@1"


@dataclass(frozen=True)
class RoundsSettings:
    """`evaluation`: a section of that name; the base and each round's model are scored by it, if it is there."""

    rounds: int = 3
    parts: bool = False
    evaluation: Section | None = None
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds: rounds={self.rounds}; expected 1 or more")


def train_rounds(model: Path, tasks: Sequence[Task], settings: RoundsSettings, seed: int, output: Path) -> ArmSummary:
    """`model` after some rounds on the tasks; each round's facts hold its gain in pass@1, also by generated program.

    Raises:
        ConfigError: There are fewer tasks than parts.
    """
    if settings.parts and len(tasks) < settings.rounds:
        raise ConfigError(f"rounds: {len(tasks)} tasks can't be split into {settings.rounds} parts")

    def work(clock: Clock) -> ArmSummary:
        scores = Scores(settings, seed, output / "scores", clock)
        rounds: list[ArmSummary] = []
        for number in range(settings.rounds):
            own = tasks[number :: settings.rounds] if settings.parts else tasks
            start = Path(rounds[-1].model) if rounds else model
            made = _round(start, own, settings.run, seed, output / f"round-{number + 1}")
            rounds.append(made.model_copy(update={"facts": made.facts | scores.gain(start, made)}))
        return ArmSummary.of_parts("rounds", rounds)

    return once(Asked("rounds", model, tasks, settings, seed), output, work)


def _round(model: Path, tasks: Sequence[Task], settings: RunSettings, seed: int, folder: Path) -> ArmSummary:
    """One pass of debugging, pairing and training; a round without a pair leaves the model as it is."""
    clock, config = Clock(), settings.config(model, seed)
    with opened(folder, config, tasks) as run:
        pipeline.debug(run)
        pipeline.pair(run)
        rates = pass_rate_by_iteration(run.store.trajectories("debugging"), config.debugging.max_iterations)
        made, kept, place = spent(run.store, "debugging"), run.store.count_kept_pairs(), run.folder
    trained = pipeline.train(place, config) if kept else None
    return ArmSummary(
        trainer="round",
        model=str(place.model if trained else model),
        spent=made,
        rows=trained.trained_pairs if trained else 0,
        steps=trained.steps if trained else 0,
        **clock.taken,
        facts={"pairs": kept, "passed_by_iteration": rates},
    )


class Scores:
    """pass@1 of models, each scored once, while the arm's clock stands still."""

    def __init__(self, settings: RoundsSettings, seed: int, folder: Path, clock: Clock) -> None:
        self._settings, self._seed, self._folder, self._clock = settings, seed, folder, clock
        self._known: dict[str, float] = {}

    def gain(self, before: Path, made: ArmSummary) -> dict[str, Any]:
        """What a round brought; nothing where no evaluation is asked for."""
        if self._settings.evaluation is None:
            return {}
        first, second = self._of(str(before)), self._of(made.model)
        gain = second - first
        by_program = gain / made.spent.programs if made.spent.programs else 0.0
        return {"before": first, "after": second, "gain": round(gain, 6), "gain_per_program": round(by_program, 8)}

    def _of(self, model: str) -> float:
        if model not in self._known:
            config = self._settings.run.config(Path(model), self._seed, evaluation=self._settings.evaluation or {})
            with self._clock.paused(), opened(self._folder, config) as run:
                self._known[model] = pipeline.evaluate(run, model).metrics[METRIC]
        return self._known[model]
