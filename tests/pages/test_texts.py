"""What the pages say exists: links, commands, options, settings, files, messages, figures."""

import ast
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from docs.outputs import commands_of

from iterpref.cli import app
from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.errors import ConfigError
from iterpref.training import check_keys, known_keys
from pages import DOCS, PAGES, ROOT, anchors, blocks, links, name, prose, text

BY_NAME = pytest.mark.parametrize("page", PAGES, ids=name)
GROUP: Any = typer.main.get_command(app)
OF_ALL = {option for parameter in GROUP.params for option in parameter.opts}
# What stands for the reader's own.
PLACEHOLDER = re.compile(r"[….]{3}|…|\b[A-Z]{2,}\b|[\[\]$]")


@BY_NAME
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{name(page)}: {target}"
        assert not anchor or anchor in anchors(there), f"{name(page)}: {target}; {there.name} has {anchors(there)}"


def test_every_page_is_in_the_sites_menu() -> None:
    menu = re.findall(r": ([\w/-]+\.md)$", text(ROOT / "mkdocs.yml"), re.MULTILINE)
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert set(menu) == there | {"contributing.md", "changelog.md"}
    assert len(menu) == len(set(menu))


def commands(page: Path) -> list[list[str]]:
    """The command lines of iterpref in a page's code, as words; those with placeholders end before them."""
    found = []
    for language, block in blocks(page):
        if language in ("text", "json", "python", "yaml", "jinja"):
            continue
        for command in commands_of(block):
            command = re.sub(r"^[A-Z_]+=\S+ ", "", command.strip())
            if command.startswith("iterpref ") and "<<" not in command:
                words = shlex.split(re.split(r" [|>] |  \(|; ", command)[0], comments=True)
                stop = next((i for i, word in enumerate(words) if PLACEHOLDER.fullmatch(word)), len(words))
                found.append(words[:stop])
    return found


@BY_NAME
def test_commands_in_blocks_can_be_given(page: Path) -> None:
    """Verbs, options and keys of --set exist; whatever has no placeholder parses as a whole."""
    for words in commands(page):
        verb, given = words[1], words[2:]
        if verb in OF_ALL:
            continue
        assert verb in GROUP.commands, f"{name(page)}: iterpref {verb}"
        options = {option for parameter in GROUP.commands[verb].params for option in parameter.opts} | {"--help"}
        unknown = {word.split("=")[0] for word in given if re.match(r"--?[a-z]", word)} - options
        assert not unknown, f"{name(page)}: {shlex.join(words)}: no option {unknown}"
        check_settings([setting for option, setting in pairwise(given) if option == "--set" and "=" in setting])


@BY_NAME
def test_verbs_named_in_the_text_exist(page: Path) -> None:
    named = set(re.findall(r"(?:^|`|bin/)iterpref ([a-z]+)", text(page), re.MULTILINE))
    assert named <= set(GROUP.commands), f"{name(page)}: {named - set(GROUP.commands)}"


def check_settings(settings: list[str]) -> None:
    """Keys and values can be used, those of a client perhaps where it is an endpoint."""
    told = [setting for setting in settings if not PLACEHOLDER.search(setting.split("=", 1)[1])]
    clients = {setting.split("client.")[0] + "client.kind=openai" for setting in told if "client." in setting}
    try:
        config = load_config(None, told)
    except ConfigError:
        config = load_config(None, [*clients, *told])
    check_keys(config.training, known_keys())


@BY_NAME
def test_settings_in_blocks_can_be_used(page: Path, tmp_path: Path) -> None:
    for language, block in blocks(page):
        if language == "yaml" and (values := yaml.safe_load(block)).keys() & Config.model_fields.keys():
            file = tmp_path / "settings.yaml"
            file.write_text(block, encoding="utf-8")
            check_keys(load_config(file).training, known_keys())
            assert values.keys() <= Config.model_fields.keys()


@BY_NAME
def test_files_named_in_the_text_exist(page: Path) -> None:
    kinds = r"(?:recipes|examples|benchmarks|tests|docs)/[\w./-]*\w\.(?:yaml|py|sh|md|ipynb|jsonl)"
    for file in re.findall(rf"(?<![\w/.])({kinds})\b", text(page)):
        if not PLACEHOLDER.search(file) and file not in EXAMPLES:
            assert (ROOT / file).is_file(), f"{name(page)}: {file}"


# Files of the reader's that pages speak of.
EXAMPLES = {"recipes/mine.yaml"}


# --- troubleshooting quotes what the code says ---


def templates() -> list[list[str]]:
    """The texts in the code, each as the pieces between what is filled in."""
    found = []
    for file in (ROOT / "src" / "iterpref").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append([p.value for p in node.values if isinstance(p, ast.Constant) and isinstance(p.value, str)])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append([node.value])
    return found


def quoted(page: Path) -> list[str]:
    """The messages that a page quotes: its headings in code."""
    return re.findall(r"^### `(.+)`$", text(page), re.MULTILINE)


def says(pieces: list[str], message: str) -> bool:
    """Whether a message, with … for what is filled in, is of these pieces, from one to the other in their order."""
    rest = "…".join(pieces)
    for part in message.split("…"):
        if (at := rest.find(part)) < 0:
            return False
        rest = rest[at + len(part) :]
    return True


def test_quoted_messages_are_in_the_code() -> None:
    messages = quoted(DOCS / "troubleshooting.md")
    assert len(messages) >= 30 and len(messages) == len(set(messages))
    there = templates()
    for message in messages:
        assert len(message.replace("…", "")) >= 12, f"{message}: too short to be found by"
        assert any(says(pieces, message) for pieces in there), f"no such message in the code: {message}"


def test_a_message_is_told_from_another() -> None:
    pieces = ["", ": no run here (expected ", ")"]
    assert says(pieces, "…: no run here (expected …)")
    assert not says(pieces, "no run there") and not says(pieces, ") …: no run here")


# --- figures ---


def test_the_readmes_results_are_those_of_the_pages_of_results() -> None:
    rows = [line for line in text(ROOT / "README.md").splitlines() if re.match(r"\| \w.*\| \+?-?\d", line)]
    assert len(rows) >= 2, "README.md: no rows of results"
    measured = text(DOCS / "real-models.md") + text(DOCS / "results.md")
    for row in rows:
        assert row in measured, f"README.md: neither in docs/real-models.md nor in docs/results.md: {row}"


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 100


@pytest.mark.parametrize("figure", sorted((DOCS / "figures").iterdir()), ids=lambda figure: figure.name)
def test_figures_are_shown_and_small(figure: Path) -> None:
    pages = [page for page in PAGES if f"figures/{figure.name}" in text(page)]
    assert pages, f"{figure.name} is shown nowhere"
    assert figure.stat().st_size < 150_000


def test_pictures_say_what_they_show() -> None:
    for page in PAGES:
        assert not re.search(r"!\[\]\(", prose(page)), name(page)
        assert all("alt=" in image for image in re.findall(r"<img[^>]*>", prose(page))), name(page)
