"""Which kind of source is it: recorded debugging runs, our own export, tasks, or preference pairs?

By its ending, else by the keys of its first row. Not here: reading rows (`iterpref.rows`), what the fields mean.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from iterpref.errors import RecordError
from iterpref.rows import RefusedRows, is_hub_id, read_rows

SourceFormat = Literal["recorded", "export", "tasks", "pairs"]

EXPECTED: dict[SourceFormat, tuple[str, ...]] = {
    "recorded": ("task_id", "prompt", "test", "versions"),
    "export": ("task", "trajectory"),
    "tasks": ("task_id", "prompt", "tests", "style"),
    "pairs": ("prompt", "chosen", "rejected"),
}


def detect_format(source: str, columns: Mapping[str, str] | None = None) -> SourceFormat:
    """What a source holds.

    Args:
        source: A file, a folder of Parquet, or a hub data set id (`owner/name`).
        columns: Other names of the pair columns, as in `import_pairs`.

    Raises:
        RecordError: No such file, no row, or keys that fit no format.
    """
    path = Path(source)
    if is_hub_id(source) or path.is_dir() or path.suffix == ".parquet":
        return "pairs"
    refused = RefusedRows(path.name)
    row = next(iter(read_rows(path, refused)), None)
    if refused.count:  # the first rows are broken, so their keys can't be known
        raise RecordError(refused.shown[0])
    if row is None:
        raise RecordError(f"{path}: no rows; expected one JSON object a line")
    names = {**EXPECTED, "pairs": tuple((columns or {}).get(key, key) for key in ("chosen", "rejected"))}
    for kind, keys in names.items():
        if row.values.keys() >= set(keys):
            return kind
    known = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in EXPECTED.items())
    raise RecordError(
        f"{row.where}: unknown format, its keys are {', '.join(row.values) or 'none'}; expected one of: {known}. "
        "Pairs under other names: --column prompt=NAME"
    )
