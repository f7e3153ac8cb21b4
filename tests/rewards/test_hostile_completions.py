"""The sandbox's hostile programs, as completions: none earns anything, each has a verdict, and no later one suffers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "adversarial"))
from machine import EXHAUSTING, PRELUDE, REACHING
from verdict import ANY_STYLE, IN_PROCESS

from iterpref.errors import SandboxError
from iterpref.records import Limits
from iterpref.rewards import CodeReward
from iterpref.sandbox import Sandbox

LIMITS = Limits(cpu_s=0.5, wall_s=1.2, memory_bytes=256 << 20, file_bytes=8 << 20, processes=16)
PATIENT = LIMITS.model_copy(update={"cpu_s": 3.0, "wall_s": 20.0})  # a control that hits a limit says nothing
ASSERTS = "assert f(1) == 2\nassert f(2) == 3"
UNITTEST = (
    "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
    "    def test_a(self): self.assertEqual(f(1), 2)\n    def test_b(self): self.assertEqual(f(2), 3)\n"
)
MACHINE = {name: PRELUDE + program for name, program in {**EXHAUSTING, **REACHING}.items()}


@pytest.fixture(scope="module")
def cage() -> Iterator[Sandbox]:
    try:
        sandbox = Sandbox(workers=2, isolation="zygote")
    except SandboxError as error:
        pytest.skip(f"hostile programs run in namespaces or nowhere: {error}")
    with sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("programs", "tests", "limits"),
    [(MACHINE, ASSERTS, LIMITS), (ANY_STYLE, ASSERTS, LIMITS), (IN_PROCESS, UNITTEST, PATIENT)],
    ids=["machine", "any style", "in process"],
)
def test_no_hostile_program_earns_anything(cage: Sandbox, programs: dict[str, str], tests: str, limits: Limits) -> None:
    reward = CodeReward(partial=True, sandbox=cage, limits=limits, deadline_s=280.0)
    row = {"tests": tests, "entry_point": "f"}
    completions = [f"```python\n{program}\n```" for program in (*programs.values(), "def f(x): return x + 1")]
    *found, last = reward.score(completions, [row] * len(completions))
    assert {name: value for name, value in zip(programs, found, strict=True) if value != 0.0} == {}
    assert last == 1.0
    assert reward.metrics.runs == len(completions), "each was run"
