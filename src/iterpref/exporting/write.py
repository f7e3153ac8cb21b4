"""Records of a run → files, streamed, each whole or not at all: kept pairs in one format with their card; trajectories.

JSON lines, not Parquet: rows of ms-swift have messages of different shapes, and every trainer named here reads JSONL.
A trajectory is one `{"task": Task, "trajectory": Trajectory}` a line, in the schema of `records/`, which
`iterpref import` reads back: to move runs, or to have them checked elsewhere.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.errors import RecordError
from iterpref.exporting.formats import ExportFormat
from iterpref.exporting.hub import push_to_hub
from iterpref.exporting.place import CARD_FILE, DATA_FILE, check_file, check_folder, is_call, is_trajectory, with_seal
from iterpref.files import whole, write_text
from iterpref.records import ExportedTrajectory, PreferencePair
from iterpref.store import Store


@dataclass(frozen=True)
class Export:
    """Pairs written for another trainer; `focal` says whether their wrong lines survive there."""

    pairs: int
    folder: str
    format: str
    focal: str
    url: str = ""


def write_export(
    folder: Path, pairs: Iterable[PreferencePair], target: ExportFormat, card: str, *, overwrite: bool = False
) -> int:
    """Write pairs and card; returns how many pairs.

    Raises:
        RecordError: A pair doesn't fit the format, there are none, or the folder can't be written, or holds such files
            that no export wrote (unless `overwrite`); then nothing there was changed.
    """
    try:
        check_folder(folder, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / DATA_FILE) as partial:
            written = _write_lines(partial, map(target.row, pairs))
            if not written:
                raise RecordError(f"{folder}: no pairs to export; make some first (iterpref pair)")
            write_text(folder / CARD_FILE, with_seal(card, partial))
    except OSError as error:
        raise RecordError(f"{folder}: can't write there ({error.strerror}); choose another folder") from None
    return written


def export_pairs(
    store: Store,
    folder: Path,
    target: ExportFormat,
    card: str,
    repository: str | None,
    *,
    private: bool = True,
    overwrite: bool = False,
) -> Export:
    """Write the kept pairs into `folder`, and upload it to `repository` of the hub where one is named.

    Raises:
        RecordError: As `write_export`.
        ConfigError, HubError: As `push_to_hub`; the folder is written then.
    """
    written = write_export(folder, store.pairs(kept=True), target, card, overwrite=overwrite)
    url = push_to_hub(folder, repository, private=private) if repository else ""
    return Export(written, str(folder), target.name, target.focal, url)


def export_trajectories(store: Store, path: str | Path, *, overwrite: bool = False) -> int:
    """Write every closed trajectory with its task; returns how many.

    Raises:
        RecordError: The file can't be written, or is one that no export wrote (unless `overwrite`).
    """
    found = (ExportedTrajectory(task=store.task(made.task_id), trajectory=made) for made in store.trajectories())
    try:
        check_file(Path(path), is_trajectory, overwrite)
        with whole(Path(path)) as partial:
            return _write_lines(partial, (row.model_dump(mode="json") for row in found))
    except OSError as error:
        raise RecordError(f"{path}: can't write this file ({error.strerror}); choose another path") from None


def export_calls(store: Store, path: str | Path, *, overwrite: bool = False) -> int:
    """Write every answered call as a recording for `client.kind=replay`; returns how many.

    Raises:
        RecordError: As `export_trajectories`.
    """
    rows = (
        {"messages": asked["messages"], "sample_index": asked["sample_index"], "completion": answered["text"]}
        | ({"finish_reason": "length"} if answered["finish_reason"] == "length" else {})
        for asked, answered in store.calls()
    )
    try:
        check_file(Path(path), is_call, overwrite)
        with whole(Path(path)) as partial:
            return _write_lines(partial, rows)
    except OSError as error:
        raise RecordError(f"{path}: can't write this file ({error.strerror}); choose another path") from None


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """JSON lines, escaped: a program may hold a lone surrogate, which UTF-8 can't carry. Returns how many."""
    written = 0
    with path.open("w", encoding="ascii") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            written += 1
    return written
