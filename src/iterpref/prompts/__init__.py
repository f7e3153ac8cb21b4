"""The questions put to a model, one Jinja file each, and the parts of its reply that they ask for.

A template is part of an experiment: its text enters every ledger key through the messages it renders.
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

_TAGGED = re.compile(r"(?s)<(?P<tag>[a-z_]+)(?:\s+path=[\"'](?P<path>[^\"'\n]+)[\"'])?>\n?(?P<body>.*?)</(?P=tag)>")


@cache
def _template(name: str) -> Template:
    source = files(__name__).joinpath(f"{name}.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined, autoescape=False).from_string(source)  # prompts are not HTML


def render(name: str, **values: Any) -> str:
    """The text of prompt `name` (a file name without `.jinja`); a missing value is an error."""
    return _template(name).render(**values).strip()


def json_answer(text: str, kind: type = dict) -> Any:
    """The last JSON value of this kind in a reply; None where there is none."""
    opening = "{" if kind is dict else "["
    decoder = json.JSONDecoder()
    found, place = None, text.find(opening)
    while place >= 0:
        try:
            found, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1
        place = text.find(opening, end)
    return found


def tagged(text: str, tag: str) -> list[tuple[str, str]]:
    """(path, body) of every `<tag path="...">body</tag>`; the path is "" where none is given."""
    return [(part["path"] or "", part["body"]) for part in _TAGGED.finditer(text) if part["tag"] == tag]
