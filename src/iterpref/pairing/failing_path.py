"""Which lines of a failing program ran in the call that failed: a trace in the sandbox, and its exception's frames.

In: a task and a failing attempt. Out: line numbers, or None where they can't be had: the program never ran (a syntax
error), was ended by a limit, or fails otherwise when it is watched. One run more per program, two where the failing
call can't be repeated by itself. Not here: the watching (`Sandbox.measure`), what becomes of D⁻ (pair.py).
"""

import ast
import re
from collections.abc import Collection, Iterator

from iterpref.programs import syntax_tree
from iterpref.records import Attempt, Execution, Limits, Task, TestFile
from iterpref.sandbox import Job
from iterpref.sandbox.remote import AnySandbox

_FRAME = re.compile(r"  line (\d+)[,:]")  # of the program; frames of other files name them


class FailingPath:
    """Measures failing programs, each once. `limits` replace the tasks' own."""

    def __init__(self, sandbox: AnySandbox, seed: int = 0, limits: Limits | None = None) -> None:
        self._sandbox = sandbox
        self._seed = seed
        self._limits = limits
        self._found: dict[str, frozenset[int] | None] = {}

    def lines(self, task: Task, attempt: Attempt) -> frozenset[int] | None:
        """Numbers (from 1) of the lines of `attempt.program` that ran; a statement that ran counts with all its lines.

        Raises:
            SandboxError: The sandbox is closed.
        """
        if attempt.execution.verdict not in ("failed", "error"):
            return None
        jobs = self._jobs(task, attempt)
        key = jobs[-1].key
        if key not in self._found:
            self._found[key] = next(filter(None, (self._measured(job, attempt.execution) for job in jobs)), None)
        return self._found[key]

    def _jobs(self, task: Task, attempt: Attempt) -> list[Job]:
        """The failing call alone, if it can be written as a test, and all tests."""
        job = Job.from_task(task, attempt.program, seed=self._seed)
        limits = self._limits or job.limits
        # Watched code is slower; more than this would only be spent on endless loops.
        job = job.model_copy(update={"limits": limits.at_least(limits.cpu_s * 2 + 2, limits.wall_s * 2 + 5)})
        case = attempt.execution.failing_case
        if case is None or case.kind != "call":
            return [job]
        text = f"assert ({case.call}) == ({case.expected})"
        if not _parses(text):  # it was cut, or expects something else than a value
            text = case.call
        alone = {"style": "assert", "tests": (TestFile(path="failing_call.py", content=text),)}
        return [job.model_copy(update=alone), job] if _parses(text) else [job]

    def _measured(self, job: Job, before: Execution) -> frozenset[int] | None:
        measured = self._sandbox.measure(job)
        found = measured.execution
        if measured.problem or (found.verdict, found.error_type) != (before.verdict, before.error_type):
            return None
        ran = {abs(line) for arc in measured.arcs for line in arc}  # below 0: where a function is entered or left
        frames = {int(match[1]) for frame in before.frames for match in [_FRAME.match(frame)] if match}
        return frozenset(_whole_statements(job.program, ran | frames)) if measured.arcs else None


def _parses(text: str) -> bool:
    try:
        syntax_tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _whole_statements(program: str, ran: Collection[int]) -> Iterator[int]:
    """Lines that ran, and the other lines of statements of which one did: of those with a body, up to the body."""
    yield from ran
    for node in ast.walk(syntax_tree(program)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            stop = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            lines = range(node.lineno, max(stop, node.lineno + 1))
            if not set(lines).isdisjoint(ran):
                yield from lines
