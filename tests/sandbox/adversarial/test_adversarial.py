"""Our own adversarial suite: no attack passes, on the namespaces rung and on Landlock. Runs only inside the sandbox."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import EXHAUSTING, PRELUDE, REACHING
from verdict import ANY_STYLE, IN_PROCESS

sys.path.insert(0, str(Path(__file__).parents[1]))
from jobs import job

from iterpref.records import Limits
from iterpref.sandbox import Sandbox

TEST = "assert f(1) == 2\nassert f(2) == 3"
UNITTEST = """
import unittest
from solution import f
class T(unittest.TestCase):
    def test_a(self):
        self.assertEqual(f(1), 2)
    def test_b(self):
        self.assertEqual(f(2), 3)
"""
CHECK = (
    "def check(candidate):\n    for x in [1, 2]:\n        try: assert candidate(x) == x + 1\n        finally: pass\n"
)
OPAQUE = "class Other: pass\nassert f(1) == 2 and [Other]\nassert f(2) == 3 and [Other]\n"
PYTEST = "from solution import f\ndef test_a():\n    assert f(1) == 2\ndef test_b():\n    assert f(2) == 3\n"
DOCTEST = ">>> f(1)\n2\n>>> f(2)\n3\n"
IN_PROCESS_TESTS = {"unittest": UNITTEST, "check": CHECK, "assert": OPAQUE, "doctest": DOCTEST, "pytest": PYTEST}
LIMITS = Limits(cpu_s=0.5, wall_s=1.2, memory_bytes=256 << 20, file_bytes=8 << 20, processes=16)
PATIENT = LIMITS.model_copy(update={"cpu_s": 3.0, "wall_s": 20.0})  # a control that hits a limit says nothing
RIGHT = job("def f(x): return x + 1", TEST)
# Not shut without namespaces: docs/sandbox.md lists them.
LANDLOCK_GAPS = {"shared memory of others"}


FIXTURES = {"zygote": "cage", "bubblewrap": "wrapped", "landlock": "locked"}


@pytest.fixture(params=["zygote", *(pytest.param(rung, marks=pytest.mark.slow) for rung in ("bubblewrap", "landlock"))])
def rung(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.getfixturevalue(FIXTURES[request.param])
    return found


def _survives(rung: Sandbox) -> None:
    assert rung.run(RIGHT).passed, "the attack harmed a later run"


def test_there_are_enough_of_them() -> None:
    assert len(EXHAUSTING) + len(REACHING) + len(ANY_STYLE) + len(IN_PROCESS) >= 120


@pytest.mark.parametrize("name", EXHAUSTING)
def test_limits_end_it(rung: Sandbox, name: str) -> None:
    execution = rung.run(job(PRELUDE + EXHAUSTING[name], "assert f(1) == 2", limits=LIMITS))
    assert execution.verdict not in ("passed", "sandbox_error"), execution.error
    assert execution.wall_s < 60
    assert len(execution.stdout) + len(execution.stderr) < 50_000
    assert len(execution.error) < 10_000
    _survives(rung)


@pytest.mark.parametrize("name", REACHING)
def test_nothing_is_reached(rung: Sandbox, name: str) -> None:
    if rung.isolation == "landlock" and name in LANDLOCK_GAPS:
        pytest.skip("a documented gap of this rung")
    execution = rung.run(job(PRELUDE + REACHING[name], "assert f(1) == 2", limits=LIMITS))
    assert execution.verdict not in ("passed", "sandbox_error"), execution.error
    assert execution.error_type not in ("NameError", "SyntaxError", "AttributeError"), execution.error
    _survives(rung)


@pytest.mark.parametrize("name", ANY_STYLE)
def test_oracle_styles_believe_no_forgery(rung: Sandbox, name: str) -> None:
    execution = rung.run(job(ANY_STYLE[name], TEST, limits=LIMITS))
    assert execution.verdict not in ("passed", "sandbox_error"), execution.error
    assert execution.trust == "oracle"


def _forgeries() -> Iterator[Any]:
    """Every forgery with every style; fast are those made for it."""
    for name in ANY_STYLE | IN_PROCESS:
        for style in IN_PROCESS_TESTS:
            fast = name in IN_PROCESS and (style != "pytest" or "pytest" in name)
            yield pytest.param(name, style, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("name", "style"), list(_forgeries()))
def test_in_process_styles_believe_none_of_them(rung: Sandbox, name: str, style: str) -> None:
    program = (ANY_STYLE | IN_PROCESS)[name]
    execution = rung.run(job(program, IN_PROCESS_TESTS[style], style, entry_point="f", limits=PATIENT))
    assert execution.verdict not in ("passed", "sandbox_error"), execution.trust


@pytest.mark.parametrize("style", IN_PROCESS_TESTS)
def test_what_is_right_is_confirmed(rung: Sandbox, style: str) -> None:
    right = job("def f(x): return x + 1", IN_PROCESS_TESTS[style], style, entry_point="f")
    execution = rung.run(right)
    assert (execution.verdict, execution.trust) == ("passed", "checked"), execution.error
    wrong = right.model_copy(update={"program": "def f(x): return x"})
    assert rung.run(wrong).verdict == "failed"
