"""What a run's end amounts to: the pieces of which calls.py, reported_tests.py and script.py make all verdicts."""

import signal
from dataclasses import dataclass

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome, Trust, Verdict

from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun
from .claims import ClaimedError, Claims
from .packages import installed

_KEPT = 8192  # characters of each stream in a record
_LIMIT_VERDICTS: dict[str, Verdict] = {
    "cpu_s": "timeout",
    "wall_s": "timeout",
    "call_cpu_s": "timeout",
    "call_wall_s": "timeout",
    "memory_bytes": "out_of_memory",
    "output_bytes": "output_limit",
    "result_bytes": "output_limit",
}


@dataclass
class Cause:
    """Why an execution did not pass; as in `records.Execution`."""

    verdict: Verdict
    error_type: str = ""
    error: str = ""
    case: FailingCase | None = None
    frames: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((self.error, *self.frames))


def execution(
    raw: RawRun, claims: Claims | None, tests: list[TestOutcome], cause: Cause | None, trust: Trust, rung: Isolation
) -> Execution:
    """The record; `cause` None means that it passed."""
    end = cause or Cause("passed")
    return Execution(
        verdict=end.verdict,
        trust=trust,
        isolation=rung,
        phase="test" if claims is None or claims.imported else "import",
        error_type=end.error_type,
        error=end.error,
        frames=end.frames,
        tests=tuple(tests),
        failing_case=end.case,
        stdout=_kept(raw.stdout),
        stderr=_kept(raw.stderr),
        wall_s=round(raw.wall_s, 6),
        cpu_s=round(raw.cpu_s, 6),
        max_rss_bytes=raw.max_rss_bytes,
        packages=installed(claims.packages) if claims is not None and claims.packages else (),
    )


def ended_early(raw: RawRun, claims: Claims) -> Cause | None:
    """How the process ended, if not by coming to the end of its tests."""
    if raw.limit:
        return Cause(_LIMIT_VERDICTS[raw.limit], raw.limit, f"The run hit its limit {raw.limit}.")
    number = -raw.status if raw.status < 0 else claims.signal
    if number:
        known = number in list(signal.Signals)  # a real-time signal isn't
        name = signal.Signals(number).name if known else f"signal {number}"
        return Cause("crashed", name, f"The process was killed by {name}.")
    if not claims.ended:
        return Cause("exited_early", "", f"The process ended with exit code {raw.status} before its tests had.")
    return None


def import_failure(claims: Claims) -> Cause | None:
    return raised(claims.import_error, None) if claims.import_error is not None else None


def raised(error: ClaimedError, case: FailingCase | None) -> Cause:
    verdicts: dict[str, Verdict] = {"MemoryError": "out_of_memory", "SystemExit": "exited_early"}
    return Cause(verdicts.get(error.type, "error"), error.type, error.message, case, error.frames)


def tampered(raw: RawRun, error: Exception, trust: Trust, rung: Isolation) -> Execution:
    cause = Cause("tampered", "", f"The result channel carried {shorten(str(error), CASE_CHARS)}")
    return execution(raw, None, [], cause, trust, rung)


def _kept(stream: bytes) -> str:
    return shorten(stream.decode("utf-8", errors="replace"), _KEPT)
