"""Asserts whose truth the program's own operators decide: found where its objects are, never guessed outside."""

import pytest
from jobs import job

from iterpref.sandbox import Sandbox

MONEY = """
import functools

@functools.total_ordering
class Money:
    def __init__(self, amount, unit="EUR"):
        self.amount, self.unit = amount, unit
    def __eq__(self, other):
        return isinstance(other, Money) and (self.amount, self.unit) == (other.amount, other.unit)
    def __hash__(self):
        return hash((self.amount, self.unit))
    def __lt__(self, other):
        return self.amount < other.amount
    def __len__(self):
        return self.amount
    def __bool__(self):
        return self.amount > 0
    def __contains__(self, coin):
        return coin <= self.amount
    def __add__(self, other):
        return Money(self.amount + other.amount, self.unit)
    def __str__(self):
        return f"{self.amount} {self.unit}"
    def __getitem__(self, index):
        return (self.amount, self.unit)[index]

def coin(amount):
    return Money(amount)

def purse(*amounts):
    return [Money(a) for a in amounts], {"first": Money(amounts[0])}
"""
EQ = "(self.amount, self.unit) == (other.amount, other.unit)"
WRONG = {  # what a wrong program has instead
    "eq": (EQ, "self.unit is other.unit and self.amount != other.amount"),
    "hash": ("hash((self.amount, self.unit))", "id(self)"),
    "lt": ("self.amount < other.amount", "self.amount > other.amount"),
    "len": ("return self.amount\n", "return self.amount + 1\n"),
    "bool": ("self.amount > 0", "self.amount <= 0"),
    "contains": ("coin <= self.amount", "coin > self.amount"),
    "add": ("self.amount + other.amount", "self.amount - other.amount"),
    "str": ('f"{self.amount} {self.unit}"', 'f"{self.unit} {self.amount}"'),
    "getitem": ("(self.amount, self.unit)[index]", "(self.unit, self.amount)[index]"),
    "init": ("= amount, unit", "= amount + 1, unit"),
}
ASSERTS = {
    "assert Money(1, 'USD') == Money(1, 'USD')": "eq",
    "assert Money(1) != Money(2)": "eq",
    "assert not Money(1) != Money(1)": "eq",
    "assert coin(1) == coin(1)": "eq",
    "x = Money(3)\ny = Money(3)\nassert x == y": "eq",
    "assert [Money(1), Money(2)] == [Money(1), Money(2)]": "eq",
    "assert {'a': Money(1)} == {'a': Money(1)}": "eq",
    "assert purse(1, 2) == purse(1, 2)": "eq",
    "assert Money(1) in [Money(1)]": "eq",
    "assert Money(1) not in [Money(2), Money(3)]": "eq",
    "assert len({Money(1), Money(1), Money(2)}) == 2": "hash",
    "assert sorted([Money(3), Money(1)])[0] == Money(1)": "lt",
    "assert Money(1) < Money(2)": "lt",
    "assert max(Money(1), Money(3)) == Money(3)": "lt",
    "assert len(Money(5)) == 5": "len",
    "assert len(coin(5)) == 5": "len",
    "assert coin(1)": "bool",
    "assert not Money(0)": "bool",
    "assert bool(Money(0)) is False": "bool",
    "assert 2 in coin(3)": "contains",
    "assert Money(1) + Money(2) == Money(3)": "add",
    "assert str(Money(5)) == '5 EUR'": "str",
    "assert coin(5)[0] == 5": "getitem",
    "def check(candidate):\n    assert candidate(1, 'EUR') == candidate(1)\n": "eq",
}


@pytest.mark.parametrize("tests", ASSERTS)
def test_defect_3_own_operators_decide_inside(cage: Sandbox, tests: str) -> None:
    style = "check" if tests.startswith("def check") else "assert"
    entry_point = "Money" if style == "check" else None
    right = cage.run(job(MONEY, tests, style, entry_point=entry_point))
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
    wrong = cage.run(job(MONEY.replace(*WRONG[ASSERTS[tests]]), tests, style, entry_point=entry_point))
    assert wrong.verdict == "failed", wrong.error


OTHERS = {
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass{}\nclass P:\n    x: int\n    y: int = 0\n",
        ("", "(eq=False)"),
        "assert P(1, 2) == P(1, 2)",
    ),
    "a named tuple": (
        "from typing import NamedTuple\n"
        "class P(NamedTuple):\n    x: int\n    def __str__(self): return f'({{self.x{}}})'\n",
        ("", " + 1"),
        "assert str(P(1)) == '(1)'",
    ),
    "an enum": (
        "from enum import Enum\nclass Colour(Enum):\n    RED = 1\n    BLUE = 2\n    def __lt__(self, o): return {}\n",
        ("self.value < o.value", "False"),
        "assert Colour(1) < Colour(2)",
    ),
    "a class derived from str": (
        "class Name(str):\n    def __eq__(self, o): return self{0} == str(o){0}\n    __hash__ = str.__hash__\n",
        (".lower()", ".__str__()"),
        "assert Name('Ann') == Name('ANN')",
    ),
    "a class derived from list": (
        "class Ring(list):\n    def __getitem__(self, i): return list.__getitem__(self, i % {})\n",
        ("len(self)", "9"),
        "assert Ring([1, 2, 3])[4] == 2",
    ),
    "a Counter": (
        "from collections import Counter\ndef f(x): return {}\n",
        ("Counter(x)", "dict(Counter(x))"),
        "assert f('aab')['z'] == 0",
    ),
    "a class that equals tuples": (
        "class V:\n    def __init__(self, *p): self.p = p\n    def __eq__(self, o): return self.p[{}] == o[0]\n",
        ("0", "1"),
        "assert V(1, 2) == (1, 2)",
    ),
    "one object, again and again": (
        "import functools\n{}\nclass Only: pass\n",
        ("@functools.cache", ""),
        "assert Only() is Only()",
    ),
    "a date": (
        "import datetime\ndef f(y): return datetime.date(y{}, 1, 1)\n",
        ("", " + 1"),
        "assert str(f(2020)) == '2020-01-01'",
    ),
    "what a generator holds": ("def f(n):\n    yield from range({})\n", ("n", "n - 1"), "assert 4 in f(5)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_defect_3_objects_of_other_kinds(cage: Sandbox, name: str) -> None:
    program, (right, wrong), tests = OTHERS[name]
    found = cage.run(job(program.format(right), tests))
    assert (found.verdict, found.trust) == ("passed", "checked"), found.error
    assert cage.run(job(program.format(wrong), tests)).verdict in ("failed", "error")


PLAIN = [
    ("assert Split([1]) == Split([1])", "[x]"),
    ("assert len(Split(1)) == 2", "[x, {x: (x,)}]"),
    ("assert Split(1)", "x"),
    ("assert Split(1)", "__import__('re').match('a', 'a')"),
    ("assert sorted(Split(1)) == [1, 2]", "(n for n in (2, x))"),
    ("assert Split(1) in [Split(1), 5]", "x"),
    ("assert str(Split(1)) == '1'", "x"),
    ("assert Split(1) == {1}", "{1: 2}.keys()"),
    ("assert abs(Split(1) - Split(1)) < 1e-6", "x / 3"),
]


@pytest.mark.parametrize(("tests", "answer"), PLAIN)
def test_plain_results_are_judged_outside(cage: Sandbox, tests: str, answer: str) -> None:
    execution = cage.run(job(f"def Split(x):\n    return {answer}", tests))
    assert (execution.verdict, execution.trust) == ("passed", "oracle"), execution.error


CHEAT = """
class E:
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = lambda *_: True
    __ne__ = lambda *_: False
    __hash__ = None
    __abs__ = __sub__ = __rsub__ = __add__ = __getitem__ = lambda self, *_: self
    def __iter__(self): return iter([self])
def f(x): return E()
"""
AGAINST_A_CONSTANT = [
    "assert f(1) == 2",
    "assert 2 == f(1)",
    "assert [f(1), f(2)] == [2, 3]",
    "assert f(1) == 2 and f(2) == 3",
    "assert f(1) in (2, 3)",
    "assert abs(f(1) - 2) < 1e-6",
    "import math\nassert math.isclose(f(1), 2)",
    "assert 1 < f(1) < 3",
    "y = f(1)\nassert y == 2",
    "assert f(1) == 2\nassert f(1) == f(1)",
]


@pytest.mark.parametrize("tests", AGAINST_A_CONSTANT)
def test_no_operator_of_the_program_meets_an_expected_constant(cage: Sandbox, tests: str) -> None:
    """Not even one that behaves while it is controlled: such a test never runs where the program is."""
    execution = cage.run(job(CHEAT, tests))
    assert (execution.verdict, execution.trust) in [("failed", "oracle"), ("error", "oracle")], execution.error


def test_an_object_that_equals_all_is_found_out_where_it_decides(cage: Sandbox) -> None:
    assert cage.run(job(CHEAT, "assert f(1) == f(2)")).verdict == "unverified"
    assert cage.run(job(CHEAT, "assert f(1)[0] == 2")).verdict == "unverified"
