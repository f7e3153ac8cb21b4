import gc
import threading
import time

import pytest

from iterpref.programs import code_blocks, defines, extract, extract_program, fenced, parses, syntax_tree


@pytest.mark.parametrize(
    ("completion", "entry_point", "program"),
    [
        pytest.param("```python\nx = 1\n```", None, "x = 1", id="one block"),
        pytest.param("Sure:\n```py\nx = 1\n```\nDone.", None, "x = 1", id="prose around"),
        pytest.param("```python\ndef f(): pass\n```\n```python\nf()\n```", "f", "def f(): pass", id="entry point wins"),
        pytest.param("```python\ndef f(): pass\n```\n```python\ng()\n```", None, "g()", id="last block without one"),
        pytest.param("```python\nx = 1\n```\n```python\nx = = 1\n```", None, "x = 1", id="last that parses"),
        pytest.param("```python\ndef f(:\n```", "f", "def f(:", id="broken code is still the program"),
        pytest.param("```python\nx = 1\n", None, "x = 1", id="cut before the closing fence"),
        pytest.param("```bash\nls\n```", None, "", id="another language"),
        pytest.param("x = 1\ny = 2", None, "x = 1\ny = 2", id="bare code"),
        pytest.param("I can't do that.", None, "", id="prose is no program"),
        pytest.param("", None, "", id="empty"),
        pytest.param("- so:\n  ```python\n  if x:\n      y()\n  ```", None, "if x:\n    y()", id="indented block"),
        pytest.param("````python\ns = '''\n```\n'''\n````", None, "s = '''\n```\n'''", id="longer fence holds a fence"),
        pytest.param("~~~python\nx = 1\n~~~", None, "x = 1", id="tilde fence"),
    ],
)
def test_extract_program(completion: str, entry_point: str | None, program: str) -> None:
    assert extract_program(completion, entry_point) == program


F, G = "```python\ndef f(): pass", "```python\ng("


@pytest.mark.parametrize(
    ("completion", "is_open"),
    [
        pytest.param(f"{F}\n```", False, id="closed"),
        pytest.param(f"{F}\n```\nIt does", False, id="only the explanation goes on"),
        pytest.param(F, True, id="not closed"),
        pytest.param(f"{F}\n``", True, id="in its closing fence"),
        pytest.param(f"{F}\n```\n{G}", False, id="another block than the program's is not closed"),
        pytest.param(f"{F}\n```\n{F}", True, id="two programs, the last one not closed"),
        pytest.param(f"{F}\n```\n```python\n", False, id="an empty block is begun"),
        pytest.param("def f(): pass", True, id="bare code"),
        pytest.param("I think", True, id="no program yet"),
        pytest.param("```python\n", True, id="nothing in its block yet"),
        pytest.param("", True, id="nothing"),
    ],
)
def test_open_programs_end_with_their_reply(completion: str, is_open: bool) -> None:
    assert extract(completion, "f").open == is_open


@pytest.mark.parametrize("program", ["x = 1", 'def f():\n    """\n    ```\n    """', "a = '''\n````py\n'''"])
def test_a_fenced_program_is_found_again(program: str) -> None:
    assert extract_program(fenced(program)) == program


def test_code_blocks_are_exact_ranges() -> None:
    text = "a\n```python\nx = 1\n```\nb\n```\ny = 2"
    assert [text[start:stop] for start, stop in code_blocks(text)] == ["x = 1\n", "y = 2"]


def test_extraction_is_linear_in_length() -> None:
    """A degenerate completion of repeated fences must not take quadratic time: 20,000 blocks end at once."""
    text = "```python\nx = 1\n```\n" * 20_000
    assert len(code_blocks(text)) == 20_000
    assert extract_program(text, "missing") == "x = 1"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("def f(): pass", True),
        ("async def f(): pass", True),
        ("class f: pass", True),
        ("f = g", True),
        ("fx = 1", False),
    ],
)
def test_defines(program: str, expected: bool) -> None:
    assert defines(program, "f") is expected


def test_parses_survives_hostile_text() -> None:
    assert not parses("\0")
    assert not parses("(" * 5000)


def test_trees_are_built_by_many_threads() -> None:
    """CPython 3.11's `ast.parse` raises SystemError here within a second: garbage collection switches threads in it."""

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            time.sleep(0)

    source = "def f(x):\n" + "".join(f"    y{i} = (x + {i}) * [x, {i}][0]\n" for i in range(200))
    stop = time.monotonic() + 1.5
    errors: list[SystemError] = []

    def build() -> None:
        while time.monotonic() < stop and not errors:
            Garbage()
            try:
                syntax_tree(source)
            except SystemError as error:
                errors.append(error)

    threshold = gc.get_threshold()
    gc.set_threshold(20)
    try:
        threads = [threading.Thread(target=build) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*threshold)
    assert errors == []
