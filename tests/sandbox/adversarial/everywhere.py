"""The suite's programs with tests that each must fail: for every way in which jobs reach the sandbox."""

from typing import NamedTuple

from machine import EXHAUSTING, PRELUDE, REACHING
from verdict import ANY_STYLE, IN_PROCESS

from iterpref.records import Limits

LIMITS = Limits(cpu_s=0.5, wall_s=1.2, memory_bytes=256 << 20, file_bytes=8 << 20, processes=16)
PATIENT = LIMITS.model_copy(update={"cpu_s": 3.0, "wall_s": 20.0})  # a control that hits a limit says nothing
ASSERTS = "assert f(1) == 2\nassert f(2) == 3"
UNITTEST = (
    "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
    "    def test_a(self): self.assertEqual(f(1), 2)\n    def test_b(self): self.assertEqual(f(2), 3)\n"
)


class Group(NamedTuple):
    """Programs by name, and what they are run against."""

    programs: dict[str, str]
    tests: str
    style: str
    limits: Limits


RIGHT = "def f(x): return x + 1"
GROUPS = {
    "machine": Group(
        {name: PRELUDE + text for name, text in (EXHAUSTING | REACHING).items()}, ASSERTS, "assert", LIMITS
    ),
    "any style": Group(ANY_STYLE, ASSERTS, "assert", LIMITS),
    "in process": Group(IN_PROCESS, UNITTEST, "unittest", PATIENT),
}
