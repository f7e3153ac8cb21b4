"""How programs failed: each kind with one example, so that there is something to look at when nothing passes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from iterpref.analysis.funnel import ErrorRow, KindTally
from iterpref.records import Attempt, Message, as_messages
from iterpref.store import Store

from .steps import feedback_on

MOST_EXAMPLES = 6


@dataclass(frozen=True)
class FailedExample:
    """One failing attempt; `messages` are empty where its task isn't in the run."""

    kind: str
    task_id: str
    attempt: Attempt
    messages: tuple[Message, ...]
    said: str


@dataclass(frozen=True)
class Failing:
    """Kinds of failure, the most frequent first, and examples of the first of them.

    `tasks` were tried, `passed` of them passed; `no_word`: trajectories that the tools failed, which say nothing about
    the model; `given_up`: calls without an answer, the last one for the reason `last_error`; `cut`: failing replies
    that were cut at `max_tokens` before their program ended.
    """

    tasks: int
    passed: int
    no_word: int
    rows: list[ErrorRow]
    examples: list[FailedExample]
    given_up: int
    last_error: str
    cut: int

    @property
    def nothing_passed(self) -> bool:
        """Something was tried or given up, and no task was solved."""
        return not self.passed and bool(self.tasks or self.given_up)


def failing(store: Store, kinds: KindTally, solved: Mapping[str, bool], no_word: int) -> Failing:
    """`solved`: task → whether it was, of those that were tried."""
    rows = kinds.rows
    return Failing(
        tasks=len(solved),
        passed=sum(solved.values()),
        no_word=no_word,
        rows=rows,
        examples=list(_examples(store, kinds, [row.name for row in rows[:MOST_EXAMPLES]])),
        given_up=store.count("dead_letters"),
        last_error=store.last_dead_letter(),
        cut=kinds.cut,
    )


def _examples(store: Store, kinds: KindTally, names: list[str]) -> Iterator[FailedExample]:
    for kind in names:
        trajectory_id, iteration = kinds.examples[kind]
        trajectory = store.trajectory(trajectory_id)
        if trajectory is None:  # another process works on the run
            continue
        attempt = next(a for a in trajectory.attempts if a.iteration == iteration)
        task = store.find_task(trajectory.task_id)
        messages = as_messages(task.prompt) if task is not None else ()
        yield FailedExample(kind, trajectory.task_id, attempt, messages, feedback_on(attempt))
