"""The whole adversarial suite, and the honest programs, as a user without any right: own namespaces, or bubblewrap."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_rungs import as_nobody

SUITE = """
    import os, sys
    sys.path[:0] = [*{paths!r}, os.getcwd() + "/adversarial"]
    assert os.getuid() == 65534
    import textwrap
    from jobs import job, returns
    from machine import EXHAUSTING, PRELUDE, REACHING
    from test_honest import PROGRAMS
    from verdict import ANY_STYLE, IN_PROCESS
    from iterpref.records import Limits
    from iterpref.sandbox import Sandbox
    LIMITS = Limits(cpu_s=0.5, wall_s=2.0, memory_bytes=256 << 20, file_bytes=8 << 20, processes=16)
    PATIENT = LIMITS.model_copy(update=dict(cpu_s=3.0, wall_s=20.0))
    UNIT = "import unittest\\nfrom solution import f\\nclass T(unittest.TestCase):\\n  def test_a(self):\\n"
    UNIT += "    self.assertEqual(f(1), 2)\\n  def test_b(self):\\n    self.assertEqual(f(2), 3)\\n"
    RIGHT = job("def f(x): return x + 1", "assert f(1) == 2")
    count = 0
    with Sandbox(workers=1, isolation={isolation!r}) as sandbox:
        for kind, programs in (("ends", EXHAUSTING), ("reaches", REACHING)):
            for name, program in programs.items():
                found = sandbox.run(job(PRELUDE + program, "assert f(1) == 2", limits=LIMITS))
                count += 1
                if found.verdict in ("passed", "sandbox_error"):
                    print("BAD", kind, name, found.verdict, found.error[:200])
                after = sandbox.run(RIGHT)
                if not after.passed:
                    print("BAD after", name, after.verdict, after.error[:200], after.stderr[:200])
        for name, program in (ANY_STYLE | IN_PROCESS).items():
            for tests, style in (("assert f(1) == 2\\nassert f(2) == 3", "assert"), (UNIT, "unittest")):
                found = sandbox.run(job(program, tests, style, limits=PATIENT))
                count += 1
                if found.verdict in ("passed", "sandbox_error"):
                    print("BAD forgery", style, name, found.verdict, found.error[:200])
        for name, program in PROGRAMS.items():
            found = sandbox.run(returns(textwrap.dedent(program), 1, limits=Limits(cpu_s=10.0)))
            count += 1
            if not found.passed:
                print("BROKEN", name, found.verdict, found.error[:200])
    print("tried", count)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="becomes another user")
@pytest.mark.skipif(not shutil.which("setpriv") or not shutil.which("unshare"), reason="needs setpriv and unshare")
@pytest.mark.parametrize("isolation", ["zygote", "bubblewrap"])
def test_no_attack_works_for_an_unprivileged_user(isolation: str) -> None:
    if isolation == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    done = as_nobody(SUITE, isolation)
    assert done.returncode == 0, done.stderr
    *bad, last = done.stdout.splitlines()
    assert bad == []
    assert int(last.split()[1]) > 150
