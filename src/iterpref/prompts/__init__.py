"""The questions put to a model, one Jinja file each.

A template is part of an experiment: its text enters every ledger key through the messages it renders.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template


@cache
def _template(name: str) -> Template:
    source = files(__name__).joinpath(f"{name}.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined, autoescape=False).from_string(source)  # prompts are not HTML


def render(name: str, **values: Any) -> str:
    """The text of prompt `name` (a file name without `.jinja`); a missing value is an error."""
    return _template(name).render(**values).strip()
