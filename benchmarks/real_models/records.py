"""The work folder: one JSON file a finished step, written whole; and whose experiment it is.

experiment.json            the choices that the records depend on
records/STEP.json          what a finished step found, with the outcome of each task
debugging/, sampling/, removed/, shuffled/, repairer/, training/, evaluation/NAME/     run folders
"""

import json
from pathlib import Path
from typing import Any

from iterpref.errors import IterPrefError
from iterpref.files import write_json
from iterpref.model_identity import folder_identity

from .plan import Experiment

Record = dict[str, Any]


class OtherExperiment(IterPrefError):
    """The work folder holds another experiment."""


class Records:
    """What finished steps left."""

    def __init__(self, work: Path) -> None:
        self._claim = work / "experiment.json"
        self._folder = work / "records"

    def claim(self, experiment: Experiment) -> None:
        """Make the folder this experiment's; OtherExperiment if it is another's."""
        wanted = _identity(experiment)
        if self._claim.is_file():
            there = json.loads(self._claim.read_text(encoding="utf-8"))
            differ = [f"{key} is {there.get(key)!r} there and {wanted[key]!r} now" for key in wanted
                      if there.get(key) != wanted[key]]  # fmt: skip
            if differ:
                raise OtherExperiment(f"{self._claim.parent}: holds another experiment: {'; '.join(differ)}; "
                                      "choose another --work")  # fmt: skip
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._claim, wanted, indent=1)

    def get(self, step: str) -> Record | None:
        path = self._folder / f"{step}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def __getitem__(self, step: str) -> Record:
        record = self.get(step)
        if record is None:
            raise KeyError(step)
        return record

    def put(self, step: str, record: Record) -> None:
        write_json(self._folder / f"{step}.json", record)

    def all(self) -> dict[str, Record]:
        """Step → record, by name."""
        return {path.stem: self[path.stem] for path in sorted(self._folder.glob("*.json"))}


# Settings that say how fast, and not what.
_HOW = ("client.batch_size=", "client.batch_tokens=", "client.device=", "sandbox.workers=")


def _identity(experiment: Experiment) -> Record:
    """Not the repairer, whose step may be added later; its record names it."""
    scale = experiment.scale
    settings = [setting for setting in experiment.settings if not setting.startswith(_HOW)]
    values = {"model": Path(experiment.model).name, "weights": folder_identity(experiment.model),
              "mbpp": Path(experiment.mbpp).name, "scale": vars(scale), "settings": settings}  # fmt: skip
    return json.loads(json.dumps(values))
