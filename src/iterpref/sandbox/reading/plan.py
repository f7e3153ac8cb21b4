"""What the oracle makes of tests: calls to make inside, expectations to check outside.

Not here: how tests are taken apart (plan_tests.py, asserts.py), or the outcome (calls.py).
"""

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..inside.values.codec import encode, opaque_text
from ..inside.values.texts import CASE_CHARS, shorten
from .call_tables import CallTable


class Unliftable(Exception):
    """These tests can't be taken apart; the message says which construct stands in the way."""


@dataclass(frozen=True)
class PlannedCall:
    """One call to make inside.

    `iterate`: an iterator result is to be run out, because the test opens it. `awaited`: the test hands the result to
    `asyncio.run`, which takes coroutines only.
    """

    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    iterate: bool
    text: str
    awaited: bool = False

    @property
    def sent_as(self) -> str:
        """How the result is to be sent, a key of `codec.ENCODERS`."""
        if self.awaited:
            return "awaited iterated" if self.iterate else "awaited"
        return "iterated" if self.iterate else "value"


@dataclass(frozen=True)
class Expectation:
    """One test: `condition` must hold once the nodes in `slots` are replaced by the results of those calls.

    With `raises`, the only call must raise an exception of one of these names, or of a class derived from it.
    """

    name: str
    condition: ast.expr
    names: dict[str, Any]
    slots: dict[int, int]
    raises: tuple[str, ...] = ()


@dataclass
class CallPlan:
    """`calls` come first, those of the `tables` after them, in one numbering."""

    calls: list[PlannedCall] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    tables: list[CallTable] = field(default_factory=list)

    @cached_property
    def wire(self) -> list[Any]:
        """All calls as the harness takes them; made once, because a task's plan serves many programs."""
        calls = [[c.function, encode(c.args), encode(c.kwargs) if c.kwargs else None, c.sent_as] for c in self.calls]
        return calls + [call for table in self.tables for call in table.wire]


def make_call(
    function: str, args: list[Any], kwargs: dict[str, Any], iterate: bool, awaited: bool = False
) -> PlannedCall:
    """The call, with its text as a person would write it."""
    shown = [*map(opaque_text, args), *(f"{name}={opaque_text(value)}" for name, value in kwargs.items())]
    text = f"{function}({', '.join(shown)})"
    text = shorten(f"asyncio.run({text})" if awaited else text, CASE_CHARS)
    return PlannedCall(function, args, kwargs, iterate, text, awaited)
