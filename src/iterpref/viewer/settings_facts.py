"""A run's notes → the settings that each stage ran with, which need not be those of its config.yaml."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iterpref.config.stages import READS
from iterpref.run_folder import TRAINING_SETTINGS, RunFolder, settings_note
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


def _noted(store: Store, stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if stage != "train":
        every = store.note(settings_note(stage)) or []
        # Pairing replaces all pairs, so only its last settings made those that are there.
        yield from ((stage, noted) for noted in (every[-1:] if stage == "pair" else every))
        return
    for name, folder in RunFolder(store.folder).trainings().items():  # a training opens no database
        path = folder / TRAINING_SETTINGS
        if path.is_file():
            yield f"{stage} {name}", json.loads(path.read_text(encoding="utf-8"))
