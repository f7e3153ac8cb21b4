"""The attacks of the public table (docs/sandbox.md): none works here, and in a plain interpreter they do."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.records import Limits
from iterpref.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from sandbox_attacks import ATTACKS, stopped  # noqa: E402
from sandbox_ways import fresh_interpreter, in_sandbox  # noqa: E402

HARMLESS_TO_AN_INTERPRETER = {"writes the result of the check", "goes on after its time"}
COSTLY = {"takes 6 GiB of memory", "makes 300 processes", "writes 300 MB", "goes on after its time"}
RIGHT = "def f(x): return x + 1\n"


@pytest.fixture(params=["cage", "locked"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    yield request.getfixturevalue(request.param)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_stopped(sandbox: Sandbox, attack: str) -> None:
    judge = in_sandbox(sandbox, Limits(cpu_s=1.0, wall_s=3.0))
    assert judge(RIGHT)
    assert stopped(judge, attack)
    assert judge(RIGHT)


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name not in COSTLY | HARMLESS_TO_AN_INTERPRETER])
def test_it_works_in_a_plain_interpreter(attack: str) -> None:
    if attack == "opens another process's memory" and _tracing_is_restricted():
        pytest.skip("kernel.yama.ptrace_scope is not 0")
    assert fresh_interpreter(RIGHT)
    assert not stopped(fresh_interpreter, attack)


def _tracing_is_restricted() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"
