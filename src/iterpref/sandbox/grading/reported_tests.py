"""Reports of tests that ran in the program's process → Execution, trust `in_process`; control.py checks a pass."""

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun
from .claims import ClaimedError, Claims, Tampered, TestClaim, read_claims
from .verdicts import Cause, ended_early, execution, import_failure, raised, tampered


def grade_tests(raw: RawRun, nonce: str, required: list[str], rung: Isolation, may_skip: bool) -> Execution:
    """Add up what in-process tests reported. `required`: the tests counted in the source, which must each occur at the
    end of some reported test's name. `may_skip`: the source itself skips tests."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return tampered(raw, error, "in_process", rung)
    stop = ended_early(raw, claims)
    outcomes, causes = [], []
    for test in claims.tests:
        detail = test.error.text if test.error else ""
        outcomes.append(TestOutcome(name=test.name, verdict=test.verdict, detail=shorten(detail, CASE_CHARS)))
        if test.verdict in ("failed", "error"):
            causes.append(_cause(test))
    missing = [name for name in required if not any(reports_on(test.name, name) for test in claims.tests)]
    outcomes += [TestOutcome(name=name, verdict="not_run") for name in missing]
    if stop and missing and claims.imported:
        stop.error += f"\nNot finished: {_listed(missing)}"
    first = import_failure(claims) or next(iter(causes), None) or stop or _unproven(claims, missing, may_skip)
    return execution(raw, claims, outcomes, first, "in_process", rung)


def reports_on(reported: str, required: str) -> bool:
    """`test_a.T.test_x`, `test_a.py::T::test_x[1]` report test `test_x`."""
    base = reported.split("[")[0]
    return base == required or base.endswith(("." + required, "::" + required))


def _cause(test: TestClaim) -> Cause:
    case = FailingCase.model_validate(test.case) if test.case else None
    error = test.error or ClaimedError("", "")
    if test.verdict == "error":
        return raised(error, case)
    message = error.message
    if case is not None and error.type == "AssertionError" and message.startswith("AssertionError"):
        # What was compared, with the assertion's own message after it; indented lines of that go below.
        said, newline, indented = message.removeprefix("AssertionError").removeprefix(": ").partition("\n  ")
        words = f" ({said})" if said else ""
        message = f"{case.call} returned {case.got}, expected {case.expected}{words}{newline}{indented}"
    return Cause("failed", error.type, message, case, error.frames)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _unproven(claims: Claims, missing: list[str], may_skip: bool) -> Cause | None:
    """A run in which nothing failed, but not everything was seen to pass."""
    if missing:
        return Cause("exited_early", "", f"These tests did not report: {_listed(missing)}")
    passed = [test for test in claims.tests if test.verdict == "passed"]
    if not passed:
        return Cause("unverified", "", "No test reported a pass.")
    if len(passed) < len(claims.tests) and not may_skip:
        return Cause("unverified", "SkipTest", "A test was skipped, but the test file skips none.")
    return None
