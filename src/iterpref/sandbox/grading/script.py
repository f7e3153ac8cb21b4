"""What a program printed → Execution, trust `oracle`: the one place where standard output counts for a verdict."""

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun
from ..reading.required_tests import StdioCase
from .claims import Claims, Tampered, read_claims
from .output_difference import beginning, difference, outputs_compared
from .verdicts import Cause, ended_early, execution, import_failure, tampered

_UNREADABLE = ("SyntaxError", "IndentationError", "TabError")


def grade_script(raw: RawRun, nonce: str, case: StdioCase, rung: Isolation) -> Execution:
    """Compare standard output with what is expected, line by line, as the case's `match` says."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return tampered(raw, error, "oracle", rung)
    printed = raw.stdout.decode("utf-8", errors="replace")
    cause = _ended(raw, claims)
    if cause is None:
        got, wanted = outputs_compared(printed, case.stdout, case.match)
        if got != wanted:
            cause = Cause("failed", "AssertionError", difference(got, wanted))
    claims.imported = cause is None or cause.error_type not in _UNREADABLE  # a script is loaded by running it
    if cause is not None and claims.imported:
        _say(cause, beginning("Input", case.stdin))
        if cause.verdict != "failed" and printed.strip():
            _say(cause, beginning("Printed until then", printed, 3, counted=False))
        read, got_text, wanted_text = (shorten(text, CASE_CHARS) for text in (case.stdin, printed, case.stdout))
        cause.case = FailingCase(kind="input", call=read, got=got_text, expected=wanted_text)
    verdict = "passed" if cause is None else "failed" if cause.verdict == "failed" else "error"
    detail = shorten(cause.text, CASE_CHARS) if cause else ""
    outcome = TestOutcome.model_validate({"name": case.name, "verdict": verdict, "detail": detail})
    return execution(raw, claims, [outcome], cause, "oracle", rung)


def _say(cause: Cause, text: str) -> None:
    """Put a text below all that is said so far."""
    if cause.frames:
        cause.frames += (text,)
    else:
        cause.error += f"\n{text}"


def _ended(raw: RawRun, claims: Claims) -> Cause | None:
    """What ended the program, if it wasn't its last line, `exit(0)` or `os._exit(0)`."""
    cause = import_failure(claims) or ended_early(raw, claims)
    if cause is None or cause.verdict != "exited_early" or claims.import_error is not None:
        return cause
    if raw.status == 0:
        return None
    cause.error = f"The program ended with exit code {raw.status}."
    return cause
