"""Programs that a too strict sandbox breaks."""

import textwrap

import pytest
from jobs import job, returns

from iterpref.records import Limits
from iterpref.sandbox import Sandbox

PROGRAMS = {
    "temporary files": """
        import os, tempfile
        def f():
            with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
                file.write(b"x")
                file.flush()
                return os.path.getsize(file.name)
        """,
    "files beside the program": """
        def f():
            with open("data.txt", "w", encoding="utf-8") as file:
                file.write("zażółć")
            return int(open("data.txt", encoding="utf-8").read() == "zażółć")
        """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor
        def f():
            with ThreadPoolExecutor(8) as pool:
                return sum(pool.map(lambda x: x - 3, range(8))) - 3
        """,
    "subprocess of python": """
        import subprocess, sys
        def f():
            return int(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout)
        """,
    "subprocess by name": """
        import subprocess
        def f():
            return len(subprocess.check_output(["echo", ""]))
        """,
    "shell": """
        import os
        def f():
            return int(os.popen("echo 1 | cat").read())
        """,
    "asyncio": """
        import asyncio
        async def g():
            await asyncio.sleep(0.01)
            return 1
        def f():
            return asyncio.run(g())
        """,
    "a coroutine function": """
        import asyncio
        async def f():
            await asyncio.sleep(0)
            return 1
        """,
    "multiprocessing pool": """
        import multiprocessing
        def g(x):
            return x * x
        def f():
            with multiprocessing.Pool(2) as pool:
                return sum(pool.map(g, [0, 1]))
        """,
    "multiprocessing spawn": """
        import multiprocessing
        def f():
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                return pool.apply(abs, (-1,))
        """,
    "shared memory": """
        from multiprocessing import shared_memory
        def f():
            memory = shared_memory.SharedMemory(create=True, size=64)
            memory.buf[0] = 1
            value = memory.buf[0]
            memory.close()
            memory.unlink()
            return value
        """,
    "sqlite": """
        import sqlite3
        def f():
            with sqlite3.connect("a.db") as db:
                db.execute("create table t (x)")
                db.execute("insert into t values (1)")
                return db.execute("select x from t").fetchone()[0]
        """,
    "a large array": """
        def f():
            data = bytearray(200 << 20)
            data[-1] = 1
            return data[-1]
        """,
    "a local server": """
        import socket, threading
        def f():
            server = socket.create_server(("127.0.0.1", 0))
            def answer():
                peer, _ = server.accept()
                peer.sendall(b"1")
                peer.close()
            threading.Thread(target=answer).start()
            return int(socket.create_connection(server.getsockname()).recv(1))
        """,
    "user and home": """
        import getpass, os, pathlib
        def f():
            (pathlib.Path.home() / "x").write_text("")
            return int(bool(getpass.getuser()) and os.path.isdir(os.path.expanduser("~")))
        """,
    "dataclasses and pickle": """
        import pickle
        from dataclasses import dataclass
        @dataclass
        class P:
            x: int
        def f():
            return pickle.loads(pickle.dumps(P(1))).x
        """,
    "inspect": """
        import inspect
        def f():
            return inspect.getsource(f).startswith("def f") + 0
        """,
    "its own module": """
        import sys
        def f():
            return int(sys.modules[__name__].f is f and __name__ == "solution")
        """,
    "recursion": """
        import sys
        sys.setrecursionlimit(20_000)
        def g(n):
            return 1 if n == 0 else g(n - 1)
        def f():
            return g(15_000)
        """,
    "randomness": """
        import random, secrets, uuid
        def f():
            return int(len({random.random(), secrets.token_hex(), str(uuid.uuid4())}) == 3)
        """,
    "time and locale": """
        import datetime, locale, time, zoneinfo
        def f():
            locale.setlocale(locale.LC_ALL, "C.UTF-8")
            return int(datetime.datetime.now(datetime.timezone.utc).timestamp() - time.time() < 5)
        """,
    "logging and warnings": """
        import logging, warnings
        logging.basicConfig(level="INFO")
        def f():
            logging.info("note")
            warnings.warn("note")
            return 1
        """,
    "signals of its own": """
        import signal
        def f():
            signal.signal(signal.SIGALRM, lambda *a: (_ for _ in ()).throw(TimeoutError()))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                signal.pause()
            except TimeoutError:
                return 1
        """,
    "a child that dies of a signal": """
        import os, signal
        def f():
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return int(os.WTERMSIG(os.waitpid(pid, 0)[1]) == 9)
        """,
    "process pool executor": """
        from concurrent.futures import ProcessPoolExecutor
        def g(x):
            return x - 1
        def f():
            with ProcessPoolExecutor(2) as pool:
                return sum(pool.map(g, [1, 2]))
        """,
    "unicode": """
        import unicodedata
        def f():
            größe = "Ǆ😀é".casefold()
            return len(unicodedata.normalize("NFC", "e\\u0301")) if größe.endswith("é") else 0
        """,
    "compressed files": """
        import gzip, io, tarfile, zipfile, os
        def f():
            with gzip.open("a.gz", "wt") as file:
                file.write("1")
            with zipfile.ZipFile("a.zip", "w") as file:
                file.write("a.gz")
            with tarfile.open("a.tar.bz2", "w:bz2") as file:
                file.add("a.zip")
            return int(gzip.open("a.gz", "rt").read())
        """,
    "csv, json and configparser": """
        import configparser, csv, io, json
        def f():
            rows = list(csv.DictReader(io.StringIO("a,b\\n1,2\\n")))
            parser = configparser.ConfigParser()
            parser.read_string("[x]\\ny = " + rows[0]["a"])
            return json.loads(json.dumps({"z": parser.getint("x", "y")}))["z"]
        """,
    "hashes, secrets and uuids": """
        import hashlib, secrets, uuid
        def f():
            digest = hashlib.sha256(secrets.token_bytes(8)).hexdigest() + hashlib.md5(b"").hexdigest()
            return int(len(digest) == 96 and uuid.uuid4() != uuid.uuid1())
        """,
    "ctypes of the C library": """
        import ctypes, ctypes.util
        def f():
            return ctypes.CDLL(None).abs(-1)
        """,
    "memory map of a file": """
        import mmap
        def f():
            with open("m", "w+b") as file:
                file.truncate(4096)
                with mmap.mmap(file.fileno(), 4096) as view:
                    view[:1] = b"1"
            return int(open("m", "rb").read(1))
        """,
    "a socket pair and select": """
        import select, socket
        def f():
            a, b = socket.socketpair()
            with a, b:
                a.sendall(b"1")
                return int(b.recv(1)) if select.select([b], [], [], 5)[0] else 0
        """,
    "a fork of its own": """
        import os
        def f():
            read, write = os.pipe()
            if os.fork() == 0:
                os.write(write, b"1")
                os._exit(0)
            os.wait()
            return int(os.read(read, 1))
        """,
    "warnings, contextvars and weak references": """
        import contextvars, gc, warnings, weakref
        class A: pass
        def f():
            var = contextvars.ContextVar("v", default=1)
            a = A()
            seen = weakref.ref(a)
            del a
            gc.collect()
            warnings.warn("careful")
            return var.get() if seen() is None else 0
        """,
    "a 200 MB array": """
        from array import array
        def f():
            return array("q", [1]) .__mul__(25_000_000)[-1]
        """,
    "cpu count": """
        import os
        def f():
            return int(os.cpu_count() >= 1)
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_honest_programs_pass(sandbox: Sandbox, name: str) -> None:
    execution = sandbox.run(returns(textwrap.dedent(PROGRAMS[name]), 1, limits=Limits(cpu_s=10.0)))
    assert execution.passed, (execution.error, execution.failing_case, execution.stderr)


# What Landlock can't give without namespaces: files in /dev/shm, and sockets (docs/sandbox.md).
LANDLOCK_BREAKS = (
    "a local server",
    "multiprocessing spawn",
    "shared memory",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in LANDLOCK_BREAKS else (pytest.mark.slow,)) for name in PROGRAMS],
)
def test_landlock_breaks_exactly_these(locked: Sandbox, name: str) -> None:
    execution = locked.run(returns(textwrap.dedent(PROGRAMS[name]), 1, limits=Limits(cpu_s=10.0)))
    assert execution.passed is (name not in LANDLOCK_BREAKS), execution.error


LIBRARIES = {
    "numpy": """
        import numpy as np
        def f():
            block = np.ones(25_000_000)
            return int(block[:10].mean() + np.linalg.norm(np.eye(2) - np.linalg.inv(np.eye(2))))
        """,
    "pandas": """
        import pandas as pd
        def f():
            frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
            frame.to_csv("frame.csv", index=False)
            return int(pd.read_csv("frame.csv").groupby("b")["a"].sum()["x"])
        """,
    "matplotlib": """
        import matplotlib.pyplot as plt
        def f():
            plt.plot([1, 2])
            plt.savefig("plot.png")
            return int(open("plot.png", "rb").read(4) == b"\\x89PNG")
        """,
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_programs_with_libraries_pass(cage: Sandbox, name: str) -> None:
    pytest.importorskip(name)
    limits = Limits(cpu_s=30.0, wall_s=90.0)
    execution = cage.run(returns(textwrap.dedent(LIBRARIES[name]), 1, limits=limits))
    assert execution.passed, (execution.error, execution.failing_case, execution.stderr)


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nfor line in sys.stdin:\n    print(int(line) + 1)\nexit(0)",
        "n = int(input())\nprint(n + 1)\nquit()",
        "import os\nprint(int(open(0).read()) + 1, flush=True)\nos._exit(0)",
        "import sys\ndef main():\n    print(int(input()) + 1)\nif __name__ == '__main__':\n    sys.exit(main())",
        "import atexit\natexit.register(print, int(input()) + 1)",
        "import threading\nn = int(input())\nthreading.Timer(0.05, lambda: print(n + 1)).start()",
        "import sys\nsys.stdout.buffer.write(b'%d' % (int(sys.stdin.buffer.read()) + 1))",
    ],
)
def test_scripts_that_end_in_their_own_way(cage: Sandbox, program: str) -> None:
    execution = cage.run(job(program, '{"stdin": "4\\n", "stdout": "5\\n"}', "stdio"))
    assert (execution.verdict, execution.trust) == ("passed", "oracle"), execution.error


def test_there_are_enough_honest_programs() -> None:
    assert len(PROGRAMS) + len(LIBRARIES) >= 38


def test_processes_that_a_program_forks_get_what_any_fork_gets(sandbox: Sandbox) -> None:
    """The zygote spares its own forks the handlers of `random` and `threading`; a program's forks run them."""
    program = """
        import os, random, threading
        def f():
            held = threading.Condition()
            read_fd, write_fd = os.pipe()
            random.seed(0)
            for _ in range(2):
                if os.fork() == 0:
                    threads = [threading.Thread(target=random.random) for _ in range(2)]
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
                    os.write(write_fd, f"{random.random()} {threading.active_count()}\\n".encode())
                    os._exit(0)
                os.wait()
            (one, alive), (other, also_alive) = (line.split() for line in os.read(read_fd, 999).decode().splitlines())
            return one != other, alive, also_alive
        """
    assert sandbox.run(returns(textwrap.dedent(program), (True, "1", "1"))).passed


def test_stdin_of_other_styles(sandbox: Sandbox) -> None:
    assert sandbox.run(returns("def f(): return input()", "hello", stdin="hello\n")).passed
    assert sandbox.run(returns("def f(): return input()", "hello")).error_type == "EOFError"


def test_nested_program_path(sandbox: Sandbox) -> None:
    tests = (
        "import unittest\nfrom pkg.core import f\nclass T(unittest.TestCase):\n    def test_f(self): assert f() == 1"
    )
    assert sandbox.run(job("def f(): return 1", tests, "unittest", program_path="pkg/core.py")).passed


def test_installed_packages_can_be_imported_and_preloaded() -> None:
    pytest.importorskip("numpy")
    program = "import numpy as np\ndef f():\n    return np.float64(0.5), np.int64(2), int(np.random.randint(10**6))"
    with Sandbox(workers=1, preload=["numpy"]) as sandbox:
        seen = [sandbox.run(returns(program, None, seed=s)) for s in (1, 1, 2)]
    got = [execution.failing_case.got for execution in seen if execution.failing_case is not None]
    assert got[0] == got[1] != got[2]
    assert got[0].startswith("(0.5, 2, ")


def test_unittest_with_fixtures_mocks_and_expected_failures(sandbox: Sandbox) -> None:
    tests = """
        import unittest
        from unittest import mock
        import solution

        class Base:
            def test_inherited(self):
                self.assertTrue(self.ready)

        class T(Base, unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.ready = True

            @mock.patch("solution.g", return_value=5)
            def test_mock(self, g):
                self.assertEqual(solution.f(), 5)

            @unittest.expectedFailure
            def test_wrong(self):
                self.assertEqual(solution.f(), 0)

            @unittest.skip("not today")
            def test_skipped(self):
                self.fail()

        class A(unittest.IsolatedAsyncioTestCase):
            async def test_async(self):
                self.assertEqual(solution.f(), 1)
    """
    execution = sandbox.run(job("def g(): return 1\ndef f(): return g()", tests, "unittest"))
    assert execution.passed, execution.error
    assert sorted(test.verdict for test in execution.tests) == ["passed"] * 4 + ["skipped"]


@pytest.mark.parametrize(
    ("body", "verdict", "statuses"),
    [
        ("with self.subTest(1): self.assertEqual(solution.f(), 2)", "failed", ["failed"]),
        ("with self.subTest(1): self.assertEqual(solution.f(), 1)", "passed", ["passed"]),
        ("solution.h()", "error", ["error"]),
    ],
)
def test_unittest_subtests_and_errors(sandbox: Sandbox, body: str, verdict: str, statuses: list[str]) -> None:
    tests = f"import unittest, solution\nclass T(unittest.TestCase):\n    def test_x(self):\n        {body}\n"
    execution = sandbox.run(job("def f(): return 1", tests, "unittest"))
    assert execution.verdict == verdict
    assert [test.verdict for test in execution.tests] == statuses


def test_failing_set_up_is_an_error(sandbox: Sandbox) -> None:
    tests = """
        import unittest
        class T(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                raise RuntimeError("no")
            def test_x(self):
                pass
    """
    execution = sandbox.run(job("", tests, "unittest"))
    assert (execution.verdict, execution.error_type) == ("error", "RuntimeError")


SHARING = {
    "a queue": """
        import multiprocessing as mp
        def put(queue, n):
            queue.put(n)
        def f():
            queue = mp.Queue()
            children = [mp.Process(target=put, args=(queue, n)) for n in (0, 1)]
            [child.start() for child in children]
            found = sum(queue.get(timeout=5) for _ in children)
            [child.join() for child in children]
            return found
        """,
    "a shared value": """
        import multiprocessing as mp
        def add(value):
            for _ in range(50):
                with value.get_lock():
                    value.value += 1
        def f():
            value = mp.Value("i", 0)
            children = [mp.Process(target=add, args=(value,)) for _ in range(4)]
            [child.start() for child in children]
            [child.join() for child in children]
            return value.value - 199
        """,
    "an event, a barrier and a condition": """
        import multiprocessing as mp
        def wait(event, barrier, condition, queue):
            event.wait()
            barrier.wait()
            with condition:
                condition.notify_all()
            queue.put(1)
        def f():
            event, barrier, condition, queue = mp.Event(), mp.Barrier(3), mp.Condition(), mp.SimpleQueue()
            children = [mp.Process(target=wait, args=(event, barrier, condition, queue)) for _ in range(3)]
            [child.start() for child in children]
            event.set()
            found = sum(queue.get() for _ in children)
            [child.join() for child in children]
            return found - 2
        """,
    "many of them, one after the other": """
        import multiprocessing as mp
        def f():
            for _ in range(200):
                mp.Lock(), mp.Event()
            with mp.Pool(1) as pool:
                for _ in range(5):
                    pool.map(abs, [1, 2])
            queue = mp.Queue()
            for n in range(5000):
                queue.put(n)
            return sum(queue.get() for _ in range(5000)) - 12497499
        """,
    "locks and their limits": """
        import multiprocessing as mp, time
        def f():
            lock = mp.RLock()
            with lock, lock:
                pass
            places = mp.BoundedSemaphore(2)
            assert places.acquire() and places.acquire(block=False) and not places.acquire(block=False)
            began = time.monotonic()
            assert not places.acquire(timeout=0.2) and time.monotonic() - began >= 0.2
            places.release()
            places.release()
            for release in (places.release, lock.release, mp.Lock().release):
                try:
                    release()
                except (ValueError, AssertionError):
                    continue
                return 0
            return 1
        """,
}


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("rung", ["cage", "locked"])
def test_children_share_by_multiprocessing(rung: str, name: str, request: pytest.FixtureRequest) -> None:
    """On Landlock its semaphores are made of pipes."""
    execution = request.getfixturevalue(rung).run(returns(textwrap.dedent(SHARING[name]), 1, limits=Limits(cpu_s=10.0)))
    assert execution.passed, (execution.error, execution.stderr)
