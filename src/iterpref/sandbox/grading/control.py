"""A second run → how far the first can be believed: negative controls, and repeats under other hash seeds.

In: the Execution that passed, and the control run as the worker saw it. Out: the Execution, with trust `checked` where
every test failed under control as it should, verdict `unverified` where one did not, and unchanged where the control
could not tell; or two runs that don't agree. Not here: what a control does (negative_control.py).
"""

import re

from iterpref.records import Execution

from .claims import Raw, Tampered, TestClaim, read_claims
from .reported_tests import reports_on


def confirm(found: Execution, raw: Raw, nonce: str, token: str, neutral: set[str], asserting: set[str]) -> Execution:
    """Judge a pass by its control.

    Args:
        found: A pass with trust `in_process`.
        token: Proves that a test came to its end; never shown in the first run.
        neutral: Tests that have nothing to turn around.
        asserting: Functions and tests in which an assertion must be seen, as `counting.asserting` names them.
    """
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return _unverified(found, f"its negative control was tampered with: {error}")
    reports = {test.name: test for test in reversed(claims.tests)}
    doubtful, confirmed, open_ = [], 0, 0
    for test in found.tests:
        if test.verdict != "passed" or test.name in neutral:
            continue
        report = reports.get(test.name)
        proof = _proof(report, token)
        must_see = any(reports_on(test.name, name) for name in asserting)
        if report is None and (raw.limit or raw.status < 0 or not claims.imported):
            open_ += 1
        elif report is None or report.verdict == "passed" or (proof and (proof[1] > 0 or (must_see and proof[0] == 0))):
            doubtful.append(test.name)
        elif proof is not None and proof[0] > 0:
            confirmed += 1
        else:
            open_ += 1
    if doubtful:
        return _unverified(found, f"with every assertion turned around, these did not fail: {', '.join(doubtful[:5])}")
    return found.model_copy(update={"trust": "checked"}) if confirmed and not open_ else found


def flaky(first: Execution, again: Execution, number: int) -> Execution:
    """Two runs of one job that don't agree, as one Execution."""
    shown = again if first.passed else first
    text = f"Run 1 ended as {first.verdict}, run {number}, under another hash seed, as {again.verdict}: {shown.error}"
    return shown.model_copy(update={"verdict": "unverified", "error_type": "Flaky", "error": text})


def _proof(report: TestClaim | None, token: str) -> tuple[int, int] | None:
    """(assertions seen, assertions that held though they should not); None if the test didn't come to its end."""
    if report is None or report.error is None:
        return None
    if report.error["type"] == "AssertionError":  # a doctest example: failing is all it can say
        return (1, 0) if report.case else None
    match = re.search(rf"Reached: {token} (\d+) (\d+)\b", report.error["text"])
    return (int(match[1]), int(match[2])) if match else None


def _unverified(found: Execution, why: str) -> Execution:
    return found.model_copy(
        update={"verdict": "unverified", "error_type": "NegativeControl", "error": f"The tests passed, but {why}"}
    )
