import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iterpref.config import PairingConfig
from iterpref.errors import ConfigError, RecordError
from iterpref.importing import import_pairs
from iterpref.importing import pairs as pairs_module
from iterpref.pairing.pair import make_pairs
from iterpref.records import ImportedPair, Message
from iterpref.rows import DatasetPart, hub_rows
from iterpref.store import Store

WriteRows = Callable[..., Path]

GOOD = "Here it is:\n```python\ndef f(x):\n    return x + 1\n```\n"
BAD = "Sure!\n```python\ndef f(x):\n    return x - 1\n```"
PLAIN = {"prompt": "Add one.", "chosen": GOOD, "rejected": BAD}
ASK = {"role": "user", "content": "Add one."}
SYSTEM = {"role": "system", "content": "Be brief."}


def reply(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def only(store: Store) -> ImportedPair:
    (found,) = store.imported_pairs()
    return found


def test_texts_stay_as_they_are(store: Store, write_rows: WriteRows) -> None:
    assert import_pairs(write_rows(PLAIN), store).pairs == 1
    found = only(store)
    assert (found.prompt, found.chosen, found.rejected) == ("Add one.", GOOD, BAD)
    assert found.source == "rows.jsonl"
    assert found.task_id == found.pair_id


def test_pairing_gives_spans_to_the_code_alone(store: Store, write_rows: WriteRows) -> None:
    import_pairs(write_rows(PLAIN), store)
    (made,) = make_pairs(store, PairingConfig())
    assert [BAD[s.start : s.stop] for s in made.rejected_spans] == ["    return x - 1\n"]
    assert [GOOD[s.start : s.stop] for s in made.chosen_spans] == ["    return x + 1\n"]
    assert (made.chosen, made.rejected, made.origin, made.kept) == (GOOD, BAD, "import", True)


USER = Message(role="user", content="Add one.")
BOTH = (Message(role="system", content="Be brief."), USER)


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        pytest.param({"prompt": [ASK], "chosen": [reply(GOOD)], "rejected": [reply(BAD)]}, (USER,), id="conversation"),
        pytest.param({"chosen": [SYSTEM, ASK, reply(GOOD)], "rejected": [SYSTEM, ASK, reply(BAD)]}, BOTH,
                     id="prompt within both sides"),
        pytest.param({"prompt": "Add one.", "chosen": [ASK, reply(GOOD)], "rejected": [ASK, reply(BAD)]}, (USER,),
                     id="prompt column and within both sides"),
        pytest.param({"prompt": "Add one.", "chosen": [SYSTEM, ASK, reply(GOOD)],
                      "rejected": [SYSTEM, ASK, reply(BAD)]}, BOTH, id="a system turn in the sides only"),
        pytest.param({"prompt": [ASK | {"tool_calls": None}], "chosen": [reply(GOOD)], "rejected": [reply(BAD)]},
                     (USER,), id="keys of messages that say nothing"),
    ],
)  # fmt: skip
def test_conversations(store: Store, write_rows: WriteRows, row: dict[str, Any], prompt: tuple[Message, ...]) -> None:
    import_pairs(write_rows(row), store)
    found = only(store)
    assert (found.prompt, found.chosen, found.rejected) == (prompt, GOOD, BAD)


def test_other_column_names(store: Store, write_rows: WriteRows) -> None:
    path = write_rows({"instruction": "Add one.", "good": GOOD, "rejected": BAD, "id": 7, "license": "MIT"})
    import_pairs(path, store, columns={"prompt": "instruction", "chosen": "good", "task_id": "id"})
    found = only(store)
    assert (found.prompt, found.chosen, found.task_id, found.license) == ("Add one.", GOOD, "7", "MIT")


def test_unknown_column(store: Store, write_rows: WriteRows) -> None:
    with pytest.raises(ConfigError, match="column promt: pairs have no such column; expected one of prompt, chosen"):
        import_pairs(write_rows(PLAIN), store, columns={"promt": "instruction"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"instruction": "p", "chosen": "a", "rejected": "b"},
                     r"rows.jsonl:2: no prompt; its columns are instruction, chosen, rejected\. Name the right one: "
                     r"--column prompt=NAME", id="no prompt"),
        pytest.param(PLAIN | {"chosen": None}, "rows.jsonl:2: no chosen", id="null"),
        pytest.param(PLAIN | {"rejected": " \n"}, "rows.jsonl:2: empty completion in rejected", id="empty completion"),
        pytest.param(PLAIN | {"prompt": ""}, "rows.jsonl:2: the prompt is empty", id="empty prompt"),
        pytest.param(PLAIN | {"chosen": 3}, "chosen is int; expected text or a list of messages", id="number"),
        pytest.param(PLAIN | {"chosen": []}, "chosen is an empty list", id="no message"),
        pytest.param(PLAIN | {"chosen": ["a"]}, r"chosen\.0 is str; expected a message", id="list of texts"),
        pytest.param(PLAIN | {"chosen": [{"role": "assistant"}]}, r"chosen\.0: content is missing",
                     id="message without content"),
        pytest.param(PLAIN | {"chosen": [{"role": "bot", "content": "a"}]}, r"role is 'bot'; expected system, user",
                     id="unknown role"),
        pytest.param(PLAIN | {"chosen": [ASK], "rejected": [ASK]}, "last turn of chosen is the user's",
                     id="no reply"),
        pytest.param({"chosen": [ASK, reply("a")], "rejected": [SYSTEM, reply("b")]}, "different turns",
                     id="different prompts within"),
        pytest.param(PLAIN | {"chosen": [SYSTEM, reply("a")], "rejected": [SYSTEM, reply("b")]},
                     "not the prompt column", id="prompt column says otherwise"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_the_others_kept(
    store: Store, write_rows: WriteRows, row: dict[str, Any], message: str
) -> None:
    path = write_rows(PLAIN, row, PLAIN | {"prompt": "Another."})
    with pytest.raises(RecordError, match=message) as caught:
        import_pairs(path, store)
    assert "The other rows are imported (2 pairs)" in str(caught.value)
    assert [found.prompt for found in store.imported_pairs()] == ["Add one.", "Another."]


def test_importing_again_changes_nothing(store: Store, write_rows: WriteRows) -> None:
    path = write_rows(PLAIN, PLAIN, PLAIN | {"prompt": "Another."})
    import_pairs(path, store)
    before = list(store.imported_pairs())
    import_pairs(path, store)
    assert list(store.imported_pairs()) == before
    assert len(before) == 3  # equal rows are kept apart: the funnel counts duplicates


def test_ids_survive_a_repaired_row(store: Store, write_rows: WriteRows) -> None:
    with pytest.raises(RecordError):
        import_pairs(write_rows(PLAIN, "{", PLAIN), store)
    import_pairs(write_rows(PLAIN, PLAIN | {"prompt": "Repaired."}, PLAIN), store)
    assert [found.prompt for found in store.imported_pairs()] == ["Add one.", "Repaired.", "Add one."]


def test_files_of_one_name_do_not_overwrite_each_other(store: Store, write_rows: WriteRows) -> None:
    import_pairs(write_rows(PLAIN), store)
    import_pairs(write_rows(PLAIN | {"prompt": "Another file."}), store)
    assert len(list(store.imported_pairs())) == 2


def test_parquet(store: Store, tmp_path: Path) -> None:
    conversation = {"chosen": [ASK, reply(GOOD)], "rejected": [ASK, reply(BAD)]}
    pq.write_table(pa.Table.from_pylist([conversation]), tmp_path / "pairs.parquet")
    import_pairs(tmp_path / "pairs.parquet", store)
    assert only(store).prompt == (USER,)


def test_folder_of_parquet(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "BATCH", 2)
    (tmp_path / "data" / "train").mkdir(parents=True)
    for name in ("b", "a"):
        rows = [PLAIN | {"prompt": f"{name}{number}"} for number in range(3)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "train" / f"{name}.parquet")
    stored: list[int] = []
    assert import_pairs(tmp_path / "data", store, on_progress=stored.append).pairs == 6
    assert [found.prompt for found in store.imported_pairs()] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert stored == [2, 4, 6]


def test_broken_parquet_keeps_the_files_before_it(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist([PLAIN]), folder / "a.parquet")
    (folder / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(RecordError, match=r"b\.parquet: not a readable Parquet file"):
        import_pairs(folder, store)
    assert only(store).chosen == GOOD


def test_folder_without_parquet(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no \*\.parquet and no \*\.jsonl in this folder"):
        import_pairs(tmp_path, store)


def test_empty_file(store: Store, write_rows: WriteRows) -> None:
    with pytest.raises(RecordError, match="no rows; expected pairs with prompt, chosen, rejected"):
        import_pairs(write_rows(""), store)


def test_hub_data_sets_are_read_by_their_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load_dataset` reads a folder and a hub id alike; here it is given a folder."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    pq.write_table(pa.Table.from_pylist([PLAIN]), tmp_path / "set" / "train.parquet")
    assert [row.values for row in hub_rows(str(tmp_path / "set"), DatasetPart())] == [PLAIN]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"HF_HUB_OFFLINE": "1"}, id="offline"),
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, id="refused", marks=pytest.mark.slow),  # retries for 25 s
    ],
)
def test_unreachable_hub(tmp_path: Path, settings: dict[str, str]) -> None:
    script = (
        "import sys\nfrom iterpref.importing import import_pairs\nfrom iterpref.store import Store\n"
        "with Store.open(sys.argv[1]) as store:\n    import_pairs('someone/pairs', store)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        env=os.environ | {"HF_HOME": str(tmp_path / "cache")} | settings, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    message = run.stderr.strip().splitlines()[-1]
    assert run.returncode == 1
    assert "someone/pairs: no such file here, and the hub gave no data set of this name, split train" in message
    assert message.endswith("check the name and the network, or download it and give the file")


def test_a_missing_column_of_a_data_set_is_one_message(store: Store, tmp_path: Path) -> None:
    from datasets import Dataset

    path = tmp_path / "pairs.parquet"
    Dataset.from_list([{"prompt": "p", "good": GOOD, "rejected": BAD}] * 20).to_parquet(str(path))
    with pytest.raises(
        RecordError, match=r"pairs.parquet:1: no chosen; its columns are prompt, good, rejected"
    ) as said:
        import_pairs(path, store)
    assert "\n" not in str(said.value)
    import_pairs(path, store, columns={"chosen": "good"})
    assert len(list(store.imported_pairs())) == 20
