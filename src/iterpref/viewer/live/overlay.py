"""A pair's tokens, marked as a training marks them; with a trained model also how likely each was before and after.

Tokenizers and models are loaded when they are asked for, and only those that this viewer was given or that the run
names: what an address says is looked up, never loaded. Not here: the marking itself (`training.shown_pair`).
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from iterpref.config.load import load_config
from iterpref.errors import IterPrefError, RecordError
from iterpref.model_source import loading, model_source
from iterpref.packages import need_packages
from iterpref.playground.coder import resolve_model
from iterpref.records import PreferencePair
from iterpref.run_folder import TRAINING_SETTINGS, RunFolder
from iterpref.training import ShownPair, ShownSettings, ShownToken, shown_pair, token_log_probs

from .settings import ViewSettings

_KEPT = 64  # pairs whose log-probabilities are remembered
_STEPS = (0.1, 0.5, 2.0)  # nats by which a token changed, for three shades
SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class OverlayQuery:
    """The part of a pair's address that says whose tokens are shown; `likely`: with log-probabilities."""

    tokenizer: str = ""
    likely: bool = False


@dataclass(frozen=True)
class Source:
    """Whose tokens: where the tokenizer is, the settings that mark them, and the models before and after, if any."""

    name: str
    tokenizer: str
    settings: ShownSettings
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class TokenCell:
    """A token on the page: `shade` from −3 to 3, how much likelier training made it."""

    token: ShownToken
    before: float | None = None
    after: float | None = None

    @property
    def change(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def shade(self) -> int:
        change = self.change or 0.0
        return sum(abs(change) >= step for step in _STEPS) * (1 if change > 0 else -1)


@dataclass(frozen=True)
class PartRow:
    """Tokens of one side and part: how many, and their summed log-probabilities."""

    side: str
    part: str
    tokens: int
    before: float | None
    after: float | None


class Overlay:
    """What a viewer knows of tokens. Safe to share between threads; one model is loaded at a time."""

    def __init__(self, settings: ViewSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._likely: OrderedDict[tuple[str, ...], list[list[float | None]]] = OrderedDict()

    def facts(self, pair: PreferencePair, query: OverlayQuery) -> dict[str, Any]:
        """What the page of a pair shows of its tokens; what can't be shown is said on it."""
        facts: dict[str, Any] = {"sources": [], "asked": query, "shown": None, "cells": {}, "parts": [], "refused": ""}
        try:
            sources = sources_of(self._settings)
            facts["sources"] = sources
            source = next((source for source in sources if source.name == query.tokenizer), None)
            if source is not None:
                facts |= self._marked(pair, source, query.likely)
            elif query.tokenizer:
                facts["refused"] = f"{query.tokenizer}: not among the tokenizers of this viewer (--tokenizer adds one)"
        except IterPrefError as error:
            facts["refused"] = str(error)
        return facts

    def _marked(self, pair: PreferencePair, source: Source, likely: bool) -> dict[str, Any]:
        with self._lock:
            shown = shown_pair(pair, _tokenizer(source.tokenizer), source.settings)
            values = self._log_probs(pair, shown, source) if likely and source.after else {}
        cells = {side: list(_cells(getattr(shown, side), values.get(side))) for side in SIDES}
        rows = [row for side in SIDES for row in _parts(side, cells[side])]
        return {"shown": shown, "cells": cells, "parts": rows, "source": source}

    def _log_probs(self, pair: PreferencePair, shown: ShownPair, source: Source) -> dict[str, Any]:
        sides = [side for side in SIDES if shown.ids(side)]
        rows = [shown.ids(side) for side in sides]
        pairs = [
            self._remembered((model, _stamp(model), *map(str, rows)), model, rows)
            for model in (source.before, source.after)
        ]
        return {side: (pairs[0][at], pairs[1][at]) for at, side in enumerate(sides)}

    def _remembered(self, key: tuple[str, ...], model: str, rows: list[list[int]]) -> list[list[float | None]]:
        if key not in self._likely:
            self._likely[key] = token_log_probs(model, rows)
            while len(self._likely) > _KEPT:
                self._likely.popitem(last=False)
        return self._likely[key]


def sources_of(settings: ViewSettings) -> list[Source]:
    """The run's trainings, its configured model, and those that the viewer was given.

    Raises:
        ConfigError: The run's config.yaml can't be read.
    """
    folder = RunFolder(settings.run)
    config = load_config(folder.config if folder.config.is_file() else None, [], None, of_run=True)
    usual = ShownSettings.of({"seed": config.seed} | config.training)
    found = []
    for name, path in folder.trainings().items():
        noted = path / TRAINING_SETTINGS
        if (path / "config.json").is_file() and noted.is_file():
            found.append(_training(name, path, noted))
    found.append(Source(config.model, resolve_model(config.model), usual))
    names = [name for name in settings.tokenizers if name != config.model]
    return [*found, *(Source(name, resolve_model(name), usual) for name in names)]


def _training(name: str, folder: Path, noted: Path) -> Source:
    try:
        told = json.loads(noted.read_text(encoding="utf-8"))["settings"]
        marked = ShownSettings.of({"seed": told["seed"]} | told["training"])
        return Source(f"training {name}", str(folder), marked, resolve_model(told["model"]), str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{noted}: can't be read ({type(error).__name__}: {error}); train again to write it"
        ) from None


def _stamp(model: str) -> str:
    """Another text once the folder was trained into again."""
    return str([(file.name, file.stat().st_mtime_ns) for file in sorted(Path(model).glob("*.safetensors"))])


@lru_cache(maxsize=8)
def _tokenizer(name: str) -> Any:
    need_packages("the token overlay", "transformers")
    source = model_source(name, weights=False)
    from transformers import AutoTokenizer

    with loading(name):
        return AutoTokenizer.from_pretrained(source)


def _cells(tokens: list[ShownToken], values: Any) -> Any:
    if values is None:
        yield from map(TokenCell, tokens)
        return
    likely = zip(*values, strict=True)  # of the tokens that the model reads; those that were cut off have none
    for token in tokens:
        yield TokenCell(token) if token.part == "cut" else TokenCell(token, *next(likely))


def _parts(side: str, cells: list[TokenCell]) -> list[PartRow]:
    rows = []
    for part in ("rewarded", "penalised", "masked", "cut", "prompt"):
        of_part = [cell for cell in cells if cell.token.part == part]
        if of_part:
            known = [cell for cell in of_part if cell.before is not None and cell.after is not None]
            before = sum(cell.before or 0.0 for cell in known) if known else None
            after = sum(cell.after or 0.0 for cell in known) if known else None
            rows.append(PartRow(side, part, len(of_part), before, after))
    return rows
