"""A second run → how far the first can be believed: negative controls, and repeats under other hash seeds.

A pass gets trust `checked` where every test failed under control as it should, verdict `unverified` where one did not,
and stays as it is where the control could not tell. What a control does: inside/harness/negative_control.py.
"""

import re
from typing import Literal

from iterpref.records import Execution

from ..inside.worker.wire import RawRun
from .claims import Tampered, TestClaim, read_claims
from .reported_tests import reports_on


def confirm(found: Execution, raw: RawRun, nonce: str, token: str, neutral: set[str], asserting: set[str]) -> Execution:
    """Grade a pass by its control.

    Args:
        found: A pass with trust `in_process`.
        token: Proves that a test came to its end; never shown in the first run.
        neutral: Tests that have nothing to turn around.
        asserting: Functions and tests in which an assertion must be seen, as `required_tests.asserting` names them.
    """
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return _unverified(found, f"its negative control was tampered with: {error}")
    reports = {test.name: test for test in reversed(claims.tests)}
    cut_short = bool(raw.limit) or raw.status < 0 or not claims.imported
    names = [test.name for test in found.tests if test.verdict == "passed" and test.name not in neutral]
    must_see = {name for name in names if any(reports_on(name, function) for function in asserting)}
    said = [_says(reports.get(name), token, name in must_see, cut_short) for name in names]
    doubtful = [name for name, word in zip(names, said, strict=True) if word == "doubtful"]
    if doubtful:
        return _unverified(found, f"with every assertion turned around, these did not fail: {', '.join(doubtful[:5])}")
    return found.model_copy(update={"trust": "checked"}) if set(said) == {"confirmed"} else found


def flaky(first: Execution, again: Execution, number: int) -> Execution:
    """Two runs of one job that don't agree, as one Execution."""
    shown = again if first.passed else first
    text = f"Run 1 ended as {first.verdict}, run {number}, under another hash seed, as {again.verdict}: {shown.error}"
    return shown.model_copy(update={"verdict": "unverified", "error_type": "Flaky", "error": text})


def _says(
    report: TestClaim | None, token: str, must_see: bool, cut_short: bool
) -> Literal["confirmed", "doubtful", "nothing"]:
    """What the control says about one test that passed in the first run."""
    if report is None:
        return "nothing" if cut_short else "doubtful"
    if report.verdict == "passed":
        return "doubtful"
    proof = _proof(report, token)
    if proof is None:
        return "nothing"  # it failed elsewhere than at its end
    seen, held = proof
    if held or (must_see and not seen):
        return "doubtful"
    return "confirmed" if seen else "nothing"


def _proof(report: TestClaim, token: str) -> tuple[int, int] | None:
    """Of a test that came to its end: assertions seen, and how many of them held though they should not."""
    if report.error is None:
        return None
    if report.error.type == "AssertionError":  # a doctest example: failing is all it can say
        return (1, 0) if report.case else None
    match = re.search(rf"Reached: {token} (\d+) (\d+)\b", report.error.message)
    return (int(match[1]), int(match[2])) if match else None


def _unverified(found: Execution, why: str) -> Execution:
    text = f"The tests passed, but {why}"
    return found.model_copy(update={"verdict": "unverified", "error_type": "NegativeControl", "error": text})
