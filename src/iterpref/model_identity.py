"""Which model is this? A short text that changes with the weights, for a folder or file and for a loaded network.

A folder may be trained again in place and keep its name, so samples of its contents enter: enough to tell trained
weights apart, and quick for any size. Loads no torch.
"""

import hashlib
from pathlib import Path
from typing import Any

from iterpref.records import fingerprint

_MODEL_FILES = (".safetensors", ".bin", ".json", ".jinja", ".model")
# Training's own records, beside the model that it saves.
_NOT_THE_MODEL = ("training_run.json", "training_log.json", "training_settings.json")
_SAMPLE_BYTES = 1 << 20


def folder_identity(model: str) -> str:
    """What tells model folders apart: names, sizes, and the first and last MiB of each weight or config file.

    A single file, such as a GGUF, likewise.
    """
    folder = Path(model)
    if folder.is_file():
        files = [folder]
    elif folder.is_dir():
        files = sorted(p for p in folder.iterdir() if p.suffix in _MODEL_FILES and p.name not in _NOT_THE_MODEL)
    else:
        return model  # a hub id stands for itself
    return fingerprint([[p.name, p.stat().st_size, _sample_hash(p)] for p in files])


def _sample_hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
        file.seek(max(0, path.stat().st_size - _SAMPLE_BYTES))
        digest.update(file.read())
    return digest.hexdigest()


def network_identity(name: str, network: Any) -> str:
    """The last part of `name` (a folder or hub id), and a hash of a sample of every tensor of a torch module."""
    digest = hashlib.sha256()
    for tensor_name, parameter in network.named_parameters():
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, flat.numel() // 256)].float().cpu().numpy()
        digest.update(f"{tensor_name}{tuple(parameter.shape)}".encode() + sample.tobytes())
    return f"{Path(name).name}:{digest.hexdigest()[:12]}"
