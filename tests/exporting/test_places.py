"""`iterpref export` and `compare` replace what they wrote themselves, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.store import Store

MINE = "# My project\n"


def iterpref(*arguments: object) -> Any:
    """The last line of a command as JSON, or the message of its error."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else f"refused: {done.exception}"


def export(run: Store, output: Path, *options: object) -> Any:
    return iterpref("export", output, "--run", run.folder, *options)


@pytest.mark.parametrize("name", ["README.md", "train.jsonl"])
def test_stumble_12_export_leaves_files_that_it_did_not_write(run: Store, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / name).write_text(MINE)
    found = export(run, folder, "--format", "trl")
    assert (folder / name).read_text() == MINE
    assert f"{name} there was not written by iterpref export" in found and "--overwrite" in found
    assert [path.name for path in folder.iterdir()] == [name]
    assert export(run, folder, "--format", "trl", "--overwrite")["pairs"] == 2


def test_stumble_12_an_earlier_export_is_replaced_unless_it_was_edited(run: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("trl", "ms_swift", "trl"):
        assert export(run, folder, "--format", name)["pairs"] == 2
    with (folder / "README.md").open("a") as card:
        card.write("Read this first.\n")
    assert "README.md there was not written" in export(run, folder, "--format", "ms_swift")
    assert "Read this first." in (folder / "README.md").read_text()
    (folder / "train.jsonl").write_text("{}\n")
    assert "train.jsonl and README.md there was" in export(run, folder, "--format", "ms_swift")


def test_stumble_12_a_file_of_trajectories_is_replaced_and_no_other(run: Store, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert export(run, path)["trajectories"] == 2
    assert export(run, path)["trajectories"] == 2
    path.write_text(MINE)
    found = export(run, path)
    assert path.read_text() == MINE
    assert "was not written by iterpref" in found
    assert export(run, path, "--overwrite")["trajectories"] == 2


@pytest.mark.parametrize(
    "place", [".", "pairs", "pairs/mine", "config.yaml", "run.sqlite", "run.sqlite-wal", "results/x.jsonl", ".lock"]
)
def test_stumble_12_a_run_keeps_its_own_files(run: Store, place: str) -> None:
    """Also with --overwrite, and for another run than the one that is exported."""
    before = sorted(run.folder.rglob("*"))
    for options in ((), ("--format", "trl"), ("--overwrite",)):
        assert "keeps its own files there" in export(run, run.folder / place, *options)
    assert sorted(run.folder.rglob("*")) == before


def test_stumble_12_a_folder_of_the_users_inside_a_run_is_theirs(run: Store) -> None:
    assert export(run, run.folder / "for-trl", "--format", "trl")["pairs"] == 2


def test_unfinished_trajectories_are_counted(run: Store, tmp_path: Path) -> None:
    """They are not exported, which must be said."""
    [first, *_] = run.trajectories()
    run.put_attempt("c:debugging", "a", first.attempts[0], "a0")
    assert export(run, tmp_path / "out.jsonl").get("unfinished") == 1
