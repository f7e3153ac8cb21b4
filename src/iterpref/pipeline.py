"""READ FIRST: the whole method, arrow by arrow.

    tasks → trajectories → pairs → checkpoint → results → report

Each step reads and writes records in one run folder, so that each can be run alone, repeated, or continued after a
kill; the CLI's verbs are these functions.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

from iterpref.analysis.dataset import dataset_facts
from iterpref.analysis.funnel import FilterRow, pair_funnel
from iterpref.checkpoint_scorer import checkpoint_scorer
from iterpref.clients import Budget, Ledger, Price, open_client
from iterpref.clients.serve import served
from iterpref.config import BudgetConfig, ClientConfig, Config, DebuggingConfig
from iterpref.debugging.debug import Debugger, DebugProgress, debug
from iterpref.debugging.estimate import estimate
from iterpref.errors import ConfigError, StoreError
from iterpref.evaluation.answers import Generated, Recorded
from iterpref.evaluation.benchmarks import Window, load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.evaluation.samples import read_samples, write_samples
from iterpref.exporting import FORMATS, dataset_card, push_to_hub, write_export
from iterpref.exporting.write import DATA_FILE
from iterpref.importing import (
    detect_format,
    import_mapped_tasks,
    import_pairs,
    import_recorded,
    import_tasks,
    read_instructions,
)
from iterpref.pairing.dataset import PARQUET, write_dataset
from iterpref.pairing.filters import estimated_tokens
from iterpref.pairing.judge import JudgeProgress, judge_pairs
from iterpref.pairing.pair import pair
from iterpref.pairing.quality import program_hash
from iterpref.parallel import Shard, run_many, shards_folder
from iterpref.playground.coder import coder_path
from iterpref.records import Result, Task
from iterpref.sandbox import Executor, Sandbox
from iterpref.sandbox.remote import RemoteSandbox
from iterpref.store import DATABASE, Store
from iterpref.synthesis.judge import judge_tests
from iterpref.synthesis.revise import revise, revision_summary
from iterpref.synthesis.synthesize import SynthesisProgress, Synthesizer
from iterpref.synthesis.validate import Validator, failing_programs, passing_programs, summarize, validate
from iterpref.training.train import TrainSummary, train
from iterpref.viewer.report import write_report

T = TypeVar("T")


class OnProgress(Protocol):
    """Told how far a step has come."""

    def __call__(self, what: str, done: int, total: int, note: str) -> None: ...


def quiet(what: str, done: int, total: int, note: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Export:
    """Pairs written for another trainer; `focal` says whether their wrong lines survive there."""

    pairs: int
    folder: str
    format: str
    focal: str
    url: str = ""


@dataclass(frozen=True)
class Run:
    """One run folder with its configuration."""

    store: Store
    config: Config
    on_progress: OnProgress = quiet

    def run(self) -> None:
        """The main job, every arrow once; what is done already is not done again."""
        self.evaluate(self.config.model)
        self.debug()
        self.pair()
        self.train()
        self.evaluate(str(self.model_folder))
        self.report()

    def import_source(self, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
        """Tasks, recorded runs, or existing pairs → records; returns what was found, by the source's kind.

        `columns` (name → column) adds to `importing.columns`. Where it names the tests, the source holds tasks.
        """
        columns = {**self.config.importing.columns, **columns}
        if "tests" in columns:
            settings = self.config.importing.model_copy(update={"columns": columns})
            return import_mapped_tasks(source, self.store, settings).model_dump()
        kind = detect_format(source, columns)
        if kind == "tasks":
            return import_tasks(source, self.store).model_dump()
        if kind == "pairs":
            return import_pairs(source, self.store, columns, self.config.importing.split).model_dump()
        with open_sandbox(self.config) as sandbox:
            show = partial(self.on_progress, "import", note="")
            return import_recorded(source, self.store, sandbox, self.config.limits, show).model_dump(mode="json")

    def synthesize(self) -> dict[str, Any]:
        """Features or snippets → tasks, drafted by the configured model."""
        budget = Budget(self.config.budget, self.store)
        with self.ledger(self.config.client, budget) as ledger, open_sandbox(self.config) as sandbox:
            executor = Executor(sandbox, self.store, self.config.seed, self.config.limits)
            settings = self.config.synthesis
            own = read_instructions(settings.instructions, self.config.importing) if settings.instructions else ()
            made = Synthesizer(ledger, executor, self.store, settings, self.config.seed, own)
            return asdict(asyncio.run(made.run(self._show_synthesis)))

    def _show_synthesis(self, progress: SynthesisProgress) -> None:
        note = f"{progress.solution_passes} with a passing solution, {progress.unusable.total()} unusable"
        self.on_progress("synthesize", progress.done, progress.total, note)

    def debug(self, settings: DebuggingConfig | None = None) -> DebugProgress:
        """Tasks → trajectories."""
        settings = settings or self.config.debugging
        if self.config.parallel.backend != "serial" and self.config.parallel.what == "shards":
            self._debug_in_parallel(settings)
        tasks = self.store.tasks(settings.split)
        total = self.store.count("tasks", *(("split = ?", settings.split) if settings.split else ()))
        if not total:
            where = f" of split {settings.split}" if settings.split else ""
            raise StoreError(f"{self.store.folder}: no tasks{where} to debug; import some first (iterpref import FILE)")
        with ExitStack() as tools:
            budget = Budget(self.config.budget, self.store)
            ledger = tools.enter_context(self.ledger(self.config.client, budget))
            repair = self.config.repair_client if settings.mode == "debugging" else None
            repair_ledger = tools.enter_context(self.ledger(repair, budget)) if repair else None
            sandbox = open_grading(self.config)
            tools.callback(sandbox.close)
            executor = Executor(sandbox, self.store, self.config.seed, self.config.limits)
            debugger = Debugger(ledger, executor, self.store, settings, self.config.seed, repair_ledger=repair_ledger)
            show = partial(self._show_debugging, settings.mode, budget)
            return asyncio.run(_with_threads(sandbox.workers, debug(debugger, tasks, total, show)))

    def _debug_in_parallel(self, settings: DebuggingConfig) -> None:
        """Debug in shards and bring them together; the pass over all tasks that follows finds nothing left to do."""
        parallel = self.config.parallel
        config = self.config.model_copy(update={"debugging": settings})
        parts = [Shard(number, parallel.shards) for number in range(1, parallel.shards + 1)]
        work = [(self.store.folder.resolve(), config, part) for part in parts]
        try:
            for done, _ in enumerate(run_many(_debug_one_shard, work, parallel.backend, parallel.workers), start=1):
                self.on_progress("shards", done, parallel.shards, "")
        finally:  # what the others finished counts, also where one had to stop
            merge_shards(self.store)

    def estimate_debugging(self) -> dict[str, int | float | str]:
        """Calls and US dollars that `debug` would take; makes no call."""
        return estimate(self.store, self.config.debugging, self.config.client, self.config.repair_client)

    def pair(self) -> list[FilterRow]:
        """Trajectories and imported pairs → focal preference pairs, in the store and as `pairs/`."""
        settings = self.config.pairing
        count = token_counter(settings.tokenizer) if settings.tokenizer else estimated_tokens
        self.store.replace_pairs(pair(self.store, settings, self.config.seed, count))
        funnel = pair_funnel(self.store.pairs())
        card = self._card(PARQUET, FORMATS["trl"].focal)
        write_dataset(self.pairs_folder, self.store.pairs(kept=True), card)
        return funnel

    def export(self, folder: Path, format_name: str, repository: str | None = None, *, private: bool = True) -> Export:
        """Kept pairs → `folder` in another trainer's format, and to the hub where a repository is named."""
        target = FORMATS.get(format_name)
        if target is None:
            raise ConfigError(f"--format {format_name}: expected one of trajectories, {', '.join(FORMATS)}")
        card = self._card(DATA_FILE, target.focal)
        pairs = write_export(folder, self.store.pairs(kept=True), target, card)
        url = push_to_hub(folder, repository, private=private) if repository else ""
        return Export(pairs, str(folder), target.name, target.focal, url)

    def _card(self, data_file: str, focal: str) -> str:
        settings = self.config.pairing.model_dump() | {"seed": self.config.seed}
        return dataset_card(dataset_facts(self.store), settings, data_file, focal)

    def validate(self) -> dict[str, Any]:
        """Tasks → how far their tests can be trusted, by the programs that pass them; and by those that fail."""
        settings, store = self.config.validation, self.store
        workers = self.config.sandbox.workers or len(os.sched_getaffinity(0))
        stronger = self._stronger_tasks() if settings.stronger_tests else {}
        validator = Validator(settings, partial(open_sandbox, self.config), self.config.seed, stronger)

        def left(task: Task, program: str) -> bool:
            found = store.quality(task.task_id, program_hash(program))
            return found is None or found.failing or (found.stronger is None and validator.stronger(task) is not None)

        def unknown(task: Task, program: str) -> bool:
            return store.quality(task.task_id, program_hash(program)) is None

        passing = [subject for subject in passing_programs(store) if left(*subject)]
        failing = [subject for subject in failing_programs(store) if unknown(*subject)] if settings.failing else []
        work = chain(validate(validator.validate, passing, workers), validate(validator.run_again, failing, workers))
        try:
            for done, quality in enumerate(work, start=1):
                store.put_quality(quality)
                self.on_progress("validate", done, len(passing) + len(failing), "")
        finally:
            validator.close()
        return summarize(store.qualities(), store.qualities(failing=True))

    def _stronger_tasks(self) -> dict[str, Task]:
        settings = self.config.validation
        with open_sandbox(self.config) as sandbox:
            name = settings.stronger_tests or ""
            benchmark = load_benchmark(name, path=settings.stronger_path, sandbox=lambda: sandbox)
        return {task.task_id: task for task in benchmark.tasks}

    def judge(self, tests: bool = False) -> dict[str, int]:
        """Kept pairs → a model's word on whether their difference is logical; or its scores for the tests."""
        budget = Budget(self.config.budget, self.store)
        with self.ledger(self.config.judge_client or self.config.client, budget) as ledger:
            if tests:
                return asdict(asyncio.run(judge_tests(self.store, ledger)))
            pairs = list(self.store.pairs(kept=True))
            show = partial(self._show_judging, len(pairs))
            return asdict(asyncio.run(judge_pairs(pairs, ledger, self.store, show)))

    def revise(self) -> dict[str, float | int]:
        """Unsolved tasks whose tests contradict them → new tasks with revised tests."""
        budget = Budget(self.config.budget, self.store)
        with self.ledger(self.config.judge_client or self.config.client, budget) as ledger:
            return revision_summary(self.store, asyncio.run(revise(self.store, ledger)))

    def _show_judging(self, total: int, progress: JudgeProgress) -> None:
        self.on_progress("judge", progress.judged, total, f"{progress.cosmetic} cosmetic")

    def train(self) -> TrainSummary:
        """Pairs → checkpoint in `model/`."""
        return train_run(self.store.folder, self.config, self.on_progress)

    def evaluate(self, model: str, samples: Path | None = None, sanitized: bool = False) -> Result:
        """Model (or a file of its samples) → Result on the configured benchmark, also written to `results/`."""
        settings, seed = self.config.evaluation, self.config.seed
        with open_sandbox(self.config) as sandbox:
            benchmark = load_benchmark(
                settings.benchmark,
                settings.split,
                settings.tasks,
                seed,
                settings.path,
                lambda: sandbox,
                Window(settings.since, settings.until, settings.difficulty),
            )
            score = partial(
                evaluate,
                benchmark,
                sandbox=sandbox,
                store=self.store,
                settings=settings,
                seed=seed,
                limits=self.config.limits,
                on_progress=partial(self.on_progress, "evaluate"),
            )
            if samples is not None:
                given = read_samples(samples, benchmark.tasks, sanitized, benchmark.broken)
                result = asyncio.run(score(Recorded(given, benchmark.tasks, settings.k)))
            else:
                local = self.config.client.model_copy(update={"kind": "local"})
                client = (settings.client or local).model_copy(update={"model": model})
                budget = Budget(self.config.budget, self.store) if settings.client else None
                with self.ledger(client, budget) as ledger:
                    result = asyncio.run(score(Generated(ledger, benchmark, settings, seed)))
        folder = self.store.folder / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"{result.result_id}.json").write_text(result.model_dump_json(indent=1), encoding="utf-8")
        write_samples(result, folder / f"{result.result_id}.samples.jsonl")
        return result

    def report(self) -> Path:
        """Everything above → `report.html`."""
        return write_report(self.store)

    @property
    def pairs_folder(self) -> Path:
        return self.store.folder / "pairs"

    @property
    def model_folder(self) -> Path:
        return self.store.folder / "model"

    @contextmanager
    def ledger(self, settings: ClientConfig, budget: Budget | None = None) -> Iterator[Ledger]:
        """A client behind this run's ledger."""
        with ExitStack() as tools:
            if settings.serve:
                settings = tools.enter_context(served(settings, self.store.folder / "logs"))
            model = resolve_model(settings.model) if settings.kind == "local" else settings.model
            client = open_client(settings, model, self.store.folder)
            tools.callback(client.close)
            yield Ledger(client, self.store, budget, Price.of(settings))

    def _show_debugging(self, mode: str, budget: Budget, progress: DebugProgress) -> None:
        rates = " ".join(f"{rate:.0%}" for rate in progress.pass_rates)
        spent = f", {budget.calls} calls, ${budget.usd:.3f}" if budget.calls else ""
        self.on_progress(mode, progress.done, progress.total, f"passed by iteration: {rates}{spent}")


def debug_shard(
    folder: Path, config: Config, shard: Shard, on_progress: OnProgress = quiet, wait_s: float = 0.0
) -> DebugProgress:
    """Debug one part of a run's tasks into a database of its own, `shards/<part>`; the run itself is only read.

    A part gets its share of what is left of the budget.
    """
    own = shard.folder(folder)
    with Store.open(folder, write=False) as whole, Store.open(own, wait_s=wait_s) as store:
        store.put_tasks(task for task in whole.tasks(config.debugging.split) if shard.holds(task.task_id))
        store.absorb(folder)
        if not store.count("tasks"):
            return DebugProgress(total=0, passed=[])
        here = {
            "budget": _share(config.budget, *whole.spending(), shard.count),
            "parallel": config.parallel.model_copy(update={"backend": "serial"}),
        }
        return Run(store, config.model_copy(update=here), on_progress).debug()


def _share(budget: BudgetConfig, calls: int, usd: float, shards: int) -> BudgetConfig:
    """The budget of one shard, which starts from what the run has spent."""
    most_calls, most_usd = budget.max_calls, budget.max_budget_usd
    return BudgetConfig(
        max_calls=None if most_calls is None else calls + max(0, most_calls - calls) // shards,
        max_budget_usd=None if most_usd is None else usd + max(0.0, most_usd - usd) / shards,
    )


def merge_shards(store: Store) -> dict[str, int]:
    """Bring the shards' records into the run; may be repeated.

    Raises:
        StoreError: There are none, or one is still being written.
    """
    folders = sorted(path.parent for path in shards_folder(store.folder).glob(f"*/{DATABASE}"))
    if not folders:
        raise StoreError(f"{store.folder}: no shards to merge; make some with iterpref debug --shard 1/4 (2/4, ...)")
    for folder in folders:
        with Store.open(folder):  # nobody writes to it now
            store.absorb(folder)
    return {
        "shards": len(folders),
        "tasks": store.count("tasks"),
        "trajectories": store.count("trajectories"),
        "calls": store.count("calls"),
    }


def _debug_one_shard(work: tuple[Path, Config, Shard]) -> None:
    """For a worker process, which may follow one that died a moment ago."""
    debug_shard(*work, wait_s=60.0)


def train_run(folder: Path, config: Config, on_progress: OnProgress = quiet) -> TrainSummary:
    """Train on a run folder's Parquet; opens no database, so that it works on every node of a launcher."""

    def show(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        on_progress("train", step, steps, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    settings = {"seed": config.seed} | config.training
    scorer = checkpoint_scorer(folder, config)
    model = resolve_model(config.model)
    return train(folder / "pairs", model, folder / "model", settings, on_progress=show, scorer=scorer)


def open_sandbox(config: Config, hash_seed: int = 0) -> Sandbox:
    settings = config.sandbox
    return Sandbox(settings.workers, settings.preload, settings.isolation, settings.min_isolation, hash_seed)


def open_grading(config: Config) -> Sandbox | RemoteSandbox:
    """What runs the programs of debugging: this machine's sandbox, or one per worker of a cluster.

    Raises:
        ConfigError: Only a cluster can do the grading elsewhere.
    """
    parallel = config.parallel
    if parallel.backend == "serial" or parallel.what == "shards":
        return open_sandbox(config)
    if parallel.backend == "processes":
        raise ConfigError("parallel.what is grading, which needs parallel.backend=ray; on one machine the sandbox "
                          "runs programs on all cores already (sandbox.workers)")  # fmt: skip
    alone = config.model_copy(update={"sandbox": config.sandbox.model_copy(update={"workers": 1})})
    return RemoteSandbox(partial(open_sandbox, alone), parallel.workers)


async def _with_threads(count: int, work: Coroutine[Any, Any, T]) -> T:
    """Await work whose executions wait in threads: asyncio alone has a few more than cores, too few for a cluster."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count + 4, thread_name_prefix="grading"))
    return await work


def resolve_model(name: str) -> str:
    """`playground` is the coder that ships with the package; anything else is a folder or a hub id."""
    return str(coder_path()) if name == "playground" else name


def token_counter(tokenizer: str) -> Callable[[str], int]:
    """Tokens that a text has under a model's tokenizer."""
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(resolve_model(tokenizer))
    return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])
