"""Negative controls: each assertion's opposite fails for honest values and holds for those that cheat."""

import ast
import unittest
from typing import Any
from unittest import mock

import pytest
from jobs import job

from iterpref.sandbox import Sandbox
from iterpref.sandbox.inside.harness.flip_asserts import SEEN, WRONG, flip_tests
from iterpref.sandbox.inside.harness.negative_control import Wrong


class Cheat:
    """Equal to everything, ordered with everything, holding everything."""

    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = lambda *_: True  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]
    __abs__ = __sub__ = __rsub__ = lambda self, *_: self

    def __iter__(self) -> Any:
        return iter([self])


def failures(line: str, value: Any) -> list[bool]:
    """What the turned line notes, with `x` being the program's value."""
    seen: list[bool] = []
    self = unittest.TestCase()
    tree = flip_tests(ast.parse(line))
    expected = 2
    names = {SEEN: seen.append, WRONG: Wrong(), "self": self, "x": value, "f": lambda *_: value, "expected": expected}
    exec(compile(tree, "<test>", "exec"), names)
    return seen


COMPARING = [
    "assert f(1) == 2",
    "assert 2 == f(1)",
    "assert expected == f(1)",
    "assert f(1) == expected",
    "assert expected == x",
    "assert f(1) == 2, 'message'",
    "assert 1 == 1 and f(1) == 2",
    "assert all(f(i) == 2 for i in range(3))",
    "assert f(1) in [2, 3]",
    "assert abs(f(1) - 2) < 1e-6",
    "assert f(1) < 10",
    "self.assertEqual(f(1), 2)",
    "self.assertEqual(2, f(1))",
    "self.assertEqual(expected, x)",
    "self.assertEqual(x, expected, 'message')",
    "self.assertLess(f(1), 10)",
    "self.assertIn(f(1), [2])",
    "self.assertTrue(f(1) == 2)",
]
OTHERS = [
    "assert x",
    "assert not (x - 2)",
    "assert x != 3",
    "assert x is not None",
    "assert isinstance(x, int)",
    "assert 0 < x < 3",
    "self.assertTrue(x)",
    "self.assertFalse(x - 2)",
    "self.assertIsNone(None if x else 1)",
    "self.assertIsNotNone(x)",
    "self.assertNotEqual(x, 3)",
    "self.assertIsInstance(x, int)",
    "self.assertNotIsInstance(x, str)",
    "self.assertNotIn(x, [5])",
    "self.assertIn('a', 'abc')",
    "self.assertAlmostEqual(x, 2.0)",
    "self.assertAlmostEqual(x, 2.0, delta=1e9)",
    "self.assertIs(x, expected)",
    "self.assertIsNot(x, None)",
    "self.assertRegex(str(x), '2')",
    "self.assertListEqual([x], [2])",
    "self.assertDictEqual({1: x}, {1: 2})",
    "self.assertCountEqual([x, 1], [1, 2])",
    "self.assertGreater(x, 1)",
    "with self.assertRaises(ValueError):\n    int('x')",
    "self.assertRaises(ValueError, int, 'x')",
    "self.assertRaisesRegex(ValueError, 'int', int, 'x')",
    "assert x and [x] == [2]",
]


@pytest.mark.parametrize("line", [*COMPARING, *OTHERS])
def test_the_opposite_of_an_honest_assertion_fails(line: str) -> None:
    exec(line, {"self": unittest.TestCase(), "x": 2, "f": lambda *_: 2, "expected": 2})
    assert failures(line, 2) == [True]


@pytest.mark.parametrize("line", COMPARING)
def test_the_opposite_of_a_cheated_assertion_holds(line: str) -> None:
    assert False in failures(line, Cheat())


@pytest.mark.parametrize(
    "line",
    [
        "try:\n    assert x == 3\nexcept AssertionError:\n    pass",
        "with self.assertLogs():\n    import logging; logging.warning(x); assert x == 2",
        "mock.assert_called_once_with(x)",
        "assert True, 'debugging'",
        "self.check(x)",
    ],
)
def test_what_may_fail_or_is_unknown_stays(line: str) -> None:
    tree = flip_tests(ast.parse(line))
    assert SEEN not in ast.unparse(tree)


def test_a_patched_assertion_holds_either_way() -> None:
    with mock.patch.object(unittest.TestCase, "assertEqual", lambda *_: None):
        assert failures("self.assertEqual(f(1), 2)", 7) == [False]


HONEST = {
    "subtests, fixtures of a class, contexts": (
        "unittest",
        """
        import unittest
        from unittest import mock
        import solution
        class T(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.values = [1, 2, 3]
            def setUp(self):
                self.assertTrue(self.values)
            def test_each(self):
                for value in self.values:
                    with self.subTest(value=value):
                        self.assertEqual(solution.f(value), value + 1)
            def test_raises(self):
                with self.assertRaises(TypeError) as caught:
                    solution.f("a")
                self.assertIn("str", str(caught.exception))
            @mock.patch("solution.f", return_value=5)
            def test_mock(self, f):
                self.assertEqual(solution.f(1), 5)
                f.assert_called_once_with(1)
            @unittest.expectedFailure
            def test_wrong(self):
                self.assertEqual(solution.f(1), 1)
        class A(unittest.IsolatedAsyncioTestCase):
            async def test_async(self):
                self.assertEqual(await solution.g(1), 2)
        """,
        "in_process",  # what is expected to fail has no control
    ),
    "async and files": (
        "unittest",
        """
        import unittest, os
        from solution import f, g
        class A(unittest.IsolatedAsyncioTestCase):
            async def test_async(self):
                self.assertEqual(await g(1), 2)
            def test_file(self):
                with open("x", "w") as file:
                    file.write(str(f(1)))
                self.assertTrue(os.path.exists("x"))
                self.assertEqual(open("x").read(), "2")
        """,
        "checked",
    ),
    "pytest": (
        "pytest",
        """
        from __future__ import annotations
        import pytest
        from solution import f
        @pytest.fixture
        def one():
            return 1
        @pytest.mark.parametrize("x", [1, 2, 2.5])
        def test_f(x, one, tmp_path):
            (tmp_path / "a").write_text("b")
            assert f(x) == pytest.approx(x + one)
        class TestIt:
            def test_raises(self):
                with pytest.raises(TypeError, match="str"):
                    f("a")
                assert f(0) != f(1)
        """,
        "checked",
    ),
    "nothing but calls": (
        "unittest",
        "import unittest, solution\nclass T(unittest.TestCase):\n    def test_x(self):\n        solution.f(1)\n",
        "in_process",
    ),
    "doctest": ("doctest", ">>> y = f(1)\n>>> y\n2\n>>> f('a')\nTraceback (most recent call last):\nTypeError\n", None),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_tests_keep_their_verdict(cage: Sandbox, name: str) -> None:
    style, tests, trust = HONEST[name]
    program = "def f(x):\n    return x + 1\nasync def g(x):\n    return x + 1\n"
    execution = cage.run(job(program, tests, style))
    if trust is None:
        assert execution.verdict == "failed"  # the example's message is left out: doctest compares it
        return
    assert (execution.verdict, execution.trust) == ("passed", trust), execution.error
