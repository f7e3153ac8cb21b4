"""Pair → PairDiagnosis: let a model continue it from each place, run what it wrote, count what passes.

In: pairs with their tasks, a ledger, an executor, a store. Out: diagnoses in the store, one the moment a pair is done.
A pair is diagnosed whole or not at all; calls and executions of one that was not are in the ledger and the cache. Equal
beginnings are one place for the model: their draws are the same.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from iterpref.clients import Completion, Ledger, Request, Sampling
from iterpref.clients.ask import as_finished
from iterpref.config import DiagnosisConfig
from iterpref.diagnosis.places import began_anew, prefixes, program_of, stops
from iterpref.errors import ClientError, EndpointError, RecordError, SandboxError
from iterpref.executor import Executor
from iterpref.records import Continued, Message, PairDiagnosis, Place, PreferencePair, Task, as_messages, fingerprint
from iterpref.store import Store

Subject = tuple[PreferencePair, Task]
# Any request with a begun turn, to learn how the client marks those.
_BEGUN = Request(messages=(Message(role="user", content=""), Message(role="assistant", content="")))


@dataclass
class DiagnosisProgress:
    """Counts of diagnosing `total` pairs, of which so many were `known` before; `skipped`: why others can't be."""

    total: int
    skipped: Counter[str] = field(default_factory=Counter)
    known: int = 0
    failed: int = 0
    why_failed: str = ""
    found: list[PairDiagnosis] = field(default_factory=list)

    @property
    def done(self) -> int:
        return len(self.found) + self.failed

    @property
    def note(self) -> str:
        return f"{self.failed} failed" if self.failed else ""


@dataclass(frozen=True)
class Diagnoser:
    """The continuations of one pair, and the tools they take; `diagnose` runs it over many."""

    ledger: Ledger
    executor: Executor
    store: Store
    settings: DiagnosisConfig
    seed: int = 0
    may_begin_anew: bool = True
    """Whether answers may ignore what was begun: a server's, never those of a model in this process."""

    @property
    def protocol(self) -> str:
        """How the model is asked, in words."""
        sampling, samples = self.settings.sampling, self.settings.samples
        how = f"T={sampling.temperature:g}, top_p={sampling.top_p:g}" if sampling.temperature else "greedy"
        manner = self.ledger.manner(_BEGUN)
        said = f"{how}, {samples} from each place, at most {sampling.max_tokens} new tokens, seed {self.seed}"
        return f"{said}, {manner}" if manner else said

    @property
    def asked(self) -> str:
        """The key of this model and way of asking."""
        return fingerprint([self.ledger.name, self.protocol])

    def known(self, pair: PreferencePair) -> PairDiagnosis | None:
        """The pair's diagnosis by this model, if nothing is left to do for it; not where all is asked again."""
        return None if self.ledger.since else self.store.diagnosis(pair, self.asked)

    async def run(self, pair: PreferencePair, task: Task) -> PairDiagnosis:
        """Diagnose one pair, and store what came of it.

        Raises:
            ClientError, SandboxError, RecordError: A continuation could not be had, or not be run.
            BudgetError: The next call is not paid for. All that were under way ended first.
        """
        found = self.known(pair)
        if found is None:
            found = PairDiagnosis(
                pair_id=pair.pair_id,
                task_id=pair.task_id,
                content_hash=pair.content_hash,
                model=self.ledger.name,
                protocol=self.protocol,
                places=await self._places(pair, task),
            )
        self.store.put_diagnosis(self.asked, found)  # also a known one: of several models the last one counts
        return found

    async def check_continues(self, pairs: Sequence[PreferencePair]) -> None:
        """Ask for one continuation, which counts like any other, before all others: one that can't be mistaken.

        Raises:
            EndpointError: What answers can't continue a begun turn.
        """
        prefix, pair = max(((prefixes(pair)["before_removed"], pair) for pair in pairs), key=lambda cut: len(cut[0]))
        if not prefix:
            return
        try:
            completion = await self._ask(pair, prefix, 0)
        except EndpointError:
            raise
        except ClientError:
            return  # that is about this request, and is counted with its pair
        if began_anew(prefix, completion.text) or not completion.text.strip():
            said = f"began anew with {completion.text[:60]!r}" if completion.text.strip() else "said nothing"
            raise EndpointError(
                f"{self.ledger.name}: asked to continue an answer that was begun, it {said}; iterpref diagnose "
                "needs continuations. Set client.prefill to a way that the server knows, take another server, or load "
                "the model in this process (client.kind=local). One call was made"
            )

    async def _places(self, pair: PreferencePair, task: Task) -> tuple[Continued, ...]:
        cuts, samples = prefixes(pair), self.settings.samples
        work = (self._one(pair, task, prefix, index) for prefix in cuts.values() for index in range(samples))
        every = await asyncio.gather(*work, return_exceptions=True)  # what is paid for is stored before one raises
        outcomes: list[bool | None] = []
        for outcome in every:
            if isinstance(outcome, BaseException):
                raise outcome
            outcomes.append(outcome)
        return tuple(
            _counted(place, outcomes[start : start + samples])
            for place, start in zip(cuts, range(0, len(outcomes), samples), strict=True)
        )

    async def _one(self, pair: PreferencePair, task: Task, prefix: str, index: int) -> bool | None:
        """Whether one continuation passes; None for an answer that is none."""
        completion = await self._ask(pair, prefix, index)
        if self.may_begin_anew and began_anew(prefix, completion.text):
            return None
        program = program_of(task, prefix, completion.text)
        _, execution = await self.executor.execute(task, program, cut=completion.finish_reason == "length")
        if execution.verdict == "sandbox_error":
            raise SandboxError(f"the sandbox could not run a program ({execution.error}); run again to retry")
        return execution.passed

    async def _ask(self, pair: PreferencePair, prefix: str, index: int) -> Completion:
        begun = (Message(role="assistant", content=prefix),) if prefix else ()
        sampling = Sampling(**self.settings.sampling.model_dump(), seed=self.seed, stop=stops(prefix))
        messages = (*as_messages(pair.prompt), *begun)
        request = Request(messages=messages, sampling=sampling, sample_index=index, healed=bool(begun))
        return (await self.ledger.complete(request))[1]


def _counted(place: Place, outcomes: Sequence[bool | None]) -> Continued:
    """`None` stands for an answer that was no continuation."""
    anew = outcomes.count(None)
    return Continued(place=place, run=len(outcomes) - anew, passed=outcomes.count(True), began_anew=anew)


async def diagnose(
    diagnoser: Diagnoser,
    subjects: Sequence[Subject],
    progress: DiagnosisProgress,
    on_progress: Callable[[DiagnosisProgress], None] = lambda progress: None,
) -> DiagnosisProgress:
    """Diagnose many pairs. One whose calls or executions fail is counted and doesn't stop the others.

    Raises:
        BudgetError, EndpointError: It must stop; what was paid for is stored.
    """
    new = [pair for pair, _ in subjects if diagnoser.known(pair) is None]
    progress.known = len(subjects) - len(new)
    at_a_time = diagnoser.ledger.at_a_time
    if new and diagnoser.may_begin_anew and at_a_time is not None:  # of a batch, one question alone may take a day
        await diagnoser.check_continues(new)

    async def one(subject: Subject) -> PairDiagnosis | str:
        try:
            return await diagnoser.run(*subject)
        except EndpointError:
            raise
        except (ClientError, RecordError, SandboxError) as error:
            return f"pair {subject[0].pair_id}: {error}"

    limit = None if at_a_time is None else 1 + at_a_time // diagnoser.settings.samples
    async for outcome in as_finished(map(one, subjects), limit):
        if isinstance(outcome, str):
            progress.failed += 1
            progress.why_failed = progress.why_failed or outcome
        else:
            progress.found.append(outcome)
        on_progress(progress)
    return progress
