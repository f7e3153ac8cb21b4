"""A model's word on each kept pair: is the difference logical, or only format, names and comments?

In: kept pairs and a ledger. Out: judgements in the store, by the texts of a pair, so that pairing again asks nobody.
The paper's last filter (84k → 59k pairs). A reply that says neither leaves the pair unjudged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iterpref.clients import Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError
from iterpref.programs import extract_program
from iterpref.prompts import json_answer, render
from iterpref.records import Message, PreferencePair, as_messages, fingerprint
from iterpref.store import Store


@dataclass
class JudgeProgress:
    """Counts of one round of judging `pairs`."""

    pairs: int = 0
    judged: int = 0
    cosmetic: int = 0
    without_answer: int = 0
    failed_calls: int = 0

    @property
    def done(self) -> int:
        return self.judged

    @property
    def total(self) -> int:
        return self.pairs

    @property
    def note(self) -> str:
        return f"{self.cosmetic} cosmetic"


def judgement_key(pair: PreferencePair) -> str:
    """Identity of what is judged: the two texts."""
    return fingerprint([pair.chosen, pair.rejected])


async def judge_pairs(
    pairs: Sequence[PreferencePair],
    ledger: Ledger,
    store: Store,
    on_progress: Callable[[JudgeProgress], None] = lambda progress: None,
) -> JudgeProgress:
    """Judge every pair that has no judgement yet.

    Raises:
        BudgetError, EndpointError: Judging must stop; what was judged is stored.
    """
    progress, sampling = JudgeProgress(len(pairs)), Sampling(temperature=0, max_tokens=1024)
    left = (pair for pair in pairs if store.judgement(judgement_key(pair)) is None)
    questions = ((pair, Request(messages=_question(pair), sampling=sampling)) for pair in left)
    async for pair, answer in ask_all(ledger, questions):
        if isinstance(answer, ClientError):
            progress.failed_calls += 1
            continue
        said = json_answer(answer.text) or {}
        if not isinstance(said.get("logical"), bool):
            progress.without_answer += 1
            continue
        store.put_judgement(judgement_key(pair), said["logical"], str(said.get("reason", ""))[:300])
        progress.judged += 1
        progress.cosmetic += not said["logical"]
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
