"""One content in every form of file that people have, by the command; and one file for import and evaluation."""

import bz2
import csv
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.store import Store

PAIRS = [
    {
        "prompt": "Add one.",
        "chosen": "```python\ndef f(x):\n    return x + 1\n```",
        "rejected": "```python\nx = 0\n```",
    },
    {"prompt": "Zwei; äöü, bitte", "chosen": "```python\ny = 1\n```", "rejected": '```python\ny = "2"\n```'},
]
LINES = "".join(f"{json.dumps(row)}\n" for row in PAIRS).encode()


def iterpref(*arguments: object) -> Any:
    """The last line of a command as JSON, or the message of its error."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else f"refused: {done.exception}"


def zstd(content: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as packed:
        packed.write(content)
    return buffer.getvalue().to_pybytes()


def table(delimiter: str = ",") -> bytes:
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([list(PAIRS[0]), *(list(row.values()) for row in PAIRS)])
    return text.getvalue().encode()


def imported(store_folder: Path) -> list[dict[str, Any]]:
    with Store.open(store_folder, write=False) as store:
        return [{name: getattr(pair, name) for name in PAIRS[0]} for pair in store.imported_pairs()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("pairs.csv", table(), id="csv"),
        pytest.param("pairs.csv", b"\xef\xbb\xbf" + table(";"), id="csv of a spreadsheet"),
        pytest.param("pairs.tsv", table("\t"), id="tsv"),
        pytest.param("pairs.csv.gz", gzip.compress(table()), id="csv.gz"),
        pytest.param("pairs.jsonl.gz", gzip.compress(LINES), id="gz"),
        pytest.param("pairs.jsonl.zst", zstd(LINES), id="zst"),
        pytest.param("pairs.jsonl.bz2", bz2.compress(LINES), id="bz2"),
        pytest.param("pairs.jsonl.xz", lzma.compress(LINES), id="xz"),
        pytest.param("pairs.data", zstd(LINES), id="packed, whatever its name"),
    ],
)
def test_bad_input_tables_and_packed_files_just_work(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert iterpref("import", path, "--run", tmp_path / "run") == {"pairs": 2}
    assert imported(tmp_path / "run") == PAIRS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("p.zip", b"PK\x03\x04rest", "a ZIP archive or a spreadsheet; unpack it", id="zip"),
        pytest.param("p.jsonl.zst", zstd(LINES)[:-9], "p.jsonl.zst: damaged", id="cut zst"),
        pytest.param("p.jsonl.xz", lzma.compress(LINES)[:-9], "p.jsonl.xz: damaged", id="cut xz"),
        pytest.param("p.csv", table() + b"a,b\n", "p.csv:13: 2 values, and the header names 3 columns", id="short row"),
        pytest.param("p.csv", "prompt,chosen,rejected\né,a,b\n".encode("latin-1"), "not UTF-8 text; save the table",
                     id="latin-1"),
        pytest.param("p.csv", b"prompt,prompt\n1,2\n", "two columns are named 'prompt'", id="two of one name"),
        pytest.param("p.csv", b'{"prompt":"a","tests":"b"}\n', "its first line doesn't name columns", id="JSON"),
    ],
)  # fmt: skip
def test_bad_input_of_tables_and_packed_files_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in iterpref("import", tmp_path / name, "--run", tmp_path / "run")


@pytest.mark.parametrize("rows", [PAIRS[:1], PAIRS], ids=["one object", "one after another"])
def test_defect_36_pretty_printed_objects_are_rows(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    path = tmp_path / "pairs.json"
    path.write_text("\n\n".join(json.dumps(row, indent=2) for row in rows))
    assert iterpref("import", path, "--run", tmp_path / "run") == {"pairs": len(rows)}
    assert imported(tmp_path / "run") == rows


OWN = [
    {"question": "Double it: f(x).", "asserts": ["assert f(2) == 4"], "solution": "def f(x):\n    return 2 * x\n"},
    {"question": "Halve it: f(x).", "asserts": ["assert f(2) == 1"], "solution": "def f(x):\n    return x / 2\n"},
]
COLUMNS = {"prompt": "question", "tests": "asserts", "reference": "solution"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(OWN))
    (tmp_path / "own.yaml").write_text(f"importing: {{columns: {json.dumps(COLUMNS)}}}\n")
    return path


def test_stumble_13_a_file_that_was_imported_is_a_benchmark(tmp_path: Path, own: Path) -> None:
    """With the same mapping, and under the same ids, so that a samples file fits both."""
    config = ("-c", tmp_path / "own.yaml")
    iterpref("import", own, "--run", tmp_path / "run", *config)
    with Store.open(tmp_path / "run", write=False) as store:
        ids = [task.task_id for task in store.tasks()]
    samples = tmp_path / "samples.jsonl"
    samples.write_text("".join(f'{{"task_id": "{i}", "solution": "f = lambda x: 2 * x"}}\n' for i in ids))
    chosen = ("--set", f"evaluation.benchmark={own}", "--samples", samples)
    found = iterpref("evaluate", "--run", tmp_path / "run", *config, *chosen)
    assert isinstance(found, dict), found
    assert (found["tasks"], found["pass@1"], found["broken"]) == (2, 0.5, 0)


def test_stumble_13_without_the_mapping_the_keys_are_named(tmp_path: Path, own: Path) -> None:
    found = iterpref("evaluate", "--run", tmp_path / "run", "--set", f"evaluation.benchmark={own}")
    assert "--set importing.columns.tests=NAME" in found and "Field required" not in found


TASK = {"task_id": "t/1", "prompt": "Double.", "tests": "from solution import f\nassert f(2) == 4", "style": "assert"}


@pytest.mark.parametrize(
    "tests", [TASK["tests"], ["assert f(2) == 4", "assert f(1) == 2"]], ids=["a text", "a list of texts"]
)
def test_bad_input_tests_as_text_are_tests(tmp_path: Path, tests: Any) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(TASK | {"tests": tests}) + "\n")
    found = iterpref("import", path, "--run", tmp_path / "run")
    assert isinstance(found, dict) and found["tasks"] == 1, found
    with Store.open(tmp_path / "run", write=False) as store:
        assert "assert f(2) == 4" in store.task("t/1").tests[0].content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"style": "unitest"}, "tasks.jsonl:1: style is 'unitest'; expected assert, check, calls, "
                     "unittest, pytest, doctest or stdio; did you mean unittest?", id="style"),
        pytest.param({"promt": "x"}, "tasks.jsonl:1: promt: no such field; expected some of task_id, prompt",
                     id="extra key"),
        pytest.param({"limits": {"cpu_s": "long"}}, "limits.cpu_s is a text; expected a number", id="number"),
        pytest.param({"prompt": 3}, "prompt is a number; expected a text", id="text"),
    ],
)  # fmt: skip
def test_bad_input_is_said_in_plain_words(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(TASK | {"tests": [{"path": "t.py", "content": "assert f(2) == 4"}]} | change) + "\n")
    assert message in iterpref("import", path, "--run", tmp_path / "run")


@pytest.mark.parametrize("columns", [("tests=asserts",), ("chosen=question", "rejected=solution")])
def test_bad_input_a_misspelt_column_is_corrected(tmp_path: Path, own: Path, columns: tuple[str, ...]) -> None:
    given = [word for column in (*columns, "promt=question") for word in ("--column", column)]
    found = iterpref("import", own, "--run", tmp_path / "run", *given)
    assert "did you mean prompt?" in found


def test_a_folder_with_files_of_several_kinds_loses_none_unsaid(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_bytes(LINES)
    (tmp_path / "data" / "b.csv").write_bytes(table())
    assert "files of several kinds (1 *.jsonl, 1 *.csv)" in iterpref(
        "import", tmp_path / "data", "--run", tmp_path / "r"
    )


def test_tasks_that_are_there_with_another_prompt_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    task = TASK | {"tests": [{"path": "t.py", "content": "assert f(2) == 4"}]}
    path.write_text(json.dumps(task) + "\n" + json.dumps(task) + "\n")
    found = iterpref("import", path, "--run", tmp_path / "run")
    assert (found["tasks"], found.get("new"), found.get("repeated")) == (2, 1, 1)
    path.write_text(json.dumps(task | {"prompt": "Triple.", "license": "MIT"}) + "\n")
    assert "t/1 is there with another prompt and license" in iterpref("import", path, "--run", tmp_path / "run")
