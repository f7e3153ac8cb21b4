"""A cell whose model is looked at before it is deleted: likelihoods of pairs, and what it writes, drawn many times.

The likelihoods are of pairs that it was trained on, and of pairs that it never saw: those of the next seed's debugging
by the same base, but for tasks that have a composition of its own training tasks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from iterpref.errors import ConfigError
from iterpref.records import PreferencePair, Result

from ..cells import Cell, tasks_of
from ..grid import Arm, Grid
from ..pairs import drawn
from ..plan import Plan
from ..records import Record
from ..seeds import SeedData, SeedPlan
from ..training import Training
from .traits import traits_of

MEASURED = {"version": 1, "samples": 16, "temperature": 0.8, "pairs": 200}
USUAL = Arm()  # whose pairs all models are measured on: those of debugging
SAMPLE_S, PAIR_S = 0.01, 0.016  # of one core, by trials with the shipped coder: per sample, per pair


@dataclass(frozen=True)
class MeasuredCell(Cell):
    """A cell whose record has `answers`, `traits` of the tasks, and of the trained `seen` and `unseen`."""

    @cached_property
    def what(self) -> Record:
        return {**super().what, "measured": MEASURED}

    @property
    def more_s(self) -> float:  # type: ignore[override]
        return MEASURED["samples"] * SAMPLE_S * self.tasks + 2 * MEASURED["pairs"] * PAIR_S * self.trains

    @property
    def unseen(self) -> SeedPlan:
        """The seed whose pairs no model of this one saw."""
        return replace(self.data, seed=self.data.seed + 1)

    def _more(self, model: Path, scored: Result, training: Training) -> Record:
        from transformers import AutoTokenizer

        from ..why import answer_figures, draws, load_network, pair_figures

        data, tasks = self.data, tasks_of(self.data.domain, self.split, self.tasks, self.data.seed)
        drawn_ones = draws(model, f"{data.domain} {self.split}", tasks, data.config, training.folder,
                           MEASURED["samples"], MEASURED["temperature"])  # fmt: skip
        tokenizer, network = AutoTokenizer.from_pretrained(model), load_network(model)
        traits = traits_of(data.domain, self.split, self.tasks, data.seed)
        found: Record = {
            "answers": rounded(answer_figures(network, tokenizer, tasks, scored, drawn_ones)),
            "traits": {name: "".join(traits[s.task_id][name] for s in scored.samples) for name in ("steps", "kind")},
        }
        if self.trains:
            other = SeedData(self.unseen, training.data.work)
            pairs = {"seen": training.data.pair_records(USUAL), "unseen": unseen_pairs(training.data, other)}
            reference = load_network(data.folder)
            for name, all_pairs in pairs.items():
                some = as_trained(drawn(all_pairs, MEASURED["pairs"]))
                found[name] = rounded(pair_figures(network, reference, some, tokenizer))
            found["unseen_hash"] = other.made("debugging")["hash"]
        return found


def unseen_pairs(data: SeedData, other: SeedData) -> list[PreferencePair]:
    """The other seed's pairs of compositions that this seed has no training task of.

    Raises:
        ConfigError: There is none.
    """
    own, origins = set(_compositions(data).values()), _compositions(other)
    pairs = [pair for pair in other.pair_records(USUAL) if origins[pair.task_id] not in own]
    if not pairs:
        raise ConfigError(f"{data.plan.name}: seed {other.plan.seed} has no pair that a model of this one did not see; "
                          f"raise tasks.train, which is {data.plan.tasks}")  # fmt: skip
    return pairs


def _compositions(data: SeedData) -> dict[str, str]:
    """Task id → the names of its steps, of a seed's training tasks."""
    with data.read("debugging") as store:
        return {task.task_id: task.origin for task in store.tasks()}


def as_trained(pairs: Iterable[PreferencePair]) -> list[Any]:
    from iterpref.training.reading import TrainingPair

    return [TrainingPair.model_validate(pair.model_dump(include=set(TrainingPair.model_fields))) for pair in pairs]


def rounded(value: Any) -> Any:
    """Floats of a record to five digits, which is more than seeds agree in."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class MeasuredPlan(Plan):
    """A grid's cells, all of them measured."""

    def _cell(self, *args: Any, **kwargs: Any) -> MeasuredCell:
        cell = super()._cell(*args, **kwargs)
        return MeasuredCell(**{field.name: getattr(cell, field.name) for field in fields(cell)})


def check_reasons(grid: Grid) -> str:
    """The name of the arm that is the base.

    Raises:
        ConfigError: There is none, or a rate is still to be chosen.
    """
    if grid.tuning is not None or grid.seeds is None:
        raise ConfigError(f"grid {grid.name}: reasons are looked for at rates that are known; give seeds, rate and "
                          "length (of the grid, or of each arm), and no tuning")  # fmt: skip
    bases = [name for name, arm in grid.arms.items() if arm.trainer == "base"]
    if not bases:
        raise ConfigError(f"grid {grid.name}: no arm is the base, and what a training lost is told by it; add "
                          "`base: {trainer: base}`")  # fmt: skip
    return bases[0]
