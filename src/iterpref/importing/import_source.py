"""A file, folder or hub data set → records of an opened run, whatever kind of thing it holds."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from iterpref.importing.detect import detect_format
from iterpref.importing.own_tasks import import_own_tasks
from iterpref.importing.pairs import import_pairs
from iterpref.importing.recorded import import_recorded
from iterpref.importing.schema_tasks import import_tasks
from iterpref.opened_run import OpenedRun


def import_source(run: OpenedRun, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """Tasks, recorded runs, or existing pairs → records; returns what was found, by the source's kind.

    `columns` (name → column) adds to `importing.columns`. Where it names the tests, the source holds tasks.

    Raises:
        ConfigError, RecordError: The source or its columns can't be used; or some rows can't, and all others are
            imported.
    """
    settings = run.config.importing
    columns = {**settings.columns, **columns}
    if "tests" in columns:
        return import_own_tasks(source, run.store, settings.model_copy(update={"columns": columns})).model_dump()
    kind = detect_format(source, columns)
    if kind == "tasks":
        return import_tasks(source, run.store).model_dump()
    if kind == "pairs":
        return import_pairs(source, run.store, columns, settings.split).model_dump()
    with run.sandbox() as sandbox:
        show = partial(run.on_progress, "import", note="")
        return import_recorded(source, run.store, sandbox, run.config.limits, show).model_dump(mode="json")
