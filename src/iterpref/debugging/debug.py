"""Task → Trajectory: attempt, execute, show the model what failed, attempt again, until the tests pass.

A task that a model drafted came with a program: that is the first attempt, and no call is made for one (paper).
In: tasks, a ledger (model calls), an executor (sandboxed runs), a store. Out: closed trajectories in the store. A
killed run ends in the same records when it is run again: finished trajectories are skipped, and the calls and
executions of unfinished ones come from the store. Tests are never shown for editing: every execution uses the task's
own, whatever the model wrote.

`mode: sampling` draws independent programs instead of repairs, for comparison at equal calls per task.
Paper: arXiv:2503.02783, section on CodeFlow; at most five repairs. Not here: which version becomes chosen (`pairing`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from iterpref.clients import Completion, Ledger, Request, Sampling
from iterpref.clients.ask import as_finished
from iterpref.config import DebuggingConfig
from iterpref.errors import BudgetError, ClientError, EndpointError, RecordError, SandboxError
from iterpref.executor import NO_PROGRAM, Executor
from iterpref.feedback import USUAL, feedback_named
from iterpref.programs import extract
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Attempt, DraftedProgram, Execution, Message, Task, Trajectory, as_messages, fingerprint
from iterpref.store import Store
from iterpref.task_tests import trim

Feedback = Callable[[Task, int, Execution], str]
RUN_AT_A_TIME = 256  # tasks beside those that a model is asked about, so that slow programs don't keep it waiting


@dataclass
class DebugProgress:
    """Counts while debugging runs. `passed[i]`: tasks that passed first at iteration i; `left_out`: task id → why no
    model is asked about it; `empty_replies`: replies without a program, `empty_reply` one of them; `cut_replies`:
    replies that were cut at `max_tokens` before their program ended, and failed."""

    total: int
    passed: list[int]
    done: int = 0
    failed_tools: int = 0
    errors: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    empty_replies: int = 0
    empty_reply: str = ""
    cut_replies: int = 0

    @property
    def pass_rates(self) -> list[float]:
        """Share of the finished tasks that passed within i iterations, for each i."""
        return [sum(self.passed[: i + 1]) / max(1, self.done) for i in range(len(self.passed))]

    @property
    def note(self) -> str:
        """In counts: the first tasks to finish are those that passed, and their share would say too much."""
        by_iteration = " ".join(str(sum(self.passed[: i + 1])) for i in range(len(self.passed)))
        empty = f", {self.empty_replies} replies without a program" if self.empty_replies else ""
        cut = f", {self.cut_replies} failing replies cut at max_tokens" if self.cut_replies else ""
        return f"{sum(self.passed)} of {self.done} finished passed, by iteration: {by_iteration}{empty}{cut}"


@dataclass(frozen=True)
class Debugger:
    """The loop over one task, and the tools it uses; `debug` runs it over many."""

    ledger: Ledger
    executor: Executor
    store: Store
    settings: DebuggingConfig
    seed: int = 0
    feedback: Feedback | None = None
    """What a model reads before it tries again; default: as the settings say. Experiments pass controls of theirs."""
    repair_ledger: Ledger | None = None
    """Answers repairs; default: `ledger`. A student's own first attempts, repaired by a teacher."""
    prompts: Prompts = SHIPPED

    def __post_init__(self) -> None:
        feedback_named(self.settings.feedback)

    async def run(self, task: Task) -> Trajectory:
        """Bring one task to a closed trajectory; costs nothing where it is closed already.

        Raises:
            ClientError: The model can't answer. The attempts made so far are stored, and a later run goes on.
            BudgetError: The next call is not paid for; likewise.
        """
        trajectory_id = self.trajectory_id(task)
        if stored := self.closed(task):
            return stored
        stands = self._stands(task, self.store.trajectory(trajectory_id))
        known = {a.iteration: a for a in self.store.attempts(trajectory_id)} if stands else {}
        attempts: list[Attempt] = []
        keys: list[str] = []
        status: Literal["passed", "unresolved", "failed_tools"] = "unresolved"
        for iteration in range(self.settings.max_iterations + 1):
            attempt, execution_key = await self._attempt(task, iteration, attempts, known.get(iteration))
            if attempt.execution.verdict == "sandbox_error":
                status = "failed_tools"
                break
            attempts.append(attempt)
            keys.append(execution_key)
            unwritten = 1
            if not stands and (iteration or self._draft(task) is None):  # the new answer has come
                self.store.forget_trajectory(trajectory_id)
                stands, unwritten = True, len(attempts)
            for made, key in zip(attempts[-unwritten:], keys[-unwritten:], strict=True):
                self.store.put_attempt(trajectory_id, task.task_id, made, key)
            if attempt.execution.passed:
                status = "passed"
                if not self._draws_all:
                    break
        trajectory = Trajectory(
            trajectory_id=trajectory_id,
            task_id=task.task_id,
            attempts=tuple(attempts),
            status=status,
            client=" + ".join(self._authors(task)),
            seed=self.seed,
            origin=self.settings.mode,
        )
        self.store.put_trajectory(trajectory)
        return trajectory

    def closed(self, task: Task) -> Trajectory | None:
        """The task's trajectory if nothing is left to do for it."""
        stored = self.store.trajectory(self.trajectory_id(task))
        return stored if stored and self._stands(task, stored) and self._is_closed(stored) else None

    def trajectory_id(self, task: Task) -> str:
        """Task, mode, and a hash of what the programs depend on; more iterations continue the same trajectory."""
        drafted = self._draft(task) is not None
        settings = settings_identity(self._names(task), self.settings, self.seed, drafted, self.prompts)
        return f"{task.task_id}:{self.settings.mode}:{settings}"

    @property
    def at_a_time(self) -> int | None:
        """Tasks in flight at once; None: all, so that a client of batches gets each iteration as one wave."""
        asked = [ledger.at_a_time for ledger in self._ledgers]
        if None in asked:
            return None
        return self.settings.concurrency or sum(filter(None, asked)) + RUN_AT_A_TIME

    @property
    def _ledgers(self) -> list[Ledger]:
        return [self.ledger, *([self.repair_ledger] if self.repair_ledger else [])]

    def _names(self, task: Task) -> list[str]:
        """The models that are asked about a task: with a draft only the one that repairs."""
        return [ledger.name for ledger in (self._ledgers[-1:] if self._draft(task) else self._ledgers)]

    def _authors(self, task: Task) -> list[str]:
        """The models that a trajectory's programs are of: the draft's, and where it is another one the repairs'."""
        draft, asked = self._draft(task), self._names(task)
        return [draft.client, *asked] if draft and draft.client not in ("", *asked) else asked

    def _draft(self, task: Task) -> DraftedProgram | None:
        """The program that debugging begins with, where no call is made for a first one."""
        return task.draft if self.settings.drafts and self.settings.mode == "debugging" else None

    @property
    def _draws_all(self) -> bool:
        return self.settings.mode == "sampling" and self.settings.draws == "all"

    def _stands(self, task: Task, trajectory: Trajectory | None) -> bool:
        """Whether the answers it is made of are still taken: `--again` asks anew, but for what came with the task."""
        asked = trajectory.attempts[1 if self._draft(task) else 0 :] if trajectory else ()
        return all(self.ledger.takes(attempt.call_id) for attempt in asked[:1])

    def _is_closed(self, trajectory: Trajectory) -> bool:
        if trajectory.status == "unresolved" or (trajectory.status == "passed" and self._draws_all):
            return len(trajectory.attempts) > self.settings.max_iterations
        return trajectory.status == "passed"

    async def _attempt(
        self, task: Task, iteration: int, earlier: list[Attempt], known: Attempt | None
    ) -> tuple[Attempt, str]:
        """`known`: this attempt as an earlier command stored it."""
        draft = None if earlier else self._draft(task)
        if draft:
            call_id, completion = draft.call_id, Completion(text=draft.program)
            program, is_open = draft.program, False
        else:
            call_id, completion = await self._ask(task, iteration, earlier)
            program, is_open = extract(completion.text, task.entry_point)
        cut = completion.finish_reason == "length"
        if known is not None and known.completion == completion.text:
            program = known.program  # whatever cut it then: what a model saw of it must stay, or it would be paid anew
        elif self.settings.trim:
            program = trim(task, program)
        execution_key, execution = await self.executor.execute(task, program, cut=cut)
        last = execution.passed or iteration == self.settings.max_iterations
        attempt = Attempt(
            iteration=iteration,
            program=program,
            completion=completion.text,
            execution=execution,
            call_id=call_id,
            feedback=None if last or self.settings.mode == "sampling" else self._told(task, iteration, execution),
            cut=cut and is_open,
        )
        return attempt, execution_key

    async def _ask(self, task: Task, iteration: int, earlier: list[Attempt]) -> tuple[str, Completion]:
        """The call for an attempt, and the reply."""
        request = Request(
            messages=self._messages(task, earlier),
            sampling=Sampling(**self.settings.sampling.model_dump(), seed=self.seed),
            # Also for repairs: a model that returned the same wrong program again must be able to answer differently.
            sample_index=iteration,
        )
        ledger = self.repair_ledger if earlier and self.repair_ledger else self.ledger
        return await ledger.complete(request)

    def _told(self, task: Task, iteration: int, execution: Execution) -> str:
        if self.feedback is not None:
            return self.feedback(task, iteration, execution)
        return feedback_named(self.settings.feedback)(execution)

    def _messages(self, task: Task, earlier: list[Attempt]) -> tuple[Message, ...]:
        """The task; for a repair also the last program and what its tests said."""
        prompt = as_messages(task.prompt)
        if not earlier or self.settings.mode == "sampling":
            return prompt
        last = earlier[-1]
        feedback = last.feedback or self._told(task, last.iteration, last.execution)
        return (*prompt, *self.prompts.repair_turns(last.program, last.completion, feedback))


def settings_identity(
    names: Sequence[str], settings: DebuggingConfig, seed: int, drafted: bool, prompts: Prompts
) -> str:
    """What programs depend on beside their task: the models that are asked, and how; ends a trajectory's id."""
    other = [] if settings.feedback == USUAL else [settings.feedback]
    other += [] if settings.trim else ["untrimmed"]
    other += ["draft"] if drafted else []
    other += [worded] if (worded := prompts.identity("repair")) else []
    return fingerprint([*names, settings.sampling.model_dump(), seed, *other])[:8]


async def debug(
    debugger: Debugger, tasks: Iterable[Task], total: int, on_progress: Callable[[DebugProgress], None] | None = None
) -> DebugProgress:
    """Debug many tasks, streamed.

    A task whose tools fail (the model can't answer, the sandbox is broken) is counted and doesn't stop the others.

    Raises:
        BudgetError: The budget is used up; tasks under way were ended first where that cost nothing.
        EndpointError: The endpoint answers nothing.
    """
    progress = DebugProgress(total=total, passed=[0] * (debugger.settings.max_iterations + 1))

    async def one(task: Task) -> Trajectory | str:
        try:
            return await debugger.run(task)
        except EndpointError:
            raise
        except (ClientError, RecordError, SandboxError) as error:
            return f"task {task.task_id}: {error}"

    try:
        async for outcome in as_finished(map(one, tasks), debugger.at_a_time):
            _count(progress, outcome)
            if on_progress:
                on_progress(progress)
    except BudgetError as error:
        raise BudgetError(f"{progress.done} of {total} tasks are finished; {error}") from None
    return progress


def _count(progress: DebugProgress, outcome: Trajectory | str) -> None:
    """Count a trajectory, or what kept a task from one."""
    progress.done += 1
    if isinstance(outcome, str):
        progress.failed_tools += 1
        progress.errors.append(outcome)
        return
    for attempt in outcome.attempts:
        if attempt.execution.error_type == NO_PROGRAM:
            progress.empty_replies += 1
            progress.empty_reply = progress.empty_reply or attempt.completion
        progress.cut_replies += attempt.cut and not attempt.execution.passed
    if outcome.status == "passed":
        # A trajectory of an earlier run with more iterations may have passed later than this run asks for.
        first = next(attempt.iteration for attempt in outcome.attempts if attempt.execution.passed)
        if first < len(progress.passed):
            progress.passed[first] += 1
    elif outcome.status == "failed_tools":
        progress.failed_tools += 1
        progress.errors.append(f"task {outcome.task_id}: the sandbox could not run its program; run again to retry")
