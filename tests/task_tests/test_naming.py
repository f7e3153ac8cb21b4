"""Which function tests call, and how a prompt says so."""

import pytest

from iterpref.records import Message, Style, Task, TestFile
from iterpref.task_tests import with_entry_point

UNITTEST = (
    "import unittest\n{}\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual({}(1), 2)\n"
)


def task(tests: str, style: Style = "assert", prompt: str = "Plus one.", **fields: str) -> Task:
    return Task.model_validate(
        {"task_id": "t", "prompt": prompt, "tests": [{"path": "test.py", "content": tests}], "style": style} | fields
    )


@pytest.mark.parametrize(
    ("tests", "style", "name"),
    [
        pytest.param("assert inc(1) == 2\nassert inc(2) == 3", "assert", "inc", id="asserts"),
        pytest.param(
            "import math\nassert math.isclose(inc(1), 2)\nassert set(inc(2)) == {3}", "assert", "inc", id="inside"
        ),
        pytest.param("got = inc(1)\nassert got == 2", "assert", "inc", id="by a name"),
        pytest.param(
            "def same(a, b):\n    return a == b\nassert same(inc(1), 2)", "assert", "inc", id="helper of the tests"
        ),
        pytest.param("assert sum(10, 15) == 6", "assert", "sum", id="named like a builtin"),
        pytest.param("assert inc(dec(1)) == 1", "assert", None, id="two functions"),
        pytest.param("assert Solution().inc(1) == 2", "assert", None, id="methods"),
        pytest.param("def check(candidate):\n    assert candidate(1) == 2\ncheck(inc)", "check", "inc", id="check"),
        pytest.param(UNITTEST.format("from solution import inc", "inc"), "unittest", "inc", id="unittest"),
        pytest.param(UNITTEST.format("from solution import inc as up", "up"), "unittest", "inc", id="renamed"),
        pytest.param(UNITTEST.format("import solution", "solution.inc"), "unittest", "inc", id="module"),
        pytest.param(UNITTEST.format("from solution import *", "inc"), "unittest", "inc", id="star"),
        pytest.param("from solution import inc\ndef test_it():\n    assert inc(1) == 2", "pytest", "inc", id="pytest"),
    ],
)
def test_the_function_that_the_tests_call(tests: str, style: Style, name: str | None) -> None:
    assert with_entry_point(task(tests, style)).entry_point == name


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        pytest.param("Write a function to add two numbers.", False, id="as a word"),
        pytest.param("Write `add`.", True, id="marked"),
        pytest.param("Write add(a, b).", True, id="called"),
        pytest.param("Write a function called add.", True, id="called so"),
        pytest.param("def add(a, b):\n    '''Sum.'''", True, id="defined"),
    ],
)
def test_a_prompt_that_names_the_function_stays(prompt: str, named: bool) -> None:
    made = with_entry_point(task("assert add(1, 2) == 3", prompt=prompt))
    assert (made.prompt == prompt) == named
    longer = with_entry_point(task("assert add_two(1, 2) == 3", prompt=prompt.replace("add", "add_two")))
    assert longer.prompt == prompt.replace("add", "add_two")


def test_what_a_prompt_gains() -> None:
    two = "assert inc(1) == 2\nassert inc(2) == 3"
    assert with_entry_point(task(two)).prompt == (
        "Plus one.\n\nThe program must define `inc`. One of its tests:\n\n```python\nassert inc(1) == 2\n```"
    )
    one = task("assert inc(1) == 2", reference="def inc(x: int, by=1) -> int:\n    return x + by")
    assert with_entry_point(one).prompt == (
        "Plus one.\n\nThe program must define this function:\n\n```python\ndef inc(x: int, by=1) -> int:\n```"
    )
    assert with_entry_point(task("assert inc(1) == 2")).prompt == "Plus one.\n\nThe program must define `inc`."
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Plus one."))
    prompt = with_entry_point(task("assert inc(1) == 2").model_copy(update={"prompt": turns})).prompt
    assert prompt == (turns[0], Message(role="user", content="Plus one.\n\nThe program must define `inc`."))


def test_programs_that_read_and_print_have_no_function() -> None:
    cases = (TestFile(path="cases.jsonl", content='{"stdin": "1", "stdout": "2"}'),)
    given = Task(task_id="t", prompt="Plus one.", tests=cases, style="stdio")
    assert with_entry_point(given) == given
