"""What the oracle makes of tests: calls to make inside, judgements to make outside.

Not here: how tests are taken apart (oracle.py, lifting.py), or the outcome (grade.py).
"""

import ast
from dataclasses import dataclass, field
from typing import Any

from .codec import opaque_text
from .frames import shorten

_CUT = 300


class Unliftable(Exception):
    """These tests can't be taken apart; the message says which construct stands in the way."""


@dataclass(frozen=True)
class Call:
    """One call to make inside. `iterate`: an iterator result is to be run out, because the test opens it."""

    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    iterate: bool
    text: str


@dataclass(frozen=True)
class Judgement:
    """One test: `condition` must hold once the nodes in `slots` are replaced by the results of those calls."""

    name: str
    condition: ast.expr
    names: dict[str, Any]
    slots: dict[int, int]


@dataclass
class Plan:
    calls: list[Call] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)


def make_call(function: str, args: list[Any], kwargs: dict[str, Any], iterate: bool) -> Call:
    """The call, with its text as a person would write it."""
    shown = [*map(opaque_text, args), *(f"{name}={opaque_text(value)}" for name, value in kwargs.items())]
    return Call(function, args, kwargs, iterate, shorten(f"{function}({', '.join(shown)})", _CUT))
