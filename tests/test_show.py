"""`iterpref show`: tasks in a table; of one task each program, what was said, what changed. And how verbs end."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from iterpref import Task, TestFile, debug_with, open_run, pipeline
from iterpref.cli import app
from iterpref.cli.output import finish, say_markdown
from iterpref.errors import IterPrefError
from iterpref.programs import fenced
from iterpref.store import TaskFilter
from iterpref.viewer.terminal import listed, task_table

WRONG, RIGHT = "def f(x):\n    # add one\n    return x + 1", "def f(x):\n    # add one\n    return x * 2"
HOSTILE = 'def f(x):\n    return "\x1b[2J[red]\u202e"'


def task(name: str) -> Task:
    tests = (TestFile(path="t.py", content="assert f(1) == 2\nassert f(3) == 6"),)
    return Task(task_id=name, prompt=f"{name}: write f.", tests=tests, style="assert", entry_point="f")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks that were repaired, that never pass, whose programs are hostile, and that wait."""
    folder = tmp_path_factory.mktemp("show") / "run"
    asked = dict[str, int]()

    def answer(messages: list[dict[str, str]]) -> str:
        name = messages[0]["content"].split(":")[0]
        asked[name] = asked.get(name, 0) + 1
        return fenced({"repaired": RIGHT if asked[name] > 1 else WRONG, "hostile": HOSTILE}.get(name, WRONG))

    with open_run(folder) as opened:
        debug_with(answer, map(task, ("repaired", "hostile", "never")), opened, name="a\x1b[31m", max_iterations=1)
        opened.store.put_tasks([task("waiting")])
        pipeline.pair(opened)
    return folder


def show(*words: object) -> Result:
    return CliRunner().invoke(app, ["show", *map(str, words)], env={"COLUMNS": "120"})


def refusal(*words: object) -> str:
    result = show(*words)
    assert isinstance(result.exception, IterPrefError), result.output
    return str(result.exception)


def test_a_run_lists_its_tasks(run: Path) -> None:
    lines = show(run).stdout.splitlines()
    assert "tasks: 4" in lines
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("hostile", "never", "rep", "wait"))}
    assert rows["repaired"][:4] == ["debugging", "passed", "2", "failed"]
    assert rows["never"][:4] == ["debugging", "unresolved", "2", "failed"]
    assert rows["waiting"][0] == "untried"
    assert lines[-1].startswith("4 tasks, ")


@pytest.mark.parametrize("columns", [60, 120])
def test_an_id_is_whole_and_a_prompt_takes_what_room_there_is(tmp_path: Path, columns: int) -> None:
    names = ["a" * 40, "b" * 40]
    with open_run(tmp_path / "run") as opened:
        opened.store.put_tasks(map(task, names))
        table = task_table(opened.store, listed(opened.store, TaskFilter(), 9), columns)
    console = Console(width=columns, file=io.StringIO(), record=True)
    console.print(table)
    lines = console.export_text().splitlines()
    assert ("prompt" in lines[0]) == (columns == 120)
    assert lines[1].startswith(names[0][: 40 if columns == 120 else 1])
    assert "".join(line.split(" ")[0] for line in lines[1:]) == "".join(names)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--status", "unresolved"], ["hostile", "never"]),
        (["--status", "untried"], ["waiting"]),
        (["--failure", "failed"], ["hostile", "never", "repaired"]),
        (["--search", "EVE"], ["never"]),
        (["--most", "1"], ["hostile"]),
    ],
)
def test_a_run_is_filtered(run: Path, words: list[str], found: list[str]) -> None:
    told = json.loads(show(run, *words, "--json").stdout)
    assert [row["task"] for row in told["listed"]] == found
    assert told["found"] == (4 if "--most" in words else len(found))


def test_a_task_shows_programs_what_was_said_and_what_changed(run: Path) -> None:
    said = show(run, "repaired").stdout
    assert said.index("attempt 0: failed, wrong output") < said.index("attempt 1: passed")
    assert "   3     return x + 1\n" in said
    assert "the sandbox said, and the model was told\nf(3) returned 4, expected 6\n" in said
    assert "changed for attempt 1\n  def f(x):\n      # add one\n−     return x + 1\n+     return x * 2\n" in said
    assert "pair 0-1 kept" in said
    assert "assert f(1) == 2" not in said
    assert "assert f(1) == 2" in show(run, "repaired", "--tests").stdout


def test_a_part_of_an_id_or_a_trajectory_is_enough(run: Path) -> None:
    whole = show(run, "repaired").stdout
    assert show(run, "repair").stdout == whole
    trajectory = next(word for word in whole.split() if word.startswith("repaired:debugging"))
    assert show(run, trajectory).stdout == whole
    assert "no program yet" in show(run, "waiting").stdout


def test_hostile_texts_stay_texts(run: Path) -> None:
    result = show(run, "hostile")
    assert '"⟨U+001B⟩[2J[red]⟨U+202E⟩"' in result.stdout
    assert "a⟨U+001B⟩[31m" in result.stdout
    assert "\x1b" not in result.stdout + show(run).stdout
    told = json.loads(show(run, "hostile", "--json").stdout)
    assert told["trajectories"][0]["attempts"][0]["program"] == HOSTILE


def test_colours_are_for_terminals_and_carry_no_meaning_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    said = CliRunner().invoke(app, ["show", str(run), "repaired"], env={"COLUMNS": "120"}).stdout
    assert "\x1b[32m+     return x * 2\x1b[0m" in said
    assert "\x1b[31m−     return x + 1\x1b[0m" in said


def test_a_run_is_shown_while_another_process_writes(run: Path) -> None:
    with open_run(run):
        assert "attempt 1: passed" in show(run, "repaired").stdout


def test_nothing_to_list_is_said(run: Path, tmp_path: Path) -> None:
    with open_run(tmp_path / "empty"):
        pass
    assert show(tmp_path / "empty").stdout.endswith("\nno tasks here; iterpref import brings some\n")
    assert show(run, "--search", "zzz").stdout.endswith("\nno task is like this\n")


def test_bad_input(run: Path, tmp_path: Path) -> None:
    assert "no run here" in refusal(tmp_path / "absent")
    assert "no task repared; did you mean repaired?" in refusal(run, "repared")
    assert "3 tasks have this in their ids; name one:\n  hostile\n  never\n  repaired" in refusal(run, "e")
    said = refusal(run, "--status", "unresolvd")
    assert said == "--status unresolvd: no such status in this run; did you mean unresolved?"
    assert "there are: failed" in refusal(run, "--failure", "KeyError")


# --- how verbs end ---

SUMMARY = {
    "tasks": 1234,
    "pass_rate_by_iteration": [0.25, 0.5],
    "seconds": 12345.678,
    "nothing": None,
    "dropped": {"tests": {"a [bold]trivially wrong program passes": 3}},
    "bad_tasks": [{"task": "a", "cause": "its \x1b[31mtests"}, {"task": "b", "cause": "none"}],
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ended(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, summary: dict[str, Any], as_json: bool = False) -> str:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    finish(summary, as_json)
    return stream.getvalue()


def test_people_at_a_terminal_get_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ended(monkeypatch, Terminal(), SUMMARY)
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[0].split() == ["tasks", "1234"]
    assert lines[1].split("  ")[-1].strip() == "25.0%, 50.0%"
    assert "pass rate by iteration" in lines[1]
    assert [line.split() for line in lines if line.split()[-2:] == ["task", "cause"]]
    assert "its ⟨U+001B⟩[31mtests" in said
    assert "a [bold]trivially wrong program passes" in said


def test_what_reads_a_pipe_gets_lines_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ended(monkeypatch, io.StringIO(), SUMMARY).splitlines()
    assert lines[:4] == ["tasks: 1234", "pass_rate_by_iteration: 25.0%, 50.0%", "seconds: 12,346", "nothing: –"]
    assert "  task a, cause its ⟨U+001B⟩[31mtests" in lines
    assert json.loads(ended(monkeypatch, Terminal(), SUMMARY, as_json=True)) == SUMMARY
    assert json.loads(ended(monkeypatch, io.StringIO(), {"text": "\ud800"}, as_json=True)) == {"text": "\ud800"}


def test_tables_are_laid_out_on_a_terminal_and_markdown_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "pass@1\n\n| model | HE |\n| --- | ---: |\n| a\\|b [red] \x1b[2J | 12.0 |\n\n- a note\n"
    monkeypatch.setenv("TERM", "dumb")
    for stream in (terminal := Terminal(), pipe := io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        say_markdown(text)
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines[0] == "pass@1" and lines[-1] == "- a note"
    assert [line.split() for line in lines[2:4]] == [["model", "HE"], ["a|b", "[red]", "⟨U+001B⟩[2J", "12.0"]]
    assert pipe.getvalue().strip() == text.replace("\x1b", "⟨U+001B⟩").strip()
