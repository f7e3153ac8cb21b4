"""A model's scores for the tests of a task: accurate, effective, reasonable? The last and dearest of the checks.

In: measured test qualities and a ledger. Out: the same records with scores from 1 to 5, in the store. The paper judges
a thousand samples this way and drops none; here a threshold may (`pairing.min_judge_score`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from iterpref.clients import Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError
from iterpref.opened_run import OpenedRun
from iterpref.prompts import json_answer
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Task, TestQuality, as_messages, program_hash
from iterpref.store import Store
from iterpref.synthesis.validate_run import passing_programs
from iterpref.waiting import wait_for

SCORES = ("accuracy", "effectiveness", "reasonableness")


@dataclass
class TestJudgeProgress:
    """Counts of one round."""

    __test__ = False

    judged: int = 0
    without_scores: int = 0
    failed_calls: int = 0
    why_failed: str = ""


def score_run(run: OpenedRun) -> TestJudgeProgress:
    """`judge_tests` of an opened run, by its judge."""
    prompts = run.prompts
    with run.judge_ledger() as ledger:
        return wait_for(judge_tests(run.store, ledger, again=run.asks_again, prompts=prompts))


async def judge_tests(
    store: Store, ledger: Ledger, *, again: bool = False, prompts: Prompts = SHIPPED
) -> TestJudgeProgress:
    """Score the tests of every measured task that has no scores yet; with `again` those of all.

    Raises:
        BudgetError, EndpointError: Judging must stop; what was judged is stored.
    """
    progress = TestJudgeProgress()
    async for quality, answer in ask_all(ledger, _questions(store, again, prompts)):
        if isinstance(answer, ClientError):
            progress.failed_calls += 1
            progress.why_failed = progress.why_failed or str(answer)
        elif (scores := read_scores(answer.text)) is None:
            progress.without_scores += 1
        else:
            store.put_quality(quality.model_copy(update={"judge": scores}))
            progress.judged += 1
    return progress


def read_scores(reply: str) -> dict[str, int] | None:
    """The three scores in a reply; None unless all are there and from 1 to 5."""
    answer = json_answer(reply) or {}
    scores = {name: score for name in SCORES if type(score := answer.get(name)) is int and 1 <= score <= 5}
    return scores if len(scores) == len(SCORES) else None


def _questions(store: Store, again: bool, prompts: Prompts) -> Iterator[tuple[TestQuality, Request]]:
    for task, program in passing_programs(store):
        quality = store.quality(task.task_id, program_hash(program))
        if quality is not None and (again or not quality.judge):
            yield (
                quality,
                Request.from_user(_question(task, program, prompts), Sampling(temperature=0, max_tokens=1024)),
            )


def _question(task: Task, program: str, prompts: Prompts = SHIPPED) -> str:
    return prompts.render(
        "judge_tests",
        task="\n\n".join(message.content for message in as_messages(task.prompt)),
        solution=program,
        tests="\n\n".join(f"```\n{test.content}\n```" for test in task.tests),
    )
