"""What a program printed → Execution: compared outside its process, trust `oracle`.

In: how a run ended, its standard output, its input and the output expected of it. Out: an `Execution` whose `error`
shows where the output parts from the expected one, or what ended the program, and the input. The one place where
standard output counts for a verdict. Not here: how a difference is written (output_difference.py).
"""

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.texts import shorten
from .claims import Claims, Raw, Tampered, read_claims
from .output_difference import beginning, difference, lines_compared
from .verdicts import CASE_CHARS, Failure, ended_early, execution, import_failure, tampered

_UNREADABLE = ("SyntaxError", "IndentationError", "TabError")


def judge_script(raw: Raw, nonce: str, name: str, stdin: str, expected: str, rung: Isolation) -> Execution:
    """Compare standard output with what is expected, line by line, blanks at line ends and at the end aside."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return tampered(raw, error, "oracle", rung)
    printed = raw.stdout.decode("utf-8", errors="replace")
    failure = _ended(raw, claims)
    if failure is None:
        got, wanted = lines_compared(printed), lines_compared(expected)
        if got != wanted:
            failure = Failure("failed", "AssertionError", difference(got, wanted))
    claims.imported = failure is None or failure.error_type not in _UNREADABLE  # a script is loaded by running it
    if failure is not None and claims.imported:
        failure.error += f"\n{beginning('Input', stdin)}"
        if failure.verdict != "failed" and printed.strip():
            failure.error += f"\n{beginning('Printed until then', printed, 3, counted=False)}"
        read, got_text, wanted_text = (shorten(text, CASE_CHARS) for text in (stdin, printed, expected))
        failure.case = FailingCase(kind="input", call=read, got=got_text, expected=wanted_text)
    verdict = "passed" if failure is None else "failed" if failure.verdict == "failed" else "error"
    outcome = TestOutcome.model_validate(
        {"name": name, "verdict": verdict, "detail": shorten(failure.error, CASE_CHARS) if failure else ""}
    )
    return execution(raw, claims, [outcome], failure, "oracle", rung)


def _ended(raw: Raw, claims: Claims) -> Failure | None:
    """What ended the program, if it wasn't its last line, `exit(0)` or `os._exit(0)`."""
    failure = import_failure(claims) or ended_early(raw, claims)
    if failure is None or failure.verdict != "exited_early" or claims.import_error is not None:
        return failure
    if raw.status == 0:
        return None
    failure.error = f"The program ended with exit code {raw.status}."
    return failure
