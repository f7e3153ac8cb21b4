"""The beginnings of a pair's programs that a model continues, and the program that a continuation makes of each.

Cuts are at line ends, behind the newline. What the model gets is this text tokenized by itself behind the chat
template, not a piece of the whole program's tokens, which may reach over the cut. So a model in this process draws the
last ones anew (`Request.healed`); servers, which can't be told to, take them as they are.
"""

import re

from iterpref.programs import code_blocks, extract_program, parses
from iterpref.records import Place, PreferencePair, Task, merged
from iterpref.task_tests import trim

_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})", re.MULTILINE)
_OPENING = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(?:python|py)\b", re.MULTILINE | re.IGNORECASE)


def prefixes(pair: PreferencePair) -> dict[Place, str]:
    """Place → the text up to there, as `records.Place` defines it; without places of a side that has no changed line.

    A hunk of D⁻ is a run of its lines without another line between them.
    """
    added, removed = merged(pair.chosen_spans), merged(pair.rejected_spans)
    cuts: dict[Place, str] = {}
    if added:
        cuts["before_added"] = pair.chosen[: added[0][0]]
        cuts["after_added"] = pair.chosen[: added[-1][1]]
    if removed:
        cuts["before_removed"] = pair.rejected[: removed[0][0]]
        cuts["after_first_removed"] = pair.rejected[: removed[0][1]]
        cuts["after_removed"] = pair.rejected[: removed[-1][1]]
    return cuts


def stops(prefix: str) -> tuple[str, ...]:
    """Texts that end a continuation: the closing fence of the code block that the prefix leaves open."""
    start = _open_block(prefix)
    fence = _FENCE.match(prefix[:start].splitlines()[-1]) if start else None
    return (f"\n{fence['mark']}\n",) if fence else ()


def program_of(task: Task, prefix: str, text: str) -> str:
    """The program that prefix and continuation make together, cut down to what the tests need; "" where it is none.

    The code block that the prefix leaves open ends at its fence, and what follows is prose. Code without a fence ends
    at the first one, or where no more of it parses. After an empty prefix the text is a whole reply.
    """
    whole = prefix + _continued(prefix, text)
    if prefix and not _FENCE.search(prefix):
        whole = _parsing(prefix, whole[len(prefix) :])
    return trim(task, extract_program(whole, task.entry_point))


def began_anew(prefix: str, text: str) -> bool:
    """Whether an answer starts over rather than continue: it opens a block again, or repeats the code's first line."""
    if not prefix:
        return False
    continued = _continued(prefix, text)
    behind = text[len(continued) :]  # bare code ends at a fence, which may open a block
    if _OPENING.search(continued) or (_open_block(prefix) is None and _OPENING.match(behind)):
        return True
    code = prefix[_open_block(prefix) or 0 :].split("\n")
    first = next((line for line in code if line.strip()), None)
    if first is None:
        return False
    lines = [line for line in continued.split("\n") if line.strip()]
    return first in (lines if first.startswith(("def ", "class ", "async ")) else lines[:1])


def _open_block(text: str) -> int | None:
    """Where the code begins of a block that the text doesn't close."""
    blocks = code_blocks(text)
    return blocks[-1][0] if blocks and blocks[-1][1] == len(text) else None


def _continued(prefix: str, text: str) -> str:
    """What of a continuation belongs to the code that the prefix began."""
    whole = prefix + text
    start = _open_block(prefix)
    if start is not None:
        stop = next(stop for begin, stop in code_blocks(whole) if begin == start)
        return whole[len(prefix) : stop]
    fence = _FENCE.search(whole, len(prefix)) if prefix and not _FENCE.search(prefix) else None
    return whole[len(prefix) : fence.start()] if fence else text


def _parsing(prefix: str, text: str) -> str:
    """Prefix and the most lines of the continuation that make a program together; all where none do."""
    lines = text.split("\n")
    wholes = (prefix + "\n".join(lines[:count]) for count in range(len(lines), 0, -1))
    return next((whole for whole in wholes if parses(whole)), prefix + text)
