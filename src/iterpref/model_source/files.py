"""The files of a model folder: what is missing, and what is not what its name says. Loads no torch."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from iterpref.errors import ClientError

EXPECTED = "expected a folder with config.json, weights and a tokenizer, or a hub id"
ADAPTER = "adapter_config.json"
_WEIGHTS = re.compile(r".*\.safetensors(\.index\.json)?|pytorch_model.*\.bin(\.index\.json)?")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
# In the order in which transformers takes them.
_WHOLE_OR_SHARDED = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                     "pytorch_model.bin.index.json")  # fmt: skip
_GGUF = b"GGUF"
_LFS_POINTER = b"version https://git-lfs"


def check_folder(folder: Path, model: str, weights: bool, tokenizer: bool) -> str | None:
    """Refuse with a ClientError a folder that no loader could use; an adapter's gives the model that it belongs to."""
    names = sorted(path.name for path in folder.iterdir())
    adapter = weights and ADAPTER in names  # transformers loads the model that it belongs to, whatever else is there
    if "training_run.json" in names and "config.json" not in names and not adapter:
        raise ClientError(
            f"model {model}: holds a training that isn't finished; `iterpref train` goes on with it, and its "
            "checkpoint-* folders are models"
        )
    has_weights = any(_WEIGHTS.fullmatch(name) for name in names)
    packed = next((name for name in names if name.endswith(".gguf")), None)
    if packed and not (has_weights if weights else any(name in names for name in _TOKENIZER)):
        raise ClientError(
            f"model {model}: holds a GGUF file ({packed}), llama.cpp's format; {_without_gguf(folder / packed)}"
        )
    missing = [] if "config.json" in names or adapter or not weights else ["config.json"]
    if weights and not has_weights:
        missing.append("weights (*.safetensors)")
    if tokenizer and not any(name in names for name in _TOKENIZER):
        missing.append("tokenizer (tokenizer.json, tokenizer_config.json)")
    if missing:
        raise ClientError(_lacking(model, missing, names))
    for name in names:
        if (weights and _WEIGHTS.fullmatch(name)) or (tokenizer and name in _TOKENIZER):
            _refuse_pointer(folder / name, model)
    if weights and not adapter:
        _check_shards(folder, model)
    return base_of(folder) if adapter else None


def refuse_file(path: Path, model: str) -> NoReturn:
    """A ClientError that says what a file is, where a folder was expected."""
    if _begins(path, _GGUF):
        raise ClientError(f"model {model}: is a GGUF file, llama.cpp's format; {_without_gguf(path)}")
    if (path.parent / "config.json").is_file():
        raise ClientError(f"model {model}: is a file of a model folder; name the folder: {path.parent}")
    raise ClientError(f"model {model}: is a file; {EXPECTED}")


def base_of(folder: Path) -> str | None:
    """The model that an adapter's folder belongs to, as it names it."""
    base = read_json(folder / ADAPTER).get("base_model_name_or_path")
    return base if isinstance(base, str) else None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; none where there is no such file or object, which loaders tell better."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers would read a model's weights from, whether they are there or not."""
    first = next((name for name in _WHOLE_OR_SHARDED if (folder / name).is_file()), None)
    if first is None:
        return []
    if not first.endswith(".index.json"):
        return [folder / first]
    shards = read_json(folder / first).get("weight_map")
    return [folder / name for name in sorted(set(shards.values()))] if isinstance(shards, dict) else []


def _without_gguf(file: Path) -> str:
    """What to do instead."""
    return (
        "take the folder of safetensors that it was made from, or write one with transformers (docs/models.md has the "
        f"lines); a model that is only asked can stay as it is behind llama.cpp's server: llama-server -m {file}, and "
        "client.kind=openai with client.base_url"
    )


def _lacking(model: str, missing: Sequence[str], names: Sequence[str]) -> str:
    there = ", ".join(names[:6]) or "nothing"
    advice = ""
    if missing[-1].startswith("tokenizer"):
        advice = "; copy a tokenizer's files from the model that this one was made from" if len(missing) == 1 else ""
    return f"model {model}: the folder has no {' and no '.join(missing)}, only {there}; {EXPECTED}{advice}"


def _check_shards(folder: Path, model: str) -> None:
    """Refuse a model of several files that aren't all there: a download that was cut short, most often."""
    shards = weight_files(folder)
    absent = [path.name for path in shards if not path.is_file()]
    if absent:
        raise ClientError(
            f"model {model}: {len(absent)} of {len(shards)} files of its weights are missing ({absent[0]}"
            f"{', …' if len(absent) > 1 else ''}); copy or download them again"
        )
    for path in shards:
        _refuse_pointer(path, model)


def _refuse_pointer(path: Path, model: str) -> None:
    if _begins(path, _LFS_POINTER):
        raise ClientError(
            f"model {model}: {path.name} is a Git LFS pointer instead of the file; run git lfs pull where it was cloned"
        )


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False
