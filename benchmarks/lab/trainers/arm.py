"""What every trainer gives back, and how a finished one is told from one that was cut short.

OUTPUT/begun.json   what was asked; another question of the same folder is refused
OUTPUT/...          run folders and the model
OUTPUT/arm.json     the summary, written last: without it nothing here is finished
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from iterpref.errors import ConfigError, RecordError
from iterpref.files import write_json
from iterpref.model_identity import folder_identity
from iterpref.records import PreferencePair, Record, Task, fingerprint

BEGUN, FINISHED, MODEL = "begun.json", "arm.json", "model"
VERSION = 1  # to be raised where the same question gets another model


class Spent(Record):
    """What was generated: programs, the tokens of their prompts and of their answers."""

    programs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in Spent.model_fields})


class ArmSummary(Record):
    """A trained model and what it took.

    Attributes:
        model: Its folder.
        spent: All that was generated for it, also by those of its `parts`.
        rows: Pairs, or programs, that it was trained on, each counted once a phase.
        steps: Optimizer steps.
        seconds: Wall time of generating, running and training; scoring models along the way is left out.
        cpu_s: CPU time of this process for the same, so without that of the programs that ran in the sandbox.
        resumed: An earlier process did some of it, which `seconds` and `cpu_s` lack.
        facts: What else this trainer tells.
        parts: The phases of a composed one, in order.
    """

    trainer: str
    model: str
    spent: Spent = Spent()
    rows: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    resumed: bool = False
    facts: dict[str, Any] = Field(default_factory=dict)
    parts: tuple["ArmSummary", ...] = ()

    @classmethod
    def of_parts(cls, trainer: str, parts: Sequence["ArmSummary"], **own: Any) -> "ArmSummary":
        """The sums of the parts, and the last one's model."""
        spent = sum((part.spent for part in parts), Spent())
        rows, steps = (sum(getattr(part, name) for part in parts) for name in ("rows", "steps"))
        return cls(trainer=trainer, model=parts[-1].model, spent=spent, rows=rows, steps=steps, parts=tuple(parts),
                   **own)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Everything that decides a model but the machine: of data, what its records hold; of settings, all."""

    trainer: str
    model: Path
    data: Sequence[Task | PreferencePair]
    settings: Any
    seed: int

    @property
    def identity(self) -> str:
        rows = [
            row.content_hash if isinstance(row, PreferencePair) else row.model_dump(mode="json") for row in self.data
        ]
        settings = json.loads(json.dumps(asdict(self.settings), default=str))
        return fingerprint([VERSION, self.trainer, folder_identity(str(self.model)), rows, settings, self.seed])


def once(asked: Asked, output: Path, work: Callable[["Clock"], ArmSummary]) -> ArmSummary:
    """The summary of `work`, which is given the clock that times it; from `output` where it is finished there.

    Raises:
        ConfigError: `output` holds another arm, or there is nothing to learn from.
    """
    clock, identity = Clock(), asked.identity
    if not asked.data:
        raise ConfigError(f"{asked.trainer}: no tasks or pairs to learn from; expected at least one")
    begun = _read(output / BEGUN)
    if begun is not None and begun["identity"] != identity:
        raise ConfigError(
            f"{output}: holds an arm of other settings, data or weights (trainer {begun['trainer']}); choose another "
            "folder, or delete this one"
        )
    if (found := _read(output / FINISHED)) is not None:
        return ArmSummary.model_validate(found)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / BEGUN, {"identity": identity, "trainer": asked.trainer})
    summary = work(clock)
    summary = summary.model_copy(update={**clock.taken, "resumed": begun is not None})
    write_json(output / FINISHED, summary.model_dump(mode="json"), indent=1)
    return summary


class Clock:
    """Wall and CPU time since it was made, but for what was done within `paused`."""

    def __init__(self) -> None:
        self._began = self._now()

    @property
    def taken(self) -> dict[str, Any]:
        """`seconds` and `cpu_s` of a summary."""
        now = self._now()
        return {"seconds": round(now[0] - self._began[0], 2), "cpu_s": round(now[1] - self._began[1], 2)}

    @contextmanager
    def paused(self) -> Iterator[None]:
        before = self._now()
        yield
        now = self._now()
        self._began = (self._began[0] + now[0] - before[0], self._began[1] + now[1] - before[1])

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time()


@contextmanager
def new_model(output: Path) -> Iterator[Path]:
    """A folder to save a model to, which becomes `output/model` when the context ends without an error."""
    staging, target = output / f".{MODEL}.partial", output / MODEL
    shutil.rmtree(staging, ignore_errors=True)
    yield staging
    shutil.rmtree(target, ignore_errors=True)  # of a process that was killed before it wrote its summary
    os.replace(staging, target)


def _read(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path}: can't be read ({error}); delete the folder it is in") from None
