"""Files of completions: formats, what is refused, and the same scores from a model and from its samples file."""

import json
from pathlib import Path

import pytest

from iterpref import pipeline
from iterpref.config import Config, EvaluationConfig
from iterpref.errors import ConfigError, IterPrefError, RecordError
from iterpref.evaluation import RecordedAnswers, read_samples
from iterpref.evaluation.benchmarks import TASKS_FILE
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.protocols import FENCE_STOP, ask, program_of
from iterpref.opened_run import OpenedRun
from iterpref.records import Message, Task, TestFile
from iterpref.store import Store


def task(name: str, prompt: str = "def f(x):\n") -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt=prompt, tests=tests, style="calls", entry_point="f")


TASKS = [task("a"), task("b")]
GOOD = [{"task_id": "a", "solution": "def f(x): return 2"}, {"task_id": "b", "completion": "    return x + 1"}]


def write(folder: Path, *rows: object) -> Path:
    path = folder / "samples.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_solutions_and_completions(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, *GOOD, "", {"task_id": "a", "solution": "x"}), TASKS)
    assert [given.program for given in samples.by_task["a"]] == ["def f(x): return 2", "x"]
    assert samples.by_task["b"][0].program == "def f(x):\n    return x + 1"
    assert samples.by_task["b"][0].completion == "    return x + 1"


def test_equal_samples_of_every_task_are_samples(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, *GOOD, *GOOD), TASKS)
    assert [len(given) for given in samples.by_task.values()] == [2, 2]


def test_livecodebench_form(tmp_path: Path) -> None:
    path = write(tmp_path, [{"question_id": "a", "code_list": ["1", "2"]}, {"question_id": "b", "code_list": ["3"]}])
    assert [len(given) for given in read_samples(path, TASKS).by_task.values()] == [2, 1]


def test_sanitized_on_demand(tmp_path: Path) -> None:
    path = write(tmp_path, {"task_id": "a", "solution": "def f(x): return 2\nprint(f(1))"}, GOOD[1])
    assert read_samples(path, TASKS, sanitized=True).by_task["a"][0].program == "def f(x): return 2"
    assert read_samples(path, TASKS).by_task["a"][0].program.endswith("print(f(1))")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(["{"], r"samples.jsonl:1: not JSON", id="not JSON"),
        pytest.param([GOOD[0], {"id": 1, "code": ""}], r"samples.jsonl:2: got code, id; expected task_id", id="fields"),
        pytest.param(["3"], r"samples.jsonl:1: got int; expected task_id and solution", id="no object"),
        pytest.param([*GOOD, {"task_id": "z", "solution": ""}], r":3: task z is not in the benchmark", id="unknown"),
        pytest.param([GOOD[0]], r"1 of 2 tasks have no sample: b", id="missing task"),
        pytest.param([GOOD[0] | {"sample_index": 0}, GOOD[0] | {"sample_index": 0}],
                     r":2: sample 0 of task a was on line 1", id="same sample twice"),
        pytest.param([*GOOD, GOOD[0]], r":3: the sample of task a on line 1 again, and not all", id="joined twice"),
        pytest.param([[{"question_id": "a"}]], r"element 1: expected an object with question_id", id="lcb"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_samples(write(tmp_path, *rows), TASKS)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read this samples file"):
        read_samples(tmp_path / "absent.jsonl", TASKS)


def test_k_larger_than_the_samples_of_a_task(tmp_path: Path) -> None:
    samples = read_samples(write(tmp_path, *GOOD), TASKS)
    with pytest.raises(ConfigError, match=r"evaluation.k is \[1, 2\], and task a has 1 samples"):
        RecordedAnswers(samples, TASKS, (1, 2))


def test_chat_protocol() -> None:
    asked = ask(task("a"), DEFINITIONS["humaneval"], "chat")
    assert [message.role for message in asked.messages] == ["user", "assistant"]
    assert asked.messages[0].content.endswith("\n```\ndef f(x):\n```\n")
    assert asked.messages[1].content.endswith("\n```python\n") and FENCE_STOP in asked.stop and not asked.raw
    text = "def f(x):\n\treturn x\n```\nThat is it"
    assert program_of(task("a"), text, "chat", DEFINITIONS["humaneval"]) == "def f(x):\n    return x"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("```python\ndef f(x):\n    return x\n```\nDone.", id="a fence of its own"),
        pytest.param("Below is a script:\n```python\ndef f(x):\n    return x\n", id="from the beginning, cut"),
    ],
)
def test_an_endpoint_that_begins_anew(reply: str) -> None:
    assert program_of(task("a"), reply, "chat", DEFINITIONS["humaneval"]) == "def f(x):\n    return x"


def test_base_protocol() -> None:
    asked = ask(task("a"), DEFINITIONS["humaneval"], "base")
    assert asked.raw and asked.messages == (Message(role="user", content="def f(x):\n"),) and "\ndef " in asked.stop
    assert program_of(task("a"), "    return x\n", "base", DEFINITIONS["humaneval"]) == "def f(x):\n    return x"


def test_a_base_model_reads_other_prompts_as_a_docstring() -> None:
    """Own tasks, and benchmarks whose prompts begin no program."""
    own = task("a").model_copy(update={"prompt": "Write f, which returns x."})
    asked = ask(own, TASKS_FILE, "base")
    assert asked.raw and asked.messages[0].content == '"""\nWrite f, which returns x.\n"""\n'
    assert '\n"""' in asked.stop and "\nprint(" in asked.stop
    assert program_of(own, "def f(x):\n    return x\n", "base", TASKS_FILE) == "def f(x):\n    return x"
    quoted = own.model_copy(update={"prompt": 'Fix:\n"""x"""'})
    assert ask(quoted, TASKS_FILE, "base").messages[0].content == '# Fix:\n# """x"""\n'
    turns = own.model_copy(
        update={"prompt": (Message(role="user", content="One."), Message(role="user", content="Two."))}
    )
    assert ask(turns, TASKS_FILE, "base").messages[0].content == '"""\nOne.\n\nTwo.\n"""\n'


def test_a_program_that_reads_and_prints_keeps_its_top_level_from_a_base_model() -> None:
    reads = task("a").model_copy(update={"prompt": "Print x.", "style": "stdio", "entry_point": None})
    assert "\nprint(" not in ask(reads, TASKS_FILE, "base").stop
    program = "x = input()\nprint(x)"
    assert program_of(reads, f"{program}\n", "base", TASKS_FILE) == program


def test_protocols_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"evaluation.protocol is chat, which own benchmarks don't have"):
        ask(task("a"), TASKS_FILE, "chat")


def test_a_model_and_its_samples_file_score_the_same(tmp_path: Path) -> None:
    """The playground's coder, in process and from the file that evaluating it wrote."""
    config = Config(evaluation=EvaluationConfig(benchmark="playground", tasks=30))
    with Store.open(tmp_path / "run") as store:
        run = OpenedRun(store, config)
        before = pipeline.evaluate(run, "playground")
        again = pipeline.evaluate(run, "playground", samples=tmp_path / f"run/results/{before.result_id}.samples.jsonl")
    assert again.metrics == before.metrics and 0 < before.metrics["pass@1"] < 1
    assert again.dataset_hash == before.dataset_hash and again.result_id != before.result_id
    assert [s.execution.verdict for s in again.samples] == [s.execution.verdict for s in before.samples]


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        pytest.param({"benchmark": "playgruond"}, None, "unknown; did you mean playground", id="unknown benchmark"),
        pytest.param({"k": (1, 3)}, None, r"k is \[1, 3\] with evaluation.samples = 1", id="k larger than samples"),
        pytest.param({}, ["{"], r"samples.jsonl:1: not JSON .*expected one object a line: task_id and solution",
                     id="not JSON"),
        pytest.param({}, [{"task": "a", "code": "x"}], r"samples.jsonl:1: got code, task; expected task_id",
                     id="fields"),
        pytest.param({}, [{"task_id": "a", "solution": "x"}], r"samples.jsonl:1: task a is not in the benchmark",
                     id="another benchmark's"),
        pytest.param({}, [], r"2 of 2 tasks have no sample: playground/", id="empty file"),
    ],
)  # fmt: skip
def test_bad_input_of_the_command(
    tmp_path: Path, settings: dict[str, object], rows: list[object] | None, message: str
) -> None:
    evaluation = EvaluationConfig.model_validate({"benchmark": "playground", "tasks": 2} | settings)
    given = None if rows is None else write(tmp_path, *rows)
    with Store.open(tmp_path / "run") as store, pytest.raises(IterPrefError, match=message):
        pipeline.evaluate(OpenedRun(store, Config(evaluation=evaluation)), "playground", samples=given)
    with Store.open(tmp_path / "run", write=False) as store:
        assert not list(store.results())
