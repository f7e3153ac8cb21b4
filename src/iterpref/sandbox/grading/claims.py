"""The lines a run wrote on its result channel, read as what they are: claims of a possibly hostile process.

In: the raw bytes and the run's nonce. Out: `Claims`; every line must carry the nonce and decode strictly.
Not here: what the claims amount to (verdicts.py).
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ..inside.values.codec import CodecError, decode
from ..inside.values.texts import shorten

Outcome = Literal["passed", "failed", "error", "skipped"]
_OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped")


class Tampered(Exception):
    """The channel carried something no honest run writes."""


@dataclass
class Raw:
    """One run as the zygote saw it. `status`: exit code or minus the signal."""

    status: int
    limit: str
    wall_s: float
    cpu_s: float
    max_rss_bytes: int
    setup_error: str
    channel: bytes
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class TestClaim:
    """What an in-process test is said to have done; `case` as in `records.FailingCase`."""

    name: str
    verdict: Outcome
    error: dict[str, str] | None
    case: dict[str, str] | None


@dataclass
class Claims:
    """The channel's lines, sorted by kind. `imported`: None while the program's module hasn't been loaded."""

    imported: bool = False
    import_error: dict[str, str] | None = None
    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, dict[str, str]] = field(default_factory=dict)
    tests: list[TestClaim] = field(default_factory=list)
    ended: bool = False


def read_claims(raw: Raw, nonce: str) -> Claims:
    """Parse the channel.

    Raises:
        Tampered: A line without the nonce, of unknown form, repeated, or after the end; half a line of a process that
            wasn't killed.
    """
    claims = Claims()
    *lines, rest = raw.channel.split(b"\n")
    if rest and not (raw.limit or raw.status < 0):
        raise Tampered("half a line")
    for line in lines:
        if not line.startswith(nonce.encode()) or claims.ended:
            raise Tampered(f"a line that isn't the harness's: {line[:40]!r}")
        try:
            _claim(claims, *json.loads(line[len(nonce) :]))
        except (CodecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Tampered(f"a line of unknown form: {error}") from error
    return claims


def _claim(claims: Claims, kind: str, *body: Any) -> None:
    if kind == "end" and not body:
        claims.ended = True
    elif kind == "import" and not claims.imported and claims.import_error is None:
        (claims.import_error,) = (None if error is None else _error(error) for error in body)
        claims.imported = claims.import_error is None
    elif kind in ("call", "raised") and claims.imported:
        index, value = body
        if type(index) is not int or index in claims.results or index in claims.errors:
            raise Tampered(f"a second result of call {index}")
        if kind == "call":
            claims.results[index] = decode(value)
        else:
            claims.errors[index] = _error(value)
    elif kind == "test" and claims.imported:
        name, verdict, error, case = body
        if verdict not in _OUTCOMES:
            raise Tampered(f"verdict {verdict!r}")
        claims.tests.append(TestClaim(str(name)[:300], verdict, error and _error(error), case and _case(case)))
    else:
        raise Tampered(f"an unexpected {kind!r}")


def _case(value: dict[str, Any]) -> dict[str, str]:
    return {key: shorten(str(value[key]), 300) for key in ("call", "got", "expected")}


def _error(value: dict[str, Any]) -> dict[str, str]:
    bases = str(value.get("bases", ""))[:500]
    return {"type": str(value["type"])[:100], "text": shorten(str(value["text"]), 4000), "bases": bases}
