"""Task → Trajectory: attempt, execute, show the model what failed, attempt again, until the tests pass.

A task that a model drafted came with a program: that is the first attempt, and no call is made for one (paper).
In: a task, a ledger (model calls), an executor (sandboxed runs), a store. Out: a closed trajectory in the store. A
killed run ends in the same record when it is run again: its calls and executions come from the store. Tests are never
shown for editing: every execution uses the task's own, whatever the model wrote.

`mode: sampling` draws independent programs instead of repairs, for comparison at equal calls per task.
Paper: arXiv:2503.02783, section on CodeFlow; at most five repairs. Not here: many tasks at once (debug.py); which
version becomes chosen (`pairing`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from iterpref.clients import Completion, Ledger, Request, Sampling
from iterpref.config import DebuggingConfig
from iterpref.executor import Executor
from iterpref.feedback import USUAL, feedback_named
from iterpref.programs import extract
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Attempt, DraftedProgram, Execution, Message, Task, Trajectory, as_messages, fingerprint
from iterpref.store import Store
from iterpref.task_tests import trim

Feedback = Callable[[Task, int, Execution], str]
RUN_AT_A_TIME = 256  # tasks beside those that a model is asked about, so that slow programs don't keep it waiting


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
