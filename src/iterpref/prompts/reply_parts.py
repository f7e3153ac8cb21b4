"""A model's reply → the JSON value or the tagged parts that a prompt asked for; prose around them is skipped."""

import json
import re
from typing import Any

_TAGGED = re.compile(
    r"<(?P<tag>[a-z_]+)(?:\s+path=[\"'](?P<path>[^\"'\n]+)[\"'])?>\n?(?P<body>.*?)</(?P=tag)>", re.DOTALL
)


def json_answer(text: str, kind: type = dict) -> Any:
    """The last JSON value of this kind in a reply; None where there is none."""
    opening = "{" if kind is dict else "["
    decoder = json.JSONDecoder()
    found, place = None, text.find(opening)
    while place >= 0:
        try:
            value, length = decoder.raw_decode(text[place:])
        except ValueError:
            place = text.find(opening, place + 1)
            continue
        found = value if isinstance(value, kind) else found
        place = text.find(opening, place + length)
    return found


def tagged(text: str, tag: str) -> list[tuple[str, str]]:
    """(path, body) of every `<tag path="...">body</tag>`; the path is "" where none is given."""
    return [(part["path"] or "", part["body"]) for part in _TAGGED.finditer(text) if part["tag"] == tag]
