"""The commands of tutorial, how-tos and README run as they stand, and print what the pages say."""

import contextlib
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.outputs import Step, normal, steps, typed

from iterpref.playground.coder import coder_path
from iterpref.store import Store

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
EXECUTED = [page for page in PAGES if steps(page.read_text(encoding="utf-8"))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("COLUMNS", "120")
    with contextlib.chdir(tmp_path):
        yield tmp_path


def follow(page: Path, pages_seen: list[str] | None = None) -> None:
    """Type every command of a page and hold what is printed against what the page shows."""

    def watch(address: str) -> None:
        seen = [] if pages_seen is None else pages_seen
        seen += [read(address), read(f"{address}pairs")]
        [first, *_] = re.findall(r'href="(/pair\?[^"]+)"', seen[-1])
        seen.append(read(address.rstrip("/") + first.replace("&amp;", "&")))

    for step in steps(page.read_text(encoding="utf-8")):
        printed = typed(step.commands, watch)
        if step.shown is not None:
            assert normal(printed) == normal(step.shown), f"{step.commands}\nprinted:\n{printed}"
        else:
            assert "iterpref: " not in printed, printed


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=300) as answer:
        return str(answer.read().decode())


def test_the_tutorial(folder: Path) -> None:
    seen: list[str] = []
    follow(ROOT / "docs" / "tutorial.md", seen)
    assert "forget-a" in seen[1] and "D⁻" in seen[2]
    with Store.open(folder / "runs" / "first", write=False) as store:
        lengths = {t.task_id: len(t.attempts) for t in store.trajectories() if t.status == "passed"}
        results = list(store.results())
    assert {"first-b", "forget-a"} <= lengths.keys() and "positions" not in lengths  # as the text tells it
    assert sum(length == 2 for length in lengths.values()) >= 5
    before, after = (result.metrics["pass@1"] for result in results)
    assert before < after


@pytest.mark.parametrize("page", [page for page in EXECUTED if page.name != "tutorial.md"], ids=lambda page: page.stem)
def test_how_tos(folder: Path, page: Path) -> None:
    follow(page)


def test_how_tos_that_can_run_do() -> None:
    assert {page.stem for page in EXECUTED} == {"tutorial", "own-pairs", "own-tests", "exports"}


def test_the_readme_with_tasks_and_a_model_where_it_names_them(folder: Path) -> None:
    tutorial = steps((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    for step in tutorial[:2]:  # tasks.jsonl and held_out.jsonl
        typed(step.commands)
    typed(OWN_NAMES)
    (folder / "path" / "to").mkdir(parents=True)
    (folder / "path" / "to" / "model").symlink_to(coder_path())
    follow(ROOT / "README.md")
    assert (folder / "runs" / "mine" / "model" / "model.safetensors").is_file()


# Rows under the names that the README takes for granted, and references that are right.
OWN_NAMES = """\
sed -i 's/"id"/"task_id"/' tasks.jsonl held_out.jsonl
sed -i "s/return text.find('b')/return text[:4].find('b')/" tasks.jsonl
"""


# --- what the comparison forgives, and what not ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("passed: 9\n", "passed: 10\n", id="numbers"),
        pytest.param("| +83.3 | 0.062 |", "| −8.3 |   1 |", id="signs and columns"),
        pytest.param("model local:coder:13f8e59efa51", "model local:coder:26090a85771838e361fdb292", id="hashes"),
        pytest.param("seconds: 5.07\n\n", "seconds: 1e-05", id="times and blank lines"),
    ],
)
def test_numbers_may_differ(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("passed: 9", "solved: 9", id="another word"),
        pytest.param("kept: 7\nleft: 7", "kept: 7", id="a line less"),
        pytest.param("iterpref: 1 of 10 tasks can't be used", "iterpref: 1 of 10 tasks can be used", id="a message"),
    ],
)
def test_words_may_not(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_a_page_is_read_as_it_looks() -> None:
    page = "```bash\na\n```\n\n```text\nA\n```\n\ntext\n\n```bash\nb\n```\n\nand\n\n```text\nno output\n```\n"
    page += "```sh\nc\n```\n"
    assert steps(page) == [Step("a\n", "A\n", (23, 25)), Step("b\n", None, (49, 49))]


def test_a_command_that_fails_without_a_word_is_no_output(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="status 3"):
        typed("exit 3")
    assert "no run here" in typed("iterpref pair --run absent")
