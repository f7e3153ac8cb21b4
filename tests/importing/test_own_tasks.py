import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from iterpref import open_run
from iterpref.config import ImportingConfig
from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation import TaskChoice, load_benchmark
from iterpref.importing.import_source import import_source
from iterpref.importing.tasks import Instruction, import_own_tasks, read_instructions
from iterpref.rows import python_style
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

WriteRows = Callable[..., Path]
RIGHT = "def double(x):\n    return 2 * x\n"
ROW: dict[str, Any] = {"question": "Double it.", "asserts": ["assert double(2) == 4"], "number": 7, "extra": None}
NAMED = "The program must define `double`."
MAPPED = ImportingConfig(columns={"prompt": "question", "tests": "asserts", "task_id": "number"}, license="MIT")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


def test_other_columns(store: Store, write_rows: WriteRows) -> None:
    path = write_rows(ROW, ROW | {"number": 8, "license": "CC0"})
    assert import_own_tasks(str(path), store, MAPPED).tasks == 2
    first, second = store.tasks()
    assert (first.task_id, first.prompt, first.style) == ("7", f"Double it.\n\n{NAMED}", "assert")
    assert (first.license, second.license, first.origin) == ("MIT", "CC0", "rows.jsonl")
    import_own_tasks(str(path), store, MAPPED)
    assert store.count("tasks") == 2


@pytest.mark.parametrize(
    ("tests", "style", "program"),
    [
        pytest.param("assert double(2) == 4", "assert", RIGHT, id="text"),
        pytest.param(["assert double(2) == 4", "assert double(3) == 6"], "assert", RIGHT, id="list of asserts"),
        pytest.param('["assert double(2) == 4"]', "assert", RIGHT, id="list as JSON text"),
        pytest.param("def check(candidate):\n    assert candidate(2) == 4\n", "check", RIGHT, id="check"),
        pytest.param("from solution import double\ndef test_it():\n    assert double(2) == 4\n", "pytest", RIGHT,
                     id="pytest"),
        pytest.param([{"path": "test_a.py", "content": "import unittest\nfrom solution import double\n"
                       "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(double(2), 4)\n"}],
                     "unittest", RIGHT, id="files"),
        pytest.param({"inputs": ["2\n"], "outputs": ["4\n"]}, "stdio", "print(2 * int(input()))", id="stdio"),
    ],
)  # fmt: skip
def test_forms_of_tests_run(
    store: Store, write_rows: WriteRows, sandbox: Sandbox, tests: Any, style: str, program: str
) -> None:
    path = write_rows(ROW | {"asserts": tests, "entry_point": "double"})
    import_own_tasks(str(path), store, MAPPED)
    [task] = store.tasks()
    assert task.style == style
    assert sandbox.run(Job.from_task(task, program)).passed
    assert not sandbox.run(Job.from_task(task, program.replace("2", "3"))).passed


def test_what_the_tests_need_first(store: Store, write_rows: WriteRows, sandbox: Sandbox) -> None:
    row = ROW | {"setup": "two = double(1)", "asserts": ["assert double(two) == 4"]}
    columns = MAPPED.columns | {"test_setup": "setup"}
    import_own_tasks(str(write_rows(row)), store, ImportingConfig(columns=columns))
    [task] = store.tasks()
    assert sandbox.run(Job.from_task(task, RIGHT)).passed


def test_without_an_id_the_content_names_the_task(store: Store, write_rows: WriteRows) -> None:
    settings = ImportingConfig(columns={"prompt": "question", "tests": "asserts"})
    import_own_tasks(str(write_rows(ROW, ROW, ROW | {"question": "Twice."})), store, settings)
    ids = [task.task_id for task in store.tasks()]
    assert len(ids) == 2
    assert all(name.startswith("rows.jsonl/") for name in ids)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param({"prompt": "query"}, r"rows.jsonl:1: no column 'query' for prompt; its columns are question, "
                     r"asserts, number, extra; name the right one, importing.columns.prompt$", id="prompt"),
        pytest.param({"tests": "unit"}, r"no column 'unit' for tests; .*tasks without tests let a model write them: "
                     r"iterpref synthesize --set synthesis.instructions=", id="tests"),
    ],
)  # fmt: skip
def test_a_missing_column_is_one_message(
    store: Store, write_rows: WriteRows, columns: dict[str, str], message: str
) -> None:
    settings = ImportingConfig(columns=MAPPED.columns | columns)
    with pytest.raises(RecordError, match=message) as raised:
        import_own_tasks(str(write_rows(*[ROW] * 20)), store, settings)
    assert "\n" not in str(raised.value)
    assert store.count("tasks") == 0


def test_an_unknown_name(store: Store, write_rows: WriteRows) -> None:
    with pytest.raises(ConfigError, match=r"importing.columns: tasks have no promt; expected some of task_id, prompt"):
        import_own_tasks(str(write_rows(ROW)), store, ImportingConfig(columns={"promt": "question"}))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"question": " "}, "rows.jsonl:2: question is empty", id="no prompt"),
        pytest.param({"question": 3}, "rows.jsonl:2: question is int; expected text or messages", id="number"),
        pytest.param({"asserts": []}, "rows.jsonl:2: asserts is empty; .*A task needs tests", id="no tests"),
        pytest.param({"asserts": [1]}, "rows.jsonl:2: asserts is list; expected Python text", id="numbers"),
        pytest.param({"asserts": {"inputs": ["1"], "outputs": []}}, "expected as many inputs as outputs", id="stdio"),
        pytest.param({"number": [1]}, "rows.jsonl:2: number is list; expected text", id="id"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_the_others_kept(
    store: Store, write_rows: WriteRows, row: dict[str, Any], message: str
) -> None:
    path = write_rows(ROW, ROW | {"number": 8} | row, ROW | {"number": 9})
    with pytest.raises(RecordError, match=message) as caught:
        import_own_tasks(str(path), store, MAPPED)
    assert "The other rows are imported (2 tasks)" in str(caught.value)
    assert [task.task_id for task in store.tasks()] == ["7", "9"]


@pytest.mark.parametrize("kind", ["parquet", "folder", "jsonl folder", "saved", "saved splits"])
def test_datasets_on_disk(store: Store, tmp_path: Path, kind: str) -> None:
    rows = [{"question": "Double it.", "asserts": ["assert double(2) == 4"], "number": n} for n in range(3)]
    made, path = Dataset.from_list(rows), tmp_path / "made"
    match kind:
        case "parquet":
            path = tmp_path / "made.parquet"
            made.to_parquet(str(path))
        case "folder":
            path.mkdir()
            made.to_parquet(str(path / "a.parquet"))
        case "jsonl folder":
            path.mkdir()
            (path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "saved":
            made.save_to_disk(str(path))
        case "saved splits":
            DatasetDict({"test": made}).save_to_disk(str(path))
            with pytest.raises(RecordError, match="no split train; it has test"):
                import_own_tasks(str(path), store, MAPPED)
    settings = MAPPED.model_copy(update={"split": "test"})
    assert import_own_tasks(str(path), store, settings).tasks == 3
    assert [task.task_id for task in store.tasks()] == ["0", "1", "2"]


def test_instructions_without_tests(write_rows: WriteRows) -> None:
    talk = [{"role": "system", "content": "Python."}, {"role": "user", "content": "Halve it."}]
    path = write_rows({"question": "Double it. ", "license": "CC0"}, {"question": talk})
    settings = ImportingConfig(columns={"prompt": "question"}, license="MIT")
    assert list(read_instructions(str(path), settings)) == [
        Instruction("Double it.", "CC0"),
        Instruction("Python.\n\nHalve it.", "MIT"),
    ]
    with pytest.raises(RecordError, match="no column 'prompt' for prompt"):
        list(read_instructions(str(path), ImportingConfig()))


@pytest.mark.parametrize(
    ("text", "style"),
    [
        pytest.param("assert f(1) == 2", "assert", id="asserts"),
        pytest.param("x = 1\n\ndef check(candidate):\n    assert candidate(x)", "check", id="check"),
        pytest.param("class T(unittest.TestCase): ...", "unittest", id="unittest"),
        pytest.param("class TestF:\n    def test_a(self): ...", "pytest", id="pytest class"),
    ],
)
def test_the_style_is_told_by_the_text(text: str, style: str) -> None:
    assert python_style(text) == style


def test_our_own_names_need_no_mapping(tmp_path: Path, write_rows: WriteRows) -> None:
    """The rows that README asks for: in import, and as a benchmark, without naming their columns."""
    path = write_rows({"task_id": "double", "prompt": "Double it.", "tests": ["assert double(2) == 4"]})
    with open_run(tmp_path / "run") as run:
        assert import_source(run, str(path), {})["tasks"] == 1
        [imported] = run.store.tasks()
    [loaded] = load_benchmark(str(path), TaskChoice()).tasks
    assert (imported.task_id, imported.style, imported.entry_point) == ("double", "assert", "double")
    assert loaded.model_copy(update={"origin": imported.origin}) == imported
