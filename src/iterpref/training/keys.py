"""The keys of a `training:` section, told without torch, which takes ten seconds to load.

Those of TRL and transformers are read off their source, not imported. Where that is not found they are checked later,
with their values, in settings.py.
"""

import ast
import difflib
from collections.abc import Collection, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from iterpref.errors import ConfigError

SET_BY_RUN = ("output_dir", "resume_from_checkpoint")
# TRL's ModelConfig's fields that are said elsewhere: by `model`, and by DPOConfig's `model_init_kwargs`.
ELSEWHERE = ("model_name_or_path", "model_revision", "dtype", "attn_implementation", "lora_task_type")
# Where the fields of a `training:` section are defined: package, file, class.
_SETTINGS = (
    ("iterpref", "training/config.py", "FocalDPOConfig"),
    ("trl", "trainer/dpo_config.py", "DPOConfig"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("transformers", "training_args.py", "TrainingArguments"),
)
_ADAPTER = (("iterpref", "training/settings.py", "AdapterConfig"), ("trl", "trainer/model_config.py", "ModelConfig"))


def check_keys(section: Iterable[str], known: Collection[str]) -> None:
    """Refuse keys that a `training:` section can't have; `known` may be empty where nothing is known.

    Raises:
        ConfigError: One of them.
    """
    for key in section:
        if key in SET_BY_RUN:
            raise ConfigError(f"training: {key} is set by the run folder; leave it out")
        if known and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "see docs/training.md for the keys"
            raise ConfigError(f"training: unknown key {key}; {advice}")


@cache
def known_keys() -> frozenset[str]:
    """All keys of the section; none where TRL or transformers are not installed."""
    try:
        own = {key for place in _SETTINGS for key in _fields(*place)} - {*SET_BY_RUN}
        about_adapters = {key for place in _ADAPTER for key in _fields(*place)} - {*ELSEWHERE}
    except (LookupError, OSError, SyntaxError):
        return frozenset()
    return frozenset({*own, *about_adapters, "selection"})


def _fields(package: str, file: str, name: str) -> Iterable[str]:
    """Fields of a dataclass, read off its source."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(package)
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        raise LookupError(name)
    annotated = (node.target for node in found.body if isinstance(node, ast.AnnAssign))
    return [target.id for target in annotated if isinstance(target, ast.Name)]
