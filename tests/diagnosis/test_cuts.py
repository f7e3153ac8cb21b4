"""Where a pair's programs are cut, and the program that a continuation makes of what is left."""

import pytest

from iterpref.config import PairingConfig
from iterpref.diagnosis.places import began_anew, prefixes, program_of, stops
from iterpref.pairing import focal_pair
from iterpref.programs import fenced
from iterpref.records import ImportedPair, PreferencePair, Task, TestFile

TASK = Task(task_id="t", prompt="Double x.", tests=(TestFile(path="t.py", content="assert f(2) == 4"),),
            style="assert", entry_point="f")  # fmt: skip
HEAD = "```python\ndef f(x):\n"


def pair(rejected: str, chosen: str, **settings: str) -> PreferencePair:
    imported = ImportedPair(pair_id="p", task_id="t", prompt="Double x.", chosen=chosen, rejected=rejected)
    return focal_pair(imported, PairingConfig(**settings))


def test_one_hunk_begins_both_programs_alike() -> None:
    made = pair(fenced("def f(x):\n    y = x + 1\n    return y"), fenced("def f(x):\n    y = x * 2\n    return y"))
    assert prefixes(made) == {
        "before_added": HEAD,
        "after_added": HEAD + "    y = x * 2\n",
        "before_removed": HEAD,
        "after_first_removed": HEAD + "    y = x + 1\n",
        "after_removed": HEAD + "    y = x + 1\n",
    }


def test_several_hunks() -> None:
    """Lines between hunks stay; what follows the place is gone."""
    rejected = "def f(x):\n    a = 1\n    b = 2\n    c = x\n    d = 3\n    return d"
    chosen = "def f(x):\n    a = 0\n    b = 0\n    c = x\n    d = 0\n    return d"
    found = prefixes(pair(fenced(rejected), fenced(chosen)))
    assert found["after_first_removed"] == HEAD + "    a = 1\n    b = 2\n"
    assert found["after_removed"] == HEAD + "    a = 1\n    b = 2\n    c = x\n    d = 3\n"
    assert found["after_added"] == HEAD + "    a = 0\n    b = 0\n    c = x\n    d = 0\n"
    assert found["before_added"] == found["before_removed"] == HEAD


def test_lines_inserted_before_the_first_wrong_one_part_the_beginnings() -> None:
    rejected, chosen = "def f(x):\n    y = x\n    return 0", "def f(x):\n    x = abs(x)\n    y = x\n    return y"
    found = prefixes(pair(fenced(rejected), fenced(chosen)))
    assert (found["before_added"], found["before_removed"]) == (HEAD, HEAD + "    y = x\n")


@pytest.mark.parametrize(
    ("rejected", "chosen", "places"),
    [
        pytest.param("def f(x):\n    return x", "def f(x):\n    x *= 2\n    return x", {"added"}, id="only inserted"),
        pytest.param("def f(x):\n    x = 1\n    return x", "def f(x):\n    return x", {"removed"}, id="only removed"),
    ],
)
def test_a_side_without_changed_lines_has_no_places(rejected: str, chosen: str, places: set[str]) -> None:
    assert {place.rsplit("_", 1)[1] for place in prefixes(pair(fenced(rejected), fenced(chosen)))} == places


def test_insertion_only_with_the_whole_program_penalised() -> None:
    made = pair(fenced("def f(x):\n    return x"), fenced("def f(x):\n    x *= 2\n    return x"), empty_removed="full")
    assert prefixes(made)["before_removed"] == "```python\n"
    assert prefixes(made)["after_removed"] == HEAD + "    return x\n"


def test_code_without_a_fence_whose_first_line_changes() -> None:
    found = prefixes(pair("def g(x):\n    return x", "def f(x):\n    return x"))
    assert (found["before_added"], found["before_removed"], found["after_added"]) == ("", "", "def f(x):\n")


def test_windows_line_ends_stay() -> None:
    found = prefixes(pair("def f(x):\r\n    y = 1\r\n    return y", "def f(x):\r\n    y = x * 2\r\n    return y"))
    assert found["after_added"] == "def f(x):\r\n    y = x * 2\r\n"
    assert program_of(TASK, found["after_added"], "    return y\r\n") == "def f(x):\r\n    y = x * 2\r\n    return y"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [(HEAD, ("\n```\n",)), ("````python\ndef f(x):\n", ("\n````\n",)), ("def f(x):\n", ()), ("", ())],
)
def test_stops(prefix: str, expected: tuple[str, ...]) -> None:
    assert stops(prefix) == expected


DOUBLED = "def f(x):\n    return x * 2"


@pytest.mark.parametrize(
    ("prefix", "text", "program"),
    [
        pytest.param(HEAD, "    return x * 2\n```", DOUBLED, id="closed"),
        pytest.param(HEAD, "    return x * 2", DOUBLED, id="never closed"),
        pytest.param(
            HEAD, "    return x * 2\n```\nOr shorter:\n```python\ndef f(x): return x\n```", DOUBLED, id="more"
        ),
        pytest.param(HEAD + "    return x * 2\n", "```", DOUBLED, id="nothing was missing"),
        pytest.param(HEAD, "    return x * 2\n\nprint(f(3))\nassert f(1) == 9", DOUBLED, id="usage that would fail"),
        pytest.param("def f(x):\n", "    return x * 2\n```\nThat doubles x.", DOUBLED, id="bare, then a fence"),
        pytest.param("def f(x):\n", "    return x * 2\n\nThat doubles x, of course.", DOUBLED, id="bare, then prose"),
        pytest.param("", "Sure:\n" + fenced(DOUBLED) + "\nDone.", DOUBLED, id="a whole reply"),
        pytest.param("def f(x):\n", "", "", id="bare, nothing came"),
    ],
)
def test_program_of(prefix: str, text: str, program: str) -> None:
    assert program_of(TASK, prefix, text) == program


@pytest.mark.parametrize(
    ("prefix", "text", "anew"),
    [
        pytest.param(HEAD, "    return x\n```", False, id="continued"),
        pytest.param(HEAD, "```python\ndef f(x):\n    return x\n```", True, id="a new block"),
        pytest.param(HEAD, "Sure:\n```python\ndef g(x):\n    return x\n```", True, id="prose and a new block"),
        pytest.param(HEAD, "def f(x):\n    return x", True, id="bare code anew"),
        pytest.param(
            "def f(x):\n", "Here:\n```python\ndef f(x):\n    return x\n```", True, id="a block where none was"
        ),
        pytest.param("def f(x):\n", "    return x\n```\nOr:\n```python\ndef f(x): ...\n```", False, id="bare, closed"),
        pytest.param(HEAD, "    return x\n```\nOr:\n```python\ndef f(x): ...\n```", False, id="another one after it"),
        pytest.param("```python\n", "def f(x):\n    return x\n```", False, id="from the first line"),
        pytest.param("", fenced(DOUBLED), False, id="nothing was begun"),
    ],
)
def test_began_anew(prefix: str, text: str, anew: bool) -> None:
    assert began_anew(prefix, text) == anew
