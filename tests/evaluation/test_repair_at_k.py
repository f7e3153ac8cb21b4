"""repair@k: a model reads what its failed program's tests said, and answers again."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import Config, EvaluationConfig, EvaluationSamplingConfig
from iterpref.errors import ConfigError
from iterpref.evaluation import Benchmark, GeneratedAnswers, RecordedAnswers, evaluate, load_benchmark, read_samples
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.programs import fenced
from iterpref.prompts.own import SHIPPED
from iterpref.records import Result, Task, TestFile, as_messages
from iterpref.sandbox import Sandbox
from iterpref.store import Store

WRONG, RIGHT = "def f(x):\n    return x", "def f(x):\n    return x + 1"
OTHER = "def f(x):\n    return 0"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


def task(name: str) -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt=f"{name}: add one.", tests=tests, style="calls", entry_point="f")


TOLD = {WRONG: "f(1) returned 1, expected 2", OTHER: "f(1) returned 0, expected 2"}


class Model:
    """A recording of the programs that each task gets one after the other, each but the first as a repair."""

    def __init__(self, folder: Path, told: dict[str, str]) -> None:
        self._path, self._told = folder / "recording.jsonl", told

    def says(self, asked: Task, *programs: str) -> None:
        with self._path.open("a") as file:
            for number, program in enumerate(programs):
                messages = as_messages(asked.prompt)
                if number:
                    before = programs[number - 1]
                    messages = (*messages, *SHIPPED.repair_turns(before, "", self._told[before]))
                row = {"messages": [turn.model_dump() for turn in messages], "completion": fenced(program)}
                file.write(json.dumps(row) + "\n")

    def evaluate(self, store: Store, sandbox: Sandbox, benchmark: Benchmark, **settings: Any) -> tuple[Result, Ledger]:
        config = Config(evaluation=EvaluationConfig(**settings))
        ledger = Ledger(ReplayClient(self._path), store)
        answers = GeneratedAnswers(ledger, benchmark, config)
        return asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store)), ledger


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def test_repairs_until_one_passes(tmp_path: Path, store: Store, sandbox: Sandbox) -> None:
    model = Model(tmp_path, TOLD)
    tasks = [task(name) for name in "abcd"]
    model.says(tasks[0], RIGHT)
    model.says(tasks[1], WRONG, RIGHT)
    model.says(tasks[2], WRONG, OTHER, RIGHT)
    model.says(tasks[3], WRONG, WRONG)  # the same text again: the same answer again
    benchmark = Benchmark("own", tasks)
    result, ledger = model.evaluate(store, sandbox, benchmark, repairs=2)
    metrics = {name: value for name, value in result.metrics.items() if not name.endswith("_stderr")}
    assert metrics == {"pass@1": 0.25, "repair@1": 0.5, "repair@2": 0.75}
    assert [len(sample.repairs) for sample in result.samples] == [0, 1, 2, 2]
    assert result.samples[1].repairs[0].feedback == TOLD[WRONG]
    assert result.samples[2].execution.verdict == "failed", "the first answer stays the sample"
    assert "up to 2 repairs told of the failing test, hidden ones included" in result.protocol
    assert Result.model_validate_json(result.model_dump_json()) == result
    assert (ledger.paid, ledger.cached) == (8, 1), "the same question of a greedy model is one call"
    _, again = model.evaluate(store, sandbox, benchmark, repairs=3)
    assert again.paid == 0, "nothing is asked twice"
    plain, _ = model.evaluate(store, sandbox, benchmark)
    assert plain.result_id != result.result_id and "repairs" not in plain.settings


def livecodebench(tmp_path: Path, public: list[tuple[str, str]], private: list[tuple[str, str]]) -> Benchmark:
    def written(tests: list[tuple[str, str]]) -> str:
        return json.dumps([{"input": read, "output": wanted, "testtype": "functional"} for read, wanted in tests])

    row = {"question_id": "q", "question_content": "Add one.", "starter_code": "", "difficulty": "easy",
           "contest_date": "2024-08-01T00:00:00", "public_test_cases": written(public),
           "private_test_cases": written(private), "metadata": json.dumps({"func_name": "f"})}  # fmt: skip
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return load_benchmark("livecodebench-v1", path=str(path))


CONSTANT = "def f(x):\n    return 2"


def test_only_public_examples_are_told(tmp_path: Path, store: Store, sandbox: Sandbox) -> None:
    """The hidden test says what CONSTANT gets wrong; the model hears of the public one alone, and then of nothing."""
    benchmark = livecodebench(tmp_path, public=[("1", "2")], private=[("4", "5")])
    model = Model(tmp_path, TOLD)
    model.says(benchmark.tasks[0], WRONG, CONSTANT)
    result, _ = model.evaluate(store, sandbox, benchmark, repairs=3, repair_feedback="public")
    (sample,) = result.samples
    assert [repair.feedback for repair in sample.repairs] == [TOLD[WRONG]]
    assert sample.repairs[-1].execution.verdict == "failed" and result.metrics == {
        "pass@1": 0.0, "repair@1": 0.0, "repair@2": 0.0, "repair@3": 0.0}  # fmt: skip
    assert result.protocol.endswith("up to 3 repairs told of the prompt's own examples alone")


@pytest.mark.parametrize(
    ("benchmark", "settings", "message"),
    [
        pytest.param("humaneval", {"repair_feedback": "public"}, "it isn't known which tests its prompts show",
                     id="no public tests"),
        pytest.param("humaneval", {"protocol": "base"}, "a turn of a chat", id="base"),
        pytest.param("cruxeval-o", {}, "hold the very answer", id="the test is the answer"),
    ],
)  # fmt: skip
def test_repairs_that_can_not_be(
    tmp_path: Path, store: Store, benchmark: str, settings: dict[str, Any], message: str
) -> None:
    (tmp_path / "recording.jsonl").write_text("")
    config = Config(evaluation=EvaluationConfig(repairs=1, **settings))
    asked = Benchmark(benchmark, [task("a")], DEFINITIONS[benchmark])
    with pytest.raises(ConfigError, match=message):
        GeneratedAnswers(Ledger(ReplayClient(tmp_path / "recording.jsonl"), store), asked, config)


def test_a_file_has_no_model_to_repair(tmp_path: Path, store: Store, sandbox: Sandbox) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"task_id": "a", "solution": WRONG}) + "\n")
    answers = RecordedAnswers(read_samples(path, [task("a")]), [task("a")], (1,))
    config = Config(evaluation=EvaluationConfig(repairs=1))
    with pytest.raises(ConfigError, match=r"evaluation.repairs is 1, and samples:samples.jsonl:.* has no model"):
        asyncio.run(evaluate(Benchmark("own", [task("a")]), answers, config, sandbox=sandbox, store=store))


def test_samples_are_repaired_each_by_itself(tmp_path: Path, store: Store, sandbox: Sandbox) -> None:
    model = Model(tmp_path, TOLD)
    asked = task("a")
    turns = [turn.model_dump() for turn in as_messages(asked.prompt)]
    repair = [*turns, *(turn.model_dump() for turn in SHIPPED.repair_turns(WRONG, "", TOLD[WRONG]))]
    rows = [{"messages": turns, "completions": [fenced(WRONG), fenced(RIGHT)]},
            {"messages": repair, "sample_index": 2, "completion": fenced(RIGHT)}]  # fmt: skip
    (tmp_path / "recording.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sampling = EvaluationSamplingConfig(temperature=0.8)
    result, _ = model.evaluate(
        store, sandbox, Benchmark("own", [asked]), repairs=1, samples=2, k=(1, 2), sampling=sampling
    )
    assert result.metrics == {"pass@1": 0.5, "pass@2": 1.0, "repair@1": 1.0}
