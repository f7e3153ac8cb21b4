"""Which settings a stage reads: what it notes of itself, for the report and for merging shards.

In: a configuration. Out: a plain mapping that outlives this version's keys and defaults.
Not here: how a configuration is read (load.py), where a stage leaves its note (`opened_run`).
"""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from iterpref.config import Config

# Stage → the keys it reads. What only says how fast or how dear the work may be (budget, parallel) is no part of it.
_RUNS = ("limits", "sandbox")
READS: dict[str, tuple[str, ...]] = {
    "import": ("seed", "importing", *_RUNS),
    "synthesize": ("seed", "client", "prompts", "synthesis", "importing", *_RUNS),
    "debug": ("seed", "client", "repair_client", "prompts", "debugging", *_RUNS),
    "validate": ("seed", "validation", *_RUNS),
    "judge": ("client", "judge_client", "prompts"),
    "judge tests": ("client", "judge_client", "prompts"),
    "judge features": ("seed", "client", "judge_client", "prompts", "synthesis"),
    "revise": ("client", "judge_client", "prompts"),
    "pair": ("seed", "pairing", *_RUNS),
    "diagnose": ("seed", "client", "diagnosis", *_RUNS),
    "train": ("seed", "model", "training"),
    "evaluate": ("seed", "model", "client", "evaluation", "playground", *_RUNS),
    "suite": ("seed", "model", "client", "evaluation", "suite", "playground", *_RUNS),
}


def settings_of(config: Config, stage: str) -> dict[str, Any]:
    """What `stage` reads, as JSON: `settings`, whole sections, and `changed`, `section.key` → value where it is not the
    default."""
    keys = READS[stage]
    changed = {key: value for key, value, _ in differences(config) if key.split(".")[0] in keys}
    return {"settings": config.model_dump(mode="json", include=set(keys)), "changed": changed}


def differences(config: Config) -> Iterator[tuple[str, Any, Any]]:
    """Key, value and default of what is not at its default. A section of another kind is held against its own kind."""
    yield from _differences(config, type(config)(), "")


def _differences(section: BaseModel, defaults: BaseModel, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    values, usual = section.model_dump(mode="json"), defaults.model_dump(mode="json")
    for name in type(section).model_fields:
        value, default = getattr(section, name), getattr(defaults, name)
        key = f"{prefix}{name}"
        if isinstance(value, type(default)) and isinstance(value, BaseModel):
            yield from _differences(value, default, f"{key}.")
        elif isinstance(value, BaseModel) and "kind" in values[name]:
            yield f"{key}.kind", values[name]["kind"], (usual[name] or {}).get("kind")
            yield from _differences(value, type(value)(), f"{key}.")
        elif isinstance(value, BaseModel | dict):
            yield from ((f"{key}.{inner}", item, None) for inner, item in values[name].items())
        elif value != default:
            yield key, values[name], usual[name]


def annotated(config: Config, *, only_changed: bool = False) -> str:
    """The configuration as YAML; what is not at its default says what that is. Or a line for each key of that alone."""
    changed = {key: default for key, _, default in differences(config)}
    if only_changed:
        rows = differences(config)
        return "".join(f"{key}: {_text(value)}  # default: {_text(default)}\n" for key, value, default in rows)
    return "\n".join(_lines(config.model_dump(mode="json"), changed, "", "")) + "\n"


def _lines(values: dict[str, Any], changed: dict[str, Any], prefix: str, indent: str) -> Iterator[str]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, changed, f"{key}.", f"{indent}  ")
        else:
            default = f"  # default: {_text(changed[key])}" if key in changed else ""
            yield f"{indent}{_text(name)}: {_text(value)}{default}"


def _text(value: Any) -> str:
    """One line of YAML."""
    return yaml.safe_dump([value], default_flow_style=True, width=1 << 20, allow_unicode=True).rstrip()[1:-1]
