"""Rows of long call tables: thousands of inputs and expected results of one function, as EvalPlus's benchmarks have.

The rows carry values in `codec` form, `{"input": [[3, 1]], "output": 4}`, so that none has to be parsed as Python, and
may say how a result is compared: `atol` (floats may differ by it), `accept` (further right results), `match`. Public:
benchmarks write such tables. Not here: rows whose values are Python literals (reading/plan_tests.py).
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iterpref.errors import RecordError

from .inside.values.codec import decode, encode

__all__ = ["CallRow", "arguments", "decode", "encode", "read_row", "write_row"]

_RTOL = 1e-7  # beside `atol`; numpy's assert_allclose, and EvalPlus, have the same
_KEYS = {"input", "output", "accept", "match", "atol"}


@dataclass(frozen=True)
class CallRow:
    """One call. `input` and `output` are in codec form; `output` is None in a table that only asks for results."""

    input: list[Any]
    output: Any = None
    accept: tuple[Any, ...] = ()
    match: str = "equal"
    atol: float = 0.0

    def holds(self, value: Any) -> bool:
        """Whether a decoded result is right."""
        wanted = decode(self.output)
        if _MATCHES[self.match](self, value, wanted):
            return True
        return any(value == decode(other) for other in self.accept)


def read_row(place: str, row: Mapping[str, Any]) -> CallRow:
    """One parsed line of a table. `RecordError`, which names the `place`, for unknown keys, an input that isn't a list,
    or a kind of match that doesn't exist."""
    unknown = row.keys() - _KEYS
    match = row.get("match", "equal")
    if unknown or not isinstance(row.get("input"), list) or match not in _MATCHES:
        raise RecordError(
            f"{place}: got the keys {sorted(row)} and match {match!r}; expected input (a list), output, and perhaps "
            f"accept, atol and match (one of {', '.join(_MATCHES)})"
        )
    return CallRow(row["input"], row.get("output"), tuple(row.get("accept", ())), match, float(row.get("atol", 0.0)))


def write_row(row: CallRow) -> str:
    """The line that `read_row` reads back; what is as usual is left out."""
    values: dict[str, Any] = {"input": row.input, "output": row.output}
    if row.accept:
        values["accept"] = list(row.accept)
    if row.match != "equal":
        values["match"] = row.match
    if row.atol:
        values["atol"] = row.atol
    return json.dumps(values, separators=(",", ":"))


def arguments(values: list[Any]) -> list[Any]:
    """Plain values → a row's `input`."""
    return [encode(value) for value in values]


def _equal(row: CallRow, value: Any, wanted: Any) -> bool:
    return bool(value == wanted) or (row.atol > 0 and close(value, wanted, row.atol))


def _not_none(row: CallRow, value: Any, wanted: Any) -> bool:
    return bool(value == wanted) if isinstance(value, bool) else bool(wanted) == (value is not None)


def _root(row: CallRow, value: Any, wanted: Any) -> bool:
    """`value` is a root of the polynomial whose coefficients, lowest first, are the first argument.

    Within the task's tolerance, or as near as a float can be: a root of 17.3 of the twelfth degree leaves 0.002 however
    it is rounded, and only the naive sum of Python before 3.12 finds 0 there.
    """
    try:
        terms = [c * float(value) ** power for power, c in enumerate(decode(row.input[0]))]
    except OverflowError:
        return False
    if not all(map(math.isfinite, terms)):
        return False
    return abs(math.fsum(terms)) <= max(row.atol, math.fsum(map(abs, terms)) * sys.float_info.epsilon)


_MATCHES: dict[str, Callable[[CallRow, Any, Any], bool]] = {
    "equal": _equal,
    "set": lambda _, value, wanted: set(value) == set(wanted),
    "not_none": _not_none,  # `output` tells whether there is a result at all
    "root": _root,
    "any": lambda *_: True,  # returning is enough
}


def close(value: Any, wanted: Any, atol: float) -> bool:
    """Numbers, or lists and tuples of them, of one type and length, that differ by at most `atol` + 1e-7 · |wanted|."""
    if type(value) is not type(wanted):
        return False
    if isinstance(wanted, list | tuple):
        return len(value) == len(wanted) and all(
            _near(a, b, atol) if isinstance(b, int | float | complex) else close(a, b, atol)
            for a, b in zip(value, wanted, strict=True)
        )
    return isinstance(wanted, int | float | complex) and _near(value, wanted, atol)


def _near(value: Any, wanted: Any, atol: float) -> bool:
    if not isinstance(value, int | float | complex):
        return False
    return bool(value == wanted or abs(value - wanted) <= atol + _RTOL * abs(wanted))
