"""Reports of tests that ran in the program's process → Execution, trust `in_process`.

In: how a run ended, what its channel claims, and the tests that the host counted in the source. Out: an `Execution`.
Not here: whether a pass can be believed (control.py).
"""

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.texts import shorten
from .claims import Claims, Raw, Tampered, TestClaim, read_claims
from .verdicts import CASE_CHARS, Failure, ended_early, execution, import_failure, raised, tampered


def judge_tests(raw: Raw, nonce: str, required: list[str], rung: Isolation, may_skip: bool) -> Execution:
    """Add up what in-process tests reported; trust `in_process`.

    Args:
        required: Names that must each occur at the end of some reported test's name: the tests counted in the source.
        may_skip: Whether the test source itself skips tests.
    """
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return tampered(raw, error, "in_process", rung)
    stop = ended_early(raw, claims)
    outcomes, failures = [], []
    for test in claims.tests:
        detail = test.error["text"] if test.error else ""
        outcomes.append(TestOutcome(name=test.name, verdict=test.verdict, detail=shorten(detail, CASE_CHARS)))
        if test.verdict in ("failed", "error"):
            failures.append(_test_failure(test))
    missing = [name for name in required if not any(reports_on(test.name, name) for test in claims.tests)]
    outcomes += [TestOutcome(name=name, verdict="not_run") for name in missing]
    if stop and missing and claims.imported:
        stop.error += f"\nNot finished: {_listed(missing)}"
    first = import_failure(claims) or next(iter(failures), None) or stop or _unproven(claims, missing, may_skip)
    return execution(raw, claims, outcomes, first, "in_process", rung)


def reports_on(reported: str, required: str) -> bool:
    """`test_a.T.test_x`, `test_a.py::T::test_x[1]` report test `test_x`."""
    base = reported.split("[")[0]
    return base == required or base.endswith(("." + required, "::" + required))


def _test_failure(test: TestClaim) -> Failure:
    case = FailingCase.model_validate(test.case) if test.case else None
    error = test.error or {"type": "", "text": ""}
    if test.verdict == "error":
        return raised(error, case)
    text = error["text"]
    if (
        case is not None and error["type"] == "AssertionError" and text.startswith("AssertionError")
    ):  # say what it compared
        message, newline, frames = text.removeprefix("AssertionError").removeprefix(": ").partition("\n  ")
        said = f" ({message})" if message else ""
        text = f"{case.call} returned {case.got}, expected {case.expected}{said}{newline}{frames}"
    return Failure("failed", error["type"], text, case)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _unproven(claims: Claims, missing: list[str], may_skip: bool) -> Failure | None:
    """A run in which nothing failed, but not everything was seen to pass."""
    if missing:
        return Failure("exited_early", "", f"These tests did not report: {_listed(missing)}")
    passed = [test for test in claims.tests if test.verdict == "passed"]
    if not passed:
        return Failure("unverified", "", "No test reported a pass.")
    if len(passed) < len(claims.tests) and not may_skip:
        return Failure("unverified", "SkipTest", "A test was skipped, but the test file skips none.")
    return None
