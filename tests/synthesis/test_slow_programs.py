"""What validation measures of a program does not depend on how fast the machine runs it."""

from collections.abc import Iterator

import pytest

from iterpref.config import ValidationConfig
from iterpref.records import Limits, Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.synthesis import validate
from iterpref.synthesis.validate import Validator

# The first constant can be changed without these tests' noticing.
PROGRAM = "def f(x):\n    if x > 100:\n        return 0\n    return x + 1\n"
TESTS = """
import time, unittest
from solution import f
class T(unittest.TestCase):
    def test_it(self):
        end = time.process_time() + {seconds}  # of CPU time, on any machine
        while time.process_time() < end:
            pass
        self.assertEqual(f(1), 2)
"""


def slow_task(cpu_s: float) -> Task:
    tests = (TestFile(path="test_f.py", content=TESTS.format(seconds=0.15)),)
    return Task(task_id="t", prompt="", tests=tests, style="unittest", entry_point="f", limits=Limits(cpu_s=cpu_s))


@pytest.fixture
def validator() -> Iterator[Validator]:
    made = Validator(ValidationConfig(repeats=1, mutants=2), lambda seed: Sandbox(workers=1, hash_seed=seed))
    yield made
    made.close()


def test_defect_4_a_mutant_has_time_for_what_its_original_does(
    validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "_QUICK_S", 0.1)  # as if everything took ten times as long on this machine
    found = validator.validate(slow_task(5.0), PROGRAM)
    assert found.surviving == ("constant:2",)


def test_defect_4_a_program_that_passed_is_not_flaky_for_a_busy_machine(validator: Validator) -> None:
    assert validator.validate(slow_task(0.1), PROGRAM).repeats_passed == 1
