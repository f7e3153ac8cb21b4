"""The ladder, broken workers, and what is left when a sandbox or its host ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from jobs import job, returns

from iterpref.errors import SandboxError
from iterpref.records import Limits
from iterpref.sandbox import Sandbox
from iterpref.sandbox.doctor import diagnose
from iterpref.sandbox.inside.linux.processes import descendants
from iterpref.sandbox.inside.rungs.table import RUNGS

SOURCE = Path(__file__).parents[2] / "src"
RIGHT = job("def f(x): return x + 1", "assert f(1) == 2")
FIXTURES = {
    "zygote_cgroup": "grouped",
    "zygote": "cage",
    "bubblewrap": "wrapped",
    "landlock": "locked",
    "rlimits": "bare",
}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and namespaces")


def test_rlimits_only_is_stamped_and_loud() -> None:
    with pytest.warns(RuntimeWarning, match="NOT ISOLATED"), Sandbox(workers=1, isolation="rlimits") as sandbox:
        execution = sandbox.run(RIGHT)
    assert execution.passed
    assert execution.isolation == "rlimits"
    assert "NOT ISOLATED" in execution.warnings[0]


def test_namespaces_need_no_stamp(cage: Sandbox) -> None:
    assert cage.run(RIGHT).warnings == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"isolation": "rlimits", "min_isolation": "landlock"},
            "got isolation 'rlimits', expected at least 'landlock'",
        ),
        ({"isolation": "zygote", "min_isolation": "zygote_cgroup"}, "expected at least 'zygote_cgroup'"),
        ({"isolation": "gvisor"}, "expected one of auto, zygote_cgroup, zygote, bubblewrap, landlock, rlimits"),
        ({"min_isolation": "gvisor"}, "got min_isolation 'gvisor', expected one of zygote_cgroup, zygote, bubblewrap"),
        ({"workers": 0}, "got workers=0"),
        ({"preload": ["no_such_module"]}, "no_such_module"),
    ],
)
def test_sandboxes_that_do_not_start(options: dict[str, object], message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        Sandbox(**{"workers": 1, **options})  # type: ignore[arg-type]


def test_used_after_close() -> None:
    with Sandbox(workers=1) as sandbox:
        assert sandbox.run(RIGHT).passed
    with pytest.raises(SandboxError, match="after close"):
        sandbox.run(RIGHT)


def test_several_threads_share_the_workers(cage: Sandbox) -> None:
    wrong: list[int] = []

    def use(number: int) -> None:
        for turn in range(5):
            value = number * 100 + turn
            if not cage.run(returns(f"def f(): return {value}", value)).passed:
                wrong.append(value)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@linux_only
def test_a_dead_worker_is_replaced_and_the_job_run_again() -> None:
    with Sandbox(workers=1) as sandbox:
        assert sandbox.run(RIGHT).passed
        (worker,) = sandbox.pool.open
        for pid in [*descendants(worker.pid), worker.pid]:
            os.kill(pid, signal.SIGKILL)
        assert sandbox.run(RIGHT).passed
        (fresh,) = sandbox.pool.open
        assert fresh is not worker


@linux_only
def test_workers_that_keep_dying_are_a_sandbox_error() -> None:
    """The program is not to blame, so the verdict must not count against it."""
    with Sandbox(workers=1) as sandbox:
        stop = threading.Event()

        def kill_all() -> None:
            while not stop.wait(0.01):
                for worker in list(sandbox.pool.open):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_all)
        killer.start()
        try:
            execution = sandbox.run(job("import time\ntime.sleep(5)\ndef f(x): return x + 1", "assert f(1) == 2"))
        finally:
            stop.set()
            killer.join()
        assert (execution.verdict, execution.phase) == ("sandbox_error", "none")
        assert "failed 3 times" in execution.error


@linux_only
@pytest.mark.parametrize("isolation", RUNGS)
def test_nothing_is_left_after_close(isolation: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(FIXTURES[isolation])
    mounts, before = _mounts(), set(descendants(os.getpid()))
    with pytest.warns() if isolation == "rlimits" else contextlib.nullcontext():
        sandbox = Sandbox(workers=2, isolation=isolation)  # type: ignore[arg-type]
    with sandbox:
        start = "subprocess.Popen(['sleep', '98765'], start_new_session=True)"
        spawn = f"import subprocess\ndef f():\n    {start}\n    return 1"
        assert all(execution.passed for execution in sandbox.run_many([returns(spawn, 1)] * 4))
        workers = set(descendants(os.getpid())) - before
        assert workers
    assert set(descendants(os.getpid())) <= before
    assert not _running("98765")
    assert (_left_by(workers), _mounts()) == ([], mounts)


@linux_only
@pytest.mark.parametrize("isolation", RUNGS)
def test_nothing_is_left_after_the_host_is_killed(isolation: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(FIXTURES[isolation])
    mounts = _mounts()
    host = f"""
        import sys
        sys.path[:0] = [{str(SOURCE)!r}, {str(Path(__file__).parent)!r}]
        from jobs import job
        from iterpref.sandbox import Sandbox
        spawn = "import subprocess, time\\n" + "subprocess.Popen(['sleep', '87654'], start_new_session=True)\\n" * 3
        with Sandbox(workers=2, isolation={isolation!r}) as sandbox:
            jobs = [job(spawn + "time.sleep(600)", "assert f(1) == 2")] * 2
            print("started", flush=True)
            list(sandbox.run_many(jobs))
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(host)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "started\n"
        assert _eventually(lambda: len(_running("87654")) == 6), "the programs did not start"
        workers = descendants(process.pid)
        process.kill()
        process.wait()
    assert _eventually(lambda: not _running("87654"))
    assert _eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert _eventually(lambda: not _left_by(workers))
    assert _mounts() == mounts


def _left_by(workers: Iterable[int]) -> list[Path]:
    """The folders and control groups that these processes made."""
    found = list(Path(tempfile.gettempdir()).glob("iterpref-sandbox-*"))
    found += [path for pattern in ("*", "*/*") for path in Path("/sys/fs/cgroup").glob(f"{pattern}/iterpref-*")]
    return [path for path in found if int(path.name.split("-")[2]) in set(workers)]


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _running(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in arguments:
            found.append(path.parent.name)
    return found


def _eventually(holds, timeout_s: float = 300.0) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


UNPRIVILEGED = """
    import os, sys
    sys.path[:0] = {paths!r}
    from jobs import job, returns
    from iterpref.records import Limits
    from iterpref.sandbox import Sandbox
    assert os.getuid() == 65534
    secret = "import os\\ndef f(*paths): return [p for p in paths if os.path.exists(p)], os.getuid()"
    kill = "import os\\ndef f():\\n    try: os.kill(-1, 9)\\n    except OSError: pass\\n    return 1"
    bomb = "import os\\nwhile True:\\n  try: os.fork()\\n  except OSError: pass"
    with Sandbox(workers=1, isolation={isolation!r}) as sandbox:
        print(sandbox.isolation, sandbox.run(job("def f(x): return x", "assert f(1) == 1")).verdict)
        print(sandbox.run(job("def f(x): return x", "assert f(1) == 2")).verdict)
        print(sandbox.run(returns(kill, 1)).verdict)
        print(sandbox.run(job(bomb, "assert f(1)", limits=Limits(cpu_s=1.0, wall_s=3.0))).verdict)
        print(sandbox.run(job("keep = b'x' * 10**9", "assert f(1)", limits=Limits(memory_bytes=1 << 28))).verdict)
        print(sandbox.run(job("def f(x): return x", "assert f(1) == 1")).verdict)
        hidden = ["/etc/shadow", "/etc/hostname", "/root", "/home", os.getcwd() + "/jobs.py"]
        case = sandbox.run(returns(secret, None, *hidden)).failing_case
        print(case.got)
"""


@linux_only
@pytest.mark.skipif(sys.platform == "linux" and os.getuid() != 0, reason="the whole suite already runs unprivileged")
@pytest.mark.skipif(not shutil.which("setpriv") or not shutil.which("unshare"), reason="needs setpriv and unshare")
@pytest.mark.parametrize("isolation", ["zygote", "bubblewrap"])
def test_an_unprivileged_user_gets_namespaces_too(cage: Sandbox, isolation: str) -> None:
    """Python may lie where only root can go, so `nobody` gets a view of it in a mount namespace of this test."""
    if isolation == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    done = as_nobody(UNPRIVILEGED, isolation)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == f"{isolation} passed"
    assert rest[0] == "failed"
    assert rest[1] in ("passed", "crashed")
    assert rest[2] == "timeout"
    assert rest[3:5] == ["out_of_memory", "passed"]
    assert rest[5] == "([], 1000)"


def as_nobody(script: str, isolation: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user without rights, in a view of Python, the sources and the tests that it may enter.

    Not below pytest's own folder: another pytest that starts shuts that to others.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _as_nobody(script, Path(folder), isolation)


def _as_nobody(script: str, folder: Path, isolation: str) -> subprocess.CompletedProcess[str]:
    folder.chmod(0o755)
    view = folder / "view"
    packages = f"user/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"  # of this user, for programs
    for name in ("python", "source", "tests", packages):
        (view / name).mkdir(parents=True)
    import pydantic

    sources = (sys.base_prefix, SOURCE, Path(__file__).parent, Path(pydantic.__file__).parents[1])
    python = view / "python" / "bin" / Path(sys.executable).resolve().name
    paths = [str(view / name) for name in ("source", "tests", packages)]
    script = textwrap.dedent(script).format(paths=paths, isolation=isolation)
    binds = "".join(
        f"mount --bind {source} {view / name}\n"
        for source, name in zip(sources, ("python", "source", "tests", packages), strict=True)
    )
    drop = "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all "
    drop += f"env HOME=/ PYTHONUSERBASE={view}/user "
    drop += f"LD_LIBRARY_PATH={view}/python/lib "  # else a Python of the system's lends its library
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", f'{binds}cd {view / "tests"}\n{drop} {python} -c "$0"', script],
        capture_output=True,
        text=True,
        timeout=900,
    )


@linux_only
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_where_namespaces_are_refused_the_reason_is_told(cage: Sandbox) -> None:
    """In a user namespace that may have no others: `auto` falls to Landlock, a minimum above it is an error."""
    script = f"""
        import sys
        sys.path[:0] = [{str(SOURCE)!r}, {str(Path(__file__).parent)!r}]
        from jobs import job
        from iterpref.errors import SandboxError
        from iterpref.sandbox import Sandbox
        with Sandbox(workers=1) as sandbox:
            execution = sandbox.run(job("def f(x): return x", "assert f(1) == 1"))
            print(execution.isolation, execution.verdict, execution.warnings)
        try:
            Sandbox(workers=1, min_isolation="zygote")
        except SandboxError as error:
            print(error)
    """
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" -W ignore -c "$1"'
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-ec", shell, sys.executable, textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    stamped, refused = done.stdout.splitlines()
    assert stamped == "landlock passed ()"
    assert "sysctl user.max_user_namespaces" in refused


def test_ten_runs_in_a_row_leave_no_files(bare: Sandbox) -> None:
    program = "import os\nopen('x', 'w').close()\ndef f(): return len(os.listdir('.'))"
    for _ in range(10):
        assert bare.run(returns(program, 2, limits=Limits())).passed


@linux_only
def test_a_control_group_counts_all_processes_together(grouped: Sandbox) -> None:
    """Six times 150 MiB at once, sooner than a sample could see it."""
    program = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(b"1") * (150 << 20)
        time.sleep(5)
        os._exit(0)
time.sleep(5)
def f(x): return x
"""
    execution = grouped.run(job(program, "assert f(1) == 1", limits=Limits(memory_bytes=256 << 20)))
    assert (execution.verdict, execution.error_type) == ("out_of_memory", "memory_bytes")
    assert grouped.run(RIGHT).passed


@linux_only
@pytest.mark.parametrize(
    "path", ["/", "/etc", "/root", "/home", "/proc", "/proc/1", "/tmp", "/dev/shm", "/var", "/run"]
)
def test_landlock_hides_the_hosts_directories(locked: Sandbox, path: str) -> None:
    program = """
import os
def f(path):
    done = []
    for name, act in (("list", os.listdir), ("write", lambda p: open(p + "/iterpref-x", "w"))):
        try:
            act(path)
            done.append(name)
        except OSError:
            pass
    return done
"""
    assert locked.run(returns(program, [], path)).passed


@linux_only
def test_landlock_shuts_signals_and_sockets(locked: Sandbox) -> None:
    victim = subprocess.Popen(["sleep", "60"])
    program = """
import os, signal, socket
def f(pid):
    done = []
    for name, act in (
        ("signal", lambda: os.kill(pid, 0)),
        ("signal all", lambda: os.kill(-1, 0)),
        ("tcp", lambda: socket.socket(socket.AF_INET)),
        ("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        ("unix", lambda: socket.socket(socket.AF_UNIX)),
        ("environ", lambda: open(f"/proc/{pid}/environ").read()),
        ("cmdline", lambda: open(f"/proc/{pid}/cmdline").read()),
    ):
        try:
            act()
            done.append(name)
        except OSError:
            pass
    socket.socketpair()
    return done
"""
    try:
        execution = locked.run(returns(program, [], victim.pid))
        assert execution.failing_case is None or execution.failing_case.got == "['signal all']"  # only its own domain
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


@linux_only
def test_the_gaps_of_landlock_are_these(locked: Sandbox) -> None:
    """Documented in docs/sandbox.md: no /tmp of its own, no local servers, the disk bounded per file only."""
    program = """
import os, socket
def f():
    refused = []
    for name, act in (
        ("/tmp", lambda: open("/tmp/x", "w")),
        ("server", lambda: socket.create_server(("127.0.0.1", 0))),
        ("disk", lambda: [open(str(n), "wb").write(bytes(1 << 20)) for n in range(3)]),
    ):
        try:
            act()
        except OSError:
            refused.append(name)
    return refused
"""
    assert locked.run(returns(program, ["/tmp", "server"], limits=Limits(file_bytes=2 << 20))).passed


@linux_only
@pytest.mark.parametrize("style", ["assert", "unittest"])
@pytest.mark.parametrize("isolation", ["zygote_cgroup", "bubblewrap", "landlock"])
def test_every_rung_judges_alike(isolation: str, style: str, request: pytest.FixtureRequest) -> None:
    sandbox: Sandbox = request.getfixturevalue(FIXTURES[isolation])
    tests = "assert f(1) == 2\nassert f(2) == 3\n"
    if style == "unittest":
        tests = "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n  def test_a(self):\n    "
        tests += "self.assertEqual(f(1), 2)\n"
    verdicts = [sandbox.run(job(f"def f(x): return {body}", tests, style)).verdict for body in ("x + 1", "x", "[")]
    assert verdicts == ["passed", "failed", "error"]


def test_doctor_says_what_works_and_what_blocks() -> None:
    findings = diagnose(measure_s=0.1)
    assert [finding.isolation for finding in findings] == list(RUNGS)
    assert all((finding.executions_per_s > 0) is (finding.blocked == "") for finding in findings)
    assert findings[-1].blocked == "", "resource limits work everywhere"
