"""A run's notes → what was done in it: its sources, and the settings that each stage ran with, which need not be those
of its config.yaml. Notes hold no dates, no machines and no commands."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.config.stages import READS
from iterpref.run_folder import TRAINING_SETTINGS, RunFolder, import_note, settings_note
from iterpref.store import Store


@dataclass(frozen=True)
class StageSettings:
    """One stage: `section.key` → value, as JSON, of what was not the default."""

    stage: str
    changed: dict[str, str]


def settings_of_stages(store: Store) -> list[StageSettings]:
    """Stages in the order of the pipeline, each with all settings that it ran with, the last ones last."""
    return [
        StageSettings(name, {key: json.dumps(value, ensure_ascii=False) for key, value in noted["changed"].items()})
        for stage in READS
        for name, noted in _noted(store, stage)
    ]


def sources(store: Store) -> list[str]:
    """The files and data sets that recorded runs or pairs were imported from."""
    prefix = import_note("")
    return [key.removeprefix(prefix) for key in store.notes(prefix)]


def pairs_source(store: Store) -> str | None:
    """What the run's pairs were made of, `debugging` or `sampling`; None before any pairing."""
    noted = store.note(settings_note("pair"))
    return str(noted[-1]["settings"]["pairing"]["source"]) if noted else None


def _noted(store: Store, stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if stage != "train":
        every = store.note(settings_note(stage)) or []
        # Pairing replaces all pairs, so only its last settings made those that are there.
        yield from ((stage, noted) for noted in (every[-1:] if stage == "pair" else every))
        return
    for name, folder in RunFolder(store.folder).trainings().items():  # a training opens no database
        path = folder / TRAINING_SETTINGS
        if path.is_file():
            yield f"{stage} {name}", _of_training(path)


def _of_training(path: Path) -> dict[str, Any]:
    """A damaged file is named on the page, never an exception."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return {"changed": dict(noted["changed"])}
    except (OSError, ValueError, TypeError, KeyError) as error:
        return {"changed": {path.name: f"can't be read ({error})"}}
