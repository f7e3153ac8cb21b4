"""Task + passing program → TestQuality: how much the task's tests can be trusted, cheapest check first.

1. The program passes again, several times, under other hash seeds and with the tests in another order.
2. No trivially wrong program passes (stubs): else the tests are empty, free of assertions, or always true.
3. Line and branch coverage of the program.
4. Mutation score: the share of programs with one small fault that the tests notice.
5. Stronger tests of the same task, where there are any: the program passes these too.

Failing programs are only run again: one that passes at times must not be called wrong.
Everything measured is stored; thresholds are applied when pairs are made. Not here: the judge (judge_tests.py).
"""

import ast
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from iterpref.config import ValidationConfig
from iterpref.opened_run import OpenedRun
from iterpref.programs import syntax_tree
from iterpref.records import Execution, Task, TestFile, TestQuality, fingerprint, program_hash
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store
from iterpref.synthesis.coverage_probe import coverage_job, read_coverage
from iterpref.synthesis.mutation import mutants, stubs

_QUICK_S = 2.0  # CPU seconds that a mutant gets, or four times its original's: many loop for ever


class Validator:
    """Measures tests in a sandbox (`open_sandbox`: one whose Python has this hash seed), and in one more per repeat."""

    def __init__(
        self,
        settings: ValidationConfig,
        open_sandbox: Callable[[int], Sandbox],
        seed: int = 0,
        stronger: Mapping[str, Task] | None = None,
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._stronger = stronger or {}
        self._sandboxes = [open_sandbox(hash_seed) for hash_seed in range(max(1, settings.repeats))]

    def close(self) -> None:
        for sandbox in self._sandboxes:
            sandbox.close()

    def validate(self, task: Task, program: str) -> TestQuality:
        """Measure the tests of one task by a program that passed them."""
        run = self._sandboxes[0].run
        task = task.model_copy(update={"reference": program})  # it passed: what it takes is what its tests take
        repeated = self._repeated(task, program)
        passing_stubs = [name for name, stub in stubs(program).items() if run(Job.from_task(task, stub)).passed]
        coverage = read_coverage(run(coverage_job(task, program)))
        made = mutants(program, self._settings.mutants, self._seed)
        quick = _quick(task, run(Job.from_task(task, program)))
        survived = [m for m in made if self._survives(quick, m.program)]
        return TestQuality(
            **repeated,
            passing_stubs=tuple(passing_stubs),
            line_coverage=coverage.lines if coverage else None,
            branch_coverage=coverage.branches if coverage else None,
            mutants=len(made),
            mutants_killed=len(made) - len(survived),
            surviving=tuple(f"{m.operator}:{m.line}" for m in survived),
            stronger=self._passes_stronger(task, program),
        )

    def run_again(self, task: Task, program: str) -> TestQuality:
        """How often a program that failed passes."""
        return TestQuality(**self._repeated(task, program), failing=True)

    def _repeated(self, task: Task, program: str) -> dict[str, Any]:
        """What every measurement begins with: whose it is, and how many runs passed."""
        repeats = [self._repeat(task, program, number) for number in range(self._settings.repeats)]
        identity = {"task_id": task.task_id, "tests_hash": task.tests_hash, "program_hash": program_hash(program)}
        return {**identity, "repeats": len(repeats), "repeats_passed": sum(repeats)}

    def measure(
        self, one: Callable[[Task, str], TestQuality], subjects: Iterable[tuple[Task, str]]
    ) -> Iterator[TestQuality]:
        """Measure many (task, program), drawn as needed: by `validate` if they pass, by `run_again` if they fail."""
        workers = self._sandboxes[0].workers
        with ThreadPoolExecutor(workers, thread_name_prefix="validate") as threads:
            window = []
            for task, program in subjects:
                window.append(threads.submit(one, task, program))
                if len(window) >= 2 * workers:
                    yield window.pop(0).result()
            for waiting in window:
                yield waiting.result()

    def stronger(self, task: Task) -> Task | None:
        """The stronger tests of a task; a copy of it under another id (`id~hash`) shares them."""
        return self._stronger.get(task.task_id) or self._stronger.get(task.task_id.split("~")[0])

    def _passes_stronger(self, task: Task, program: str) -> bool | None:
        stronger = self.stronger(task)
        if stronger is None:
            return None
        both = stronger.model_copy(update={"prefix": f"{task.prefix}\n{stronger.prefix}"})
        return self._sandboxes[0].run(Job.from_task(both, program)).passed

    def _repeat(self, task: Task, program: str, number: int) -> bool:
        """Run `number` has its own hash seed, random seed and order of tests."""
        shuffled = task if number == 0 else shuffle_tests(task, number)
        return self._sandboxes[number].run(Job.from_task(shuffled, program, seed=self._seed + number)).passed

    def _survives(self, task: Task, program: str) -> bool:
        return self._sandboxes[0].run(Job.from_task(task, program), retry_timeout=False).passed


def _quick(task: Task, original: Execution) -> Task:
    """The task with limits for mutants of a program, by what that program took just now."""
    limits = task.limits.model_copy(update={"cpu_s": min(task.limits.cpu_s, _QUICK_S)})
    return task.model_copy(update={"limits": limits.at_least(4 * original.cpu_s, task.limits.wall_s)})


def validate_run(run: OpenedRun, stronger: Mapping[str, Task]) -> dict[str, Any]:
    """Measure what a run has not measured yet: tests by the programs that pass them, and those that fail again.

    `stronger`: tasks with stronger tests, by the id of the task they are for. Returns the summary of all measured now.
    """
    settings, store = run.config.validation, run.store
    validator = Validator(settings, run.sandbox, run.config.seed, stronger)

    def left(task: Task, program: str) -> bool:
        found = store.quality(task.task_id, program_hash(program))
        return found is None or found.failing or (found.stronger is None and validator.stronger(task) is not None)

    def unknown(task: Task, program: str) -> bool:
        return store.quality(task.task_id, program_hash(program)) is None

    passing = [subject for subject in passing_programs(store) if left(*subject)]
    failing = [subject for subject in failing_programs(store) if unknown(*subject)] if settings.failing else []
    total = len(passing) + len(failing)
    try:
        work = chain(validator.measure(validator.validate, passing), validator.measure(validator.run_again, failing))
        for done, quality in enumerate(work, start=1):
            store.put_quality(quality)
            run.on_progress("validate", done, total, "")
    finally:
        validator.close()
    return summarize(store.qualities(), store.qualities(failing=True))


def passing_programs(store: Store) -> Iterator[tuple[Task, str]]:
    """Each task with the programs that stand for it: those that passed in its trajectories, else its reference."""
    for task in store.tasks():
        passed = {a.program.strip(): a.program for a in store.passed_attempts(task.task_id)}
        for program in passed.values() or filter(None, [task.reference]):
            yield task, program


def failing_programs(store: Store) -> Iterator[tuple[Task, str]]:
    """Each different program that failed in a trajectory with a passing one: what may become `rejected`."""
    seen: set[tuple[str, str]] = set()
    for trajectory in store.trajectories():
        if trajectory.status != "passed":
            continue
        for attempt in trajectory.attempts:
            key = (trajectory.task_id, program_hash(attempt.program))
            if not attempt.execution.passed and attempt.program.strip() and key not in seen:
                seen.add(key)
                yield store.task(trajectory.task_id), attempt.program


def summarize(qualities: Iterable[TestQuality], failing: Iterable[TestQuality] = ()) -> dict[str, Any]:
    """What was measured, over all tasks."""
    found, wrong = list(qualities), list(failing)
    covered = [q.branch_coverage for q in found if q.branch_coverage is not None]
    scores = [q.mutation_score for q in found if q.mutation_score is not None]
    return {
        "programs": len(found),
        "flaky": sum(q.repeats_passed < q.repeats for q in found),
        "stub_passes": sum(bool(q.passing_stubs) for q in found),
        "mean_branch_coverage": round(sum(covered) / len(covered), 4) if covered else None,
        "mean_mutation_score": round(sum(scores) / len(scores), 4) if scores else None,
        "mutation_score_below_0.8": sum(score < 0.8 for score in scores),
        "fail_stronger_tests": sum(q.stronger is False for q in found),
        "failing_programs": len(wrong),
        "failing_that_pass_at_times": sum(q.repeats_passed > 0 for q in wrong),
    }


def shuffle_tests(task: Task, seed: int) -> Task:
    """The same tests in another order, where their order means nothing; else the task as it is."""
    draw = random.Random(fingerprint([seed, task.tests_hash]))
    return task.model_copy(update={"tests": tuple(_shuffled(test, task.style, draw) for test in task.tests)})


def _shuffled(test: TestFile, style: str, draw: random.Random) -> TestFile:
    if style in ("calls", "stdio"):
        lines = [line for line in test.content.splitlines() if line.strip()]
    elif style == "assert" and _only_asserts(test.content):
        lines = test.content.splitlines()
    else:
        return test
    draw.shuffle(lines)
    return test.model_copy(update={"content": "\n".join(lines) + "\n"})


def _only_asserts(content: str) -> bool:
    """Whether each line is one assert, which depends on no other line."""
    try:
        body = syntax_tree(content).body
    except SyntaxError:
        return False
    lines = [line for line in content.splitlines() if line.strip()]
    return len(body) == len(lines) and all(isinstance(statement, ast.Assert) for statement in body)
