"""`prompts: FOLDER`: questions worded by the user; what can't be used is refused before any call."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.errors import ConfigError
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.prompts.own import QUESTIONS, Prompts
from iterpref.records import Task, TestFile
from iterpref.store import Store

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_shipped_question_is_a_template_of_its_own(name: str, tmp_path: Path) -> None:
    """So that users can begin with a copy, and the table of placeholders is whole."""
    text = (ROOT / "src" / "iterpref" / "prompts" / f"{name}.jinja").read_text()
    (tmp_path / f"{name}.jinja").write_text(text)
    own, example = Prompts.read(tmp_path), QUESTIONS[name].example
    assert own.render(name, **example) == render(name, **example) == Prompts().render(name, **example)
    assert own.identity(name) == Prompts().identity(name) == "", "the same words are the same question"


def test_the_page_lists_names_and_placeholders() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    for name, question in QUESTIONS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for placeholder in question.example:
            needed = any(placeholder in need.split("|") for need in question.needs)
            assert (f"**`{placeholder}`**" if needed else f" `{placeholder}`") in row, (name, placeholder)


def test_the_rest_stays_as_shipped(tmp_path: Path) -> None:
    (tmp_path / "repair.jinja").write_text("Wrong: {{ feedback }}")
    (tmp_path / "README.md").write_text("no template")
    own = Prompts.read(tmp_path)
    assert own.render("repair", feedback="f(1) is 2") == "Wrong: f(1) is 2"
    assert own.identity("repair")
    (tmp_path / "draft_task.jinja").write_text("Be inspired by {{ code }}")
    assert Prompts.read(tmp_path).render("draft_task", code="y = 2").endswith("y = 2")
    assert own.render("evolve_features", tree="{}") == render("evolve_features", tree="{}")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        pytest.param("repair", "Try again.", r"without {{ feedback }}, which this question", id="missing"),
        pytest.param("repair", "{{ feedback }} {{ hint }}", r"{{ hint }} is no placeholder", id="unknown"),
        pytest.param("repair", "{{ feedback", r"repair\.jinja: line 1: no Jinja template", id="syntax"),
        pytest.param("repair", "{% if false %}{{ feedback }}{% endif %}", "asks nothing", id="empty"),
        pytest.param("repare", "{{ feedback }}", r"no question has this name; did you mean repair\.jinja\?", id="name"),
        pytest.param("zzz", "{{ feedback }}", r"no question has this name; there are draft", id="no name"),
        pytest.param("draft_task", "Write a task.", r"without {{ features }} or {{ code }}", id="one of two"),
        pytest.param("judge_contradiction", "{{ task }}{{ tests }}{{ case.cal }}", r"filled in \(UndefinedError",
                     id="attribute"),
        pytest.param("repair", "{{ feedback.__class__.__mro__ }}", r"filled in \(SecurityError", id="sandboxed"),
    ],
)  # fmt: skip
def test_a_template_that_can_not_be_used(tmp_path: Path, file: str, text: str, said: str) -> None:
    (tmp_path / f"{file}.jinja").write_text(text)
    with pytest.raises(ConfigError, match=said):
        Prompts.read(tmp_path)


def test_a_folder_that_can_not_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder of templates, found none"):
        Prompts.read(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"holds no template; expected some of draft_task\.jinja"):
        Prompts.read(tmp_path)
    (tmp_path / "repair.jinja").write_bytes(b"\xff{{ feedback }}")
    with pytest.raises(ConfigError, match="can't read this template"):
        Prompts.read(tmp_path)


def test_a_template_without_the_seed_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "draft_task.jinja").write_text("{{ features }}")
    with pytest.raises(ConfigError, match=r"without {{ code }}, which it needs: synthesis\.inspire is on"):
        Prompts.read(tmp_path).need("draft_task", "code", "synthesis.inspire is on")


def test_debugging_asks_in_the_words_of_the_folder(tmp_path: Path) -> None:
    """Each wording is a trajectory of its own, and the shipped one's stays what it was."""
    tests = (TestFile(path="t.py", content="assert f(1) == 2\nassert f(3) == 6"),)
    task = Task(task_id="a", prompt="Double x.", tests=tests, style="assert", entry_point="f")
    wrong, right = fenced("def f(x):\n    return x + 1"), fenced("def f(x):\n    return 2 * x")
    said = "f(3) returned 4, expected 6"
    first = [{"role": "user", "content": "Double x."}]
    lines = [{"messages": first, "completion": wrong}]
    for words in (f"Wrong: {said}", render("repair", feedback=said)):
        turns = [{"role": "assistant", "content": wrong}, {"role": "user", "content": words}]
        lines.append({"messages": [*first, *turns], "completion": right})
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with Store.open(tmp_path / "run") as store:
        store.put_tasks([task])
    own = tmp_path / "own"
    own.mkdir()
    (own / "repair.jinja").write_text("Wrong: {{ feedback }}")
    settings = ["client.kind=replay", f"client.model={tmp_path / 'calls.jsonl'}", "sandbox.workers=1"]
    words = [word for setting in settings for word in ("--set", setting)]
    for more in ([], ["--set", f"prompts={own}"]):
        done = CliRunner().invoke(app, ["debug", "--run", str(tmp_path / "run"), *words, *more])
        assert done.exit_code == 0, (done.output, done.exception)
    with Store.open(tmp_path / "run") as store:
        assert [t.status for t in store.trajectories()] == ["passed", "passed"]
        assert store.count("calls") == 3, "the first program is asked for once"
