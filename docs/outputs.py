"""Run the commands that a page shows, in order and in one folder, and compare what they say with what the page says.

    python docs/outputs.py docs/tutorial.md      # write what they said into the page

A page's ```bash blocks are commands; a ```text block right below one is what it prints. Blocks of other languages are
not run. The tests run all such pages (tests/pages/), with numbers, times and hashes left out of the comparison.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What pages show is what a terminal of this kind shows; colours are taken off.
TERMINAL = {"COLUMNS": "120", "TERM": "xterm"}
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
# What is said of work under way, most of it on busy machines only.
_PROGRESS = re.compile(r"^[\w ]+: \d+/\d+\b|^[a-z][\w ]*,? [\d:]+( s)?$|^working$|^$")
_HEREDOC = re.compile(r"<<'(\w+)'")
# Hashes, also those that a narrow column breaks, sizes in other units, times and numbers: what machines may differ in.
_VARIABLE = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|(?<=:)[0-9a-f]+\b|[+−-]?\d[\d.,:]*(?:e-?\d+)?")


@dataclass(frozen=True)
class Step:
    """A block of commands, and what the page shows of what they print; None where it shows nothing."""

    commands: str
    shown: str | None
    place: tuple[int, int]
    """Characters of the page that hold `shown`; where there is none an empty range."""


def steps(page: str) -> list[Step]:
    """The blocks of commands of a page, in order."""
    found = list(FENCE.finditer(page))
    made = []
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block[1] != "bash":
            continue
        if after is not None and after[1] == "text" and not page[block.end() : after.start()].strip():
            made.append(Step(block[2], after[2], after.span(2)))
        else:
            made.append(Step(block[2], None, (block.end(), block.end())))
    return made


def normal(text: str) -> list[str]:
    """The lines of an output, without what differs between machines or from day to day."""
    lines = (" ".join(_VARIABLE.sub("N", line).split()) for line in text.strip().splitlines())
    return [line for line in lines if line]


def commands_of(block: str) -> Iterator[str]:
    """The commands of a block: continued lines and here-documents are one, and `a && b` is two."""
    lines = iter(block.splitlines())
    for line in lines:
        while line.endswith("\\"):
            line = line[:-1] + next(lines)
        if found := _HEREDOC.search(line):
            for more in lines:
                line += "\n" + more
                if more == found[1]:
                    break
            yield line + "\n"
        elif line.strip() and not line.lstrip().startswith("#"):
            yield from re.split(r"\s+&&\s+", line)


def iterpref_words(command: str) -> list[str] | None:
    """The arguments of a command line of iterpref; None where it is another program's."""
    words = shlex.split(command, comments=True) if "<<" not in command else []
    return words[1:] if words[:1] == ["iterpref"] else None


def typed(block: str, watch: Callable[[str], None] | None = None) -> str:
    """What a terminal shows of the commands of a block, progress left out. iterpref runs in this process.

    Args:
        watch: Called with the address while `iterpref view` serves there, which ends when it returns.

    Raises:
        RuntimeError: Another program than iterpref ended with a status that is not 0.
    """
    return "".join(_typed(command, watch) for command in commands_of(block))


def _typed(command: str, watch: Callable[[str], None] | None) -> str:
    words = iterpref_words(command)
    if words is None:
        ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
        if ended.returncode:
            raise RuntimeError(f"{command}: status {ended.returncode}: {ended.stderr}")
        return ended.stdout + ended.stderr
    if words[0] in ("view", "serve"):
        return _served(words, watch)
    return _called(words)


class _Stream(io.TextIOWrapper):
    """What a command writes to: standard output looks like a terminal, so that its end is the one that people see."""

    def __init__(self, terminal: bool) -> None:
        self._written = io.BytesIO()
        super().__init__(self._written, encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        return self._written.getvalue().decode()


def _called(words: list[str]) -> str:
    from iterpref.cli import main

    printed, said = _Stream(terminal=True), _Stream(terminal=False)
    argv, sys.argv = sys.argv, ["iterpref", *words]
    status = 0
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    finally:
        sys.argv = argv
    out, err = (_COLOURS.sub("", stream.text()) for stream in (printed, said))
    lines = [line for line in err.splitlines() if not _PROGRESS.match(line)]
    errors = [line for line in lines if line.startswith("iterpref: ")]
    if bool(status) != bool(errors):
        raise RuntimeError(f"iterpref {shlex.join(words)}: status {status}: {err}")
    first = [line for line in lines if line not in errors]
    return "".join(f"{line.rstrip()}\n" for line in (*first, *out.splitlines(), *errors))


def _served(words: list[str], watch: Callable[[str], None] | None) -> str:
    command = [sys.executable, "-m", "iterpref", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        first = server.stderr.readline()
        try:
            address = re.search(r"http://\S+", first)
            if address is None:
                raise RuntimeError(f"iterpref {shlex.join(words)}: {first}{server.stderr.read()}")
            if watch:
                watch(address[0])
        finally:
            server.terminate()
            try:
                server.wait(timeout=100)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    return re.sub(r":\d+/", ":8081/", first)  # where it listens unless told otherwise


def rewrite(page: Path) -> None:
    """Put what the commands of a page say into it."""
    text, written = page.read_text(encoding="utf-8"), ""
    end = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for step in steps(text):
            said = typed(step.commands)
            start, stop = step.place
            written += text[end:start] + (said if step.shown is not None else "")
            end = stop
    page.write_text(written + text[end:], encoding="utf-8")


if __name__ == "__main__":
    os.environ |= TERMINAL
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
