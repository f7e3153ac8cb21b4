"""A file, folder or hub data set → records of an opened run, whatever kind of thing it holds.

The kind is known by the source's ending, else by the keys of its first row.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from iterpref.doing import doing
from iterpref.errors import RecordError
from iterpref.importing.pairs import import_pairs
from iterpref.importing.recorded import import_recorded
from iterpref.importing.tasks import import_own_tasks, import_tasks
from iterpref.opened_run import OpenedRun
from iterpref.rows import DEFAULT_PART, DatasetPart, RefusedRows, is_hub_id, source_name, source_rows

SourceFormat = Literal["recorded", "export", "tasks", "pairs", "own_tasks"]

EXPECTED: dict[SourceFormat, tuple[str, ...]] = {
    "recorded": ("task_id", "prompt", "test", "versions"),
    "export": ("task", "trajectory"),
    "tasks": ("task_id", "prompt", "tests", "style"),
    "pairs": ("prompt", "chosen", "rejected"),
    "own_tasks": ("prompt", "tests"),
}


def import_source(run: OpenedRun, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """Tasks, recorded runs, or existing pairs → records; returns what was found, by the source's kind.

    `columns` (name → column) adds to `importing.columns`. Where it names the tests, the source holds tasks, as it does
    where its first row has `prompt` and `tests`.

    Raises:
        ConfigError, RecordError: The source or its columns can't be used; or some rows can't, and all others are
            imported.
    """
    with doing(f"reading {source}"):
        return _import_source(run, source, columns)


def _import_source(run: OpenedRun, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
    settings = run.config.importing
    columns = {**settings.columns, **columns}
    kind = "own_tasks" if "tests" in columns else detect_format(source, columns, settings.part)
    if kind == "own_tasks":
        return import_own_tasks(source, run.store, settings.model_copy(update={"columns": columns})).model_dump()
    if kind == "tasks":
        return import_tasks(source, run.store, settings.part).model_dump()
    if kind == "pairs":
        return import_pairs(source, run.store, columns, settings.part).model_dump()
    with run.sandbox() as sandbox:
        show = partial(run.on_progress, "import", note="")
        found = import_recorded(source, run.store, sandbox, run.config.limits, show, settings.part)
        return found.model_dump(mode="json")


def detect_format(
    source: str, columns: Mapping[str, str] | None = None, part: DatasetPart = DEFAULT_PART
) -> SourceFormat:
    """What a source holds; `columns` are other names of the pair columns, as in `import_pairs`.

    Raises:
        RecordError: No such file, no row, or keys that fit no format.
    """
    if is_hub_id(source):
        return "pairs"
    refused = RefusedRows(source_name(source))
    row = next(source_rows(source, part, refused), None)
    if refused.count:  # the first rows are broken, so their keys can't be known
        raise RecordError(refused.shown[0])
    if row is None:
        raise RecordError(f"{source}: no rows; expected one JSON object a line")
    names = {**EXPECTED, "pairs": tuple((columns or {}).get(key, key) for key in ("chosen", "rejected"))}
    for kind, keys in names.items():
        if row.values.keys() >= set(keys):
            return kind
    known = "; ".join(f"{kind.replace('_', ' ')}: {', '.join(keys)}" for kind, keys in EXPECTED.items())
    raise RecordError(
        f"{row.where}: unknown format, its keys are {', '.join(row.values) or 'none'}; expected one of: {known}. "
        "Under other names: of pairs --column prompt=NAME --column chosen=NAME, of tasks --column prompt=NAME "
        "--column tests=NAME"
    )
