"""What makes a run cheaper than a plain fork, and that it changes nothing else."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from iterpref.errors import SandboxError
from iterpref.records import Isolation, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.inside.linux import pinning
from iterpref.sandbox.inside.worker import boot
from iterpref.sandbox.workers.pool import Pool
from iterpref.sandbox.workers.worker import Worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def io_uring() -> str:
    try:
        pinning.open_ring()
    except OSError as error:
        return f"no io_uring here: {error}"
    return ""


pinned = pytest.mark.skipif(bool(io_uring()), reason=io_uring())


def inside(code: str) -> str:
    """What `code` prints in an interpreter like a zygote's."""
    return subprocess.run(boot.command(code), capture_output=True, text=True, check=True).stdout


PINNED = """
import ctypes, mmap, os
from _iterpref_sandbox.linux import pinning
size = 6 * mmap.PAGESIZE
area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.write(b"a" * size)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
pages = [start + at * mmap.PAGESIZE for at in range(6)]
pinning.pin(pinning.open_ring(), [pages[1], pages[2], pages[4]])
def own(): return "".join("o" if page in pinning.pages_of_its_own() else "-" for page in pages)
def texts(): return b"".join(area[at * mmap.PAGESIZE : at * mmap.PAGESIZE + 1] for at in range(6)).decode()
print(own(), flush=True)
pid = os.fork()
if pid == 0:
    print(own(), flush=True)
    area[0:1], area[mmap.PAGESIZE : mmap.PAGESIZE + 1] = b"b", b"b"
    print(own(), texts(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(own(), texts())
"""


@linux
@pinned
def test_pinned_pages_are_the_childs_own_from_the_start() -> None:
    assert inside(PINNED).split("\n")[:-1] == ["oooooo", "-oo-o-", "ooo-o- bbaaaa", "oooooo aaaaaa"]


@linux
def test_a_fork_here_may_go_anywhere() -> None:
    code = """
import os
from _iterpref_sandbox.linux.processes import fork_here
before = os.sched_getaffinity(0)
pid = fork_here()
if pid == 0:
    os._exit(0 if os.sched_getaffinity(0) == before else 1)
print(os.waitpid(pid, 0)[1], os.sched_getaffinity(0) == before)
"""
    assert inside(code) == "0 True\n"


class NoRing(Worker):
    main = (
        f"from {boot.PACKAGE}.linux import pinning\n"
        "def refused(*_): raise OSError(1, 'Operation not permitted')\n"
        "pinning.open_ring = refused\n"
    ) + Worker.main


class NothingPinned(NoRing):
    main = NoRing.main.replace("open_ring", "pin", 1)


@contextmanager
def sandbox_of(kind: type[Worker], rung: Isolation, preload: tuple[str, ...] = ()) -> Iterator[Sandbox]:
    try:
        opened = Sandbox(1, preload, rung, min_isolation="rlimits")
    except SandboxError as error:
        pytest.skip(f"not on this machine: {error}")
    with opened as sandbox:
        if kind is not Worker:
            sandbox.pool.close()
            sandbox.pool = Pool(kind(rung, preload), 1, lambda: kind(rung, preload), 1 << 30)
        yield sandbox


def job(program: str, test: str) -> Job:
    return Job(program=program, tests=(TestFile(path="test_it.py", content=test),), style="assert")


FAULTS = "import resource\ndef f(most):\n    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt < most\n"


@linux
@pinned
@pytest.mark.parametrize("rung", ["zygote", "landlock"])
@pytest.mark.parametrize("preload", [(), ("numpy",)])
def test_a_run_finds_most_of_its_pages_copied(rung: Isolation, preload: tuple[str, ...]) -> None:
    counted: list[int] = []
    for kind in (Worker, NoRing):
        with sandbox_of(kind, rung, preload) as sandbox:
            few = 1
            while not sandbox.run(job(FAULTS, f"assert f({few})")).passed:
                few = few * 5 // 4 + 1
            counted.append(few)
    assert counted[0] < 0.7 * counted[1]


@linux
@pytest.mark.filterwarnings("ignore:NOT ISOLATED")
@pytest.mark.parametrize("kind", [NoRing, NothingPinned])
@pytest.mark.parametrize("rung", ["zygote", "landlock", "rlimits"])
def test_where_nothing_can_be_pinned_runs_are_as_before(kind: type[Worker], rung: Isolation) -> None:
    with sandbox_of(kind, rung) as sandbox:
        assert sandbox.run(job("def f(x): return x + 1\n", "assert f(1) == 2")).passed
        failed = sandbox.run(job("def f(x): return x\n", "assert f(1) == 2"))
        assert failed.error == "f(1) returned 1, expected 2"


SEEN = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def variables(): return sorted(name for name in os.environ if name.startswith("LD_"))
def cpus(): return sorted(os.sched_getaffinity(0))
def ring():
    got = libc.syscall(427, 3, 0, None, 0)
    return got, ctypes.get_errno()
"""


@linux
@pytest.mark.parametrize("fixture", ["cage", "grouped", "locked", pytest.param("wrapped", marks=pytest.mark.slow)])
def test_programs_see_nothing_of_it(fixture: str, request: pytest.FixtureRequest) -> None:
    sandbox: Sandbox = request.getfixturevalue(fixture)
    tests = f"assert variables() == {sorted({'LD_LIBRARY_PATH'} & set(os.environ))}\n"
    tests += f"assert cpus() == {sorted(os.sched_getaffinity(0))}\nassert ring() == (-1, {errno.ENOSYS})\n"
    execution = sandbox.run(job(SEEN, tests))
    assert execution.passed, execution.error
