"""A second run → how far the first can be believed: negative controls, and repeats under other hash seeds.

In: the Execution that passed, and the control run as the worker saw it. Out: the Execution, with trust `checked` where
every test failed under control as it should, verdict `unverified` where one did not, and unchanged where the control
could not tell; or two runs that don't agree. Not here: what a control does (inside/harness/negative_control.py).
"""

import re
from typing import Literal, NamedTuple

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
    said = [_says(reports.get(name), token, _must_see(name, asserting), cut_short) for name in names]
    doubtful = [name for name, word in zip(names, said, strict=True) if word == "doubtful"]
    if doubtful:
        return _unverified(found, f"with every assertion turned around, these did not fail: {', '.join(doubtful[:5])}")
    return found.model_copy(update={"trust": "checked"}) if set(said) == {"confirmed"} else found


def flaky(first: Execution, again: Execution, number: int) -> Execution:
    """Two runs of one job that don't agree, as one Execution."""
    shown = again if first.passed else first
    text = f"Run 1 ended as {first.verdict}, run {number}, under another hash seed, as {again.verdict}: {shown.error}"
    return shown.model_copy(update={"verdict": "unverified", "error_type": "Flaky", "error": text})


class _Proof(NamedTuple):
    """Of a test that came to its end: assertions seen, and how many of them held though they should not."""

    seen: int
    held: int


def _must_see(name: str, asserting: set[str]) -> bool:
    return any(reports_on(name, function) for function in asserting)


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
    if proof.held or (must_see and not proof.seen):
        return "doubtful"
    return "confirmed" if proof.seen else "nothing"


def _proof(report: TestClaim, token: str) -> _Proof | None:
    if report.error is None:
        return None
    if report.error.type == "AssertionError":  # a doctest example: failing is all it can say
        return _Proof(1, 0) if report.case else None
    match = re.search(rf"Reached: {token} (\d+) (\d+)\b", report.error.message)
    return _Proof(int(match[1]), int(match[2])) if match else None


def _unverified(found: Execution, why: str) -> Execution:
    return found.model_copy(
        update={"verdict": "unverified", "error_type": "NegativeControl", "error": f"The tests passed, but {why}"}
    )
