"""Steps about tasks and how far their tests can be trusted: import, synthesize, validate, judge, revise."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

from iterpref.clients import Budget
from iterpref.evaluation.benchmarks import load_benchmark
from iterpref.executor import Executor
from iterpref.importing import (
    detect_format,
    import_own_tasks,
    import_pairs,
    import_recorded,
    import_tasks,
    read_instructions,
)
from iterpref.pairing.judge import JudgeProgress, judge_pairs
from iterpref.records import Task, program_hash
from iterpref.synthesis.judge import judge_tests
from iterpref.synthesis.revise import revise, revision_summary
from iterpref.synthesis.synthesize import SynthesisProgress, Synthesizer
from iterpref.synthesis.validate import Validator, failing_programs, passing_programs, summarize, validate

from .opening import Opened, open_sandbox


class TaskSteps(Opened):
    """What brings tasks into a run, and judges them."""

    def import_source(self, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
        """Tasks, recorded runs, or existing pairs → records; returns what was found, by the source's kind.

        `columns` (name → column) adds to `importing.columns`. Where it names the tests, the source holds tasks.
        """
        columns = {**self.config.importing.columns, **columns}
        if "tests" in columns:
            settings = self.config.importing.model_copy(update={"columns": columns})
            return import_own_tasks(source, self.store, settings).model_dump()
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
            benchmark = load_benchmark(name, path=settings.stronger_path, sandbox=sandbox)
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

    def _show_judging(self, total: int, progress: JudgeProgress) -> None:
        self.on_progress("judge", progress.judged, total, f"{progress.cosmetic} cosmetic")

    def revise(self) -> dict[str, float | int]:
        """Unsolved tasks whose tests contradict them → new tasks with revised tests."""
        budget = Budget(self.config.budget, self.store)
        with self.ledger(self.config.judge_client or self.config.client, budget) as ledger:
            return revision_summary(self.store, asyncio.run(revise(self.store, ledger)))
