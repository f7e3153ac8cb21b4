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
