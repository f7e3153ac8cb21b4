"""What a training folder holds: whose run, what of it can be resumed, and which checkpoint becomes the model.

`training_run.json` is written first without and at the very end with a summary, each time atomically. A folder with a
summary holds a finished model; one without holds at most certified checkpoints (callbacks.py), and their scores in
`validation.json`. Loads no torch.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from iterpref.config import SelectionConfig
from iterpref.errors import ConfigError, TrainingError
from iterpref.files import write_json
from iterpref.model_identity import folder_identity
from iterpref.run_folder import VALIDATION_STORE

METRIC = "pass@1"
# Folder of a saved checkpoint (tokenizer included) → metrics, `pass@1` among them.
Scorer = Callable[[Path], Mapping[str, float]]
RUN_FILE = "training_run.json"
CERTIFICATE = "complete.json"
SCORES_FILE = "validation.json"
ADAPTER_FOLDER = "adapter"
_BESIDE_CHECKPOINTS = (SCORES_FILE, VALIDATION_STORE, ADAPTER_FOLDER)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def run_identity(config: Mapping[str, Any], pairs: str, model: str) -> dict[str, Any]:
    """What decides a run's outcome: settings, pairs (by fingerprint), model; as plain JSON."""
    identity = {"config": dict(config), "pairs": pairs, "model": folder_identity(model)}
    return dict(json.loads(json.dumps(identity, default=str)))


def read_run(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary of the finished run in this folder; None if there is none, or it was cut short.

    Raises:
        TrainingError: The folder belongs to a run with another identity, or its run file is damaged.
    """
    path = folder / RUN_FILE
    if not path.exists():
        if checkpoints(folder):
            raise TrainingError(f"{folder} holds checkpoints that no run of ours left there; use another folder")
        return None
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        known, summary = run["identity"], run["summary"]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: can't be read ({error}); delete the folder and train again") from None
    if known != identity:
        raise TrainingError(
            f"{folder} holds a training run with other settings ({_differences(known, identity)}); use another "
            "folder, or start over with resume=False"
        )
    return None if summary is None else dict(summary)


def _differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    flat = [{**run.get("config", {}), **{k: v for k, v in run.items() if k != "config"}} for run in (known, wanted)]
    keys = sorted(key for key in flat[0].keys() | flat[1].keys() if flat[0].get(key) != flat[1].get(key))
    return "; ".join(f"{key}: {flat[0].get(key)!r} there, {flat[1].get(key)!r} now" for key in keys)


def write_run(folder: Path, identity: Mapping[str, Any], summary: Mapping[str, Any] | None) -> None:
    """Say whose folder this is, and with a summary, that its model is finished."""
    write_json(folder / RUN_FILE, {"identity": identity, "summary": summary}, indent=1, sort_keys=True)


def certify(checkpoint: Path) -> None:
    """Say that a checkpoint is complete, and of which files.

    The trainer writes and deletes the files of a checkpoint in place, so a killed run may leave a part of one.
    """
    files = {str(p.relative_to(checkpoint)): p.stat().st_size for p in sorted(checkpoint.rglob("*")) if p.is_file()}
    write_json(checkpoint / CERTIFICATE, files, indent=1, sort_keys=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint with the most steps; incomplete ones are deleted. For a folder that is ours."""
    complete = None
    for _, path in sorted(checkpoints(folder).items()):
        if _is_complete(path):
            complete = path
        else:
            shutil.rmtree(path)
    return complete


def _is_complete(checkpoint: Path) -> bool:
    try:
        files = json.loads((checkpoint / CERTIFICATE).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError):
        return False


def clear_run(folder: Path) -> None:
    """Forget an earlier run of ours: its checkpoints and their scores, then its run file."""
    if (folder / RUN_FILE).exists():
        for path in checkpoints(folder).values():
            shutil.rmtree(path)
        for path in (folder / name for name in _BESIDE_CHECKPOINTS):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        (folder / RUN_FILE).unlink()


def checkpoints(folder: Path) -> dict[int, Path]:
    """Step → folder of the checkpoints, complete or not."""
    matches = ((path, _CHECKPOINT.fullmatch(path.name)) for path in folder.glob("checkpoint-*"))
    return {int(match[1]): path for path, match in matches if match}


def read_selection(values: Any) -> SelectionConfig | None:
    """The key `selection` of the `training:` section, read; None without it.

    Raises:
        ConfigError: A key is unknown, or a value can't be used.
    """
    if values is None:
        return None
    try:
        return SelectionConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["training.selection", *map(str, first["loc"])])
        known = ", ".join(SelectionConfig.model_fields)
        raise ConfigError(f"{where}: {first['msg']}, got {first['input']!r}; its keys are {known}") from None


def read_scores(folder: Path) -> dict[int, dict[str, float]]:
    """Step → metrics of the checkpoints scored so far."""
    path = folder / SCORES_FILE
    return {int(k): v for k, v in json.loads(path.read_text()).items()} if path.is_file() else {}


def write_scores(folder: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    write_json(folder / SCORES_FILE, scores, indent=1, sort_keys=True)


def best_step(folder: Path) -> int | None:
    """The step with the highest pass@1 among the checkpoints that are still there; the first of equals."""
    there = checkpoints(folder)
    scores = {step: score[METRIC] for step, score in sorted(read_scores(folder).items()) if step in there}
    return max(scores, key=lambda step: scores[step]) if scores else None
