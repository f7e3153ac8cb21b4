"""Texts of models, programs and their output → what can be shown of them without harm.

Jinja escapes what HTML would read. Here go the characters that a terminal or a browser would obey: escapes, marks that
turn the direction of writing, those without a width, lone surrogates. Each is shown as what it is.
"""

import re

MOST_SHOWN = 60_000  # characters of one text; a browser is slow with more
# Cc but tab and newline, Cf (directions, joiners, soft hyphens, tags), Cs, Zl and Zp.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e"
                     "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]")  # fmt: skip


def shown(text: str) -> str:
    """A text with every character that can't be seen, or that changes how others are seen, by its number."""
    return _UNSEEN.sub(_named, text)


def bounded(text: str) -> tuple[str, int]:
    """The beginning of a text that is shown, and how many characters are left out."""
    return shown(text[:MOST_SHOWN]), max(0, len(text) - MOST_SHOWN)


def _named(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match.group()):04X}⟩"


def one_line(text: str, most: int = 120) -> str:
    """The first line with something in it, cut."""
    line = next((line.strip() for line in text[:4000].split("\n") if line.strip()), "")
    return shown(line if len(line) <= most else f"{line[: most - 1]}…")
