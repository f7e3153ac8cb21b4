"""What a training folder holds: whose run, what of it can be resumed, and which checkpoint becomes the model.

`training_run.json` is written when the first step is about to be made, without a summary, and at the very end with one,
each time atomically; a start that failed leaves none. A folder with a summary holds a finished model; one without holds
at most certified checkpoints (callbacks.py), and their scores in `validation.json`. Loads no torch.
"""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from iterpref.config import SelectionConfig
from iterpref.errors import ConfigError, TrainingError
from iterpref.files import write_json
from iterpref.model_identity import folder_identity
from iterpref.run_folder import TRAINING_LOG, TRAINING_RUN, TRAINING_SETTINGS, VALIDATION_STORE

METRIC = "pass@1"
# Folder of a saved checkpoint (tokenizer included) → metrics, `pass@1` among them.
Scorer = Callable[[Path], Mapping[str, float]]
CERTIFICATE = "complete.json"
SCORES_FILE = "validation.json"
ADAPTER_FOLDER = "adapter"
_OF_A_RUN = (
    SCORES_FILE,
    VALIDATION_STORE,
    ADAPTER_FOLDER,
    TRAINING_LOG,
    TRAINING_SETTINGS,
    "config.json",
    "model.safetensors.index.json",
)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class TrainingRun:
    """What is known of a training in a folder.

    `identity` decides its outcome; `model` is the name of the model that it started from, which the identity has a hash
    of; without `summary` it was cut short.
    """

    identity: Mapping[str, Any]
    model: str
    summary: Mapping[str, Any] | None = None

    def named(self) -> str:
        """The model's name, and of a folder the beginning of its hash, for it may be trained again in place."""
        identity = self.identity["model"]
        return self.model if identity == self.model else f"{self.model} ({identity[:8]})"


def run_identity(config: Mapping[str, Any], pairs: str, model: str) -> dict[str, Any]:
    """What decides a run's outcome: settings, pairs (by fingerprint), model; as plain JSON."""
    deciding = {key: value for key, value in config.items() if key != "reference_cache"}  # where, not what
    identity = {"config": deciding, "pairs": pairs, "model": folder_identity(model)}
    return dict(json.loads(json.dumps(identity, default=str)))


def read_run(folder: Path, wanted: TrainingRun) -> dict[str, Any] | None:
    """The summary of the finished run in this folder; None if there is none, or it was cut short.

    Raises:
        TrainingError: The folder belongs to a run with another identity, or its run file is damaged.
    """
    path = folder / TRAINING_RUN
    if not path.exists():
        if checkpoints(folder):
            raise TrainingError(f"{folder} holds checkpoints that no run of ours left there; use another folder")
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        known = TrainingRun(read["identity"], read.get("model", "?"), read["summary"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: can't be read ({error}); delete the folder and train again") from None
    if known.identity != wanted.identity:
        raise TrainingError(_other_settings(folder, known, wanted))
    return None if known.summary is None else dict(known.summary)


def _other_settings(folder: Path, known: TrainingRun, wanted: TrainingRun) -> str:
    """What the folder holds, all that differs, and the ways out."""
    flat = [run.identity["config"] | {"pairs": run.identity["pairs"], "model": run.named()} for run in (known, wanted)]
    keys = [key for key in sorted(flat[0].keys() | flat[1].keys()) if key not in ("pairs", "model")]
    keys = [key for key in keys if flat[0].get(key, ...) != flat[1].get(key, ...)]
    keys += [key for key in ("pairs", "model") if known.identity[key] != wanted.identity[key]]
    there, now = ({key: repr(side[key]) if key in side else "not given" for key in keys} for side in flat)
    differing = "; ".join(f"{key}: {there[key]} there, {now[key]} now" for key in keys)
    steps, going_on = max(checkpoints(folder), default=0), ""
    what = "a finished training"
    if known.summary is None:
        what = f"a training that was stopped ({f'step {steps} is kept' if steps else 'no checkpoint yet'})"
        going_on = _going_on(keys, known)
    return (
        f"{folder} holds {what} with other settings: {differing}. {going_on}To train beside it, use another folder "
        "(--output NAME); to start over in its place, --restart (in Python, resume=False)"
    )


def _going_on(keys: Sequence[str], known: TrainingRun) -> str:
    """How to go on with a training that was cut short: its own settings again."""
    if "pairs" in keys:
        return ""  # they were made again, so nobody can
    config, flags = known.identity["config"], []
    for key in keys:
        if key == "model":
            flags.append(f"--set model={known.model}")
        elif key in config:
            flags.append(f"--set {shlex.quote(f'training.{key}={json.dumps(config[key])}')}")
    without = [f"training.{key}" for key in keys if key != "model" and key not in config]
    parts = [" ".join(flags)] if flags else []
    parts += [f"without {', '.join(without)}"] if without else []
    return f"To go on with it, give its settings again: {', '.join(parts)}. "


def write_run(folder: Path, run: TrainingRun) -> None:
    """Say whose folder this is, and with a summary, that its model is finished."""
    values = {"identity": run.identity, "model": run.model, "summary": run.summary}
    write_json(folder / TRAINING_RUN, values, indent=1, sort_keys=True)


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
    """Forget an earlier run of ours: checkpoints, their scores, the trained model, its log, and last its run file.

    Precomputed reference values stay, for they are kept under all that they depend on.
    """
    if not (folder / TRAINING_RUN).exists():
        return
    gone = [*checkpoints(folder).values(), *(folder / name for name in _OF_A_RUN)]
    for path in [*gone, *folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"), folder / TRAINING_RUN]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
