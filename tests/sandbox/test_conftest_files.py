"""pytest's conftest files: those of the tests are honoured, none of the program's is."""

import textwrap

import pytest
from jobs import job

from iterpref.records import TestFile
from iterpref.sandbox import Execution, Sandbox

PROGRAM = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x + 2\n"
CONFTEST = """
    import pytest
    from solution import f

    @pytest.fixture
    def start():
        assert f(0) is not None
        return 1

    @pytest.fixture(params=[1, 2])
    def step(request):
        return request.param

    def pytest_configure(config):
        config.addinivalue_line("markers", "own: a marker of these tests")
"""
TESTS = """
    import pytest
    from solution import f

    @pytest.mark.own
    def test_f(start, step):
        assert f(start + step) == start + step + 1
"""


def run(sandbox: Sandbox, program: str, **files: str) -> Execution:
    """Keys are paths, with `__` for a slash."""
    tests = tuple(
        TestFile(path=f"{name.replace('__', '/')}.py", content=textwrap.dedent(text)) for name, text in files.items()
    )
    return sandbox.run(job(program, "", "pytest").model_copy(update={"tests": tests}))


def test_defect_33_conftest_among_the_tests_is_honoured(cage: Sandbox) -> None:
    right = run(cage, PROGRAM, conftest=CONFTEST, test_it=TESTS)
    assert (right.verdict, right.trust, len(right.tests)) == ("passed", "checked", 2), right.error
    assert run(cage, WRONG, conftest=CONFTEST, test_it=TESTS).verdict == "failed"


def test_defect_33_conftest_in_a_folder(cage: Sandbox) -> None:
    inner = "import pytest\n@pytest.fixture\ndef step(): return 7\n"
    files = {"conftest": CONFTEST, "tests__conftest": inner, "tests__test_it": TESTS, "test_top": TESTS}
    right = run(cage, PROGRAM, **files)
    assert (right.verdict, right.trust, len(right.tests)) == ("passed", "checked", 3), right.error
    assert run(cage, WRONG, **files).verdict == "failed"


def test_what_a_conftest_raises_is_told(cage: Sandbox) -> None:
    execution = run(cage, "def g(x): return x\n", conftest=CONFTEST, test_it=TESTS)
    assert (execution.verdict, execution.error_type) == ("error", "ImportError")
    assert "cannot import name 'f'" in execution.error
    assert execution.frames == ("  conftest.py line 3: from solution import f",)


def test_fixtures_are_no_tests_whatever_they_are_called(cage: Sandbox) -> None:
    tests = """
        import pytest
        from solution import f
        @pytest.fixture
        def test_value():
            return 1
        def test_f(test_value):
            assert f(test_value) == 2
    """
    assert run(cage, PROGRAM, test_it=tests).trust == "checked"
    assert run(cage, WRONG, test_it=tests).verdict == "failed"


@pytest.mark.parametrize("marker", ["asyncio", "anyio"])
def test_coroutine_tests_are_awaited(cage: Sandbox, marker: str) -> None:
    tests = f"""
        import asyncio, pytest
        from solution import f
        @pytest.mark.{marker}
        async def test_f():
            await asyncio.sleep(0)
            assert f(1) == 2
    """
    right = run(cage, PROGRAM, test_it=tests)
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
    assert run(cage, WRONG, test_it=tests).verdict == "failed"


SKIPS = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return True
"""
PLANT = """
import importlib.util, marshal, os, struct
def plant(path, text):
    code = compile(text, path, "exec")
    for name in ("conftest", "test_it"):
        stat = os.stat(name + ".py") if os.path.exists(name + ".py") else None
        head = struct.pack("<LLL", 0, int(stat.st_mtime), stat.st_size) if stat else b"\\0" * 12
        os.makedirs("__pycache__", exist_ok=True)
        for tag in ("", "-pytest-" + __import__("pytest").__version__):
            with open(f"__pycache__/{name}.cpython-3{__import__('sys').version_info[1]}{tag}.pyc", "wb") as file:
                file.write(importlib.util.MAGIC_NUMBER + head + marshal.dumps(code))
"""
FORGERIES = {
    "a conftest of its own": f"open('conftest.py', 'w').write({SKIPS!r})\n",
    "a conftest in the tests' folder": "import os\nos.makedirs('tests', exist_ok=True)\n"
    f"open('tests/conftest.py', 'w').write({SKIPS!r})\n",
    "written later": f"import atexit\ndef g(): open('conftest.py', 'w').write({SKIPS!r})\natexit.register(g)\ng()\n",
    "a compiled module": f"{PLANT}plant('conftest.py', {SKIPS!r})\n",
    "a patched test": "import _pytest.python as p\np.Function.runtest = lambda self: None\n",
    "a patched call": "import _pytest.python as p\np.pytest_pyfunc_call = lambda pyfuncitem: True\n",
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("with_conftest", [True, False])
def test_no_program_passes_by_a_conftest(cage: Sandbox, name: str, with_conftest: bool) -> None:
    own = "from solution import f\ndef test_f():\n    assert f(1) == 2\n"
    files = {"conftest": CONFTEST, "tests__test_it": TESTS} if with_conftest else {"tests__test_it": own}
    execution = run(cage, FORGERIES[name] + WRONG, **files)
    assert not execution.passed, (execution.trust, execution.stdout)
