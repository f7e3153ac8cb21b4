"""LiveCodeBench's rules: how it asks and how it judges, here and in its own runner.

The runner is not on PyPI; `ITERPREF_LIVECODEBENCH` names a checkout of github.com/LiveCodeBench/LiveCodeBench (commit
28fef95), and without one the tests that ask it skip.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from iterpref.errors import RecordError
from iterpref.evaluation.benchmarks import load_benchmark
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.protocols import ask, program_of
from iterpref.records import Task
from iterpref.sandbox import Job, Sandbox

LIVE = DEFINITIONS["livecodebench-v1"]
STARTER = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


def row(function: str | None, *tests: tuple[str, str], public: int = 0, starter: str = "") -> dict[str, Any]:
    given = [{"input": read, "output": wanted, "testtype": "stdin"} for read, wanted in tests]
    return {
        "question_id": "q", "question_content": "Add a and b.", "starter_code": starter, "difficulty": "easy",
        "contest_date": "2024-08-01T00:00:00", "public_test_cases": json.dumps(given[:public]),
        "private_test_cases": json.dumps(given[public:]),
        "metadata": json.dumps({"func_name": function} if function else {}),
    }  # fmt: skip


def task_of(tmp_path: Path, values: dict[str, Any]) -> Task:
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(values) + "\n")
    (task,) = load_benchmark("livecodebench-v1", path=str(path)).tasks
    return task


GENERIC = """\
### Question:
Add a and b.

### Format: You will use the following starter code to write the solution to the problem and enclose your code within delimiters.
```python
class Solution:
    def add(self, a: int, b: int) -> int:
        
```

### Answer: (use the provided format with backticks)

"""  # noqa: E501


def test_the_question_is_the_runners_word_for_word(tmp_path: Path) -> None:
    task = task_of(tmp_path, row("add", ("1\n2", "3"), starter=STARTER))
    system, user = ask(task, LIVE, "plain").messages
    assert (system.role, user.role) == ("system", "user")
    assert system.content.startswith("You are an expert Python programmer. You will be given a question (problem spec")
    assert user.content == GENERIC


def test_a_base_model_continues_a_question_after_an_example(tmp_path: Path) -> None:
    task = task_of(tmp_path, row("add", ("1\n2", "3"), starter=STARTER))
    asked = ask(task, LIVE, "base")
    (turn,) = asked.messages
    assert asked.raw and "###" in asked.stop
    assert turn.content.startswith("### Question\nGiven a list") and "### Starter Code\nclass Solution:" in turn.content
    assert turn.content.endswith(f"\n\n### Question\nAdd a and b.\n\n### Starter Code\n{STARTER}\n\n### Answer\n\n")
    script = ask(task_of(tmp_path, row(None, ("1 2\n", "3\n"))), LIVE, "base").messages[0].content
    assert "Starter Code" not in script and script.endswith("\n\n### Question\nAdd a and b.\n\n### Answer\n\n")


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        pytest.param("```python\nx = 1\n```\nOr better:\n```python\nx = 2\n```", "x = 2", id="the last block"),
        pytest.param("```python\nx = 1", "", id="a block that is never closed"),
        pytest.param("x = 1", "", id="no block"),
    ],
)
def test_the_program_in_a_reply(tmp_path: Path, reply: str, program: str) -> None:
    task = task_of(tmp_path, row(None, ("1 2\n", "3\n")))
    assert program_of(task, reply, "plain", LIVE) == program


def test_of_a_base_model_all_is_program(tmp_path: Path) -> None:
    task = task_of(tmp_path, row(None, ("1 2\n", "3\n")))
    assert program_of(task, "\nprint(3)\nprint(4)\n", "base", LIVE) == "print(3)\nprint(4)"


@pytest.mark.slow
def test_half_a_second_for_each_of_twenty_calls(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each test has six seconds, not all together."""
    task = task_of(tmp_path, row("slow", *((f"{n}", f"{n}") for n in range(20))))
    program = (
        "import time\n\ndef slow(x):\n    end = time.process_time() + 0.5\n    while time.process_time() < end:\n"
        "        pass\n    return x\n"
    )
    execution = sandbox.run(Job.from_task(task, program))
    assert execution.passed and execution.cpu_s > 10


class Rule(NamedTuple):
    """A program, a test and whether the program is right."""

    function: str | None
    program: str
    given: str
    wanted: str
    right: bool


def printing(text: str, wanted: str, right: bool) -> Rule:
    return Rule(None, f"print({text!r}, end='')", "", wanted, right)


RULES = {
    "equal": printing("1\n2\n", "1\n2\n", True),
    "another line": printing("1\n3\n", "1\n2\n", False),
    "a number in another form": printing("0.50 1e3", "0.5 1000", True),
    "an integer as a float": printing("3.0", "3", True),
    "a number nearby": printing("0.3333333333", "0.3333333334", False),
    "large integers that are one float": printing("50000000000000000", "50000000000000001", False),
    "several lines of numbers": printing("1.0\n2.50\n", "1\n2.5\n", True),
    "a word and a number": printing("yes 1.0", "yes 1", False),
    "another case": printing("yes", "YES", False),
    "blanks around lines": printing("  1 \n\t2  \n", "1\n2", True),
    "blanks between words": printing("a  b", "a b", False),
    "blanks between numbers": printing("1  2", "1 2", True),
    "empty lines around": printing("\n\n1\n\n", "1", True),
    "an empty line between": printing("1\n\n2", "1\n2", False),
    "nothing, where nothing is wanted": printing("", "", True),
    "nothing, where something is wanted": printing("", "1", False),
    "one more line": printing("1\n2", "1", False),
    "not a number": printing("nan", "nan", True),
    "nan beside a number": printing("nan 1.0", "nan 1", False),
    "under a main guard": Rule(None, "if __name__ == '__main__':\n    print(input())", "5\n", "5", True),
    "exit ends it": Rule(None, "print(1)\nexit()", "", "1", True),
    "an exception after the output": Rule(None, "print(1)\nraise ValueError", "", "1", False),
    "names of the runner": Rule(None, "print(Counter('aab')['a'], maxsize > 0, dumps([1]))", "", "2 True [1]", True),
    "deep recursion": Rule(
        None, "def f(n):\n    return n and 1 + f(n - 1)\nprint(f(9000))", "", "9000", True),
    "reading all": Rule(None, "import sys\nprint(sum(map(int, sys.stdin.read().split())))", "1 2\n3\n", "6", True),
    "reading lines": Rule(None, "import sys\nn = int(sys.stdin.readline())\nprint(n)", "1\n2\n", "1", True),
    "a method": Rule("add", "class Solution:\n    def add(self, a, b):\n        return a + b", "1\n2", "3", True),
    "a function": Rule("add", "def add(a, b):\n    return a + b", "1\n2", "3", True),
    "a tuple for a list": Rule("f", "def f(x):\n    return (x, x)", "1", "[1, 1]", True),
    "a tuple in a list": Rule("f", "def f(x):\n    return [(x,)]", "1", "[[1]]", False),
    "a float for an integer": Rule("f", "def f(x):\n    return float(x)", "1", "1", True),
    "a float nearby": Rule("f", "def f(x):\n    return 0.1 + 0.2", "1", "0.3", False),
    "True for 1": Rule("f", "def f(x):\n    return True", "1", "1", True),
    "a text for a number": Rule("f", "def f(x):\n    return '1'", "1", "1", False),
    "None": Rule("f", "def f(x):\n    pass", "1", "null", True),
    "no such function": Rule("f", "def g(x):\n    return x", "1", "1", False),
    "it raises": Rule("f", "def f(x):\n    return x / 0", "1", "1", False),
    "types of the runner": Rule("f", "def f(x: Optional[List[int]]):\n    return len(x)", "[1]", "1", True),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_verdicts(sandbox: Sandbox, tmp_path: Path, rule: Rule) -> None:
    task = task_of(tmp_path, row(rule.function, (rule.given, rule.wanted)))
    execution = sandbox.run(Job.from_task(task, rule.program))
    assert execution.passed == rule.right, execution.text


def test_one_solution_answers_all_calls(sandbox: Sandbox, tmp_path: Path) -> None:
    """So a program that keeps something between calls is wrong there, and here."""
    program = "class Solution:\n    calls = 0\n    def f(self, x):\n        self.calls += 1\n        return self.calls"
    task = task_of(tmp_path, row("f", ("0", "1"), ("0", "2"), public=1))
    assert [file.path for file in task.tests] == ["public.jsonl", "private.jsonl"]
    assert sandbox.run(Job.from_task(task, program)).passed


@pytest.fixture
def runner() -> Path:
    folder = os.environ.get("ITERPREF_LIVECODEBENCH")
    if not folder or not Path(folder, "lcb_runner").is_dir():
        pytest.skip("needs LiveCodeBench's runner (set ITERPREF_LIVECODEBENCH to a checkout)")
    return Path(folder)


def told(runner: Path, program: str, given: Any) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given), capture_output=True, text=True, cwd=runner,
        timeout=300, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


JUDGE = """
import json, multiprocessing, sys, types
sys.path.insert(0, ".")
def judged(rule, queue):
    import os
    from lcb_runner.evaluation.testing_util import run_test
    function, program, given, wanted = rule
    sample = {"input_output": json.dumps({"inputs": [given], "outputs": [wanted], "fn_name": function})}
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        results, _ = run_test(sample, test=program)
    except Exception:
        results = [-4]
    queue.put(bool(results) and all(result is True or result == True and result > 0 for result in results))
verdicts = []
for rule in json.load(sys.stdin):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=judged, args=(rule, queue))
    process.start()
    verdicts.append(queue.get(timeout=60))
    process.join()
print(json.dumps(verdicts))
"""


@pytest.mark.slow
def test_the_runner_judges_the_same(runner: Path) -> None:
    there = told(runner, JUDGE, [rule[:4] for rule in RULES.values()])
    differ = [name for (name, rule), right in zip(RULES.items(), there, strict=True) if rule.right != right]
    assert differ == []


# The package's other prompts import clients of models, so that it is entered past its __init__.
QUESTION = """
import json, sys, types
from types import SimpleNamespace
sys.path.insert(0, ".")
package = types.ModuleType("lcb_runner.prompts")
package.__path__ = ["lcb_runner/prompts"]
sys.modules["lcb_runner.prompts"] = package
from lcb_runner.lm_styles import LMStyle
from lcb_runner.prompts.code_generation import format_prompt_generation
problems = [SimpleNamespace(**problem) for problem in json.load(sys.stdin)]
styles = (LMStyle.OpenAIChat, LMStyle.GenericBase)
print(json.dumps([[format_prompt_generation(problem, style) for style in styles] for problem in problems]))
"""


@pytest.mark.slow
def test_the_runner_asks_the_same(runner: Path, tmp_path: Path) -> None:
    rows = [row("add", ("1\n2", "3"), starter=STARTER), row(None, ("1 2\n", "3\n"))]
    there = told(runner, QUESTION, rows)
    for values, (chat, base) in zip(rows, there, strict=True):
        task = task_of(tmp_path, values)
        assert [turn.model_dump() for turn in ask(task, LIVE, "plain").messages] == chat
        here = ask(task, LIVE, "base").messages[0].content
        assert here.rpartition("### Question")[2] == base.rpartition("### Question")[2], "all but the example"
        assert here.count("###") == base.count("###")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contest_date": None}, r"test.jsonl:1: contest_date is null, expected a text"),
        ({"difficulty": 3}, r"test.jsonl:1: difficulty is a number, expected a text"),
        ({"private_test_cases": []}, r"test.jsonl:1: private_test_cases is a list, expected a text"),
        ({"metadata": "null"}, r"the row of task q: 'NoneType' object has no attribute 'get'; expected the released"),
        ({"metadata": '{"func_name": 3}'}, r"the row of task q: Input should be a valid string"),
        ({"private_test_cases": DEEP}, r"the row of task q: maximum recursion depth"),
        ({"private_test_cases": '[{"input": 1, "output": "1"}]'}, r"input and output, both text"),
        ({"private_test_cases": "[]"}, r"the row of task q: .*no tests"),
    ],
)
def test_bad_input_a_row_of_another_form(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        task_of(tmp_path, row(None, ("1", "1")) | change)
