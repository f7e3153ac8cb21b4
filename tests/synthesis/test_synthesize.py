import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.clients import Completion, Ledger, Request
from iterpref.config import SynthesisConfig
from iterpref.errors import BudgetError, ClientError, RecordError, SandboxError
from iterpref.executor import Executor
from iterpref.records import Execution
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store
from iterpref.synthesis.draft import Unusable, read_draft
from iterpref.synthesis.features import load_tree
from iterpref.synthesis.synthesize import SynthesisProgress, Synthesizer

TESTS = """import unittest
from solution import double

class TestDouble(unittest.TestCase):
    def test_two(self):
        self.assertEqual(double(2), 4)
    def test_three(self):
        self.assertEqual(double(3), 6)
"""


SOLUTION = "def double(x):\n    return 2 * x"


def reply(instruction: str = "Write double(x).", solution: str = SOLUTION, tests: str = TESTS) -> str:
    return (
        f'Here it is.\n<instruction>\n{instruction}\n</instruction>\n<file path="solution.py">\n{solution}\n</file>\n'
        f"<file path='test_solution.py'>\n{tests}\n</file>\n<packages>[]</packages>"
    )


def test_a_reply_is_a_task() -> None:
    draft = read_draft(reply(), "teacher/function", "MIT")
    assert draft.task.prompt == "Write double(x)."
    assert draft.solution == "def double(x):\n    return 2 * x"
    assert (draft.task.style, draft.task.tests[0].path, draft.task.license) == ("unittest", "test_solution.py", "MIT")
    fenced = read_draft(reply(solution="```python\ndef double(x):\n    return 2 * x\n```"), "o")
    assert fenced.solution == draft.solution
    assert fenced.task.task_id == draft.task.task_id


def test_plain_asserts_are_tests_too(sandbox: Sandbox) -> None:
    draft = read_draft(reply(tests="from solution import double\nassert double(2) == 4\nassert double(3) == 6"), "o")
    assert draft.task.style == "assert"
    assert sandbox.run(Job.from_task(draft.task, draft.solution)).passed
    wrong = sandbox.run(Job.from_task(draft.task, "def double(x):\n    return x + 2"))
    assert wrong.verdict == "failed"
    assert wrong.failing_case is not None
    assert (wrong.failing_case.call, wrong.failing_case.got) == ("double(3)", "5")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("I can't.", "no instruction", id="prose"),
        pytest.param(reply().replace('<file path="solution.py">', "<file>"), "no solution", id="file without a name"),
        pytest.param(reply(solution=""), "no solution", id="empty solution"),
        pytest.param(reply().replace("test_solution", "other"), "no tests", id="no test file"),
        pytest.param(reply(solution="def ("), "not Python", id="broken solution"),
        pytest.param(reply(tests="from solution import double"), "no test method", id="no test"),
        pytest.param(
            reply(tests="from solution import double\ndef test_a():\n    double(1)"), "no test method", id="no assert"
        ),
        pytest.param(reply(tests=TESTS.replace("from solution import double", "double = int")),
                     "tests ignore the solution", id="own solution"),
        pytest.param(reply()[:120], "no solution", id="cut"),
    ],
)  # fmt: skip
def test_a_reply_that_is_no_task(text: str, reason: str) -> None:
    with pytest.raises(Unusable, match=f"^{reason}$"):
        read_draft(text, "o")


class Teacher:
    """A client that answers by the kind of question, counting; every draft is another task."""

    name = "teacher"

    def __init__(self, fail_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._fail_after = fail_after

    async def complete(self, request: Request) -> Completion:
        text = request.messages[0].content
        if self._fail_after is not None and len(self.asked) >= self._fail_after:
            raise BudgetError("budget reached")
        self.asked.append(text)
        if text.startswith("Which features"):
            return Completion(text='Well:\n{"algorithm": {"sorting": ["heap sort of tuples"]}, "made up": {"x": []}}')
        if text.startswith("This is a part"):
            part = json.loads(text[text.index("{") : text.rindex("}") + 1].rsplit("\n\n", 1)[0])
            return Completion(text=json.dumps({name: {**below, "grown": ["deep"]} for name, below in part.items()}))
        number = request.sample_index
        if number == 1:
            return Completion(text="I can't.")
        if number == 2:
            raise ClientError("too long")
        solution = "def double(x):\n    return x" if number == 3 else "def double(x):\n    return 2 * x"
        return Completion(text=reply(f"Write double(x), number {number}.", solution))

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def make(store: Store, sandbox: Sandbox, teacher: Teacher, **settings: Any) -> SynthesisProgress:
    config = SynthesisConfig(**{"tasks": 6, **settings})
    return asyncio.run(Synthesizer(Ledger(teacher, store), Executor(sandbox, store), store, config).run())


def test_drafts_become_tasks(store: Store, sandbox: Sandbox) -> None:
    teacher = Teacher()
    progress = make(store, sandbox, teacher)
    assert (progress.done, progress.tasks, progress.solution_passes, progress.failed_calls) == (6, 4, 3, 1)
    assert progress.unusable == {"no instruction": 1}
    tasks = sorted(store.tasks(), key=lambda task: str(task.prompt))
    assert [task.prompt for task in tasks] == [f"Write double(x), number {n}." for n in (0, 3, 4, 5)]
    assert [task.reference is not None for task in tasks] == [True, False, True, True]  # number 3 fails its tests
    drafts = [task.draft for task in tasks if task.draft]
    assert [draft.program.endswith("return x") for draft in drafts] == [False, True, False, False]
    assert {draft.client for draft in drafts} == {"teacher"}
    assert all(store.call(draft.call_id, Completion) for draft in drafts)
    assert progress.features_drawn.startswith("evenly")
    assert len(set(teacher.asked)) > 1
    assert all("computation operation" in text for text in teacher.asked)


class Unreliable(Sandbox):
    """A real sandbox whose first `breaks` runs break."""

    breaks = 0

    def run(self, job: Job, *args: Any, **settings: Any) -> Execution:
        if self.breaks > 0:
            self.breaks -= 1
            return Execution(verdict="sandbox_error", trust="oracle", isolation=self.isolation, error="worker died")
        return super().run(job, *args, **settings)


def test_defect_13_a_solution_on_which_the_sandbox_broke_is_not_a_failing_one(store: Store) -> None:
    with Unreliable(workers=1) as sandbox:
        sandbox.breaks = 1
        assert make(store, sandbox, Teacher(), tasks=1).solution_passes == 1
    assert [task.reference is not None for task in store.tasks()] == [True]


def test_defect_13_a_draft_that_no_sandbox_could_run_is_tried_again_later(store: Store) -> None:
    with Unreliable(workers=1) as sandbox:
        sandbox.breaks = 2
        with pytest.raises(SandboxError, match=r"the sandbox failed twice \(worker died\).*run the same command again"):
            make(store, sandbox, Teacher(), tasks=1)
        again = Teacher()
        assert make(store, sandbox, again, tasks=1).solution_passes == 1
    assert again.asked == []


@pytest.mark.parametrize(("tests", "said"), [("unittest", "use unittest"), ("asserts", "plain assert statements")])
def test_the_kind_of_tests_is_asked_for(store: Store, sandbox: Sandbox, tests: str, said: str) -> None:
    teacher = Teacher()
    make(store, sandbox, teacher, tests=tests, tasks=2)
    assert all(said in text for text in teacher.asked)


def test_a_second_run_asks_for_what_failed_only(store: Store, sandbox: Sandbox) -> None:
    make(store, sandbox, Teacher())
    before, again = list(store.tasks()), Teacher()
    make(store, sandbox, again)
    assert len(again.asked) == 1
    assert list(store.tasks()) == before


def test_a_budget_stops_it_and_it_goes_on(store: Store, sandbox: Sandbox) -> None:
    with pytest.raises(BudgetError):
        make(store, sandbox, Teacher(fail_after=3))
    again = Teacher()
    assert make(store, sandbox, again).tasks == 4
    assert len(again.asked) < 6


def test_features_are_extracted_and_evolved(store: Store, sandbox: Sandbox, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("import heapq\n")
    teacher = Teacher()
    progress = make(store, sandbox, teacher, snippets=str(code), evolve_rounds=1, evolve_parts=3)
    assert progress.features_drawn == "by their frequencies, at temperature 10"
    tree = store.note("feature_tree")
    assert "heap sort of tuples" in tree["features"]["algorithm"]["sorting"]
    assert "made up" not in tree["features"], "only known categories grow"
    assert sum("grown" in below for below in tree["features"].values()) >= 2
    assert tree["frequencies"]["algorithm"] == 2
    assert load_tree(store.folder / "tree").counts() == tree["frequencies"], "for synthesis.tree of another run"


def test_code_inspires(store: Store, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("total = sum(range(10))\n")
    teacher = Teacher()
    make(store, sandbox, teacher, snippets=str(tmp_path), inspire=True, tasks=1)
    assert "total = sum(range(10))" in teacher.asked[0]
    with pytest.raises(RecordError, match=r"expected a folder with \.py files, found none"):
        make(store, sandbox, teacher, snippets=str(tmp_path / "none"), inspire=True)


def test_own_instructions_get_solution_and_tests(store: Store, sandbox: Sandbox) -> None:
    teacher = Teacher()
    own = [("Write double(x), number 0.", "MIT"), ("Something else.", ""), ("Write double(x),\nnumber 3.", "")]
    config = SynthesisConfig(instructions="tasks.jsonl", tasks=5, license="CC0")
    made = Synthesizer(Ledger(teacher, store), Executor(sandbox, store), store, config, instructions=own)
    teacher.complete = echo_the_task  # type: ignore[method-assign]
    progress = asyncio.run(made.run())
    assert (progress.total, progress.tasks) == (3, 2)
    assert progress.unusable == {"another instruction": 1}
    tasks = sorted(store.tasks(), key=lambda task: str(task.prompt), reverse=True)
    assert [(task.prompt, task.license) for task in tasks] == [
        ("Write double(x), number 0.\nCall it double.", "MIT"),
        ("Write double(x),\nnumber 3.\nCall it double.", "CC0"),
    ]


async def echo_the_task(request: Request) -> Completion:
    """Repeats the task and adds a name, as asked; but for one, which it replaces."""
    text = request.messages[0].content
    task = text[text.index("<task>") + 6 : text.index("</task>")].strip()
    return Completion(text=reply("Write triple." if task.startswith("Something") else f"{task}\nCall it double."))
