"""What passes under the official rules, call by call, passes here; and a busy machine breaks no canonical solution."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.config import Config
from iterpref.evaluation import Benchmark, RecordedAnswers, evaluate, load_benchmark
from iterpref.evaluation.preflight import preflight
from iterpref.evaluation.samples import Answer, Samples
from iterpref.records import Execution, Limits, Task, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

# Burns exactly so much CPU time a call, on any machine.
SLOW = """
import time
def f(x):
    end = time.process_time() + {seconds}
    while time.process_time() < end:
        pass
    return x
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITERPREF_CACHE", str(tmp_path / "cache"))


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def slow_task(seconds: float) -> Task:
    """Its reference takes longer than its limits allow."""
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "1"}'),)
    return Task(task_id="t", prompt="", tests=tests, style="calls", entry_point="f", limits=Limits(cpu_s=seconds / 2),
                reference=SLOW.format(seconds=seconds))  # fmt: skip


def test_defect_4_a_slow_canonical_solution_is_neither_broken_nor_wrong(sandbox: Sandbox, tmp_path: Path) -> None:
    task = slow_task(0.2)
    benchmark = Benchmark("own", [task], preflight=True)
    own_words = SLOW.format(seconds=0.2).replace("end", "until")
    samples = Samples("own", {"t": [Answer("", own_words), Answer("", task.reference or "")]})
    config = Config.model_validate({"evaluation": {"samples": 2}})
    with Store.open(tmp_path / "run") as store:
        answers = RecordedAnswers(samples, benchmark.tasks, config.evaluation.k)
        broken = preflight([task], sandbox)
        assert broken == {}
        result = asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
    assert [sample.execution.verdict for sample in result.samples] == ["passed", "passed"] and result.broken == {}


class Counted(Sandbox):
    """A real sandbox that counts its jobs."""

    jobs = 0

    def run(self, job: Job, *more: Any, **named: Any) -> Execution:
        self.jobs += 1
        return super().run(job, *more, **named)


def test_defect_4_a_preflight_that_ran_out_of_time_is_not_believed_for_ever(tmp_path: Path) -> None:
    good = slow_task(0.01).model_copy(update={"task_id": "good", "limits": Limits()})
    wrong = good.model_copy(update={"task_id": "wrong", "reference": "def f(x): return -x"})
    endless = slow_task(99.0).model_copy(update={"limits": Limits(cpu_s=0.05)})
    with Counted(workers=1) as sandbox:
        first = preflight([good, wrong, endless], sandbox)
        assert first.keys() == {"wrong", "t"} and first["t"].startswith("timeout") and sandbox.jobs == 3
        assert preflight([good, wrong, endless], sandbox) == first
        assert sandbox.jobs == 4, "only what ran out of time runs again"


def test_defect_5_each_test_of_a_livecodebench_function_has_six_seconds(sandbox: Sandbox, tmp_path: Path) -> None:
    def row(tests: int, function: str | None = "f") -> dict[str, Any]:
        private = [{"input": f"{number}", "output": f"{number}"} for number in range(tests)]
        return {
            "question_id": f"{function} {tests}", "question_content": "", "starter_code": "", "difficulty": "easy",
            "contest_date": "2024-08-01T00:00:00", "public_test_cases": "[]", "private_test_cases": json.dumps(private),
            "metadata": json.dumps({"func_name": function} if function else {}),
        }  # fmt: skip

    path = write(tmp_path / "test.jsonl", row(20), row(2), row(20, None))
    many, two, printing = load_benchmark("livecodebench-v1", path=path).tasks
    assert many.limits.cpu_s >= 20 * 6 and many.limits.call_cpu_s == 6
    assert (printing.limits.cpu_s, printing.limits.call_cpu_s) == (6, None), "each test is a process of its own"
    execution = sandbox.run(Job.from_task(two, SLOW.format(seconds=3.1)))
    assert execution.passed and execution.cpu_s > 6


def plus_row(inputs: int) -> dict[str, Any]:
    return {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f", "atol": 0,
            "canonical_solution": "    return x\n", "base_input": [[0], [1]],
            "plus_input": [[number] for number in range(2, inputs)]}  # fmt: skip


def test_defect_32_each_call_of_an_evalplus_task_has_its_own_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path / "plus.jsonl", plus_row(7))
    (task,) = load_benchmark("humaneval+", path=path, sandbox=sandbox).tasks
    execution = sandbox.run(Job.from_task(task, SLOW.format(seconds=0.8)))  # EvalPlus allows a call one second
    assert execution.passed and execution.cpu_s > 5
    assert task.limits.call_cpu_s == 5, "an endless call costs no more than before"


HUMANEVALFIX = {"task_id": "Python/0", "declaration": "def f(x):\n", "canonical_solution": "    return x\n",
                "buggy_solution": "    return 1\n", "entry_point": "f",
                "test": "def check(f):\n    assert f(2) == 2\ncheck(f)"}  # fmt: skip
BIGCODEBENCH = {"task_id": "T/0", "complete_prompt": "p", "instruct_prompt": "p", "entry_point": "f", "libs": "[]",
                "code_prompt": "def f(x):\n", "canonical_solution": "    return x\n",
                "test": "import unittest"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row", "official_s"),
    [
        pytest.param("bigcodebench-complete", BIGCODEBENCH, 240, id="BigCodeBench"),
        pytest.param("humanevalfix", HUMANEVALFIX, 10, id="HumanEvalFix"),
        pytest.param("humaneval+", plus_row(3), 60, id="HumanEval+"),
    ],
)
def test_defect_32_a_task_has_no_less_time_than_in_the_official_harness(
    sandbox: Sandbox, tmp_path: Path, name: str, row: dict[str, Any], official_s: float
) -> None:
    (task,) = load_benchmark(name, path=write(tmp_path / "rows.jsonl", row), sandbox=sandbox).tasks
    assert task.limits.cpu_s >= official_s
    assert task.limits.wall_s >= 2 * official_s, "and the clock, which a busy machine eats, is the outer bound"
