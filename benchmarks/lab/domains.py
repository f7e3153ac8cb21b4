"""Where tasks come from, and the base models that answer them: a line in `DOMAINS` for each.

A base is a folder `DOMAIN-N` in the folder of bases, pretrained with seed N; base 0 of `steps` is the shipped coder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from iterpref.errors import ConfigError
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Task

from .objects import objects_tasks

BASES = Path(__file__).parent / "bases"
Split = Literal["train", "validation", "held_out"]


@dataclass(frozen=True)
class Domain:
    """One kind of task.

    Args:
        tasks: (split, count, seed) → so many distinct tasks, the same on every machine.
        pretrain: What makes a base, with `{folder}` and `{seed}`.
        shipped: Base 0, where it needs no making.
        cost: Its seconds over those of `steps`, roughly.
    """

    name: str
    tasks: Callable[[Split, int, int], list[Task]]
    pretrain: str
    shipped: Callable[[], Path] | None = None
    cost: float = 1.0

    def base(self, number: int, bases: Path = BASES) -> Path:
        """The folder of a base model; ConfigError with the command that makes it, where it isn't there."""
        if number == 0 and self.shipped is not None:
            return self.shipped()
        folder = bases / f"{self.name}-{number}"
        if not (folder / "model.safetensors").is_file():
            command = self.pretrain.format(folder=folder, seed=number)
            raise ConfigError(f"domain {self.name}: no base {number} in {folder}; make it (half an hour): {command}")
        return folder


_PRETRAIN = "python -m iterpref.playground.pretrain --output {folder} --seed {seed}"
_OBJECTS = "python -m benchmarks.lab.objects.pretrain --output {folder} --seed {seed}"
# The first domain's tasks for other sizes of coder: 0.5 and 5.2 million parameters, `steps` has 1.6.
_SMALL = f"{_PRETRAIN} --conversations 64000 --hidden 96 --intermediate 256"
_LARGE = f"{_PRETRAIN} --conversations 64000 --hidden 288 --layers 5 --heads 6 --intermediate 768"
DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain("steps", playground_tasks, _PRETRAIN, coder_path),
        Domain("objects", objects_tasks, _OBJECTS, cost=2.8),
        Domain("steps-small", playground_tasks, _SMALL, cost=0.6),
        Domain("steps-large", playground_tasks, _LARGE, cost=2.5),
    )
}
