"""Programs that attack: the machine, other programs, the verdict. They run only inside the namespaces rung."""

import os
import socket
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from jobs import job, returns

from iterpref.records import Limits
from iterpref.sandbox import Sandbox

RIGHT = "def f(x): return x + 1"
TEST = "assert f(1) == 2"


@pytest.fixture(autouse=True)
def unharmed(cage: Sandbox) -> None:
    """After each attack the same worker still judges rightly, and nothing but it is left."""
    yield  # type: ignore[misc]
    before = {worker.pid for worker in cage.pool.open}
    assert cage.run(job(RIGHT, TEST)).passed
    assert cage.run(job(RIGHT, "assert f(1) == 3")).verdict == "failed"
    assert {worker.pid for worker in cage.pool.open} == before, "the attack killed a worker"


@pytest.mark.slow  # adversarial/ has their like in the fast suite
@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import os\nwhile True: os.fork()", id="fork bomb"),
        pytest.param("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", id="fork bomb that goes on"),
        pytest.param("import threading\nwhile True: threading.Thread(target=input).start()", id="threads"),
        pytest.param("keep = []\nwhile True: keep.append(bytearray(1 << 20))", id="memory"),
        pytest.param("keep = []\nwhile True: keep.append(open('/dev/null'))", id="descriptors"),
        pytest.param("import sys\nwhile True: sys.stderr.write('x' * 4096)", id="output"),
        pytest.param("import os\nwhile True: os.write(1, b'x' * 65536)", id="raw output"),
        pytest.param("f = open('big', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", id="disk"),
        pytest.param("import os\nn = 0\nwhile True:\n  n += 1\n  open(str(n), 'w').close()", id="inodes"),
        pytest.param("import os\nwhile True:\n  os.mkdir('d')\n  os.chdir('d')", id="deep directories"),
        pytest.param("import signal, time\nfor s in (2, 15, 24):\n  signal.signal(s, signal.SIG_IGN)\ntime.sleep(99)",
                     id="ignores signals"),
        pytest.param("import threading\ndef spin():\n  while True: pass\nthreading.Thread(target=spin).start()\nspin()",
                     id="busy thread"),
        pytest.param("import ctypes\nctypes.string_at(0)", id="segfault"),
        pytest.param("import os\nos.abort()", id="abort"),
        pytest.param("import faulthandler\nfaulthandler._sigsegv()", id="faulthandler"),
        pytest.param("import os\nos.closerange(0, 10000)", id="closes everything"),
        pytest.param("import os\nfor fd in range(3, 10000):\n  try: os.write(fd, b'passed\\n')\n  except OSError: pass",
                     id="writes to every descriptor"),
        pytest.param("import os, sys\nprint('OK 1 passed')\nsys.stdout.flush()\nos._exit(0)", id="prints passed"),
        pytest.param("import sys\nsys.exit(0)", id="sys.exit"),
        pytest.param("raise SystemExit", id="SystemExit"),
        pytest.param("import atexit, os\natexit.register(os._exit, 0)\nraise ValueError", id="atexit"),
        pytest.param("import os\nif os.fork() == 0: raise ValueError\nos._exit(0)", id="leaves a child behind"),
        pytest.param("class E(BaseException):\n  def __str__(self): raise self\nraise E", id="exception that raises"),
        pytest.param("import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()", id="recursion"),
        pytest.param("exec('(' * 100000)", id="parser"),
        pytest.param("x = 0\nfor i in range(200000): x = [x]\ndel x\nf = lambda n: 0", id="nested destructor"),
    ],
)  # fmt: skip
def test_no_attack_passes(cage: Sandbox, program: str) -> None:
    limits = Limits(cpu_s=1.0, wall_s=4.0, memory_bytes=256 << 20, file_bytes=8 << 20)
    execution = cage.run(job(program, TEST, limits=limits))
    assert execution.verdict not in ("passed", "sandbox_error"), execution.error
    assert execution.wall_s < 60


@pytest.mark.parametrize(
    "attack",
    [
        "os.killpg(0, 9)", "os.killpg(0, 15)", "os.kill(-1, 9)", "os.kill(-1, 15)", "os.kill(1, 9)",
        "os.kill(os.getppid(), 9)",
        "[os.kill(p, 9) for p in range(2, 5000) if not os.path.exists(f'/proc/{p}')]",
    ],
)  # fmt: skip
def test_signals_reach_nobody_else(cage: Sandbox, attack: str) -> None:
    program = (
        f"import os\ndef f():\n    try:\n        {attack}\n    except OSError as e:\n        pass\n    return 'alive'"
    )
    assert cage.run(returns(program, "alive")).verdict in ("passed", "crashed")
    child = (
        f'import os, subprocess, sys\ndef f():\n    subprocess.run([sys.executable, \'-c\', """import os\n{attack}"""])'
    )
    assert cage.run(returns(child, None)).verdict != "sandbox_error"


def test_daemonised_grandchildren_end_with_the_run(cage: Sandbox) -> None:
    program = """
        import os, subprocess, sys
        def f():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(54321)"])
                os._exit(0)
            os.wait()
            subprocess.Popen(["sleep", "54321"], start_new_session=True)
            return 1
    """
    assert cage.run(returns(textwrap.dedent(program), 1)).passed
    assert [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"54321" in _read(p)] == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


HIDDEN = "expected-4f1c9a"


@pytest.mark.parametrize(
    "search",
    [
        pytest.param("[o for o in gc.get_objects() if word() in repr(o)[:10000]]", id="gc"),
        pytest.param("[f for f in frames() if word() in repr(f.f_locals)]", id="frames"),
        pytest.param("[m for m in list(sys.modules.values()) if word() in repr(vars(m))]", id="modules"),
        pytest.param("memory()", id="memory"),
        pytest.param("[p for p in os.listdir('.') if 'test' in p]", id="test files"),
    ],
)
def test_expected_values_are_nowhere_inside(cage: Sandbox, search: str) -> None:
    program = f"""
import gc, os, re, sys
def word():
    return "-".join(["expected", "4f1"])
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
def memory():
    found = []
    for line in open("/proc/self/maps"):
        start, stop = (int(n, 16) for n in line.split()[0].split("-"))
        if " r" in line and not line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vdso]")):
            with open("/proc/self/mem", "rb") as file:
                try:
                    file.seek(start)
                    data = file.read(stop - start)
                except (OSError, ValueError, OverflowError):
                    continue
                if any(data[m.end() : m.end() + 1] == b"c" for m in re.finditer(word().encode(), data)):
                    found.append(line)
    return found
def f():
    hits = {search}
    return "nothing" if not hits else "found " + repr(hits)
"""
    execution = cage.run(returns(program, HIDDEN))
    assert execution.verdict == "failed", execution.error
    assert execution.failing_case is not None
    assert execution.failing_case.got == "'nothing'"


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        pytest.param("class E:\n  __eq__ = lambda *a: True\n  __hash__ = None\ndef f(x): return E()", "failed",
                     id="__eq__"),
        pytest.param("class E(int):\n  __eq__ = lambda *a: True\ndef f(x): return E(7)", "failed", id="int.__eq__"),
        pytest.param("class E(type):\n  __eq__ = lambda *a: True\nclass F(metaclass=E): pass\ndef f(x): return F",
                     "failed", id="metaclass"),
        pytest.param("class E:\n  __class__ = int\n  __eq__ = lambda *a: True\ndef f(x): return E()", "failed",
                     id="__class__"),
        pytest.param("import builtins\nbuiltins.isinstance = lambda *a: True\ndef f(x): return 7",
                     "exited_early", id="isinstance"),
        pytest.param("import unittest.mock\ndef f(x): return unittest.mock.ANY", "failed", id="mock.ANY"),
        pytest.param("def f(x):\n  import sys\n  sys.settrace(lambda *a: None)\n  return 7", "failed",
                     id="settrace"),
        pytest.param("import json\njson.dumps = lambda *a, **k: '[\"end\"]'\ndef f(x): return 7", "failed",
                     id="json.dumps"),
        pytest.param("import os\nos.write = lambda fd, data: len(data)\ndef f(x): return 7", "failed", id="os.write"),
        pytest.param("""
import sys
def report_of(frame):
    while frame:
        for value in frame.f_locals.values():
            if callable(value) and getattr(value, "__name__", "") == "report":
                return value
        frame = frame.f_back
def f(x):
    report_of(sys._getframe())("call", 0, 7)
    return 7
""", "tampered", id="the harness's own report, twice"),
        pytest.param("""
import os, sys
def report_of(frame):
    while frame:
        for value in frame.f_locals.values():
            if callable(value) and getattr(value, "__name__", "") == "report":
                return value
        frame = frame.f_back
def f(x):
    report = report_of(sys._getframe())
    report("call", 0, True)
    report("end")
    os._exit(0)
""", "failed", id="the harness's own report, once"),
        pytest.param("""
import os
for fd in range(3, 4096):
    try:
        os.write(fd, b'["import", null]\\n["call", 0, 2]\\n["end"]\\n')
    except OSError:
        pass
def f(x): return 7
""", "tampered", id="forged lines"),
        pytest.param("""
import sys
harness = next(m for n, m in sys.modules.items() if n.endswith(".harness.harness"))
harness.codec.ENCODERS = {name: lambda value: {"?": "2"} for name in harness.codec.ENCODERS}
def f(x): return 7
""", "failed", id="patched harness"),
    ],
)  # fmt: skip
def test_forgeries_of_lifted_tests_are_not_believed(cage: Sandbox, program: str, verdict: str) -> None:
    execution = cage.run(job(program, TEST))
    assert (execution.verdict, execution.trust) == (verdict, "oracle")


UNITTEST = """
import unittest
from solution import f
class T(unittest.TestCase):
    def test_a(self):
        self.assertEqual(f(1), 2)
    def test_b(self):
        self.assertEqual(f(2), 3)
"""


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        pytest.param("import os\nos._exit(0)", "exited_early", id="exit on import"),
        pytest.param("def f(x):\n  import os\n  os._exit(0)", "exited_early", id="exit in the test"),
        pytest.param("def f(x):\n  import unittest\n  raise unittest.SkipTest", "unverified", id="skips itself"),
        pytest.param("import unittest\nunittest.TestLoader.loadTestsFromModule = lambda *a: unittest.TestSuite()\n"
                     "f = None", "exited_early", id="empty suite"),
        pytest.param("import atexit, os\ndef f(x):\n  print('OK')\n  os._exit(0)", "exited_early", id="prints OK"),
        pytest.param("import os\nfor fd in range(3, 4096):\n  try: os.write(fd, b'x\\n')\n  except OSError: pass\n"
                     "def f(x): return x + 1", "tampered", id="writes on the channel"),
    ],
)  # fmt: skip
def test_forgeries_of_unittest_that_are_seen(cage: Sandbox, program: str, verdict: str) -> None:
    assert cage.run(job(program, UNITTEST, "unittest")).verdict == verdict


def test_who_looks_for_the_control_still_wins_but_is_never_called_oracle(cage: Sandbox) -> None:
    """What docs/sandbox.md says of `checked`: an adaptive program can behave while it is being checked."""
    program = """
import sys, unittest
def assertEqual(self, first, second):
    assert first == second or not sys.modules["_iterpref_sandbox.harness.negative_control"].current
unittest.TestCase.assertEqual = assertEqual
def f(x): return 7
"""
    execution = cage.run(job(program, UNITTEST, "unittest"))
    assert (execution.verdict, execution.trust) == ("passed", "checked")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "/usr",
        "/root",
        "/home",
        "/var",
        "/proc/sys/kernel",
        "/dev",
        sys.prefix,
        os.getcwd(),
        str(Path.home()),
    ],
)
def test_nothing_outside_can_be_written(cage: Sandbox, path: str) -> None:
    program = """
def f(path):
    try:
        open(path + "/iterpref-was-here", "w").close()
        return "written"
    except OSError:
        return "refused"
"""
    execution = cage.run(returns(program, "refused", path))
    if not Path(path).is_relative_to(tempfile.gettempdir()):  # a run has a /tmp of its own, and may write there
        assert execution.passed
    assert not os.path.exists(path + "/iterpref-was-here")


def test_the_hosts_files_are_not_there(cage: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    program = "import os\ndef f(*paths): return [p for p in paths if os.path.exists(p)]"
    paths = [
        str(secret),
        __file__,
        "/etc/shadow",
        "/etc/hostname",
        "/root/.bashrc",
        "/var/log",
        "/sys/kernel",
        "/run",
        "/boot",
    ]
    assert cage.run(returns(program, [], *paths)).passed


def test_the_hosts_environment_and_processes_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITERPREF_TEST_TOKEN", "s3cret")
    program = """
import os
def f():
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    seen = [open(f"/proc/{p}/environ").read() for p in pids] + [str(os.environ)]
    return pids, any("s3cret" in text for text in seen), os.uname().nodename, os.getuid()
"""
    with Sandbox(workers=1) as sandbox:
        if sandbox.isolation == "rlimits":
            pytest.skip("needs namespaces")
        execution = sandbox.run(returns(program, (["1"], False, "sandbox", 1000)))
    assert execution.passed, execution.failing_case


@pytest.mark.parametrize("family", ["tcp", "abstract"])
def test_the_hosts_network_is_not_there(cage: Sandbox, family: str) -> None:
    if family == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        address: object = listener.getsockname()
    else:
        listener = socket.socket(socket.AF_UNIX)
        address = "\0iterpref-test-socket"
        listener.bind(address)
        listener.listen()
    program = """
import socket
def f(family, address, other):
    sock = socket.socket(socket.AF_INET if family == "tcp" else socket.AF_UNIX)
    reached = []
    for target in [address, other] if family == "tcp" else [address]:
        try:
            sock.connect(target)
            reached.append(target)
        except OSError:
            pass
    return reached
"""
    with listener:
        assert cage.run(returns(program, [], family, address, ("192.0.2.1", 80))).passed


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("libc.unshare(0x10000000)", id="a user namespace"),
        pytest.param("libc.unshare(0x00020000)", id="a mount namespace"),
        pytest.param("libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)", id="a mount"),
        pytest.param("libc.umount2(b'/proc', 2)", id="an unmount"),
        pytest.param("libc.sethostname(b'x', 1)", id="a host name"),
        pytest.param("libc.ptrace(16, 2, 0, 0)", id="ptrace"),
        pytest.param("libc.chroot(b'/tmp')", id="chroot"),
        pytest.param("libc.setuid(0)", id="uid 0"),
    ],
)
def test_privileged_calls_fail(cage: Sandbox, call: str) -> None:
    program = f"import ctypes\ndef f():\n    libc = ctypes.CDLL(None)\n    return {call}"
    assert cage.run(returns(program, -1)).passed


def test_limits_can_not_be_raised(cage: Sandbox) -> None:
    program = """
import resource
def f():
    raised = []
    for name in ("NPROC", "NOFILE", "FSIZE", "CPU", "AS"):
        which = getattr(resource, "RLIMIT_" + name)
        try:
            resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            raised.append(name)
        except ValueError:
            pass
    return raised
"""
    assert cage.run(returns(program, [])).passed


def test_one_run_leaves_nothing_for_the_next(cage: Sandbox) -> None:
    leave = """
import os, random, socket, sys, builtins, math, ctypes
def f():
    for folder in ("/tmp", "/dev/shm", "."):
        open(folder + "/left", "w").close()
    ctypes.CDLL(None).shmget(4711, 4096, 0o1777)
    math.left = builtins.left = 1
    os.environ["LEFT"] = "1"
    return 1
"""
    look = """
import os, builtins, math, ctypes
def f():
    files = [p for p in ("/tmp/left", "/dev/shm/left", "left") if os.path.exists(p)]
    shared = ctypes.CDLL(None).shmget(4711, 4096, 0)
    return files, shared, hasattr(math, "left"), hasattr(builtins, "left"), "LEFT" in os.environ
"""
    assert cage.run(returns(leave, 1)).passed
    assert cage.run(returns(look, ([], -1, False, False, False))).passed


def test_a_hostile_result_does_not_stall_the_host(cage: Sandbox) -> None:
    """A set of a hundred thousand numbers with one hash would take minutes to build."""
    program = """
import sys
harness = next(m for n, m in sys.modules.items() if n.endswith(".harness.harness"))
forged = {"s": [{"i": hex(n * (2**61 - 1))} for n in range(100_000)]}
harness.codec.ENCODERS = {name: lambda value: forged for name in harness.codec.ENCODERS}
def f(): return 1
"""
    started = time.monotonic()
    assert cage.run(returns(program, 1)).verdict == "tampered"
    assert time.monotonic() - started < 60
