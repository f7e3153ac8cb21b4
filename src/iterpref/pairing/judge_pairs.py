"""A model's word on each kept pair: is the difference logical, or only format, names and comments?

In: kept pairs and a ledger. Out: judgements in the store, by the texts of a pair, so that pairing again asks nobody.
The paper's last filter (84k → 59k pairs). A reply that says neither leaves the pair unjudged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.clients import Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError
from iterpref.programs import code_of
from iterpref.prompts import json_answer
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Message, PreferencePair, as_messages, fingerprint
from iterpref.store import Store


@dataclass
class JudgeProgress:
    """Counts of one round of judging `pairs`, of which so many were `known` before."""

    pairs: int = 0
    known: int = 0
    judged: int = 0
    cosmetic: int = 0
    without_answer: int = 0
    failed_calls: int = 0
    why_failed: str = ""

    @property
    def done(self) -> int:
        return self.known + self.judged + self.without_answer + self.failed_calls

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
    *,
    again: bool = False,
    prompts: Prompts = SHIPPED,
) -> JudgeProgress:
    """Judge every pair that has no judgement yet, however that was asked for; with `again` every pair.

    Raises:
        BudgetError, EndpointError: Judging must stop; what was judged is stored.
    """
    sampling = Sampling(temperature=0, max_tokens=1024)
    left = [pair for pair in pairs if again or store.judgement(judgement_key(pair)) is None]
    progress = JudgeProgress(len(pairs), known=len(pairs) - len(left))
    questions = ((pair, Request(messages=_question(pair, prompts), sampling=sampling)) for pair in left)
    async for pair, answer in ask_all(ledger, questions):
        if isinstance(answer, ClientError):
            progress.failed_calls += 1
            progress.why_failed = progress.why_failed or str(answer)
        else:
            _count(progress, store, pair, json_answer(answer.text) or {})
        on_progress(progress)
    return progress


def _count(progress: JudgeProgress, store: Store, pair: PreferencePair, said: dict[str, Any]) -> None:
    """Store what a reply says of a pair, if it says anything."""
    if not isinstance(said.get("logical"), bool):
        progress.without_answer += 1
        return
    store.put_judgement(judgement_key(pair), said["logical"], str(said.get("reason", ""))[:300])
    progress.judged += 1
    progress.cosmetic += not said["logical"]


def _question(pair: PreferencePair, prompts: Prompts = SHIPPED) -> tuple[Message, ...]:
    text = prompts.render(
        "judge_difference",
        task="\n\n".join(message.content for message in as_messages(pair.prompt)),
        rejected=code_of(pair.rejected),
        chosen=code_of(pair.chosen),
    )
    return (Message(role="user", content=text),)
