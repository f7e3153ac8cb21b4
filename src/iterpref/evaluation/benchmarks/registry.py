"""Which benchmarks there are, by name, and which task ids are theirs."""

import difflib
from importlib import import_module
from pathlib import Path

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition

# Files beside this one, in the order in which names are listed.
FILES = (
    "playground",
    "humaneval",
    "mbpp",
    "bigcodebench",
    "humanevalfix",
    "cruxeval",
    "livecodebench",
)
DEFINITIONS: dict[str, BenchmarkDefinition] = {
    definition.name: definition for file in FILES for definition in import_module(f"{__package__}.{file}").BENCHMARKS
}
NAMES = tuple(DEFINITIONS)
# The first two are of benchmarks that nothing here loads.
_ID_PREFIXES = ("apps", "codecontests", *(d.id_prefix for d in DEFINITIONS.values() if d.id_prefix))


def find(name: str) -> BenchmarkDefinition | None:
    """The benchmark of a name; None where the name is the path of a file; ConfigError if it is neither."""
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    if Path(name).suffix or Path(name).exists():
        return None
    near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}? Known" if near else "known"
    raise ConfigError(f"benchmark {name}: unknown; {advice}: {', '.join(NAMES)}, or the path of a JSONL file of tasks")


def is_published(task_id: str) -> bool:
    """Whether the id is like those of a published benchmark's tasks."""
    return task_id.lower().startswith(_ID_PREFIXES)


def may_choose(task_id: str) -> bool:
    """Whether the task of a published benchmark is of a split that its publishers keep for validation."""
    return any(
        definition.validation_split and definition.split_of(task_id) == definition.validation_split
        for definition in _that_may_hold(task_id)
        if definition.split_of
    )


def measures(name: str, split: str | None, task_id: str) -> bool:
    """Whether this split (None: all) of the benchmark of this name may hold the task of a published benchmark."""
    return any(
        split is None or definition.split_of is None or definition.split_of(task_id) == split
        for definition in _that_may_hold(task_id)
        if definition.name == name
    )


def _that_may_hold(task_id: str) -> list[BenchmarkDefinition]:
    return [d for d in DEFINITIONS.values() if d.id_prefix and task_id.lower().startswith(d.id_prefix)]
