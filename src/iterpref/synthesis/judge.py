"""A model's scores for the tests of a task: accurate, effective, reasonable? The last and dearest of the checks.

In: measured test qualities and a ledger. Out: the same records with scores from 1 to 5, in the store. The paper judges
a thousand samples this way and drops none; here a threshold may (`pairing.min_judge_score`).
"""

import asyncio
from dataclasses import dataclass

from iterpref.clients import Ledger, Request, Sampling
from iterpref.errors import ClientError, EndpointError
from iterpref.prompts import render
from iterpref.prompts.answers import json_answer
from iterpref.records import Message, Task, TestQuality, as_messages, program_hash
from iterpref.store import Store
from iterpref.synthesis.validate import passing_programs

SCORES = ("accuracy", "effectiveness", "reasonableness")
JUDGE_SAMPLING = Sampling(temperature=0, max_tokens=1024)
AT_A_TIME = 64


@dataclass
class TestJudgeProgress:
    """Counts of one round."""

    __test__ = False

    judged: int = 0
    without_scores: int = 0
    failed_calls: int = 0


async def judge_tests(store: Store, ledger: Ledger) -> TestJudgeProgress:
    """Score the tests of every measured task that has no scores yet.

    Raises:
        BudgetError, EndpointError: Judging must stop; what was judged is stored.
    """
    progress = TestJudgeProgress()
    window = asyncio.Semaphore(AT_A_TIME)

    async def one(quality: TestQuality, question: str) -> None:
        async with window:
            try:
                request = Request(messages=(Message(role="user", content=question),), sampling=JUDGE_SAMPLING)
                _, completion = await ledger.complete(request)
            except EndpointError:
                raise
            except ClientError:
                progress.failed_calls += 1
                return
        scores = read_scores(completion.text)
        if scores is None:
            progress.without_scores += 1
            return
        store.put_quality(quality.model_copy(update={"judge": scores}))
        progress.judged += 1

    work = []
    for task, program in passing_programs(store):
        quality = store.quality(task.task_id, program_hash(program))
        if quality is not None and not quality.judge:
            work.append(one(quality, _question(task, program)))
    await asyncio.gather(*work)
    return progress


def read_scores(reply: str) -> dict[str, int] | None:
    """The three scores in a reply; None unless all are there and from 1 to 5."""
    answer = json_answer(reply) or {}
    scores = {name: answer.get(name) for name in SCORES}
    if not all(isinstance(score, int) and not isinstance(score, bool) and 1 <= score <= 5 for score in scores.values()):
        return None
    return {name: int(str(score)) for name, score in scores.items()}


def _question(task: Task, program: str) -> str:
    return render(
        "judge_tests",
        task="\n\n".join(message.content for message in as_messages(task.prompt)),
        solution=program,
        tests="\n\n".join(f"```\n{test.content}\n```" for test in task.tests),
    )
