"""Results of calls → Execution: compared outside the program's process, trust `oracle`."""

from collections.abc import Iterator
from typing import Any

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.codec import decode, opaque_text
from ..inside.values.stand_ins import Inexact
from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun
from ..reading.expressions import Evaluator, OwnMethod
from ..reading.plan import CallPlan, CallTable, Expectation
from .claims import ClaimedError, Claims, Tampered, read_claims
from .failing_case import expected_text, failing_case, parting, where_parting
from .verdicts import Cause, ended_early, execution, import_failure, raised, tampered

_UNDECIDED = Cause("unverified", "", "Operators of the program's own objects decide.")


def grade_calls(raw: RawRun, nonce: str, plan: CallPlan, rung: Isolation) -> Execution | None:
    """Compare the results of the plan's calls with what the tests expect; trust `oracle`.

    None where nothing is wrong, but operators of the program's own objects decide whether some test holds.
    """
    try:
        claims = read_claims(raw, nonce)
        if any(not 0 <= index < len(plan.wire) for index in (*claims.results, *claims.errors)):
            raise Tampered("a result of a call that was not asked for")
    except Tampered as error:
        return tampered(raw, error, "oracle", rung)
    stop = ended_early(raw, claims)
    names = [expected.name for expected in plan.expectations] + [table.name for table in plan.tables]
    causes = list(_causes(plan, claims, stop)) if claims.imported else [None] * len(names)
    outcomes = [_outcome(name, claims.imported, cause, stop) for name, cause in zip(names, causes, strict=True)]
    wrong = [cause for cause in causes if cause is not None and cause is not _UNDECIDED]
    first = import_failure(claims) or next(iter(wrong), None) or stop
    if first is None and _UNDECIDED in causes:
        return None
    return execution(raw, claims, outcomes, first, "oracle", rung)


def read_results(raw: RawRun, nonce: str, plan: CallPlan) -> tuple[tuple[Any, ...], str]:
    """The results of all calls of a run, decoded, in order; or none, and why."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return (), f"tampered: {error}"
    cause = import_failure(claims) or ended_early(raw, claims)
    if cause is None and claims.errors:
        index, problem = next(iter(sorted(claims.errors.items())))
        cause = Cause("error", problem.type, f"call {index} raised {problem.text}")
    if cause is None and len(claims.results) != len(plan.wire):
        cause = Cause("exited_early", "", f"{len(claims.results)} of {len(plan.wire)} calls returned")
    if cause is not None:
        return (), f"{cause.verdict}: {cause.text}"
    return tuple(claims.results[index] for index in range(len(plan.wire))), ""


def _causes(plan: CallPlan, claims: Claims, stop: Cause | None) -> Iterator[Cause | None]:
    """Why each expectation and each table did not hold; None for those that did."""
    for expected in plan.expectations:
        yield _grade_raise(expected, plan, claims, stop) if expected.raises else _grade(expected, plan, claims, stop)
    offset = len(plan.calls)
    for table in plan.tables:
        yield _grade_table(table, offset, claims, stop)
        offset += len(table.rows)


def _grade(expected: Expectation, plan: CallPlan, claims: Claims, stop: Cause | None) -> Cause | None:
    values = {}
    for node, index in sorted(expected.slots.items(), key=lambda item: item[1]):
        if index not in claims.results:
            return _no_result(index, plan.calls[index].text, expected_text(expected), claims, stop)
        values[node] = claims.results[index]
    inexact = {node: value for node, value in values.items() if isinstance(value, Inexact)}
    if any(node in expected.free and not (expected.free[node] and v.surely_true) for node, v in inexact.items()):
        return _UNDECIDED
    values |= {node: value.content for node, value in inexact.items()}
    evaluate = Evaluator(expected.names, values)
    try:
        if evaluate(expected.condition):
            return None
    except OwnMethod:
        return _UNDECIDED
    except Exception as error:  # what the assertion itself would have raised
        name = type(error).__name__
        said = f"{name}: {shorten(str(error), CASE_CHARS)}"
        calls = [(plan.calls[expected.slots[node]].text, value) for node, value in values.items()]
        returned = tuple(f"  {call} returned {opaque_text(value)}" for call, value in calls)
        return raised(ClaimedError(name, said, returned), failing_case(expected, plan, values, evaluate))
    case = failing_case(expected, plan, values, evaluate)
    text = f"{case.call} returned {case.got}, expected {case.expected}{parting(expected, evaluate)}"
    return Cause("failed", "AssertionError", text, case)


def _no_result(index: int, call: str, expected: str, claims: Claims, stop: Cause | None) -> Cause:
    """Of a call that raised or was never made."""
    if index in claims.errors:
        error = claims.errors[index]
        return raised(error, FailingCase(call=call, got=error.message.split("\n", 1)[0], expected=expected))
    missing = stop or Cause("exited_early", "", "The process ended before this call had returned.")
    return Cause(missing.verdict, missing.error_type, missing.error, FailingCase(call=call, got="", expected=expected))


def _grade_raise(expected: Expectation, plan: CallPlan, claims: Claims, stop: Cause | None) -> Cause | None:
    (index,) = expected.slots.values()
    call, wanted = plan.calls[index].text, " or ".join(expected.raises)
    if index not in claims.results:
        error = claims.errors.get(index)
        if error is not None and not {error.type, *error.bases}.isdisjoint(expected.raises):
            return None
        return _no_result(index, call, f"raises {wanted}", claims, stop)
    case = FailingCase(call=call, got=opaque_text(claims.results[index]), expected=f"raises {wanted}")
    return Cause("failed", "AssertionError", f"{call} returned {case.got}, expected it to raise {wanted}", case)


def _grade_table(table: CallTable, offset: int, claims: Claims, stop: Cause | None) -> Cause | None:
    """The first call of a table that went wrong; `offset` is the number of its first call."""
    for index, row in enumerate(table.rows):
        if offset + index not in claims.results:
            case = table.case(index, "")
            return _no_result(offset + index, case.call, case.expected, claims, stop)
        value = claims.results[offset + index]
        try:
            right = row.holds(value)
        except (TypeError, ValueError, ArithmeticError, RecursionError):
            right = False  # a result that can't be compared with the expected one, for example a set of lists
        if not right:
            case = table.case(index, shorten(opaque_text(value), CASE_CHARS))
            text = f"{case.call} returned {case.got}, expected {case.expected}"
            text += where_parting(value, decode(row.output))
            return Cause("failed", "AssertionError", text, case)
    return None


def _outcome(name: str, imported: bool, cause: Cause | None, stop: Cause | None) -> TestOutcome:
    if not imported:
        return TestOutcome(name=name, verdict="not_run")
    if cause is None:
        return TestOutcome(name=name, verdict="passed")
    if cause is _UNDECIDED:
        return TestOutcome(name=name, verdict="not_run")
    detail = shorten(cause.text, CASE_CHARS)
    if stop is not None and cause.verdict == stop.verdict and cause.text == stop.text:
        return TestOutcome(name=name, verdict="not_run", detail=detail)
    return TestOutcome(name=name, verdict="failed" if cause.verdict == "failed" else "error", detail=detail)
