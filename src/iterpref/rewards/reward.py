"""`CodeReward`: completions and the rows that they answer → rewards, by running them against the rows' tests.

A failing program earns 0, and so does a pass that can't be vouched for (`unverified`: someone games the tests).
That a run was late, or the sandbox broke, says nothing about the program, so it is `None` and counted. A batch is never
answered later than its deadline. What trainers pass and want back differs: adapters.py.
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, Literal

from iterpref.errors import IterPrefError, RecordError
from iterpref.programs import extract_program
from iterpref.records import Execution, Limits, Style
from iterpref.sandbox import Job

from .adapters import TrainerSignatures
from .metrics import RewardMetrics
from .row_tasks import RowTasks
from .shared import share_of, shared_sandbox
from .short_first import RunsOnce, ShortFirst

SHORT = Limits(cpu_s=5.0, wall_s=15.0)


class CodeReward(TrainerSignatures):
    """The reward of a completion: whether its program passes its row's tests, or the share of them that it passes.

    Args:
        partial: Give the share of tests that passed instead of 1 or 0.
        deadline_s: A batch is answered after so many seconds, whatever still runs; what is late is None.
        columns: Our name of a task's part (`tests`, `entry_point`, `prefix`, `test_setup`, `reference`) → the column
            of the data set. Tests are looked for in `tests`, `test_list`, `test`, `test_cases`.
        style: How tests are run; `auto` goes by the row's own `style` where it names one, else by what they define.
        limits: Of each run.
        sandbox: Where programs run; without one a sandbox that all rewards of this process share.

    Raises:
        ConfigError: `columns` names a part that tasks don't have.
        SandboxError: No sandbox can be started here.
    """

    def __init__(
        self,
        *,
        partial: bool = False,
        deadline_s: float = 120.0,
        columns: Mapping[str, str] | None = None,
        style: Style | Literal["auto"] = "auto",
        limits: Limits = SHORT,
        sandbox: RunsOnce | None = None,
    ) -> None:
        self.partial, self.deadline_s = partial, deadline_s
        self.metrics = RewardMetrics()
        self._task = RowTasks(columns or {}, style, limits)
        shared = sandbox or shared_sandbox()
        self._runs = ShortFirst(shared, shared.workers if sandbox else share_of(shared.workers), self.metrics)
        self._usable = self._told_of_sandbox = False

    def score(self, completions: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
        """A reward for each completion, in order; `None` where there is no verdict.

        Raises:
            RecordError: A row can't be used, and none before it could. Later a row that can't be used is `None`,
                counted, and told of once: days of training don't end for it.
        """
        began = time.monotonic()
        pairs = zip(completions, rows, strict=True)
        runs = [self._start(completion, row, number) for number, (completion, row) in enumerate(pairs)]
        wait([run for run in runs if isinstance(run, Future)], timeout=began + self.deadline_s - time.monotonic())
        rewards = [self._reward(run, n) if isinstance(run, Future) else run for n, run in enumerate(runs)]
        self.metrics.add(
            batches=1,
            rewards=len(rewards),
            no_verdict=rewards.count(None),
            batch_s=time.monotonic() - began,
        )
        return rewards

    def _start(self, completion: Any, row: Mapping[str, Any], number: int) -> "Future[Execution] | float | None":
        """The run of a completion, or its reward where there is nothing to run."""
        try:
            task = self._task(row, number)
            program = extract_program(text_of(completion, number), task.entry_point)
            job = Job.from_task(task, program)
        except IterPrefError as error:
            self._unusable(error)
            return None
        if not program:
            self.metrics.add(no_program=1)
            return 0.0
        return self._runs.submit(job)

    def _reward(self, run: "Future[Execution]", number: int) -> float | None:
        if run.cancel():
            self.metrics.add(late=1)
            return None
        try:
            execution = run.result()
            if execution.verdict == "unverified" and not execution.tests:  # tests that were found are told of
                raise RecordError(f"row {number}: no test found in its tests; name another style")
        except IterPrefError as error:
            self._unusable(error)
            return None
        self._usable = True
        if execution.verdict != "sandbox_error":
            return self._graded(execution)
        if not self._told_of_sandbox:
            self._told_of_sandbox = True
            warnings.warn(
                f"no reward: {execution.error} (told once; metrics.no_verdict counts)", RuntimeWarning, stacklevel=3
            )
        return None

    def _graded(self, execution: Execution) -> float:
        if execution.passed or not self.partial or execution.verdict == "unverified" or not execution.tests:
            return float(execution.passed)
        return sum(test.verdict == "passed" for test in execution.tests) / len(execution.tests)

    def _unusable(self, error: IterPrefError) -> None:
        """Tell of a row whose tests can't be run, or raise the error where no row could be used yet."""
        if not self._usable:
            raise error
        if not self.metrics.add(unusable_rows=1):
            warnings.warn(f"no reward: {error} (told once; metrics.unusable_rows counts)", RuntimeWarning, stacklevel=4)


def text_of(completion: Any, number: int) -> str:
    """The text of a completion, given as text or as chat messages, whose last one counts; RecordError for others."""
    last = completion[-1] if isinstance(completion, list | tuple) and completion else completion
    content = last.get("content") if isinstance(last, Mapping) else last
    if not isinstance(content, str):
        raise RecordError(f"completion {number}: {type(completion).__name__}; expected text or chat messages")
    return content
