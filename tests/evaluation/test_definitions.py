"""What a definition says of a benchmark, and what its options may be; Result files."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iterpref.analysis import load_entrant
from iterpref.config import Config, EvaluationConfig
from iterpref.config.load import load_config, parse_config
from iterpref.errors import ConfigError
from iterpref.evaluation import Benchmark, RecordedAnswers, TaskChoice, evaluate, load_benchmark, read_samples
from iterpref.evaluation.benchmarks import NAMES, registry
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.samples import write_result
from iterpref.records import Execution, Result, Sample, Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.store import Store

LIVE = DEFINITIONS["livecodebench-v6"]


def test_every_name_once_and_in_order() -> None:
    assert NAMES[:3] == ("playground", "humaneval", "humaneval+") and NAMES[-1] == "livecodebench-v6"
    assert len(NAMES) == 20 and all(name == definition.name for name, definition in DEFINITIONS.items())


def test_protocols_that_need_a_prompt_to_continue_have_stops() -> None:
    assert all(definition.base_stops for definition in DEFINITIONS.values() if definition.protocol != "plain")


def test_options_are_no_keys_of_the_configuration() -> None:
    """Both stand side by side in a Result's settings."""
    own = {key for definition in DEFINITIONS.values() for key in definition.options.model_fields}
    assert own == {"since", "until", "difficulty"} and not own & EvaluationConfig.model_fields.keys()


@pytest.mark.parametrize("task_id", ["HumanEval/1", "Mbpp/2", "BigCodeBench/3", "Python/4", "APPS/5"])
def test_ids_of_benchmarks_are_known(task_id: str) -> None:
    assert registry.is_published(task_id) and not registry.is_published(f"mine/{task_id}")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        pytest.param("livecodebench-v1", {"sinec": "2024-08-01"},
                     r"options.sinec: no option of benchmark livecodebench-v1; did you mean since\? Its options are "
                     "since, until, difficulty", id="typo"),
        pytest.param("livecodebench-v1", {"since": "August"}, "options.since: String should match pattern .* 'August'",
                     id="no date"),
        pytest.param("livecodebench-v1", {"difficulty": "tricky"}, "options.difficulty: Input should be 'easy'",
                     id="difficulty"),
        pytest.param("humaneval", {"since": "2024-08-01"}, "options.since: no option .* humaneval; it has none",
                     id="a benchmark without options"),
        pytest.param("playground", {"x": 1}, "options.x: no option of benchmark playground", id="playground"),
    ],
)  # fmt: skip
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"evaluation.{message}"):
        load_benchmark(name, TaskChoice(options=options))


MBPP_ROWS = [
    {"task_id": n, "text": f"Write f{n}.", "code": f"def f{n}():\n    return {n}", "test_setup_code": "",
     "test_list": [f"assert f{n}() == {n}"]}
    for n in (10, 11, 510, 511, 600, 601)
]  # fmt: skip


@pytest.mark.parametrize(
    ("split", "limit", "numbers"),
    [
        (None, None, [10, 11, 510, 511, 600, 601]),
        ("prompt", None, [10]),
        ("test", None, [11, 510]),
        ("test", 1, [11]),
        ("validation", None, [511, 600]),
        ("train", None, [601]),
    ],
)
def test_mbpp_has_the_splits_of_its_authors(
    write_rows: Callable[..., Path], split: str | None, limit: int | None, numbers: list[int]
) -> None:
    path = write_rows(*MBPP_ROWS)
    benchmark = load_benchmark("mbpp-full", TaskChoice(split, limit), path=str(path))
    assert [task.task_id for task in benchmark.tasks] == [f"Mbpp/{number}" for number in numbers]
    assert {task.split for task in benchmark.tasks} == ({split} if split else {"prompt", "test", "validation", "train"})
    assert benchmark.outside() == {f"Mbpp/{row['task_id']}" for row in MBPP_ROWS if row["task_id"] not in numbers}


def test_a_split_that_a_benchmark_lacks(write_rows: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"split is held_out, but mbpp-full has prompt \(1\), test \(2\), validation"):
        load_benchmark("mbpp-full", TaskChoice("held_out"), path=str(write_rows(*MBPP_ROWS)))


def test_a_date_is_as_good_as_its_text() -> None:
    """YAML reads 2024-08-01 as a date."""
    config = load_config(overrides=["evaluation.options.since=2024-08-01", "evaluation.options.difficulty=hard"])
    options = LIVE.read_options(config.evaluation.options)
    assert options == LIVE.read_options({"since": "2024-08-01", "difficulty": "hard"})
    row = {"contest_date": "2024-08-01T00:00:00", "difficulty": "hard"}
    assert options.chooses(row) and not options.chooses(row | {"contest_date": "2024-07-31"})
    assert not options.chooses(row | {"difficulty": "easy"})


def test_where_the_options_stood_before(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation.since; it is evaluation.options.since now"):
        parse_config({"evaluation": {"since": "2024-08-01"}})
    old = tmp_path / "config.yaml"
    old.write_text("evaluation: {benchmark: mbpp, since: null, until: null, difficulty: null}\n")
    assert load_config(old, of_run=True).evaluation == EvaluationConfig(benchmark="mbpp")


def task(name: str = "t/1") -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt="Add one.", tests=tests, style="calls", entry_point="f")


def test_ids_of_earlier_results_are_found_again(tmp_path: Path) -> None:
    """The id of a Result as version 0.1.0.dev0 gave it, with LiveCodeBench's keys beside the others."""
    path = tmp_path / "samples.jsonl"
    path.write_text('{"task_id": "t/1", "solution": "def f(x): return x + 1"}\n')
    config = Config(evaluation=EvaluationConfig(benchmark="own"))
    ids = []
    for options in ({}, {"since": "2024-08-01"}):
        chosen = config.evaluation.model_copy(update={"options": options})
        asked = config.model_copy(update={"evaluation": chosen})
        answers = RecordedAnswers(read_samples(path, [task()]), [task()], (1,))
        with Sandbox(workers=1) as sandbox, Store.open(tmp_path / "run") as store:
            work = evaluate(Benchmark("own", [task()]), answers, asked, sandbox=sandbox, store=store)
            ids.append(asyncio.run(work).result_id)
    assert ids == ["5a3e79b943219a473142ee37", "492c7f3da3e8d04a08c12ccc"]


def test_result_files_hold_any_text(tmp_path: Path) -> None:
    execution = Execution(verdict="failed", trust="oracle", isolation="zygote")
    sample = Sample(task_id="t/1", sample_index=0, completion="\ud800", program="x = '\ud800'", execution=execution)
    result = Result(result_id="r", benchmark="own", model="m", dataset_hash="d", protocol="p", samples=(sample,),
                    metrics={"pass@1": 0.0})  # fmt: skip
    path = write_result(result, tmp_path / "results")
    assert Result.model_validate(json.loads(path.read_text())) == result
    assert load_entrant(path).results["own"] == result
    (recorded,) = read_samples(tmp_path / "results" / "r.samples.jsonl", [task()]).by_task["t/1"]
    assert recorded.program == "x = '\ufffd'", "cleaned where texts enter"
    assert sorted(file.name for file in path.parent.iterdir()) == ["r.json", "r.samples.jsonl"]


def test_a_definition_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = dataclasses.replace(DEFINITIONS["humaneval"], name="toy", id_prefix="toy/")
    monkeypatch.setitem(DEFINITIONS, "toy", own)
    row = {"task_id": "toy/1", "prompt": "def f():\n", "entry_point": "f", "canonical_solution": "    return 1\n",
           "test": "def check(candidate):\n    assert candidate() == 1\n"}  # fmt: skip
    path = tmp_path / "toy.jsonl"
    path.write_text(json.dumps(row) + "\n")
    found = load_benchmark("toy", path=str(path))
    assert found.definition.protocol == "chat" and found.difficulty == {"toy/1": "reference: 1-5 lines"}
    assert found.preflight and found.place == "file toy.jsonl"
