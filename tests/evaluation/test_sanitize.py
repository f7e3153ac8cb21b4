"""What the sanitiser keeps, and that its work is linear."""

import time

import pytest

from iterpref.evaluation.sanitize import sanitize


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("def f(x):\n    return x\n\nprint(f(1))\nassert f(1)", "def f(x):\n    return x", id="calls go"),
        pytest.param("Sure:\n```python\ndef f(x):\n    return x\n```\nDone.", "def f(x):\n    return x", id="fence"),
        pytest.param("Here it is, as you asked.\n\ndef f(x):\n    return x\n\nThis works (see above.",
                     "def f(x):\n    return x", id="prose without fences"),
        pytest.param("def f(x):\n    return x\n\ndef g(x):\n    retur", "def f(x):\n    return x", id="cut off"),
        pytest.param("import os\ndef g(a):\n    return a\ndef h(a):\n    return 1\ndef f(x):\n    return g(x)",
                     "import os\ndef g(a):\n    return a\ndef f(x):\n    return g(x)", id="what it needs"),
        pytest.param("A = 1\nB = A\n@deco\ndef f(x):\n    return B", "A = 1\nB = A\n@deco\ndef f(x):\n    return B",
                     id="constants and decorators"),
        pytest.param("def f(x):\n    pass\ndef f(x):\n    return 1\ndef f(x):\n    return 2", "def f(x):\n    return 1",
                     id="the first definition that returns something"),
        pytest.param("try:\n    import numpy as np\nexcept ImportError:\n    np = None\ndef f(x):\n    return np",
                     "try:\n    import numpy as np\nexcept ImportError:\n    np = None\ndef f(x):\n    return np",
                     id="guarded import"),
        pytest.param("def f(x):\n    '''doc\nat column 0 (\n'''\n    return x\nfoo bar",
                     "def f(x):\n    '''doc\nat column 0 (\n'''\n    return x", id="string at column 0"),
        pytest.param("I can't do that.", "", id="no code"),
        pytest.param("def g(x):\n    return x\nprint(g(1))", "def g(x):\n    return x\nprint(g(1))", id="another name"),
        pytest.param("", "", id="empty"),
    ],
)  # fmt: skip
def test_what_is_kept(text: str, kept: str) -> None:
    assert sanitize(text, "f") == kept


def test_without_an_entry_point_all_definitions_stay() -> None:
    assert sanitize("def a(): return 1\nprint(a())\nB = 2", None) == "def a(): return 1\nB = 2"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def f{}(x):\n    return x\n" * 2500, id="code"),
        pytest.param("This line, don't you think, is prose (mostly.\n" * 5000, id="prose"),
        pytest.param("def f(:\n" * 5000, id="broken"),
        pytest.param("x = (1,\n" * 5000, id="open brackets"),
        pytest.param(("x = (" + "a + " * 30 + "\n") * 5000, id="long lines with an open bracket"),
        pytest.param("foo(bar(baz(1, 2), [3, {'a': (4,\n" * 5000, id="nested open brackets"),
        pytest.param(("(" * 90 + "1\n") * 5000, id="deep brackets"),
        pytest.param('"""\n' * 5001, id="open string"),
    ],
)
def test_five_thousand_lines_in_a_second(text: str) -> None:
    started = time.process_time()
    sanitize(text, "f")
    assert time.process_time() - started < 2.0  # the bound is 1 s on an idle machine
