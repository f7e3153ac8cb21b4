import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import Config, EvaluationConfig, EvaluationSamplingConfig
from iterpref.errors import ClientError, ConfigError, RecordError, SandboxError
from iterpref.evaluation import Benchmark, GeneratedAnswers, TaskChoice, evaluate, load_benchmark
from iterpref.evaluation.evaluate import SANDBOX_TRIES
from iterpref.programs import fenced
from iterpref.records import Execution, Limits, Result, Task, TestFile, as_messages
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

GREEDY = EvaluationConfig()
SAMPLED = EvaluationConfig(samples=3, k=(1, 2), sampling=EvaluationSamplingConfig(temperature=0.8))
RIGHT = "Here:\n```python\ndef f(x):\n    return x + 1\n```\nDone."
WRONG = "```python\ndef f(x):\n    return x - 1\n```"
RAISES = "```python\ndef f(x):\n    return x + y\n```"
ENDLESS = "```python\ndef f(x):\n    while True:\n        pass\n```"
PROSE = "I would add one to it."


def task(name: str) -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt=f"{name}: add one.", tests=tests, style="calls", entry_point="f")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def recording(path: Path, completions: dict[str, Sequence[str]]) -> Path:
    lines = [
        {"messages": [{"role": "user", "content": f"{name}: add one."}], "completions": list(texts)}
        for name, texts in completions.items()
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


class Bench:
    """Evaluates a recording in one store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.ledger: Ledger

    def __call__(
        self,
        completions: dict[str, Sequence[str]],
        sandbox: Sandbox,
        settings: EvaluationConfig = GREEDY,
        tasks: Sequence[Task] | None = None,
        on_progress: Any = None,
        **more: Any,
    ) -> Result:
        self.ledger = Ledger(ReplayClient(recording(self.folder / "recording.jsonl", completions)), self.store)
        tasks = [task(name) for name in completions] if tasks is None else tasks
        benchmark = Benchmark("own", list(tasks))
        config = Config(evaluation=settings, **more)
        answers = GeneratedAnswers(self.ledger, benchmark, config)
        work = evaluate(benchmark, answers, config, sandbox=sandbox, store=self.store, on_progress=on_progress)
        return asyncio.run(work)


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Bench:
    return Bench(store, tmp_path)


def test_outcomes_and_metrics(bench: Bench, sandbox: Sandbox) -> None:
    seen: list[tuple[int, int, str]] = []
    answers = {"a": [RIGHT], "b": [WRONG], "c": [RAISES], "d": [PROSE]}
    result = bench(answers, sandbox, on_progress=lambda *progress: seen.append(progress))
    assert [(s.task_id, s.execution.verdict) for s in result.samples] == [
        ("a", "passed"),
        ("b", "failed"),
        ("c", "error"),
        ("d", "error"),
    ]
    assert [s.execution.error_type for s in result.samples[2:]] == ["NameError", "NoProgram"]
    assert result.samples[0].completion == RIGHT and result.samples[0].program == "def f(x):\n    return x + 1"
    assert result.metrics == {"pass@1": 0.25, "pass@1_stderr": 0.25}
    assert result.model == bench.ledger.name and result.protocol.startswith("plain, greedy, 1 sample")
    assert [done for done, _, _ in seen] == [1, 2, 3, 4] and seen[-1][1:] == (4, "passed 1")
    assert bench.store.result(result.result_id) == result


def test_references_of_the_playground_pass(store: Store, tmp_path: Path, sandbox: Sandbox) -> None:
    benchmark = load_benchmark("playground", TaskChoice("held_out", 20))
    lines = [{"messages": [m.model_dump() for m in as_messages(t.prompt)], "completions": [fenced(t.reference or "")]}
             for t in benchmark.tasks]  # fmt: skip
    path = tmp_path / "references.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    ledger = Ledger(ReplayClient(path), store)
    answers = GeneratedAnswers(ledger, benchmark, Config())
    result = asyncio.run(evaluate(benchmark, answers, Config(), sandbox=sandbox, store=store))
    assert result.metrics == {"pass@1": 1.0, "pass@1_stderr": 0.0}
    assert {sample.execution.trust for sample in result.samples} == {"oracle"}


def test_several_samples(bench: Bench, sandbox: Sandbox) -> None:
    answers = {"a": [WRONG, RIGHT, WRONG], "b": [WRONG] * 3}
    result = bench(answers, sandbox, SAMPLED)
    assert [(s.task_id, s.sample_index) for s in result.samples] == [(t, i) for t in "ab" for i in range(3)]
    assert result.metrics["pass@1"] == pytest.approx(1 / 6)
    assert result.metrics["pass@2"] == pytest.approx(1 / 3)  # two of three pairs of a's samples hold the right one
    assert "T=0.8" in result.protocol


def test_finished_result_costs_nothing(bench: Bench, sandbox: Sandbox) -> None:
    first = bench({"a": [RIGHT], "b": [WRONG]}, sandbox)
    closed = Sandbox(workers=1)
    closed.close()
    assert bench({"a": [RIGHT], "b": [WRONG]}, closed) == first
    assert (bench.ledger.paid, bench.ledger.cached) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"limits": Limits(cpu_s=2.0)}, id="limits"),
        pytest.param(
            {"settings": EvaluationConfig(sampling=EvaluationSamplingConfig(temperature=0.0, max_tokens=7))},
            id="settings",
        ),
        pytest.param({"tasks": [task("a")]}, id="data"),
    ],
)
def test_another_evaluation_is_another_result(bench: Bench, sandbox: Sandbox, change: dict[str, Any]) -> None:
    answers = {"a": [RIGHT], "b": [WRONG]}
    first = bench(answers, sandbox)
    second = bench(answers, sandbox, **change)
    assert second.result_id != first.result_id
    assert len(list(bench.store.results())) == 2


def test_equal_programs_run_once(bench: Bench, sandbox: Sandbox) -> None:
    bench({"a": [RIGHT]}, sandbox)
    bench({"a": [RIGHT.replace("Here", "Look here")]}, sandbox)  # another model, the same program
    assert bench.store.count("executions") == 1
    assert bench.store.count("calls") == 2


def test_limits_replace_those_of_the_tasks(bench: Bench, sandbox: Sandbox) -> None:
    result = bench({"a": [ENDLESS]}, sandbox, limits=Limits(cpu_s=0.3, wall_s=5.0))
    assert result.samples[0].execution.verdict == "timeout"
    assert result.samples[0].execution.cpu_s < 2
    assert "pass@1_stderr" not in result.metrics  # one task says nothing about others


class Unreliable(Sandbox):
    """A real sandbox whose first `failures` runs break."""

    failures = 0
    tries = 0

    def run(self, job: Job) -> Execution:
        self.tries += 1
        if self.tries <= self.failures:
            return Execution(verdict="sandbox_error", trust="oracle", isolation=self.isolation, error="worker died")
        return super().run(job)


def test_broken_sandbox_is_tried_again(bench: Bench) -> None:
    with Unreliable(workers=1) as sandbox:
        sandbox.failures = SANDBOX_TRIES - 1
        assert bench({"a": [RIGHT]}, sandbox).metrics["pass@1"] == 1.0


def test_broken_sandbox_is_never_scored(bench: Bench) -> None:
    with Unreliable(workers=1) as sandbox:
        sandbox.failures = SANDBOX_TRIES
        with pytest.raises(SandboxError, match=r"task a: the sandbox failed 3 times \(worker died\)"):
            bench({"a": [RIGHT]}, sandbox)
        assert bench.store.count("executions") == 0 and not list(bench.store.results())
        assert bench({"a": [RIGHT]}, sandbox).metrics["pass@1"] == 1.0  # and the answer is not paid for again
        assert (bench.ledger.paid, bench.ledger.cached) == (0, 1)


def test_model_that_cannot_answer_stops_but_keeps_what_is_done(bench: Bench, sandbox: Sandbox) -> None:
    tasks = [task("a"), task("unrecorded")]
    with pytest.raises(ClientError, match="is not recorded"):
        bench({"a": [RIGHT]}, sandbox, tasks=tasks)
    assert bench.store.count("calls") == 1 and not list(bench.store.results())


@pytest.mark.parametrize(
    ("names", "settings", "error", "message"),
    [
        pytest.param([], GREEDY, RecordError, "benchmark own: no tasks", id="empty dataset"),
        pytest.param(["a", "b", "a"], GREEDY, RecordError, "2 tasks have the id a", id="same id twice"),
        pytest.param(
            ["a"],
            EvaluationConfig(k=(1, 5)),
            ConfigError,
            r"k is \[1, 5\] with evaluation.samples = 1",
            id="k too large",
        ),
        pytest.param(["a"], EvaluationConfig(k=()), ConfigError, r"k is \[\]", id="no k"),
        pytest.param(["a"], EvaluationConfig(samples=2), ConfigError, "at temperature 0", id="greedy samples"),
    ],
)
def test_bad_requests(
    bench: Bench, sandbox: Sandbox, names: list[str], settings: EvaluationConfig, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bench({}, sandbox, settings, tasks=[task(name) for name in names])


KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_evaluate import *
names = [f"t{i}" for i in range(12)]
def show(done, total, note):
    if str(done) == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)
with Store.open(sys.argv[2]) as store, Sandbox(workers=1) as sandbox:
    ledger = Ledger(ReplayClient(sys.argv[3]), store)
    benchmark = Benchmark("own", [task(name) for name in names])
    answers = GeneratedAnswers(ledger, benchmark, Config())
    work = evaluate(benchmark, answers, Config(), sandbox=sandbox, store=store, on_progress=show)
    result = asyncio.run(work)
    print(json.dumps({"paid": ledger.paid, "pass@1": result.metrics["pass@1"]}))
"""


def test_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    slow = "```python\nimport time  # t{}\ntime.sleep(0.15)\ndef f(x):\n    return x + {}\n```"
    answers = {f"t{i}": [slow.format(i, 1 + i % 2)] for i in range(12)}
    recorded = recording(tmp_path / "recording.jsonl", answers)
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "run"), str(recorded)]
    database = tmp_path / "run" / "run.sqlite"
    killed = subprocess.run([*command, "3"])
    before = executions(database)
    assert killed.returncode == -signal.SIGKILL and 3 <= len(before) < 12
    again = subprocess.run([*command, "never"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == {"paid": 0, "pass@1": 0.5}  # the calls were all answered before the kill
    after = executions(database)
    assert len(after) == 12 and before <= after  # a repeated execution would have a new rowid


def executions(database: Path) -> set[tuple[str, int]]:
    """Keys and row ids of what is stored; none while the database is not there yet."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return set(connection.execute("SELECT key, rowid FROM executions"))
    except sqlite3.OperationalError:
        return set()
