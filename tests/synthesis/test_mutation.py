import pytest

from iterpref.synthesis.mutation import mutants

PROGRAM = '''\
def f(xs):
    """Text."""
    total = 0
    for x in xs[1:]:
        if x > 3 and not x % 2:
            total += x
            continue
    return max(total, 0) == 7
'''


def test_each_operator_makes_its_faults() -> None:
    found = mutants(PROGRAM, most=1000)
    made = {(m.operator, m.line) for m in found}
    assert made == {
        ("leave_out", 3), ("constant", 3), ("constant", 4), ("slice", 4), ("condition", 5), ("and_or", 5),
        ("comparison", 5), ("constant", 5), ("not", 5), ("arithmetic", 5), ("arithmetic", 6), ("leave_out", 6),
        ("jump", 7), ("return", 8), ("comparison", 8), ("call", 8), ("constant", 8),
    }  # fmt: skip
    assert len({m.program for m in found}) == len(found)


@pytest.mark.parametrize(
    ("before", "operator", "after"),
    [
        ("x = a < b", "comparison", "x = a <= b"),
        ("x = a + b", "arithmetic", "x = a - b"),
        ("x = a and b", "and_or", "x = a or b"),
        ("x = not a", "not", "x = a and True"),
        ("x = True", "constant", "x = False"),
        ("x = 'a'", "constant", "x = ''"),
        ("x = min(a)", "call", "x = max(a)"),
        ("x = a.lower()", "call", "x = a.upper()"),
        ("x = a[:n]", "slice", "x = a[:n + 1]"),
        ("while a:\n    break", "condition", "while not a:\n    break"),
        ("while a:\n    break", "jump", "while a:\n    continue"),
        ("x += 1", "arithmetic", "x -= 1"),
        ("x += 1", "leave_out", "pass"),
    ],
)
def test_a_fault(before: str, operator: str, after: str) -> None:
    assert after in [m.program for m in mutants(before, 100) if m.operator == operator]


def test_texts_are_not_subtracted() -> None:
    assert not [m for m in mutants("x = 'a' + b", 100) if m.operator == "arithmetic"]


def test_a_draw_is_the_same_in_every_process() -> None:
    assert mutants(PROGRAM, 5, seed=1) == mutants(PROGRAM, 5, seed=1)
    assert mutants(PROGRAM, 5, seed=1) != mutants(PROGRAM, 5, seed=2)
    assert len(mutants(PROGRAM, 5)) == 5


def test_every_mutant_is_another_program() -> None:
    import ast

    for mutant in mutants(PROGRAM, 1000):
        assert ast.dump(ast.parse(mutant.program)) != ast.dump(ast.parse(PROGRAM))
