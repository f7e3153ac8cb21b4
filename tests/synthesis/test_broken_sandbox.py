"""Runs on which the sandbox broke say nothing about a program: they are repeated, then left out of every figure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iterpref import pipeline
from iterpref.config import Config, ValidationConfig
from iterpref.opened_run import OpenedRun
from iterpref.records import Execution, Task, TestFile, TestQuality
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store
from iterpref.synthesis.validate import Validator

PROGRAM = "def f(x):\n    if x > 0:\n        return x + 1\n    return 0\n"
CASES = '{"args": "(1,)", "expected": "2"}\n{"args": "(0,)", "expected": "0"}\n'
TASK = Task(
    task_id="t", prompt="p", style="calls", entry_point="f", reference=PROGRAM,
    tests=(TestFile(path="cases.jsonl", content=CASES),),
)  # fmt: skip
NOTHING = "def f(x):\n    return None"


class Unreliable(Sandbox):
    """A real sandbox that breaks on some jobs, the first `breaks` times."""

    breaks = 1000
    on: Callable[[Job], bool] = staticmethod(lambda job: False)

    def run(self, job: Job, *args: Any, **settings: Any) -> Execution:
        if self.on(job) and self.breaks > 0:
            self.breaks -= 1
            return Execution(verdict="sandbox_error", trust="oracle", isolation=self.isolation, error="worker died")
        return super().run(job, *args, **settings)


def measured(on: Callable[[Job], bool], breaks: int = 1000, failing: bool = False) -> TestQuality:
    def open_sandbox(hash_seed: int) -> Sandbox:
        sandbox = Unreliable(workers=1, hash_seed=hash_seed)
        sandbox.on, sandbox.breaks = on, breaks  # type: ignore[method-assign]
        return sandbox

    validator = Validator(ValidationConfig(repeats=2, mutants=6), open_sandbox)
    try:
        return (validator.run_again if failing else validator.validate)(TASK, PROGRAM)
    finally:
        validator.close()


def is_mutant(job: Job) -> bool:
    return job.program.strip() not in (PROGRAM.strip(), "", NOTHING) and "return x" in job.program


def test_defect_13_a_mutant_that_broke_the_sandbox_is_not_killed() -> None:
    found, honest = measured(is_mutant), measured(lambda job: False)
    assert 0 < found.mutants < honest.mutants == 6  # those that the sandbox could run
    assert found.unmeasured == {"mutation_score": "sandbox_error: worker died"}
    assert found.stale and not honest.stale and honest.unmeasured == {}


def test_defect_13_a_mutant_is_repeated_once() -> None:
    found = measured(is_mutant, breaks=1)
    assert (found.mutants, found.passing_stubs) == (6, ())
    assert found == measured(lambda job: False)


def test_defect_13_no_run_at_all_is_no_score() -> None:
    found = measured(lambda job: job.program != PROGRAM)
    assert found.mutation_score is None
    assert {*found.unmeasured} == {"mutation_score", "passing_stubs"}


@pytest.mark.parametrize("failing", [False, True])
def test_defect_13_a_repeat_that_broke_the_sandbox_is_not_flaky(failing: bool) -> None:
    found = measured(lambda job: job.seed == 1, failing=failing)
    assert (found.repeats, found.repeats_passed) == (1, 1)
    assert found.unmeasured["repeats"] == "sandbox_error: worker died"
    none = measured(lambda job: job.program == PROGRAM, failing=failing)
    assert (none.repeats, none.flaky, none.never_passes, none.stale) == (0, False, False, True)


def test_defect_13_stronger_tests_on_which_the_sandbox_broke_are_not_failed() -> None:
    class Late(Unreliable):
        on = staticmethod(lambda job: job.prefix == "\nimport math")

    stronger = {"t": TASK.model_copy(update={"prefix": "import math"})}
    settings = ValidationConfig(repeats=1, mutants=0)
    validator = Validator(settings, lambda seed: Late(workers=1, hash_seed=seed), stronger=stronger)
    found = validator.validate(TASK, PROGRAM)
    validator.close()
    assert found.stronger is None
    assert found.unmeasured["stronger"] == "sandbox_error: worker died"


def test_defect_13_what_broke_is_measured_again_and_scores_are_kept(tmp_path: Path) -> None:
    config = Config(validation=ValidationConfig(repeats=2, mutants=2))
    with Store.open(tmp_path) as store:
        store.put_tasks([TASK])
        broken = measured(lambda job: job.seed == 1).model_copy(update={"judge": {"accuracy": 5}})
        store.put_quality(broken)
        pipeline.validate(OpenedRun(store, config))
        [found] = store.qualities()
    assert (found.repeats, found.repeats_passed) == (2, 2)
    assert (found.stale, found.judge) == (False, {"accuracy": 5})
