"""The feature tree: what code is about, from broad (algorithm) to fine (binary search on answers), with frequencies.

In: EpiCoder's two files (a nested tree, and counts under keys `a---b---c`), or the small tree of this package. Out:
random subtrees, each of which steers one task. A feature is drawn with p ∝ softmax(log frequency / T) without
replacement: T = 1 follows the frequencies, T → ∞ is uniform (EpiCoder, arXiv:2501.04694, uses 10). Nobody counted the
package's own tree: each of its features has frequency 1, to which those found in the user's code are added. No model.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from iterpref.errors import RecordError
from iterpref.files import write_json

SEPARATOR = "---"
MAX_DEPTH = 32


@dataclass
class Feature:
    """A node: how often it was seen, and what is finer."""

    frequency: float = 1.0
    children: "dict[str, Feature]" = field(default_factory=dict)

    @classmethod
    def read(cls, tree: Any, counts: Mapping[str, Any], where: str) -> Self:
        """A tree of nested objects, whose leaves may be lists of names, null or {}.

        Raises:
            RecordError: A node of another kind, a name below itself (a cycle), or a count that is no positive number.
        """
        return cls(children=cls._read(tree, counts, (), where))

    @classmethod
    def _read(cls, tree: Any, counts: Mapping[str, Any], path: tuple[str, ...], where: str) -> "dict[str, Feature]":
        shown = SEPARATOR.join(path) or "the top"
        if isinstance(tree, list) and all(isinstance(name, str) for name in tree):
            tree = dict.fromkeys(tree)
        if tree is None:
            return {}
        if not isinstance(tree, dict):
            raise RecordError(f"{where}: at {shown}: got {type(tree).__name__}, expected an object or a list of names")
        found: dict[str, Feature] = {}
        for name, below in tree.items():
            here = (*path, name)
            if name in path or len(here) > MAX_DEPTH:
                raise RecordError(f"{where}: {SEPARATOR.join(here)} leads back to itself; a tree has no cycles")
            found[name] = cls(_count(counts, here, where), cls._read(below, counts, here, where))
        return found

    def add(self, path: Sequence[str], count: float = 1.0) -> None:
        """Count a path of names, making what is missing."""
        node = self
        for name in path:
            if name not in node.children:
                node.children[name] = Feature(0.0)
            node = node.children[name]
            node.frequency += count

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Every path from the top to a leaf."""
        for name, child in self.children.items():
            for rest in child.paths() if child.children else [()]:
                yield (name, *rest)

    def nested(self) -> dict[str, Any]:
        """As nested objects: what a prompt shows and `read` reads."""
        return {name: child.nested() for name, child in self.children.items()}

    def counts(self, path: tuple[str, ...] = ()) -> dict[str, float]:
        """Frequency of every node under its key."""
        found: dict[str, float] = {}
        for name, child in self.children.items():
            found[SEPARATOR.join((*path, name))] = child.frequency
            found |= child.counts((*path, name))
        return found

    @property
    def even(self) -> bool:
        """Whether siblings are equally frequent everywhere: then no temperature changes a draw."""
        alike = len({child.frequency for child in self.children.values()}) <= 1
        return alike and all(child.even for child in self.children.values())

    def write(self, folder: Path) -> None:
        """The tree and its counts as two files that `load_tree` reads."""
        folder.mkdir(exist_ok=True)
        write_json(folder / "features.json", self.nested(), indent=1)
        write_json(folder / "frequency.json", self.counts(), indent=1)

    def sample(
        self, draw: random.Random, shape: Sequence[int], temperature: float, mandatory: Sequence[str] = ()
    ) -> "Feature":
        """A random subtree.

        Args:
            shape: How many children are drawn at each depth.
            mandatory: Children of the top that are always among them.
        """
        if not shape or not self.children:
            return Feature(self.frequency)
        names = [name for name in mandatory if name in self.children]
        left = {name: child.frequency for name, child in self.children.items() if name not in names}
        while left and len(names) < shape[0]:
            name = _draw(draw, left, temperature)
            names.append(name)
            del left[name]
        drawn = {name: self.children[name].sample(draw, shape[1:], temperature) for name in names}
        return Feature(self.frequency, drawn)


def load_tree(path: str | Path | None = None) -> Feature:
    """The package's own small tree, one JSON file, or a folder with EpiCoder's `*_features.json`, `*_frequency.json`.

    Raises:
        RecordError: No such file, not JSON, or not a tree.
    """
    if path is None:
        content = json.loads(files("iterpref.synthesis").joinpath("features.json").read_text(encoding="utf-8"))
        return Feature.read(content, {}, "features.json")
    path = Path(path)
    file = next(iter(sorted(path.glob("*features.json"))), path / "features.json") if path.is_dir() else path
    frequencies = next((p for p in sorted(file.parent.glob("*frequency.json")) if p != file), None)
    counts = _read_json(frequencies) if frequencies and path.is_dir() else {}
    if not isinstance(counts, dict):
        raise RecordError(f"{frequencies}: got {type(counts).__name__}, expected an object of path → count")
    tree = Feature.read(_read_json(file), counts, str(file))
    if not tree.children:
        raise RecordError(f"{file}: this tree is empty; expected an object of features")
    return tree


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: can't read this feature tree ({error.strerror}); check synthesis.tree") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not a feature tree in JSON ({error})") from None


def _count(counts: Mapping[str, Any], path: tuple[str, ...], where: str) -> float:
    """A node that was not counted was seen once."""
    count = counts.get(SEPARATOR.join(path), 1)
    if isinstance(count, bool) or not isinstance(count, int | float) or not count > 0 or math.isinf(count):
        raise RecordError(
            f"{where}: the count of {SEPARATOR.join(path)} is {count!r}, expected a number above 0; repair the file"
        )
    return float(count)


def _draw(draw: random.Random, frequencies: Mapping[str, float], temperature: float) -> str:
    """One name by softmax(log p / T)."""
    logits = [math.log(frequency) / temperature for frequency in frequencies.values()]
    most = max(logits)
    return draw.choices(list(frequencies), [math.exp(logit - most) for logit in logits])[0]
