"""Results of calls → Execution: compared outside the program's process, trust `oracle`.

In: how a run ended, what its channel claims, and the plan the host made beforehand. Out: an `Execution`; or, for a
reference whose results are wanted, `Answers`. Not here: how a failing case is written (failing_case.py).
"""

from dataclasses import dataclass
from typing import Any, Literal

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome

from ..inside.values.codec import decode, opaque_text
from ..inside.values.texts import shorten
from ..reading.call_tables import Table
from ..reading.expressions import Evaluator
from ..reading.plan import Judgement, Plan
from .claims import Claims, Raw, Tampered, read_claims
from .failing_case import expected_text, failing_case, parting, where_parting
from .verdicts import CASE_CHARS, Failure, ended_early, execution, import_failure, raised, tampered


@dataclass(frozen=True)
class Answers:
    """What a program's calls returned, decoded, in order; `problem` says why there is nothing."""

    values: tuple[Any, ...] = ()
    cpu_s: float = 0.0
    problem: str = ""


def judge_calls(raw: Raw, nonce: str, plan: Plan, rung: Isolation) -> Execution:
    """Compare the results of the plan's calls with what the tests expect; trust `oracle`."""
    try:
        claims = read_claims(raw, nonce)
        if any(not 0 <= index < len(plan.wire) for index in (*claims.results, *claims.errors)):
            raise Tampered("a result of a call that was not asked for")
    except Tampered as error:
        return tampered(raw, error, "oracle", rung)
    stop = ended_early(raw, claims)
    failures: list[Failure] = []
    outcomes = []
    for judgement in plan.judgements:
        failure = None
        if claims.imported:
            failure = _judge(judgement, plan, claims, stop)
            failures += [failure] if failure else []
        outcomes.append(_outcome(judgement.name, claims.imported, failure, stop))
    offset = len(plan.calls)
    for table in plan.tables:
        failure = _judge_table(table, offset, claims, stop) if claims.imported else None
        failures += [failure] if failure else []
        outcomes.append(_outcome(table.name, claims.imported, failure, stop))
        offset += len(table.rows)
    first = import_failure(claims) or next(iter(failures), None) or stop
    return execution(raw, claims, outcomes, first, "oracle", rung)


def read_answers(raw: Raw, nonce: str, plan: Plan) -> Answers:
    """The results of all calls of a run, or why there are none."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return Answers(problem=f"tampered: {error}")
    failure = import_failure(claims) or ended_early(raw, claims)
    if failure is None and claims.errors:
        index, problem = next(iter(sorted(claims.errors.items())))
        failure = Failure("error", problem["type"], f"call {index} raised {problem['text']}")
    if failure is None and len(claims.results) != len(plan.wire):
        failure = Failure("exited_early", "", f"{len(claims.results)} of {len(plan.wire)} calls returned")
    if failure is not None:
        return Answers(problem=f"{failure.verdict}: {failure.error}", cpu_s=raw.cpu_s)
    return Answers(tuple(claims.results[index] for index in range(len(plan.wire))), cpu_s=raw.cpu_s)


def _judge(judgement: Judgement, plan: Plan, claims: Claims, stop: Failure | None) -> Failure | None:
    if judgement.raises:
        return _judge_raise(judgement, plan, claims, stop)
    values = {}
    for node, index in sorted(judgement.slots.items(), key=lambda item: item[1]):
        call = plan.calls[index]
        if index in claims.errors:
            error = claims.errors[index]
            case = FailingCase(call=call.text, got=error["text"].split("\n")[0], expected=expected_text(judgement))
            return raised(error, case)
        if index not in claims.results:
            missing = stop or Failure("exited_early", "", "The process ended before this call had returned.")
            case = FailingCase(call=call.text, got="", expected=expected_text(judgement))
            return Failure(missing.verdict, missing.error_type, missing.error, case)
        values[node] = claims.results[index]
    evaluate = Evaluator(judgement.names, values)
    try:
        if evaluate(judgement.condition):
            return None
    except Exception as error:  # what the assertion itself would have raised
        shown = f"{type(error).__name__}: {shorten(str(error), CASE_CHARS)}"
        for node, value in values.items():
            shown += f"\n  {plan.calls[judgement.slots[node]].text} returned {opaque_text(value)}"
        return raised({"type": type(error).__name__, "text": shown}, failing_case(judgement, plan, values, evaluate))
    case = failing_case(judgement, plan, values, evaluate)
    text = f"{case.call} returned {case.got}, expected {case.expected}{parting(judgement, evaluate)}"
    return Failure("failed", "AssertionError", text, case)


def _judge_raise(judgement: Judgement, plan: Plan, claims: Claims, stop: Failure | None) -> Failure | None:
    (index,) = judgement.slots.values()
    case = FailingCase(call=plan.calls[index].text, got="", expected=f"raises {' or '.join(judgement.raises)}")
    if index in claims.errors:
        error = claims.errors[index]
        if not {error["type"], *error["bases"].split()}.isdisjoint(judgement.raises):
            return None
        return raised(error, case.model_copy(update={"got": error["text"].split("\n")[0]}))
    if index not in claims.results:
        missing = stop or Failure("exited_early", "", "The process ended before this call had returned.")
        return Failure(missing.verdict, missing.error_type, missing.error, case)
    case = case.model_copy(update={"got": opaque_text(claims.results[index])})
    text = f"{case.call} returned {case.got}, expected it to raise {' or '.join(judgement.raises)}"
    return Failure("failed", "AssertionError", text, case)


def _judge_table(table: Table, offset: int, claims: Claims, stop: Failure | None) -> Failure | None:
    """The first call of a table that went wrong; `offset` is the number of its first call."""
    for index, row in enumerate(table.rows):
        call = offset + index
        if call in claims.errors:
            error = claims.errors[call]
            return raised(error, table.case(index, error["text"].split("\n")[0]))
        if call not in claims.results:
            missing = stop or Failure("exited_early", "", "The process ended before this call had returned.")
            return Failure(missing.verdict, missing.error_type, missing.error, table.case(index, ""))
        value = claims.results[call]
        try:
            right = row.holds(value)
        except (TypeError, ValueError, ArithmeticError, RecursionError):
            right = False  # a result that can't be compared with the expected one, for example a set of lists
        if not right:
            case = table.case(index, shorten(opaque_text(value), CASE_CHARS))
            text = f"{case.call} returned {case.got}, expected {case.expected}"
            text += where_parting(value, decode(row.output))
            return Failure("failed", "AssertionError", text, case)
    return None


def _outcome(name: str, imported: bool, failure: Failure | None, stop: Failure | None) -> TestOutcome:
    if not imported or (failure is not None and failure.verdict == "sandbox_error"):
        return TestOutcome(name=name, verdict="not_run")
    if failure is None:
        return TestOutcome(name=name, verdict="passed")
    not_run = stop is not None and failure.verdict == stop.verdict and failure.error == stop.error
    verdict: Literal["failed", "error", "not_run"] = (
        "not_run" if not_run else "failed" if failure.verdict == "failed" else "error"
    )
    return TestOutcome(name=name, verdict=verdict, detail=shorten(failure.error, CASE_CHARS))
