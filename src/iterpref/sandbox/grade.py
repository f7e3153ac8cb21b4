"""What a worker sent back → Execution: the only place where a verdict is made.

In: how a run ended, what its channel claims, and the plan or the test count the host made beforehand. Out: an
`Execution`. Standard output is never read for a verdict, except by style `stdio`, where it is the answer.
"""

import ast
import copy
import signal
from dataclasses import dataclass
from typing import Any, Literal

from iterpref.records import Execution, FailingCase, Isolation, TestOutcome, Trust, Verdict

from .channel import Claims, Raw, Tampered, TestClaim, read_claims
from .codec import opaque_text
from .expressions import Evaluator
from .frames import shorten
from .plan import Judgement, Plan
from .tables import Table

_KEPT = 8192  # characters of each stream in a record
_CASE = 300
_LIMIT_VERDICTS: dict[str, Verdict] = {
    "cpu_s": "timeout",
    "wall_s": "timeout",
    "memory_bytes": "out_of_memory",
    "output_bytes": "output_limit",
    "result_bytes": "output_limit",
}


@dataclass(frozen=True)
class Answers:
    """What a program's calls returned, decoded, in order; `problem` says why there is nothing."""

    values: tuple[Any, ...] = ()
    cpu_s: float = 0.0
    problem: str = ""


@dataclass
class Failure:
    """Why an execution did not pass."""

    verdict: Verdict
    error_type: str = ""
    error: str = ""
    case: FailingCase | None = None


def execution(
    raw: Raw, claims: Claims | None, tests: list[TestOutcome], failure: Failure | None, trust: Trust, rung: Isolation
) -> Execution:
    """The record; `failure` None means that it passed."""
    return Execution(
        verdict=failure.verdict if failure else "passed",
        trust=trust,
        isolation=rung,
        phase="test" if claims is None or claims.imported else "import",
        error_type=failure.error_type if failure else "",
        error=failure.error if failure else "",
        tests=tuple(tests),
        failing_case=failure.case if failure else None,
        stdout=text(raw.stdout),
        stderr=text(raw.stderr),
        wall_s=round(raw.wall_s, 6),
        cpu_s=round(raw.cpu_s, 6),
        max_rss_bytes=raw.max_rss_bytes,
    )


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
            case = table.case(index, shorten(opaque_text(value), _CASE))
            text = f"{case.call} returned {case.got}, expected {case.expected}"
            return Failure("failed", "AssertionError", text, case)
    return None


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


def _outcome(name: str, imported: bool, failure: Failure | None, stop: Failure | None) -> TestOutcome:
    if not imported or (failure is not None and failure.verdict == "sandbox_error"):
        return TestOutcome(name=name, verdict="not_run")
    if failure is None:
        return TestOutcome(name=name, verdict="passed")
    not_run = stop is not None and failure.verdict == stop.verdict and failure.error == stop.error
    verdict: Literal["failed", "error", "not_run"] = (
        "not_run" if not_run else "failed" if failure.verdict == "failed" else "error"
    )
    return TestOutcome(name=name, verdict=verdict, detail=shorten(failure.error, _CASE))


def _judge(judgement: Judgement, plan: Plan, claims: Claims, stop: Failure | None) -> Failure | None:
    if judgement.raises:
        return _judge_raise(judgement, plan, claims, stop)
    values = {}
    for node, index in sorted(judgement.slots.items(), key=lambda item: item[1]):
        call = plan.calls[index]
        if index in claims.errors:
            error = claims.errors[index]
            case = FailingCase(call=call.text, got=error["text"].split("\n")[0], expected=_expected(judgement))
            return raised(error, case)
        if index not in claims.results:
            missing = stop or Failure("exited_early", "", "The process ended before this call had returned.")
            case = FailingCase(call=call.text, got="", expected=_expected(judgement))
            return Failure(missing.verdict, missing.error_type, missing.error, case)
        values[node] = claims.results[index]
    evaluate = Evaluator(judgement.names, values)
    try:
        if evaluate(judgement.condition):
            return None
    except Exception as error:  # what the assertion itself would have raised
        shown = f"{type(error).__name__}: {shorten(str(error), _CASE)}"
        return raised({"type": type(error).__name__, "text": shown}, _case(judgement, plan, values, evaluate))
    case = _case(judgement, plan, values, evaluate)
    return Failure("failed", "AssertionError", f"{case.call} returned {case.got}, expected {case.expected}", case)


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


def _sides(judgement: Judgement) -> tuple[ast.expr, ast.expr] | None:
    """(side with a call, side without) of `call == constant`, whichever way round."""
    condition = judgement.condition
    if not (isinstance(condition, ast.Compare) and len(condition.ops) == 1):
        return None
    if not isinstance(condition.ops[0], ast.Eq | ast.Is):
        return None
    sides = [condition.left, condition.comparators[0]]
    with_call = [any(id(node) in judgement.slots for node in ast.walk(side)) for side in sides]
    if with_call == [True, False]:
        return sides[0], sides[1]
    return (sides[1], sides[0]) if with_call == [False, True] else None


def _expected(judgement: Judgement) -> str:
    sides = _sides(judgement)
    if sides is None:
        return ""
    try:
        return shorten(opaque_text(Evaluator(judgement.names)(sides[1])), _CASE)
    except Exception:  # an expected value that can't be computed: the judgement itself says so
        return ""


def _case(judgement: Judgement, plan: Plan, values: dict[int, Any], evaluate: Evaluator) -> FailingCase:
    texts = {node: plan.calls[index].text for node, index in judgement.slots.items()}
    sides = _sides(judgement)
    if sides is not None:
        try:
            got = opaque_text(evaluate(sides[0]))
        except Exception as error:
            got = f"{type(error).__name__}: {shorten(str(error), _CASE)}"
        return FailingCase(call=shorten(_source(sides[0], texts), _CASE), got=got, expected=_expected(judgement))
    condition = shorten(_source(judgement.condition, texts), _CASE)
    if not values:
        return FailingCase(call=condition, got="False", expected="True")
    node, value = next(iter(values.items()))
    return FailingCase(call=texts[node], got=opaque_text(value), expected=f"a value for which {condition}")


def _source(node: ast.expr, texts: dict[int, str]) -> str:
    """The expression as source, with the calls written out."""

    class Writer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.Name(texts[id(node)]) if id(node) in texts else self.generic_visit(copy.copy(node))

        def generic_visit(self, node: ast.AST) -> ast.AST:
            for name, value in ast.iter_fields(node):
                if isinstance(value, list):
                    setattr(node, name, [self.visit(item) if isinstance(item, ast.AST) else item for item in value])
                elif isinstance(value, ast.AST):
                    setattr(node, name, self.visit(value))
            return node

    return ast.unparse(Writer().visit(node))


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
        outcomes.append(TestOutcome(name=test.name, verdict=test.verdict, detail=shorten(detail, _CASE)))
        if test.verdict in ("failed", "error"):
            failures.append(_test_failure(test))
    missing = [name for name in required if not any(reports_on(test.name, name) for test in claims.tests)]
    outcomes += [TestOutcome(name=name, verdict="not_run") for name in missing]
    first = import_failure(claims) or next(iter(failures), None) or stop or _unproven(claims, missing, may_skip)
    return execution(raw, claims, outcomes, first, "in_process", rung)


def reports_on(reported: str, required: str) -> bool:
    """`test_a.T.test_x`, `test_a.py::T::test_x[1]` report test `test_x`."""
    base = reported.split("[")[0]
    return base == required or base.endswith(("." + required, "::" + required))


def _test_failure(test: TestClaim) -> Failure:
    case = FailingCase(**test.case) if test.case else None
    error = test.error or {"type": "", "text": ""}
    if test.verdict == "error":
        return raised(error, case)
    text = error["text"]
    if case is not None and text.startswith("AssertionError\n"):  # a bare assert: say what it compared
        text = f"{case.call} returned {case.got}, expected {case.expected}{text[len('AssertionError') :]}"
    return Failure("failed", error["type"], text, case)


def _unproven(claims: Claims, missing: list[str], may_skip: bool) -> Failure | None:
    """A run in which nothing failed, but not everything was seen to pass."""
    if missing:
        return Failure("exited_early", "", f"These tests did not report: {', '.join(missing[:5])}")
    passed = [test for test in claims.tests if test.verdict == "passed"]
    if not passed:
        return Failure("unverified", "", "No test reported a pass.")
    if len(passed) < len(claims.tests) and not may_skip:
        return Failure("unverified", "SkipTest", "A test was skipped, but the test file skips none.")
    return None


def ended_early(raw: Raw, claims: Claims) -> Failure | None:
    """How the process ended, if not by coming to the end of its tests."""
    if raw.limit:
        return Failure(_LIMIT_VERDICTS[raw.limit], raw.limit, f"The run hit its limit {raw.limit}.")
    if raw.status < 0:
        name = _signal_name(-raw.status)
        return Failure("crashed", name, f"The process was killed by {name}.")
    if not claims.ended:
        return Failure("exited_early", "", f"The process ended with exit code {raw.status} before its tests had.")
    return None


def import_failure(claims: Claims) -> Failure | None:
    return raised(claims.import_error, None) if claims.import_error is not None else None


def raised(error: dict[str, str], case: FailingCase | None) -> Failure:
    """The verdict on an exception."""
    verdicts: dict[str, Verdict] = {"MemoryError": "out_of_memory", "SystemExit": "exited_early"}
    return Failure(verdicts.get(error["type"], "error"), error["type"], error["text"], case)


def tampered(raw: Raw, error: Exception, trust: Trust, rung: Isolation) -> Execution:
    failure = Failure("tampered", "", f"The result channel carried {shorten(str(error), _CASE)}")
    return execution(raw, None, [], failure, trust, rung)


def text(stream: bytes) -> str:
    """A stream for a record: decoded, head and tail."""
    return shorten(stream.decode("utf-8", errors="replace"), _KEPT)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def judge_script(raw: Raw, nonce: str, name: str, stdin: str, expected: str, rung: Isolation) -> Execution:
    """Compare standard output with what is expected, line by line, blanks at line ends and at the end aside."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered as error:
        return tampered(raw, error, "oracle", rung)
    got = raw.stdout.decode("utf-8", errors="replace")
    case = FailingCase(call=shorten(stdin, 300), got=shorten(got, 300), expected=shorten(expected, 300))
    failure = import_failure(claims) or ended_early(raw, claims)
    if failure is not None and failure.verdict == "exited_early" and raw.status == 0 and claims.import_error is None:
        failure = None  # os._exit(0) is a way to end a script
    if failure is None and _lines(got) != _lines(expected):
        failure = Failure("failed", "AssertionError", "The program printed something else.")
    if failure is not None:
        failure.case = case
    verdict = "passed" if failure is None else "failed" if failure.verdict == "failed" else "error"
    outcome = TestOutcome.model_validate(
        {"name": name, "verdict": verdict, "detail": shorten(failure.error, 300) if failure else ""}
    )
    claims.imported = True
    return execution(raw, claims, [outcome], failure, "oracle", rung)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
