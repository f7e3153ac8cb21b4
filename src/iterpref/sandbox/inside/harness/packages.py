"""Which packages beside the standard library a run has loaded: on another machine they may be others, or missing."""

import re
import sys
from collections.abc import Iterable
from itertools import islice

from ..values.request import RunRequest

_OURS = {"__main__", __name__.partition(".")[0]}
_PYTEST = {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "colorama"}
_preloaded: set[str] = set()
_count = 0  # of the modules that a run finds loaded; the others stand behind them


def note_preloaded() -> None:
    """In a zygote, once: what is loaded from here on is loaded by programs."""
    global _count
    _preloaded.update(_foreign(sys.modules))
    _count = len(sys.modules)


def imported(request: RunRequest, tools: bool = False) -> list[str]:
    """Names of top-level modules, with what they load themselves; of the preloaded, those that an import names.

    Args:
        tools: pytest may have been loaded to run the tests, which says nothing about the program.
    """
    if len(sys.modules) == _count + 1 and not _preloaded:
        return []  # the program's own module; what most runs end with
    own = {path.split("/")[0].removesuffix(".py") for path in request["files"]}
    new = islice(
        reversed(sys.modules), max(0, len(sys.modules) - _count)
    )  # to look at the others would copy their pages
    found = _foreign(new) - own - (_PYTEST if tools else set())
    return sorted(found | _named(_preloaded - own, request) if _preloaded else found)


def _foreign(modules: Iterable[str]) -> set[str]:
    return {name for name in modules if "." not in name} - sys.stdlib_module_names - _OURS


def _named(names: set[str], request: RunRequest) -> set[str]:
    texts = [request["program"], request["prefix"], *request["files"].values(), *(text for _, text in request["tests"])]
    lines = "\n".join(line for text in texts for line in re.findall(r"^.*\bimport\b.*$", text, re.MULTILINE))
    return {name for name in names if re.search(rf"\b{re.escape(name)}\b", lines)}
