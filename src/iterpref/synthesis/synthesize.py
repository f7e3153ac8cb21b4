"""Seeds → Task: grow a feature tree, sample from it, let a model draft tasks, keep those whose solution passes.

Seeds are a feature tree (the package's, or one in EpiCoder's format), features extracted from code, code itself
(`inspire`, as in OSS-Instruct), or the user's own instructions, which get a solution and tests. All draws follow from
the seed and all calls go through the ledger, so a killed command ends in the same tasks when it is run again. A draft
whose own solution fails its tests is kept too: debugging begins with the drafted solution and repairs it, as the paper
does; whether its tests are at fault shows later.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from iterpref.clients import Ledger, Request, Sampling, ask_all
from iterpref.clients.ask import as_finished
from iterpref.config import SynthesisConfig
from iterpref.errors import ClientError, ConfigError, EndpointError, RecordError, SandboxError
from iterpref.executor import Executor, lacking_packages
from iterpref.opened_run import OpenedRun
from iterpref.prompts import json_answer
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Task
from iterpref.run_folder import FEATURE_TREE_NOTE, RunFolder
from iterpref.sandbox.remote import AnySandbox
from iterpref.store import Store
from iterpref.synthesis import seeds
from iterpref.synthesis.draft import Draft, Idea, Unusable, read_draft
from iterpref.synthesis.features import Feature, load_tree
from iterpref.waiting import wait_for

RUN_AT_A_TIME = 256  # beside the drafts that are asked for, so that slow solutions don't keep the model waiting
_EVENLY = "evenly: this tree has no counts, so synthesis.temperature changes nothing; synthesis.snippets counts"


@dataclass
class SynthesisProgress:
    """Counts of one synthesis; `unusable`: why replies were no tasks; `features_drawn`: how, where a tree was used."""

    total: int
    done: int = 0
    tasks: int = 0
    solution_passes: int = 0
    failed_calls: int = 0
    why_failed: str = ""
    unusable: dict[str, int] = field(default_factory=dict)
    features_drawn: str = ""

    @property
    def note(self) -> str:
        return f"{self.solution_passes} with a passing solution, {sum(self.unusable.values())} unusable"


def synthesize_run(run: OpenedRun, own: Iterable[tuple[str, str]] = ()) -> SynthesisProgress:
    """Make the tasks that an opened run's configuration asks for; `own`: the user's instructions, as (text, licence).

    Raises: as `Synthesizer.run`.
    """
    prompts, settings = run.prompts, run.config.synthesis
    seeds.check_prompts(settings, prompts)
    with run.sandbox() as sandbox:
        _check_packages(settings, sandbox)
        with run.ledger(run.config.client) as ledger:
            synthesizer = Synthesizer(ledger, run.executor(sandbox), run.store, settings, run.config.seed, own, prompts)
            return wait_for(synthesizer.run(run.shows("synthesize")))


def _check_packages(settings: SynthesisConfig, sandbox: AnySandbox) -> None:
    """ConfigError where drafts may import what no program can import here."""
    if lacking := lacking_packages(sandbox, settings.packages, as_imported=True):
        raise ConfigError(
            f"synthesis.packages: the sandbox's Python has no module {', '.join(lacking)}; install it beside iterpref "
            "(of a service, where that runs), or take it off the list. Names are those of import statements"
        )


@dataclass(frozen=True)
class Synthesizer:
    """The tools of synthesis."""

    ledger: Ledger
    executor: Executor
    store: Store
    settings: SynthesisConfig
    seed: int = 0
    instructions: Iterable[tuple[str, str]] = ()
    """The user's own: (text, licence); with any, features and snippets are not used."""
    prompts: Prompts = SHIPPED

    async def run(self, on_progress: Callable[[SynthesisProgress], None] = lambda p: None) -> SynthesisProgress:
        """Make tasks; writes them, and the tree they came from, into the run.

        Raises:
            RecordError: Seeds that can't be read.
            BudgetError, EndpointError, SandboxError: It must stop; what was answered is stored and not asked for again.
        """
        total, ideas, drawn = await self._ideas()
        progress = SynthesisProgress(total, features_drawn=drawn)
        paid: set[asyncio.Task[Task]] = set()
        work = (self._draft(idea, number, progress, paid) for number, idea in enumerate(ideas))
        made: set[str] = set()
        try:
            asked = self.ledger.at_a_time
            async for task in as_finished(work, None if asked is None else asked + RUN_AT_A_TIME):
                if task:
                    made.add(task.task_id)
                progress.done += 1
                progress.tasks = len(made)
                on_progress(progress)
        finally:  # also when the endpoint stops answering: what is paid for becomes a task
            await asyncio.gather(*paid, return_exceptions=True)
        return progress

    async def _ideas(self) -> tuple[int, Iterable[Idea], str]:
        """How many there are; each when it is its turn, for a hundred thousand prompts are never held at once; and how
        features were drawn for them, "" where none were."""
        if self.settings.instructions:
            own = list(seeds.own(self.settings, self.instructions))
            return len(own), own, ""
        if self.settings.inspire:
            return self.settings.tasks, seeds.inspired(self.settings, self.seed), ""
        tree = await self._tree()
        drawn = _EVENLY if tree.even else f"by their frequencies, at temperature {self.settings.temperature:g}"
        return self.settings.tasks, seeds.sampled(self.settings, self.seed, tree), drawn

    async def _tree(self) -> Feature:
        tree = load_tree(self.settings.tree)
        if self.settings.snippets:
            await self._extract(tree)
        for round_number in range(self.settings.evolve_rounds):
            await self._evolve(tree, round_number)
        self.store.put_note(FEATURE_TREE_NOTE, {"features": tree.nested(), "frequencies": tree.counts()})
        if self.settings.snippets or self.settings.evolve_rounds:
            tree.write(RunFolder(self.store.folder).tree)
        return tree

    async def _extract(self, tree: Feature) -> None:
        """Count the features of the user's code into the tree."""
        for answer in await self._ask_all(seeds.extractions(self.settings, tree, self.prompts)):
            with_counts = _tree_in(answer)
            for path in with_counts.paths() if with_counts else ():
                if path[0] in tree.children:
                    tree.add(path)

    async def _evolve(self, tree: Feature, round_number: int) -> None:
        """Widen and deepen random parts; a new feature is as frequent as its siblings on average."""
        questions = seeds.evolutions(self.settings, self.seed, tree, round_number, self.prompts)
        for answer in await self._ask_all(questions):
            if grown := _tree_in(answer):
                graft(tree, grown)

    async def _draft(
        self, idea: Idea, number: int, progress: SynthesisProgress, paid: set[asyncio.Task[Task]]
    ) -> Task | None:
        """One draft, stored as it comes; it is in `paid` from its answer until then."""
        sampling = Sampling(**self.settings.sampling.model_dump(), seed=self.seed)
        try:
            request = Request(messages=idea.messages(self.prompts), sampling=sampling, sample_index=number)
            call_id, completion = await self.ledger.complete(request)
            license, origin = idea.license or self.settings.license, f"{self.ledger.name}/{idea.form}"
            drafted = read_draft(completion.text, origin, license, idea.instruction, idea.packages)
            draft = drafted.by(self.ledger.name, call_id)
        except Unusable as reason:
            progress.unusable[str(reason)] = progress.unusable.get(str(reason), 0) + 1
            return None
        except EndpointError:
            raise
        except ClientError as error:
            progress.failed_calls += 1
            progress.why_failed = progress.why_failed or str(error)
            return None
        paid.add(keeping := asyncio.create_task(self._keep(draft, progress)))
        keeping.add_done_callback(paid.discard)
        return await asyncio.shield(keeping)

    async def _keep(self, draft: Draft, progress: SynthesisProgress) -> Task:
        """Store the task of a draft, with its solution; where that passes it is the task's reference, too.

        Raises:
            SandboxError: The sandbox broke twice. A task stored without a word on its solution would stay so for ever.
        """
        for _ in range(2):
            _, execution = await self.executor.execute(draft.task, draft.solution)
            if execution.verdict != "sandbox_error":
                break
        else:
            raise SandboxError(
                f"task {draft.task.task_id}: the sandbox failed twice ({execution.error}), which says nothing of its "
                "solution; the reply is kept, so run the same command again"
            )
        progress.solution_passes += execution.passed
        task = draft.task.model_copy(update={"reference": draft.solution}) if execution.passed else draft.task
        self.store.put_tasks([task])
        return task

    async def _ask_all(self, texts: Sequence[str]) -> list[str]:
        """Replies in order; "" for a call that failed."""
        sampling = Sampling(**self.settings.sampling.model_dump(), seed=self.seed)
        requests = [Request.from_user(text, sampling) for text in texts]
        answers = {number: answer async for number, answer in ask_all(self.ledger, enumerate(requests))}
        ordered = [answers[number] for number in range(len(texts))]
        return ["" if isinstance(answer, ClientError) else answer.text for answer in ordered]


def graft(tree: Feature, grown: Feature) -> None:
    """Add what is new in a grown part, as frequent as the mean of its siblings, else as what it refines."""
    known = [child.frequency for child in tree.children.values()]
    usual = sum(known) / len(known) if known else max(tree.frequency, 1.0)
    for name, child in grown.children.items():
        if name not in tree.children:
            tree.children[name] = Feature(usual)
        graft(tree.children[name], child)


def _tree_in(answer: str) -> Feature | None:
    """The feature tree in a reply; None if there is none."""
    try:
        return Feature.read(json_answer(answer), {}, "reply")
    except RecordError:
        return None
