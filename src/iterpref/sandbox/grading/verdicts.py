"""What a run's end amounts to: the pieces that every verdict is made of.

In: how a run ended and what its channel claims. Out: a `Failure`, or the `Execution` made of it. Verdicts are made only
here and in calls.py (results of calls), reported_tests.py (tests that ran inside) and script.py (what was
printed).
"""

import signal
from dataclasses import dataclass

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome, Trust, Verdict

from ..inside.values.texts import shorten
from .claims import Claims, Raw

CASE_CHARS = 300  # of a value or a detail in a record
_KEPT = 8192  # characters of each stream in a record
_LIMIT_VERDICTS: dict[str, Verdict] = {
    "cpu_s": "timeout",
    "wall_s": "timeout",
    "memory_bytes": "out_of_memory",
    "output_bytes": "output_limit",
    "result_bytes": "output_limit",
}


@dataclass
class Failure:
    """Why an execution did not pass."""

    verdict: Verdict
    error_type: str = ""
    error: str = ""
    case: FailingCase | None = None


def execution(
    raw: Raw, claims: Claims | None, tests: list[TestOutcome], failure: Failure | None, trust: Trust, rung: Isolation
) -> Execution:
    """The record; `failure` None means that it passed."""
    return Execution(
        verdict=failure.verdict if failure else "passed",
        trust=trust,
        isolation=rung,
        phase="test" if claims is None or claims.imported else "import",
        error_type=failure.error_type if failure else "",
        error=failure.error if failure else "",
        tests=tuple(tests),
        failing_case=failure.case if failure else None,
        stdout=text(raw.stdout),
        stderr=text(raw.stderr),
        wall_s=round(raw.wall_s, 6),
        cpu_s=round(raw.cpu_s, 6),
        max_rss_bytes=raw.max_rss_bytes,
    )


def ended_early(raw: Raw, claims: Claims) -> Failure | None:
    """How the process ended, if not by coming to the end of its tests."""
    if raw.limit:
        return Failure(_LIMIT_VERDICTS[raw.limit], raw.limit, f"The run hit its limit {raw.limit}.")
    if raw.status < 0:
        name = _signal_name(-raw.status)
        return Failure("crashed", name, f"The process was killed by {name}.")
    if not claims.ended:
        return Failure("exited_early", "", f"The process ended with exit code {raw.status} before its tests had.")
    return None


def import_failure(claims: Claims) -> Failure | None:
    return raised(claims.import_error, None) if claims.import_error is not None else None


def raised(error: dict[str, str], case: FailingCase | None) -> Failure:
    """The verdict on an exception."""
    verdicts: dict[str, Verdict] = {"MemoryError": "out_of_memory", "SystemExit": "exited_early"}
    return Failure(verdicts.get(error["type"], "error"), error["type"], error["text"], case)


def tampered(raw: Raw, error: Exception, trust: Trust, rung: Isolation) -> Execution:
    failure = Failure("tampered", "", f"The result channel carried {shorten(str(error), CASE_CHARS)}")
    return execution(raw, None, [], failure, trust, rung)


def text(stream: bytes) -> str:
    """A stream for a record: decoded, head and tail."""
    return shorten(stream.decode("utf-8", errors="replace"), _KEPT)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
