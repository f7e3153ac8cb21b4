"""Which packages beside the standard library a run has loaded: on another machine they may be others, or missing."""

import re
import sys

from ..values.request import RunRequest

_OURS = {"__main__", __name__.partition(".")[0]}
_PYTEST = {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "colorama"}
_preloaded: set[str] = set()


def note_preloaded() -> None:
    """In a zygote, once: what is loaded from here on is loaded by programs."""
    _preloaded.update(_loaded())


def imported(request: RunRequest, tools: bool = False) -> list[str]:
    """Names of top-level modules, with what they load themselves; of the preloaded, those that an import names.

    Args:
        tools: pytest may have been loaded to run the tests, which says nothing about the program.
    """
    own = {path.split("/")[0].removesuffix(".py") for path in request["files"]}
    found = _loaded() - own - (_PYTEST if tools else set())
    ready = found & _preloaded
    return sorted(found - ready | _named(ready, request)) if ready else sorted(found)


def _loaded() -> set[str]:
    return {name for name in sys.modules if "." not in name} - sys.stdlib_module_names - _OURS


def _named(names: set[str], request: RunRequest) -> set[str]:
    texts = [request["program"], request["prefix"], *request["files"].values(), *(text for _, text in request["tests"])]
    lines = "\n".join(line for text in texts for line in re.findall(r"^.*\bimport\b.*$", text, re.MULTILINE))
    return {name for name in names if re.search(rf"\b{re.escape(name)}\b", lines)}
