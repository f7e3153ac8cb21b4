"""Tasks of one's own through the command line: bad ones are named, and no model is asked about them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat import Chat

from iterpref.programs import fenced
from iterpref.records import Task, TestFile
from iterpref.store import Store

WriteRows = Callable[..., Path]
MAPPED = ["--column", "prompt=text", "--column", "tests=test_list", "--column", "reference=code"]
DOUBLE = "def double(x):\n    return 2 * x\n"
GOOD = {
    "task_id": "good",
    "text": "Twice a number.",
    "code": DOUBLE,
    "test_list": ["assert double(2) == 4", "assert double(3) == 6"],
}
UNITTEST = "import unittest\n{}\nclass T(unittest.TestCase):\n    def test_it(self):\n        {}\n"


def iterpref(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "iterpref", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def task_ids(run: Path) -> list[str]:
    if not (run / "run.sqlite").is_file():
        return []
    with Store.open(run, write=False) as store:
        return [task.task_id for task in store.tasks()]


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        pytest.param("assert double(2) == 4\nassert double(3 ==", "test.py line 2: not Python", id="syntax error"),
        pytest.param("double(2)\nprint(double(3))", "test.py: asserts nothing", id="no assertion"),
        pytest.param(
            UNITTEST.format("from main import double", "self.assertEqual(double(2), 4)"),
            "test.py line 2: imports main, which is not installed here; the program is the module solution, "
            "as in `from solution import double`",
            id="from main",
        ),
        pytest.param(
            UNITTEST.format("", "self.assertEqual(double(2), 4)"),
            "test.py line 5: double is not defined there; unittest files import what they test, as in "
            "`from solution import double`",
            id="bare name",
        ),
        pytest.param(
            UNITTEST.format("from solution import double", "double(2)"), "test.py: asserts nothing", id="only calls"
        ),
    ],
)
def test_bad_input_tests_that_cannot_be_right_are_refused_with_task_line_and_cause(
    tmp_path: Path, write_rows: WriteRows, tests: str, said: str
) -> None:
    path = write_rows(GOOD, GOOD | {"task_id": "bad", "test_list": tests})
    result = iterpref("import", path, "--run", tmp_path / "r", *MAPPED)
    assert result.returncode == 1, result.stdout
    assert f"rows.jsonl:2: task bad: {said}" in result.stderr
    assert task_ids(tmp_path / "r") == ["good"]


def bad_tasks() -> list[Task]:
    """As an earlier version stored them, without a look at their tests; the last one's reference is wrong."""
    contents = {"broken": "assert double(", "empty": "double(2)", "wrong": "assert double(2) == 5"}
    return [
        Task(
            task_id=name,
            prompt=f"{name}: double(x).",
            tests=(TestFile(path="test.py", content=content),),
            style="assert",
            entry_point="double",
            reference=DOUBLE if name == "wrong" else None,
        )
        for name, content in contents.items()
    ]


def good_task() -> Task:
    return bad_tasks()[0].model_copy(
        update={
            "task_id": "good",
            "prompt": "good: double(x).",
            "tests": (TestFile(path="test.py", content="assert double(2) == 4"),),
        }
    )


CAUSES = {
    "broken": "test.py line 1: not Python",
    "empty": "test.py: asserts nothing",
    "wrong": "its reference does not pass: double(2) returned 4, expected 5",
}


def test_stumble_6_debug_asks_no_model_about_tasks_that_no_program_can_pass(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        store.put_tasks([*bad_tasks(), good_task()])
    with Chat(lambda _: fenced(DOUBLE)) as chat:
        first = iterpref("debug", "--run", tmp_path / "r", "--json", *chat.settings)
        again = iterpref("debug", "--run", tmp_path / "r", "--json", *chat.settings)
        asked = [messages[0]["content"] for messages in chat.asked]
    assert asked == ["good: double(x)."], "asked about tasks that can't be right"
    for result in (first, again):
        summary = json.loads(result.stdout.splitlines()[-1])
        assert (result.returncode, summary["tasks"], summary["passed"], summary["left_out"]) == (0, 1, 1, 3)
        said = {row["task"]: row["cause"] for row in summary["left_out_tasks"]}
        assert said.keys() == CAUSES.keys()
        assert all(said[name].startswith(cause) for name, cause in CAUSES.items())
    assert set(task_ids(tmp_path / "r")) == {*CAUSES, "good"}


def test_stumble_6_check_names_bad_tasks_with_their_causes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        store.put_tasks([*bad_tasks(), good_task().model_copy(update={"reference": DOUBLE})])
    result = iterpref("check", "--run", tmp_path / "r")
    assert result.returncode == 1, "a run with bad tasks passes"
    for name, cause in CAUSES.items():
        assert f"task {name}, cause {cause}" in result.stdout
    assert "3 of 4 tasks can't be used" in result.stderr


def test_stumble_6_a_corrected_reference_is_taken_over(tmp_path: Path, write_rows: WriteRows) -> None:
    run = tmp_path / "r"
    iterpref("import", write_rows(GOOD | {"code": "def double(x):\n    return x\n"}), "--run", run, *MAPPED)
    iterpref("import", write_rows(GOOD), "--run", run, *MAPPED)
    with Store.open(run, write=False) as store:
        assert store.task("good").reference == DOUBLE


def test_stumble_7_the_prompt_names_the_function_that_the_tests_call(tmp_path: Path, write_rows: WriteRows) -> None:
    named = {"task_id": "named", "text": "Write triple(x).", "test_list": ["assert triple(2) == 6"]}
    path = write_rows({key: GOOD[key] for key in ("task_id", "text", "test_list")}, named)
    columns = "importing: {columns: {prompt: text, tests: test_list}}\n"
    (tmp_path / "own.yaml").write_text(columns)
    assert iterpref("import", path, "--run", tmp_path / "r", "-c", tmp_path / "own.yaml").returncode == 0
    with Chat(lambda messages: fenced(DOUBLE.replace("double", "triple").replace("2", "3"))) as chat:
        iterpref("debug", "--run", tmp_path / "r", "--set", "debugging.max_iterations=0", *chat.settings)
        asked = sorted(messages[0]["content"] for messages in chat.asked)
    assert [turn["role"] for messages in chat.asked for turn in messages] == ["user", "user"]
    assert asked[0].startswith("Twice a number.")
    assert "must define `double`" in asked[0]
    assert "assert double(2) == 4" in asked[0], "MBPP's own prompt shows a test, which tells the arguments"
    assert "assert double(3) == 6" not in asked[0]
    assert asked[1] == "Write triple(x)."


def test_bad_input_sixty_refusals_are_said_to_hold_no_program(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        values = ({"task_id": f"t{number}", "prompt": f"{number}: double(x)."} for number in range(10))
        store.put_tasks(good_task().model_copy(update=update) for update in values)
    with Chat(lambda _: "I cannot help with that.") as chat:
        result = iterpref("debug", "--run", tmp_path / "r", "--json", *chat.settings)
        assert len(chat.asked) == 60
    summary: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert summary.get("replies_without_program") == 60
    assert summary["such_as"] == "I cannot help with that."
    assert "60 replies without a program" in result.stderr
