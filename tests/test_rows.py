from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iterpref.errors import RecordError
from iterpref.importing import detect_format
from iterpref.rows import RefusedRows, read_rows

WriteRows = Callable[..., Path]

RECORDED = {"id": "r1", "task_id": "T/1", "prompt": "p", "test": "assert f(1) == 1", "versions": []}
PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        pytest.param(RECORDED, "recorded", id="recorded run"),
        pytest.param({"task": {}, "trajectory": {}}, "export", id="our export"),
        pytest.param({"task_id": "T/1", "prompt": "p", "tests": [], "style": "calls"}, "tasks", id="tasks"),
        pytest.param(PAIR | {"score": 1}, "pairs", id="pairs with more columns"),
        pytest.param({"chosen": [], "rejected": []}, "pairs", id="conversations that begin with the prompt"),
    ],
)
def test_format_by_keys(write_rows: WriteRows, row: dict[str, Any], found: str) -> None:
    assert detect_format(str(write_rows("", row))) == found


def test_format_of_pairs_with_other_columns(write_rows: WriteRows) -> None:
    path = write_rows({"instruction": "p", "good": "a", "bad": "b"})
    assert detect_format(str(path), {"prompt": "instruction", "chosen": "good", "rejected": "bad"}) == "pairs"


def test_a_hub_id_is_taken_for_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert detect_format("someone/pairs") == "pairs"


def test_format_of_parquet_and_folders_by_keys(tmp_path: Path) -> None:
    task = {"task_id": "T/1", "prompt": "p", "tests": [{"path": "t.py", "content": "assert f()"}], "style": "assert"}
    pq.write_table(pa.Table.from_pylist([task]), tmp_path / "tasks.parquet")
    assert detect_format(str(tmp_path / "tasks.parquet")) == "tasks"
    assert detect_format(str(tmp_path)) == "tasks"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"a": 1, "b": 2}', r"rows.jsonl:1: unknown format, its keys are a, b; expected one of: recorded: "
                     r"task_id, prompt, test, versions; .*pairs: prompt, chosen, rejected", id="unknown keys"),
        pytest.param('{"prompt": ', r"rows.jsonl:1: not valid JSON \(Expecting value, column \d+\)", id="broken"),
        pytest.param("version https://git-lfs.github.com/spec/v1", "Git LFS pointer", id="LFS pointer"),
        pytest.param("", "no rows; expected one JSON object a line", id="empty"),
        pytest.param("3", "rows.jsonl:1: expected a JSON object, got a number", id="no object"),
    ],
)  # fmt: skip
def test_unknown_format(write_rows: WriteRows, text: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        detect_format(str(write_rows(text)))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"absent\.jsonl: can't read this file \(No such file or directory\)"):
        detect_format(str(tmp_path / "absent.jsonl"))


def test_missing_file_is_not_looked_up_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match="can't read this file"):
        detect_format("data/pairs.jsonl")


def test_broken_lines_do_not_stop_the_others(write_rows: WriteRows) -> None:
    refused = RefusedRows("rows.jsonl")
    path = write_rows(PAIR, "{", PAIR, "[1]", "", PAIR)
    assert [row.where for row in read_rows(path, refused)] == ["rows.jsonl:1", "rows.jsonl:3", "rows.jsonl:6"]
    with pytest.raises(RecordError) as caught:
        refused.check("3 pairs")
    assert str(caught.value).splitlines() == [
        "rows.jsonl: 2 rows can't be used:",
        "  rows.jsonl:2: not valid JSON (Expecting property name enclosed in double quotes, column 2); expected one "
        "object a line",
        "  rows.jsonl:4: expected a JSON object, got a list",
        "The other rows are imported (3 pairs); fix these and import again.",
    ]


def test_only_the_first_refusals_are_shown() -> None:
    refused = RefusedRows("big.jsonl")
    for number in range(1000):
        refused.add(RecordError(f"row {number}"))
    with pytest.raises(RecordError, match=r"1000 rows can't be used:\n  row 0\n(  row \d\n){4}  … and 995 more"):
        refused.check("0 pairs")


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"prompt": "é"}\n'.encode("latin-1"))
    with pytest.raises(RecordError, match=r"latin\.jsonl:1: not UTF-8 text \(byte 12 of the line\)"):
        detect_format(str(path))


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": 2}]', '\ufeff[\n  {"a": 1},\n  {"a": 2}\n]\n'])
def test_json_array(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    refused = RefusedRows(path.name)
    assert [(row.number, row.values) for row in read_rows(path, refused)] == [(1, {"a": 1}), (2, {"a": 2})]
    assert refused.count == 0


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "x\u2028y"}\r\n{"a": "z"}', newline="")
    assert [row.values["a"] for row in read_rows(path, RefusedRows(""))] == ["x\u2028y", "z"]
