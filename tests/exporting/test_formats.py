import json
from pathlib import Path

import pytest
from datasets import load_dataset

from iterpref.errors import RecordError
from iterpref.exporting import FORMATS, write_export
from iterpref.exporting.formats import parts
from iterpref.records import Message, Span
from iterpref.store import Store

REJECTED = "```python\ndef f(x):\n    y = x + 1\n    return y\n```"
FOCAL = "    y = x + 1\n"


def first(run: Store, name: str) -> dict:
    [row, *_] = [FORMATS[name].row(pair) for pair in run.pairs(kept=True)]
    return row


def test_texts_with_their_spans(run: Store) -> None:
    row = first(run, "trl")
    assert row["prompt"] == "a: double x."
    assert row["rejected"] == REJECTED
    [span, *_] = row["rejected_spans"]
    assert row["rejected"][span["start"] :].startswith(FOCAL)


def test_messages(run: Store) -> None:
    row = first(run, "trl_conversational")
    assert row["prompt"] == [{"role": "user", "content": "a: double x."}]
    assert row["rejected"] == [{"role": "assistant", "content": REJECTED}]
    assert row["rejected_spans"] == first(run, "trl")["rejected_spans"]


def test_only_wrong_lines_have_a_loss_in_ms_swift(run: Store) -> None:
    row = first(run, "ms_swift")
    prompt, *rejected = row["rejected_messages"]
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"]
    assert prompt == row["messages"][0]
    assert "".join(m["content"] for m in rejected) == REJECTED
    wrong = [m["content"] for m in rejected if m["loss"]]
    assert wrong[0].startswith(FOCAL)
    assert all(m["content"].endswith("\n") for m in rejected[:-1])  # cut at line ends, where tokens rarely cross
    assert [m["loss"] for m in rejected] == [False, True, False]


@pytest.mark.parametrize(
    ("spans", "cut"),
    [
        pytest.param([], [("abcdef", False)], id="an insertion only: nothing to penalise"),
        pytest.param([(0, 2)], [("ab", True), ("cdef", False)], id="at the start"),
        pytest.param([(2, 4), (4, 6)], [("ab", False), ("cdef", True)], id="touching spans are one part"),
        pytest.param([(0, 1), (5, 6)], [("a", True), ("bcde", False), ("f", True)], id="both ends"),
        pytest.param([(3, 3)], [("abcdef", False)], id="an empty span"),
    ],
)
def test_parts(spans: list[tuple[int, int]], cut: list[tuple[str, bool]]) -> None:
    assert list(parts("abcdef", tuple(Span(start=a, stop=b) for a, b in spans))) == cut


def test_a_talk_is_no_text(run: Store) -> None:
    talk = (Message(role="system", content="Be brief."), Message(role="user", content="Double x."))
    pair = next(iter(run.pairs())).model_copy(update={"prompt": talk})
    assert len(FORMATS["trl_conversational"].row(pair)["prompt"]) == 2
    with pytest.raises(RecordError, match=r"turns system, user; .*choose --format trl_conversational"):
        FORMATS["trl"].row(pair)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_a_dataset(run: Store, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert write_export(folder, run.pairs(kept=True), FORMATS[name], "card") == 2
    loaded = load_dataset("json", data_files=str(folder / "train.jsonl"), split="train", cache_dir=str(tmp_path / "c"))
    assert len(loaded) == 2
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert lines == [FORMATS[name].row(pair) for pair in run.pairs(kept=True)]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "train.jsonl"]


def test_a_failed_export_changes_nothing(run: Store, tmp_path: Path) -> None:
    write_export(tmp_path, run.pairs(kept=True), FORMATS["trl"], "card")
    before = (tmp_path / "train.jsonl").read_bytes()
    talk = (Message(role="system", content="Be brief."), Message(role="user", content="Double x."))
    broken = [*run.pairs(), next(iter(run.pairs())).model_copy(update={"prompt": talk})]
    with pytest.raises(RecordError):
        write_export(tmp_path, broken, FORMATS["trl"], "another card")
    with pytest.raises(RecordError, match="no pairs to export"):
        write_export(tmp_path, [], FORMATS["trl"], "another card")
    assert (tmp_path / "train.jsonl").read_bytes() == before
    assert (tmp_path / "README.md").read_text().startswith("card\n")
