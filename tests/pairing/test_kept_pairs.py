"""What pairing keeps of imported pairs: broken code without a fence, other languages, insertion-only fixes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.store import Store

RIGHT = "def f(x):\n    return x + 1"
BROKEN = "def f(x)\n    return x + 1"
JAVA = "class A {\n    int f(int x) {\n        return x + 1;\n    }\n}"
WRONG_JAVA = JAVA.replace("+", "-")
Pair = Callable[..., dict[str, str]]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Import one pair and pair it: of the filters that dropped it, name → reason; the wrong text as `wrong`."""

    def made(chosen: str, rejected: str, *settings: str) -> dict[str, str]:
        path, run = tmp_path / "pairs.jsonl", str(tmp_path / "run")
        path.write_text(json.dumps({"prompt": "Add one.", "chosen": chosen, "rejected": rejected}) + "\n")
        given = [word for setting in settings for word in ("--set", setting)]
        for command in (["import", str(path), "--run", run], ["pair", "--run", run, *given]):
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, done.exception
        with Store.open(run, write=False) as store:
            [found] = store.pairs()
        wrong = "".join(found.rejected[span.start : span.stop] for span in found.rejected_spans)
        return {verdict.name: verdict.reason for verdict in found.filters if not verdict.kept} | {"wrong": wrong}

    return made


def fence(code: str, language: str = "python") -> str:
    return f"Here:\n```{language}\n{code}\n```"


@pytest.mark.parametrize("dressed", [str, fence], ids=["bare", "fenced"])
def test_defect_19_broken_code_is_a_program(pair: Pair, dressed: Callable[[str], str]) -> None:
    assert pair(dressed(RIGHT), dressed(BROKEN)) == {"wrong": "def f(x)\n"}


@pytest.mark.parametrize(
    "prose", ["I cannot help with that.", "The function adds one to its argument, so it\nreturns x + 1 for any x."]
)
def test_prose_is_no_program(pair: Pair, prose: str) -> None:
    assert pair(RIGHT, prose)["program"] == "the rejected reply holds no program"


@pytest.mark.parametrize("chosen", [JAVA, fence(JAVA, "java")], ids=["bare", "fenced"])
def test_defect_19_another_language_is_named_and_kept_on_request(pair: Pair, chosen: str) -> None:
    """By default such pairs are dropped under their own name, so that the funnel counts them."""
    rejected = chosen.replace("+", "-")
    dropped = pair(chosen, rejected)
    name = "java" if "```" in chosen else "another language"
    assert dropped.get("language") == f"the code is {name}, not Python (pairing.other_languages keeps it)"
    assert "program" not in dropped
    kept = pair(chosen, rejected, "pairing.other_languages=true")
    assert kept == {"wrong": "        return x - 1;\n"}


def test_defect_19_only_the_code_of_another_language_can_be_wrong(pair: Pair) -> None:
    """The prose around it is none of the wrong lines, as with Python."""
    rejected = "Another way:\n" + fence(WRONG_JAVA, "java")
    assert pair(fence(JAVA, "java"), rejected, "pairing.other_languages=true") == {"wrong": "        return x - 1;\n"}


LONG = "\n".join(["def f(x):", *(f"    y{i} = {i}" for i in range(30)), "    return x"])


def test_defect_20_no_line_of_an_insertion_only_fix_is_counted_as_wrong(pair: Pair) -> None:
    """With `full` the whole program is penalised, though no line of it was replaced."""
    fixed = LONG.replace("    return x", "    x += 1\n    return x")
    assert "wrong_lines" in pair(fence(fixed), fence(LONG))
    kept: Any = pair(fence(fixed), fence(LONG), "pairing.empty_removed=full")
    assert kept == {"wrong": LONG + "\n"}


def test_defect_20_many_replaced_lines_are_counted_as_ever(pair: Pair) -> None:
    other = LONG.replace(" = ", " = -")
    assert pair(fence(other), fence(LONG), "pairing.empty_removed=full")["removed_lines"].startswith("30 wrong lines")
