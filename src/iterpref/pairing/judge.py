"""A model's word on each kept pair: is the difference logical, or only format, names and comments?

In: kept pairs and a ledger. Out: judgements in the store, by the texts of a pair, so that pairing again asks nobody.
The paper's last filter (84k → 59k pairs). A reply without a verdict leaves the pair unjudged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from iterpref.clients import Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError
from iterpref.programs import extract_program
from iterpref.prompts import render
from iterpref.prompts.answers import json_answer
from iterpref.records import Message, PreferencePair, as_messages, fingerprint
from iterpref.store import Store

JUDGE_SAMPLING = Sampling(temperature=0, max_tokens=1024)


@dataclass
class JudgeProgress:
    """Counts of one round of judging."""

    judged: int = 0
    cosmetic: int = 0
    without_verdict: int = 0
    failed_calls: int = 0


def judgement_key(pair: PreferencePair) -> str:
    """Identity of what is judged: the two texts."""
    return fingerprint([pair.chosen, pair.rejected])


async def judge_pairs(
    pairs: Iterable[PreferencePair],
    ledger: Ledger,
    store: Store,
    on_progress: Callable[[JudgeProgress], None] = lambda progress: None,
) -> JudgeProgress:
    """Judge every pair that has no judgement yet.

    Raises:
        BudgetError, EndpointError: Judging must stop; what was judged is stored.
    """
    progress = JudgeProgress()
    questions = (
        (pair, Request(messages=_question(pair), sampling=JUDGE_SAMPLING))
        for pair in pairs
        if store.judgement(judgement_key(pair)) is None
    )
    async for pair, answer in ask_all(ledger, questions):
        if isinstance(answer, ClientError):
            progress.failed_calls += 1
            continue
        verdict = json_answer(answer.text) or {}
        if not isinstance(verdict.get("logical"), bool):
            progress.without_verdict += 1
            continue
        store.put_judgement(judgement_key(pair), verdict["logical"], str(verdict.get("reason", ""))[:300])
        progress.judged += 1
        progress.cosmetic += not verdict["logical"]
        on_progress(progress)
    return progress


def _question(pair: PreferencePair) -> tuple[Message, ...]:
    text = render(
        "judge_difference",
        task="\n\n".join(message.content for message in as_messages(pair.prompt)),
        rejected=extract_program(pair.rejected),
        chosen=extract_program(pair.chosen),
    )
    return (Message(role="user", content=text),)
