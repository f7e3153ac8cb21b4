"""Debugging with a function of the caller's in the place of a model: no endpoint, no model folder, no configuration.

    trajectories = debug_with(answer, [Task(task_id="double", prompt="Write double(x).", tests=tests, style="assert")])

In: a conversation → a reply, and tasks. Out: their trajectories. The loop is that of debug.py, sandbox included.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from tempfile import TemporaryDirectory

from iterpref.clients import Completion, Ledger, Request
from iterpref.debugging.check_tasks import check_each
from iterpref.debugging.debug import DebugProgress, debug
from iterpref.debugging.debug_run import with_threads
from iterpref.debugging.debugger import Debugger
from iterpref.errors import ConfigError, EndpointError, IterPrefError, RecordError
from iterpref.opened_run import OpenedRun
from iterpref.opening import open_run
from iterpref.records import Task, Trajectory
from iterpref.waiting import wait_for

Answer = Callable[[list[dict[str, str]]], str]


def debug_with(
    answer: Answer,
    tasks: Iterable[Task],
    run: OpenedRun | None = None,
    *,
    name: str = "",
    max_iterations: int | None = None,
    at_a_time: int = 1,
) -> list[Trajectory]:
    """Let a function write a program for each task, show it what the tests said, and ask again until they pass.

    The debugging of arXiv:2503.02783 (CodeFlow), with the sandbox and the settings of `iterpref debug`.

    Args:
        answer: A conversation of one or more turns, `[{"role": ..., "content": ...}, ...]` as chat templates and APIs
            take it, → the reply, with its program in a code block. For a repair the conversation ends with the last
            program and what its tests said.
        tasks: N tasks; with a run perhaps `run.store.tasks()`.
        run: Keeps tasks, replies and trajectories, so that nothing is asked twice, and the steps of `iterpref.pipeline`
            go on from there. None: nothing is kept.
        name: What answers, such as a checkpoint's path; needed with a run, where another name is asked anew.
        max_iterations: Repairs after the first program; by default the run's `debugging.max_iterations`, 5.
        at_a_time: Tasks under way at once; `answer` is called from as many threads, never from more.

    Returns:
        N trajectories, in the order of the tasks; `status` says whether the last attempt passed.

    Raises:
        RecordError: No program can pass the tests of a task, or its reference fails them; nothing was asked.
        StoreError: The run has a task of this id with other tests.
        ConfigError: A run without a name, or numbers that can't be used.
        ClientError: `answer` returned no text.
        SandboxError: Programs can't be isolated here; IterPrefError: a task's programs could not be run.
        Exception: Whatever `answer` raises; with a run, what was answered before is kept.
    """
    if run is not None:
        if not name:
            raise ConfigError("debug_with: a run needs the name of what answers, such as name='my-model-v1'")
        return _debug(run, answer, name, list(tasks), max_iterations, at_a_time)
    with TemporaryDirectory(prefix="iterpref-") as folder, open_run(folder) as passing:
        return _debug(passing, answer, name or "function", list(tasks), max_iterations, at_a_time)


def _debug(
    run: OpenedRun, answer: Answer, name: str, tasks: list[Task], max_iterations: int | None, at_a_time: int
) -> list[Trajectory]:
    most = run.config.debugging.max_iterations if max_iterations is None else max_iterations
    if most < 0 or at_a_time < 1:
        raise ConfigError(f"debug_with: max_iterations={most}, at_a_time={at_a_time}; expected at least 0 and 1")
    settings = run.config.debugging.model_copy(update={"max_iterations": most, "concurrency": at_a_time})
    run.store.put_tasks(tasks)
    with closing(run.sandbox()) as sandbox:
        ledger = Ledger(_FunctionClient(answer, name), run.store, at_a_time=at_a_time)
        debugger = Debugger(ledger, run.executor(sandbox), run.store, settings, run.config.seed, prompts=run.prompts)
        progress = wait_for(with_threads(sandbox.workers + at_a_time, _checked(run, debugger, tasks)))
    if progress.errors:
        raise IterPrefError(f"{len(progress.errors)} of {len(tasks)} tasks failed; first: {progress.errors[0]}")
    return [found for task in tasks if (found := run.store.trajectory(debugger.trajectory_id(task)))]


async def _checked(run: OpenedRun, debugger: Debugger, tasks: Sequence[Task]) -> DebugProgress:
    """Debug the tasks, unless some can't be passed: the caller named each of them, so none is left out silently."""
    bad = (await check_each(tasks, len(tasks), debugger.executor, run.shows("check"))).bad
    if bad:
        task_id, cause = next(iter(bad.items()))
        raise RecordError(f"{len(bad)} of {len(tasks)} tasks can't be used; task {task_id}: {cause}")
    return await debug(debugger, tasks, len(tasks), run.shows("debug"))


class _FunctionClient:
    """A function as a client."""

    def __init__(self, answer: Answer, name: str) -> None:
        self._answer = answer
        self.name = name

    async def complete(self, request: Request) -> Completion:
        messages = [message.model_dump() for message in request.messages]
        text = await asyncio.to_thread(self._answer, messages)
        if not isinstance(text, str):
            raise EndpointError(f"{self.name}: the function returned {type(text).__name__}, expected the reply's text")
        return Completion(text=text)

    def close(self) -> None: ...
