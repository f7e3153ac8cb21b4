"""`CodeReward`: completions and the rows that they answer → rewards, by running them against the rows' tests.

A failing program earns 0, and so does a pass that can't be vouched for (`unverified`: someone games the tests).
That a run was late, or the sandbox broke, says nothing about the program, so it is `None` and counted. A batch is never
answered later than its deadline. What trainers pass and want back differs: adapters.py.
"""

import os
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial as partial_function
from typing import Any, Literal

from pydantic import ValidationError

from iterpref.errors import IterPrefError, RecordError, SandboxError
from iterpref.programs import extract_program
from iterpref.records import Execution, Limits, Style
from iterpref.sandbox import Job, Sandbox

from .adapters import TrainerSignatures
from .metrics import RewardMetrics
from .row_tasks import RowTasks
from .shared import share_of, shared_sandbox
from .short_first import RunsOnce, ShortFirst

SHORT = Limits(cpu_s=5.0, wall_s=15.0)


class CodeReward(TrainerSignatures):
    """The reward of a completion: whether its program passes its row's tests, or the share of them that it passes.

    B completions → B rewards from 0 to 1, None where there is no verdict; the reward of GRPO (arXiv:2402.03300) and its
    like. `metrics` counts what became of the runs.

    Args:
        partial: Give the share of tests that passed instead of 1 or 0.
        deadline_s: A batch is answered after so many seconds, whatever still runs; what is late is None.
        columns: Our name of a task's part (`tests`, `entry_point`, `prefix`, `test_setup`, `reference`) → the column
            of the data set. Tests are looked for in `tests`, `test_list`, `test`, `test_cases`.
        style: How tests are run; `auto` goes by the row's own `style` where it names one, else by what they define.
        limits: Of each run.
        sandbox: Where programs run; without one a sandbox that all rewards of a process share, started with the first
            batch. Such a reward may be pickled, and used in a process that was forked.

    Raises:
        ConfigError: `columns` names a part that tasks don't have.
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
        self._settings: dict[str, Any] = {
            "partial": partial, "deadline_s": deadline_s, "columns": columns, "style": style, "limits": limits,
            "sandbox": sandbox,
        }  # fmt: skip
        self._task = RowTasks(columns or {}, style, limits)
        self._sandbox = sandbox
        self._made_in = os.getpid()
        self._runs: tuple[int, ShortFirst] | None = None  # of which process
        self._lock = threading.Lock()
        self._usable = self._told_of_sandbox = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Its settings; the counts begin anew."""
        return partial_function(CodeReward, **self._settings), ()

    def score(self, completions: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
        """A reward for each completion, in order; `None` where there is no verdict.

        Raises:
            RecordError: A row can't be used, and none before it could. Later a row that can't be used is `None`,
                counted, and told of once: days of training don't end for it.
            SandboxError: No sandbox can be started here, or the one given belongs to another process.
        """
        began = time.monotonic()
        short_first, deadline = self._of_this_process(), began + self.deadline_s
        runs: list[Future[Execution] | float | None] = []
        problems: list[IterPrefError] = []  # of rows
        try:
            for number, (completion, row) in enumerate(zip(completions, rows, strict=True)):
                runs.append(self._start(short_first, completion, row, number, deadline, problems))
            wait(_running(runs), timeout=max(0.0, deadline - time.monotonic()))
            rewards = [self._reward(run, n, problems) if isinstance(run, Future) else run for n, run in enumerate(runs)]
        finally:
            for run in _running(runs):  # whatever ended the batch, nobody waits for these any more
                run.cancel()
        if problems:
            self._tell(problems)
        self.metrics.add(
            batches=1,
            rewards=len(rewards),
            no_verdict=rewards.count(None),
            batch_s=time.monotonic() - began,
        )
        return rewards

    def _of_this_process(self) -> ShortFirst:
        """A process that was forked has none of its parent's threads and may not speak to its parent's workers."""
        with self._lock:
            if self._runs is None or self._runs[0] != os.getpid():
                if isinstance(self._sandbox, Sandbox) and self._made_in != os.getpid():
                    raise SandboxError(
                        "CodeReward: its sandbox belongs to the process that made it; make the reward where it is used"
                    )
                shared = self._sandbox or shared_sandbox()
                threads = shared.workers if self._sandbox else share_of(shared.workers)
                self._runs = os.getpid(), ShortFirst(shared, threads, self.metrics)
            return self._runs[1]

    def _start(
        self,
        short_first: ShortFirst,
        completion: Any,
        row: Mapping[str, Any],
        number: int,
        deadline: float,
        problems: list[IterPrefError],
    ) -> "Future[Execution] | float | None":
        """The run of a completion, or its reward where there is nothing to run."""
        if time.monotonic() > deadline:
            self.metrics.add(late=1)
            return None
        try:
            task = self._task(row, number)
            program = extract_program(text_of(completion, number), task.entry_point)
            job = Job.from_task(task, program)
        except IterPrefError as error:
            problems.append(error)
            return None
        except ValidationError as error:  # of the job: a path that can't be
            problems.append(RecordError(f"row {number}: {error.errors()[0]['msg']}"))
            return None
        if not program:
            self.metrics.add(no_program=1)
            return 0.0
        return short_first.submit(job)

    def _reward(self, run: "Future[Execution]", number: int, problems: list[IterPrefError]) -> float | None:
        if run.cancel():
            self.metrics.add(late=1)
            return None
        try:
            execution = run.result()
        except SandboxError as error:  # closed, a tool that a style needs isn't installed, a service refuses
            if not self._usable:
                raise
            self._broken(str(error))
            return None
        except RecordError as error:
            problems.append(error)
            return None
        except Exception as error:
            self._broken(f"{type(error).__name__}: {error}")
            return None
        if execution.verdict == "unverified" and not execution.tests:  # tests that were found are told of
            problems.append(RecordError(f"row {number}: no test found in its tests; name another style"))
            return None
        if execution.verdict == "sandbox_error":
            self._broken(execution.error)
            return None
        self._usable = True
        return self._graded(execution)

    def _broken(self, why: str) -> None:
        """A run that says nothing about its program; told once."""
        if not self._told_of_sandbox:
            self._told_of_sandbox = True
            warnings.warn(f"no reward: {why} (told once; metrics.no_verdict counts)", RuntimeWarning, stacklevel=4)

    def _graded(self, execution: Execution) -> float:
        if execution.passed or not self.partial or execution.verdict == "unverified" or not execution.tests:
            return float(execution.passed)
        return sum(test.verdict == "passed" for test in execution.tests) / len(execution.tests)

    def _tell(self, problems: Sequence[IterPrefError]) -> None:
        """Of rows whose tests can't be run: raise where none ever could, else count them."""
        if not self._usable:
            raise problems[0]
        if not self.metrics.add(unusable_rows=len(problems)):
            text = f"no reward: {problems[0]} (told once; metrics.unusable_rows counts)"
            warnings.warn(text, RuntimeWarning, stacklevel=3)


def _running(runs: Sequence[Any]) -> list["Future[Execution]"]:
    return [run for run in runs if isinstance(run, Future)]


def text_of(completion: Any, number: int) -> str:
    """The text of a completion, given as text or as chat messages, whose last one counts; "" where it has none (a call
    of a tool); RecordError for what is no completion."""
    last = completion[-1] if isinstance(completion, list | tuple) and completion else completion
    content = last
    if isinstance(last, Mapping) and "content" in last:
        content = last["content"] or ""
        if isinstance(content, list):
            content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    if not isinstance(content, str):
        raise RecordError(f"completion {number}: {type(completion).__name__}; expected text or chat messages")
    return content
