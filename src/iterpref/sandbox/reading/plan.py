"""What tests are taken apart into: calls to make inside, expectations to check outside."""

import ast
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from iterpref.records import FailingCase

from ..call_tables import CallRow
from ..inside.values.codec import decode, encode, opaque_text
from ..inside.values.texts import CASE_CHARS, shorten

EXACTLY = " exactly"
_SENT_AS = {"set": "iterated", "equal": "fingerprint"}  # how the results that a kind of match needs are sent


class Unliftable(Exception):
    """These tests can't be taken apart; the message says which construct stands in the way."""


@dataclass(frozen=True)
class PlannedCall:
    """One call to make inside. `sent_as`: how its result is to be sent, a key of `codec.ENCODERS`."""

    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    sent_as: str
    text: str


@dataclass(frozen=True)
class Expectation:
    """One test: `condition` must hold once the nodes in `slots` are replaced by the results of those calls.

    With `raises`, the only call must raise an exception of one of these names, or of a class derived from it. `free`
    are the nodes of `slots` that are not compared with a constant, each with whether only its truth counts: where their
    result has operators of its own, these decide (own_operators.py).
    """

    name: str
    condition: ast.expr
    names: dict[str, Any]
    slots: dict[int, int]
    raises: tuple[str, ...] = ()
    free: dict[int, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class CallTable:
    """A file of calls to one function; one outcome for all: a thousand would fill the store and tell nothing more."""

    name: str
    function: str
    rows: list[CallRow] = field(repr=False)

    @cached_property
    def wire(self) -> list[Any]:
        """The calls as the harness takes them."""
        return [[self.function, row.input, None, _SENT_AS.get(row.match, "value")] for row in self.rows]

    def case(self, index: int, got: str) -> FailingCase:
        """Call `index` as a person would write it."""
        row = self.rows[index]
        shown = ", ".join(opaque_text(decode(value)) for value in row.input)
        expected = opaque_text(decode(row.output))
        return FailingCase(call=shorten(f"{self.function}({shown})", CASE_CHARS), got=got, expected=expected)


@dataclass
class CallPlan:
    """`calls` come first, those of the `tables` after them, in one numbering."""

    calls: list[PlannedCall] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    tables: list[CallTable] = field(default_factory=list)
    instances: int = 0

    def expect(self, expectation: Expectation) -> None:
        """Add a test; results of its `free` calls are sent with a mark where they aren't exactly what is sent."""
        self.expectations.append(expectation)
        for index in {expectation.slots[node] for node in expectation.free}:
            call = self.calls[index]
            if not call.sent_as.endswith(EXACTLY):
                self.calls[index] = replace(call, sent_as=call.sent_as + EXACTLY)

    @cached_property
    def wire(self) -> list[Any]:
        """All calls as the harness takes them; made once, because a task's plan serves many programs."""
        calls = [[c.function, encode(c.args), encode(c.kwargs) if c.kwargs else None, c.sent_as] for c in self.calls]
        return calls + [call for table in self.tables for call in table.wire]


def make_call(
    function: str, args: list[Any], kwargs: dict[str, Any], iterate: bool, awaited: bool = False
) -> PlannedCall:
    """The call, with its text as a person would write it. `iterate`: an iterator result is to be run out, because the
    test opens it. `awaited`: the test hands the result to `asyncio.run`, which takes coroutines only."""
    shown = [*map(opaque_text, args), *(f"{name}={opaque_text(value)}" for name, value in kwargs.items())]
    text = f"{re.sub('@[0-9]+', '', function)}({', '.join(shown)})"
    text = shorten(f"asyncio.run({text})" if awaited else text, CASE_CHARS)
    sent_as = " ".join([*(["awaited"] if awaited else []), *(["iterated"] if iterate else [])])
    return PlannedCall(function, args, kwargs, sent_as or "value", text)
