# ruff: noqa: E501  (programs as text, one a line)
"""Attacks on the verdict: programs that are wrong (`f(1)` is not 2, `f(2)` is not 3) and want to pass."""

WALK = """
import gc, os, sys
def frames():
    frame = sys._getframe(1)
    while frame:
        yield frame
        frame = frame.f_back
def report():
    return next(v for fr in frames() for v in fr.f_locals.values() if getattr(v, "__name__", "") == "report")
"""

# Against any style: early ends, forged channels, patched tools.
ANY_STYLE = {
    "sys.exit": "import sys\nsys.exit(0)",
    "os._exit": "import os\nos._exit(0)",
    "exit in the call": "def f(x):\n  import os\n  os._exit(0)",
    "SystemExit in the call": "def f(x): raise SystemExit(0)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): raise SystemExit(0)",
    "prints passed": "print('OK\\n1 passed in 0.01s')\nimport os\nos._exit(0)",
    "killed by itself": "import os\nos.kill(os.getpid(), 9)\nos._exit(0)",
    "child reports": "import os\ndef f(x):\n  if os.fork(): os.wait(); os._exit(0)\n  return x + 1 - 1",
    "exec": "import os, sys\ndef f(x): os.execv(sys.executable, [sys.executable, '-c', 'print(\"OK\")'])",
    "always equal": "class E:\n  __eq__ = lambda s, o: True\n  __ne__ = lambda s, o: False\n  __hash__ = None\nf = lambda x: E()",
    "always equal int": "class E(int):\n  __eq__ = lambda s, o: True\n  __ne__ = lambda s, o: False\nf = lambda x: E(0)",
    "false class": "class E:\n  __class__ = int\n  __eq__ = lambda s, o: True\nf = lambda x: E()",
    "metaclass": "class M(type):\n  __eq__ = lambda s, o: True\n  __hash__ = None\nclass E(metaclass=M): pass\nf = lambda x: E",
    "mock.ANY": "from unittest.mock import ANY\nf = lambda x: ANY",
    "numpy-like": "class E:\n  def __eq__(s, o): return s\n  def __bool__(s): return True\nf = lambda x: E()",
    "writes to all descriptors": (
        "import os\nfor fd in range(3, 4096):\n  try: os.write(fd, b'[\"end\"]\\n')\n  except OSError: pass\nf = lambda x: 0"
    ),
    "forges with the harness": WALK + "def f(x):\n  r = report()\n  r('call', 0, 0)\n  r('end')\n  os._exit(0)",
    "forges an end": WALK + "def f(x):\n  report()('end')\n  os._exit(0)",
    "os.write": "import os\nos.write = lambda fd, data: len(data)\nf = lambda x: 0",
    "json": "import json\njson.dumps = lambda *a, **k: '[]'\njson.loads = lambda *a: 2\nf = lambda x: 0",
    "compile": "import builtins\nbuiltins.compile = lambda *a, **k: ''\nf = lambda x: 0",
    "exec builtin": "import builtins\nbuiltins.exec = lambda *a, **k: None\nf = lambda x: 0",
    "isinstance": "import builtins\nbuiltins.isinstance = lambda *a: True\nf = lambda x: 0",
    "AssertionError": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\nf = lambda x: 0",
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\nf = lambda x: 0",
    "excepthook": "import sys\nsys.excepthook = lambda *a: None\ndef f(x): raise ValueError",
    "generator of answers": "def f(x):\n  yield 2\n  yield 3",
    "skip": "import unittest\ndef f(x): raise unittest.SkipTest('no')",
    "signal at the end": "import os, signal\ndef f(x):\n  signal.alarm(1)\n  return 0",
    "thread that exits": "import os, threading, time\nthreading.Timer(0.05, os._exit, (0,)).start()\ndef f(x): time.sleep(9)",
    "reads the tests": (
        "import glob, re\ndef f(x):\n  text = ''.join(open(p).read() for p in glob.glob('*test*'))\n"
        "  return 7 if not text else 0"
    ),
}  # fmt: skip

# Against tests in the same process: negative controls find them out.
IN_PROCESS = {
    "assertEqual": "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\nf = lambda x: 0",
    "all asserts": (
        "import unittest\nfor n in dir(unittest.TestCase):\n"
        "  if n.startswith('assert'): setattr(unittest.TestCase, n, lambda *a, **k: None)\nf = lambda x: 0"
    ),
    "_baseAssertEqual": (
        "import unittest\nunittest.TestCase._baseAssertEqual = lambda *a, **k: None\n"
        "unittest.TestCase._getAssertEqualityFunc = lambda *a: (lambda *b, **k: None)\nf = lambda x: 0"
    ),
    "fail": "import unittest\nunittest.TestCase.fail = lambda *a: None\nunittest.TestCase.failureException = type(None)\nf = lambda x: 0",
    "run": "import unittest\nunittest.TestCase.run = lambda self, result: result.addSuccess(self)\nf = lambda x: 0",
    "addFailure": (
        "import unittest\ndef init(cls, **k):\n  cls.addFailure = cls.addError = lambda s, t, e: s.addSuccess(t)\n"
        "unittest.TestResult.__init_subclass__ = classmethod(init)\nf = lambda x: 0"
    ),
    "reports itself": WALK + (
        "def f(x):\n  r = report()\n  for n in 'ab': r('test', f'test_it.T.test_{n}', 'passed', None, None)\n"
        "  r('end')\n  os._exit(0)"
    ),
    "setUp": "import unittest\nunittest.TestCase._callTestMethod = lambda self, method: None\nf = lambda x: 0",
    "constants of the caller": (
        "import sys\ndef f(x):\n  consts = [c for c in sys._getframe(1).f_code.co_consts if type(c) is int and c != x]\n"
        "  return consts[0] if consts else 0"
    ),
    "expected values of the test file": (
        "import re\ndef f(x):\n  text = open('test_it.py').read()\n"
        "  return int(re.search(r'f\\(%d\\)[, =]+(\\d+)' % x, text)[1])"
    ),
    "assertRaises": (
        "import unittest\nunittest.TestCase.assertEqual = unittest.TestCase.assertRaises = lambda *a, **k: unittest.mock.MagicMock()\n"
        "from unittest import mock\nf = lambda x: 0"
    ),
    "doctest": (
        "import doctest\ndoctest.OutputChecker.check_output = lambda *a: True\nf = lambda x: 0"
    ),
    "doctest run": (
        "import doctest\ndoctest.DocTestRunner._DocTestRunner__run = lambda s, t, *a: "
        "[s.report_success(None, t, e, e.want) for e in t.examples] and doctest.TestResults(0, 2)\nf = lambda x: 0"
    ),
    "pytest": (
        "import _pytest.python as p, _pytest.runner as r\nr.pytest_runtest_call = lambda item: None\n"
        "p.pytest_pyfunc_call = lambda pyfuncitem: True\nf = lambda x: 0"
    ),
    "pytest's function": "import _pytest.python as p\np.Function.runtest = lambda self: None\nf = lambda x: 0",
    "no assertions in the code": (
        "import builtins\nreal = builtins.compile\n"
        "builtins.compile = lambda s, *a, **k: real('pass', 'x', 'exec') if 'test' in str(a) else real(s, *a, **k)\nf = lambda x: 0"
    ),
    "the test module's f": (
        "import sys\ndef f(x):\n  frame = sys._getframe(1)\n  frame.f_locals['self'].assertEqual = lambda *a: None\n  return 0"
    ),
}  # fmt: skip
