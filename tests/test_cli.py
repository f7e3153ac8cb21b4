"""Bad input ends in one clear message and a status other than 0; what was finished before is kept."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.config.load import dump_config, load_config
from iterpref.demo import demo_config
from iterpref.records import fingerprint
from iterpref.store import SCHEMA_VERSION, Store

TASK = {
    "task_id": "t/1",
    "prompt": "Double x.",
    "tests": [{"path": "tests.py", "content": "assert f(2) == 4"}],
    "style": "assert",
    "entry_point": "f",
}


def iterpref(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "iterpref", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env={**os.environ, "COLUMNS": "200"})


def write_jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def assert_refused(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def test_missing_file(tmp_path: Path) -> None:
    assert_refused(
        iterpref("import", tmp_path / "absent.jsonl", "--run", tmp_path / "r"), "absent.jsonl", "check the path"
    )


def test_malformed_line_keeps_the_others(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "tasks.jsonl", TASK, '{"task_id": ', TASK | {"task_id": "t/2"})
    assert_refused(iterpref("import", path, "--run", tmp_path / "r"), "tasks.jsonl:2")
    with Store.open(tmp_path / "r", write=False) as store:
        assert [task.task_id for task in store.tasks()] == ["t/1", "t/2"]


def test_a_task_without_tests(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "tasks.jsonl", TASK, TASK | {"task_id": "t/2", "tests": []})
    assert_refused(iterpref("import", path, "--run", tmp_path / "r"), "tasks.jsonl:2", "no tests")


def test_unknown_keys(tmp_path: Path) -> None:
    result = iterpref("synthesize", "--run", tmp_path / "r", "--set", "pairing.negative=each")
    assert_refused(result, "unknown key pairing.negative; did you mean pairing.negatives?")
    config = tmp_path / "c.yaml"
    config.write_text("debuging: {}\n")
    assert_refused(iterpref("synthesize", "--run", tmp_path / "r", "-c", config), "c.yaml: unknown key debuging")
    assert not (tmp_path / "r").exists()


def test_an_empty_completion(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "pairs.jsonl", {"prompt": "p", "chosen": "a = 1", "rejected": ""})
    assert_refused(iterpref("import", path, "--run", tmp_path / "r"), "pairs.jsonl:1", "rejected")


def test_a_model_folder_that_does_not_load(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "tasks.jsonl", TASK)
    assert iterpref("import", path, "--run", tmp_path / "r").returncode == 0
    (tmp_path / "model").mkdir()
    result = iterpref("debug", "--run", tmp_path / "r", "--set", f"client.model={tmp_path / 'model'}")
    assert_refused(result, "the folder has no config.json", "no tokenizer")


def test_nothing_to_debug(tmp_path: Path) -> None:
    Store.open(tmp_path / "r").close()
    assert_refused(iterpref("debug", "--run", tmp_path / "r"), "no tasks to debug", "iterpref import")


def test_no_pairs_to_train_on(tmp_path: Path) -> None:
    assert_refused(iterpref("train", "--run", tmp_path / "r"), "pairs")


def test_a_run_of_a_newer_schema(tmp_path: Path) -> None:
    Store.open(tmp_path / "r").close()
    with sqlite3.connect(tmp_path / "r" / "run.sqlite") as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert_refused(iterpref("pair", "--run", tmp_path / "r"), f"schema {SCHEMA_VERSION + 1}", "upgrade iterpref")


def test_bad_column_option(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "pairs.jsonl", {"q": "p", "chosen": "a = 1", "rejected": "b"})
    assert_refused(iterpref("import", path, "--run", tmp_path / "r", "--column", "prompt"), "prompt=instruction")


def test_json_is_the_last_line(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "pairs.jsonl", {"prompt": "p", "chosen": "a = 1\nb = 2", "rejected": "a = 1\nb = 3"})
    imported = iterpref("import", path, "--run", tmp_path / "r", "--json")
    assert json.loads(imported.stdout.splitlines()[-1])["pairs"] == 1
    paired = iterpref("pair", "--run", tmp_path / "r", "--json")
    assert json.loads(paired.stdout.splitlines()[-1])["kept"] == 1


def test_a_demo_of_an_earlier_version_is_the_same_demo(tmp_path: Path) -> None:
    """It noted a hash of its config.yaml, which held the keys of all kinds of clients."""
    run, summary = tmp_path / "r", {"pairs": 7}
    text = dump_config(load_config(base=demo_config()))
    text = text.replace("  kind: local\n", "  kind: local\n  base_url: https://api.openai.com/v1\n  batch: false\n", 1)
    with Store.open(run) as store:
        store.put_note("demo", {"identity": fingerprint(text), "summary": summary})
    (run / "report.html").touch()
    (run / "config.yaml").write_text(text)
    assert_refused(iterpref("demo", "--run", run, "--set", "seed=1"), "holds a demo with other settings")
    assert_refused(iterpref("demo", "--run", run, "--quick"), "holds a demo with other settings")
    assert (run / "config.yaml").read_text() == text
    for _ in range(2):  # by the hash of then, and by what is noted now
        assert json.loads(iterpref("demo", "--run", run, "--json").stdout) == summary
    assert_refused(iterpref("demo", "--run", run, "--set", "seed=1"), "holds a demo with other settings")


@pytest.mark.parametrize("verb", ["import", "debug", "pair", "train", "evaluate", "export", "report", "run", "demo"])
def test_help_says_what_is_read_and_written_and_gives_an_example(verb: str) -> None:
    text = " ".join(CliRunner().invoke(app, [verb, "--help"]).output.split())
    assert "Example: iterpref" in text
    assert "Write" in text
