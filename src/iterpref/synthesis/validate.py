"""Task + passing program → TestQuality: how much the task's tests can be trusted, cheapest check first.

1. The program passes again, several times, under other hash seeds and with the tests in another order.
2. No trivially wrong program passes (stubs): else the tests are empty, free of assertions, or always true.
3. Line and branch coverage of the program.
4. Mutation score: the share of programs with one small fault that the tests notice.
5. Stronger tests of the same task, where there are any: the program passes these too.

2 to 5 only for a program that passed each time. Failing programs are only run again: one that passes at times must not
be called wrong. Everything measured is stored; thresholds are applied when pairs are made. Not here: which programs
are measured (validate_run.py), the judge (judge_tests.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from iterpref.config import ValidationConfig
from iterpref.records import Execution, Limits, Task, TestQuality, program_hash
from iterpref.sandbox import Job
from iterpref.sandbox.remote import AnySandbox
from iterpref.synthesis.coverage_probe import measure_coverage
from iterpref.synthesis.mutation import mutants
from iterpref.synthesis.reordering import shuffle_tests
from iterpref.synthesis.stubs import stubs

FIGURES = ("passing_stubs", "line_coverage", "branch_coverage", "mutation_score")
_QUICK_S = 2.0  # CPU seconds that a mutant gets, or `_ROOM` times its original's: many loop for ever
_ROOM = 4.0
_CAUSE_CHARS = 300


class Validator:
    """Measures tests in a sandbox (`open_sandbox`: one whose Python has this hash seed), and in one more per repeat.

    `stronger`: tasks with stronger tests, by the id of the task they are for. `limits` replace each task's own.
    """

    def __init__(
        self,
        settings: ValidationConfig,
        open_sandbox: Callable[[int], AnySandbox],
        seed: int = 0,
        stronger: Mapping[str, Task] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._stronger = stronger or {}
        self._limits = limits
        self._sandboxes = [open_sandbox(hash_seed) for hash_seed in range(max(1, settings.repeats))]

    def close(self) -> None:
        for sandbox in self._sandboxes:
            sandbox.close()

    def validate(self, task: Task, program: str) -> TestQuality:
        """Measure the tests of one task by a program that passed them."""
        passing = {"reference": program}  # what it takes is what its tests take
        one = _One(self._within(task).model_copy(update=passing), program, self._sandboxes, self._seed)
        repeats = one.repeats(self._settings.repeats)
        found = self._quality(one, repeats)
        if not repeats or found.repeats_passed < found.repeats:
            why = one.unmeasured.get("repeats", "the program does not pass its tests each time")
            return found.model_copy(update={"unmeasured": dict.fromkeys(FIGURES, why) | one.unmeasured})
        stronger = self.stronger(task)
        figures = {
            "passing_stubs": tuple(one.passing_stubs()),
            **one.coverage(),
            **one.mutation(self._settings.mutants, max(repeats, key=lambda run: run.cpu_s)),
            "stronger": one.passes_also(stronger) if stronger else None,
        }
        return found.model_copy(update=figures | {"unmeasured": one.unmeasured, "stale": one.broke})

    def run_again(self, task: Task, program: str) -> TestQuality:
        """How often a program that failed passes."""
        one = _One(self._within(task), program, self._sandboxes, self._seed)
        return self._quality(one, one.repeats(self._settings.repeats)).model_copy(update={"failing": True})

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

    def _within(self, task: Task) -> Task:
        return task.model_copy(update={"limits": self._limits}) if self._limits else task

    @staticmethod
    def _quality(one: "_One", repeats: list[Execution]) -> TestQuality:
        """What every measurement begins with: whose it is, and how many runs passed."""
        said = next((f"{run.verdict}: {run.headline}" for run in repeats if not run.passed), "")
        return TestQuality(
            task_id=one.task.task_id,
            tests_hash=one.task.tests_hash,
            program_hash=program_hash(one.program),
            repeats=len(repeats),
            repeats_passed=sum(run.passed for run in repeats),
            cause=said[:_CAUSE_CHARS],
            unmeasured=one.unmeasured,
            stale=one.broke,
        )


class _One:
    """One program with its tests. What the sandbox can't run, twice, says nothing about them and counts in no figure;
    `unmeasured` says for which, `broke` that there was such a run."""

    def __init__(self, task: Task, program: str, sandboxes: list[AnySandbox], seed: int) -> None:
        self.task, self.program = task, program
        self.unmeasured: dict[str, str] = {}
        self.broke = False
        self._sandboxes, self._seed = sandboxes, seed

    def repeats(self, count: int) -> list[Execution]:
        """Each with its own hash seed, random seed and order of tests."""
        found = []
        for number, sandbox in enumerate(self._sandboxes[:count]):
            task = self.task if number == 0 else shuffle_tests(self.task, number)
            job = Job.from_task(task, self.program, seed=self._seed + number)
            found.append(self._run("repeats", job, sandbox))
        return [execution for execution in found if execution is not None]

    def passing_stubs(self) -> Iterator[str]:
        for name, stub in stubs(self.task, self.program).items():
            execution = self._run("passing_stubs", Job.from_task(self.task, stub))
            if execution is not None and execution.passed:
                yield name

    def coverage(self) -> dict[str, float | None]:
        job = Job.from_task(self.task, self.program, seed=self._seed)
        found = measure_coverage(self._sandboxes[0], job)
        if found.broken:
            found = measure_coverage(self._sandboxes[0], job)
        self.broke |= found.broken
        shares = {"line_coverage": found.lines, "branch_coverage": found.branches}
        self.unmeasured |= {name: found.problem for name, share in shares.items() if share is None}
        return shares

    def mutation(self, most: int, original: Execution) -> dict[str, Any]:
        """`original`: the program's own run; a mutant gets ample time to do the same."""
        made = mutants(self.program, most, self._seed)
        if not made:
            self.unmeasured["mutation_score"] = "no fault can be planted" if most else "validation.mutants is 0"
        own = self.task.limits
        quick = own.model_copy(update={"cpu_s": min(own.cpu_s, _QUICK_S)}).at_least(_ROOM * original.cpu_s, own.wall_s)
        task = self.task.model_copy(update={"limits": quick})
        jobs = (Job.from_task(task, mutant.program) for mutant in made)
        runs = [self._run("mutation_score", job, retry_timeout=False) for job in jobs]
        judged = [(mutant, run) for mutant, run in zip(made, runs, strict=True) if run is not None]
        survived = [f"{mutant.operator}:{mutant.line}" for mutant, run in judged if run.passed]
        return {"mutants": len(judged), "mutants_killed": len(judged) - len(survived), "surviving": tuple(survived)}

    def passes_also(self, stronger: Task) -> bool | None:
        both = stronger.model_copy(update={"prefix": f"{self.task.prefix}\n{stronger.prefix}"})
        execution = self._run("stronger", Job.from_task(both, self.program))
        return None if execution is None else execution.passed

    def _run(
        self, figure: str, job: Job, sandbox: AnySandbox | None = None, retry_timeout: bool = True
    ) -> Execution | None:
        for _ in range(2):
            execution = (sandbox or self._sandboxes[0]).run(job, retry_timeout=retry_timeout)
            if execution.verdict != "sandbox_error":
                return execution
        self.broke = True
        self.unmeasured[figure] = f"sandbox_error: {execution.headline}"
        return None
