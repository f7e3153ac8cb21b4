"""The lines a run wrote on its result channel, read as what they are: claims of a possibly hostile process.

Every line must carry the run's nonce and decode strictly. Not here: what the claims amount to (verdicts.py).
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ..inside.values.codec import CodecError, decode
from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun

_MESSAGE_CHARS, _FRAME_CHARS, _FRAMES = 4000, 1000, 20
_PACKAGES = 500


class Tampered(Exception):
    """The channel carried something no honest run writes."""


@dataclass(frozen=True)
class ClaimedError:
    """An exception; `message` begins with its type, `frames` are the lines below, `bases` the names of its classes."""

    type: str
    message: str
    frames: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((self.message, *self.frames))


@dataclass(frozen=True)
class TestClaim:
    """What an in-process test is said to have done; `case` as in `records.FailingCase`."""

    name: str
    verdict: Literal["passed", "failed", "error", "skipped"]
    error: ClaimedError | None
    case: dict[str, str] | None


@dataclass
class Claims:
    """The channel's lines, sorted by kind. `imported`: the program's module has been loaded."""

    imported: bool = False
    import_error: ClaimedError | None = None
    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, ClaimedError] = field(default_factory=dict)
    tests: list[TestClaim] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    signal: int = 0
    """That the program sent itself, and must die of."""
    ended: bool = False


def read_claims(raw: RawRun, nonce: str) -> Claims:
    """Parse the channel.

    Raises:
        Tampered: A line without nonce, of unknown form, repeated, after the end; half a line of a process not killed.
    """
    claims = Claims()
    *lines, rest = raw.channel.split(b"\n")
    if rest and not (raw.limit or raw.status < 0):
        raise Tampered("half a line")
    for line in lines:
        if not line.startswith(nonce.encode()) or claims.ended:
            raise Tampered(f"a line that isn't the harness's: {line[:40]!r}")
        try:
            _add(claims, *json.loads(line[len(nonce) :]))
        except (CodecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Tampered(f"a line of unknown form: {error}") from error
    return claims


def _add(claims: Claims, kind: str, *body: Any) -> None:
    """One line: first `import`, then, if that went well, calls or tests, then `end`."""
    if kind == "end" and not body:
        claims.ended = True
    elif kind == "import" and not claims.imported and claims.import_error is None:
        (error,) = body
        claims.import_error = None if error is None else _error(error)
        claims.imported = error is None
    elif kind in ("call", "raised") and claims.imported:
        _add_result(claims, kind, *body)
    elif kind == "test" and claims.imported:
        claims.tests.append(_test(*body))
    elif kind == "packages":
        (names,) = body
        claims.packages |= {str(name)[:100] for name in names[:_PACKAGES]}
    elif kind == "signal":
        (claims.signal,) = map(int, body)
    else:
        raise Tampered(f"an unexpected {kind!r}")


def _add_result(claims: Claims, kind: str, index: Any, value: Any) -> None:
    if type(index) is not int or index in claims.results or index in claims.errors:
        raise Tampered(f"a second result of call {index}")
    if kind == "call":
        claims.results[index] = decode(value)
    else:
        claims.errors[index] = _error(value)


def _test(name: Any, verdict: Any, error: Any, case: Any) -> TestClaim:
    if verdict not in ("passed", "failed", "error", "skipped"):
        raise Tampered(f"verdict {verdict!r}")
    return TestClaim(str(name)[:300], verdict, _error(error) if error else None, _case(case) if case else None)


def _case(value: dict[str, Any]) -> dict[str, str]:
    return {key: shorten(str(value[key]), CASE_CHARS) for key in ("call", "got", "expected")}


def _error(value: dict[str, Any]) -> ClaimedError:
    frames = tuple(shorten(str(frame), _FRAME_CHARS) for frame in value["frames"][:_FRAMES])
    message = shorten(str(value["message"]), _MESSAGE_CHARS)
    return ClaimedError(str(value["type"])[:100], message, frames, tuple(str(value["bases"])[:500].split()))
