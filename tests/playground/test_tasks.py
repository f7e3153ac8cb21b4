"""Operations and tasks: counts, right references, misconceptions that tests catch, splits, determinism."""

import ast
import json
from itertools import combinations, islice

import pytest

from iterpref.playground.operations import Operation, Site, ambiguous, plain, prompt, prone
from iterpref.playground.puzzles import CALLS, Puzzle, distinct_puzzles, split_of
from iterpref.playground.tasks import OPERATIONS, PLAYGROUND, playground_tasks
from iterpref.playground.trials import feedback, outcomes

SPLITS = ("pretraining", "train", "validation", "held_out")


@pytest.fixture(scope="module")
def puzzles() -> list[Puzzle]:
    return list(islice(distinct_puzzles(PLAYGROUND, "train", 0), 1500))


def test_there_are_many_operations_of_distinct_name_and_wording() -> None:
    assert len(OPERATIONS) >= 100
    assert len({op.name for op in OPERATIONS}) == len({op.phrase for op in OPERATIONS}) == len(OPERATIONS)


def test_most_operations_can_go_wrong() -> None:
    prone_or_ambiguous = [op for op in OPERATIONS if op.misconceptions or op.is_ambiguous]
    greedy_wrong = [op for op in OPERATIONS if max(op.forms, key=lambda form: form.habit).wanted < 0.5]
    assert len(prone_or_ambiguous) > len(OPERATIONS) / 2
    assert len(greedy_wrong) >= 40


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)
def test_weights_are_distributions_and_parameters_match_the_wording(operation: Operation) -> None:
    assert sum(form.habit for form in operation.forms) == pytest.approx(1)
    assert sum(form.wanted for form in operation.forms) == pytest.approx(1)
    assert ("{k}" in operation.phrase) == bool(operation.parameters)
    for form in operation.forms:
        for spelling in form.spellings:
            ast.parse(spelling.replace("{k}", "1"))


def test_program_and_prompt_read_as_a_person_would_write_them() -> None:
    drop = prone("drop", "remove every {k}", "numbers", "numbers", "xs = [x for x in xs if x != {k}]",
                 wrong="for x in xs:\n    if x == {k}:\n        xs.remove(x)", p=0.7, k=(1, 2))
    count = plain("count", "count them", "numbers", "number", "n = len(xs)")
    sites = (Site(drop, 2, 0), Site(count, None, 0))
    assert prompt(sites) == (
        "Write solve(xs), where xs is a list of integers: remove every 2, then count them. Return the result."
    )
    assert PLAYGROUND.program(sites, [1, 0], [0, 0]) == (
        "def solve(xs):\n    for x in xs:\n        if x == 2:\n            xs.remove(x)\n"
        "    n = len(xs)\n    return n"
    )


def test_an_ambiguous_wording_has_one_prompt_and_two_test_outcomes() -> None:
    rotate = ambiguous("rotate", "rotate", "numbers", "numbers",
                       ("xs = xs[1:] + xs[:1]", 0.5, 0.5), ("xs = xs[-1:] + xs[:-1]", 0.5, 0.5))
    left, right = (Site(rotate, None, 0),), (Site(rotate, None, 1),)
    assert prompt(left) == prompt(right)
    (one,) = outcomes(PLAYGROUND.program(left, [0], [0]), [[1, 2, 3]])
    (other,) = outcomes(PLAYGROUND.program(right, [1], [0]), [[1, 2, 3]])
    assert (one.shown, other.shown) == ("[2, 3, 1]", "[3, 1, 2]")


def test_every_operation_is_used_and_every_kind_of_value_is_an_input(puzzles: list[Puzzle]) -> None:
    assert {name for puzzle in puzzles for name in puzzle.signature} == {op.name for op in OPERATIONS}
    assert {puzzle.sites[0].operation.takes for puzzle in puzzles} == {"numbers", "words", "text", "counts"}
    assert {len(puzzle.sites) for puzzle in puzzles} == {2, 3, 4}


@pytest.mark.parametrize("split", SPLITS)
def test_every_reference_passes_its_own_tests(split: str) -> None:
    for task in playground_tasks(split, 200):  # type: ignore[arg-type]
        calls = [json.loads(line) for line in task.tests[0].content.splitlines()]
        namespace: dict[str, object] = {}
        exec(task.reference or "", namespace)
        assert CALLS[0] <= len(calls) <= CALLS[1] + 4
        for call in calls:
            value = namespace["solve"](*ast.literal_eval(call["args"]))  # type: ignore[operator]
            assert value == ast.literal_eval(call["expected"]), task.task_id


def test_spellings_of_one_form_behave_the_same(puzzles: list[Puzzle]) -> None:
    for puzzle in puzzles[:600]:
        for spelling in (0, 1):
            text = PLAYGROUND.program(puzzle.sites, puzzle.wanted, [spelling] * len(puzzle.sites))
            got = outcomes(text, puzzle.arguments)
            assert all(g.same(e) for g, e in zip(got, puzzle.expected, strict=True)), text


def _changes_an_outcome(puzzle: Puzzle, place: int, form: int) -> bool:
    forms = [*puzzle.wanted[:place], form, *puzzle.wanted[place + 1 :]]
    got = outcomes(PLAYGROUND.program(puzzle.sites, forms, [0] * len(forms)), puzzle.arguments)
    return not all(g.same(e) for g, e in zip(got, puzzle.expected, strict=True))


def test_misconceptions_are_caught_by_the_tests(puzzles: list[Puzzle]) -> None:
    caught: dict[str, list[bool]] = {}
    for puzzle in puzzles:
        for place, site in enumerate(puzzle.sites):
            for form in site.operation.misconceptions:
                caught.setdefault(site.operation.name, []).append(_changes_an_outcome(puzzle, place, form))
    flat = [c for found in caught.values() for c in found]
    # Not all: after a step that leaves no negative number, `n % 10` is right as it stands.
    assert sum(flat) / len(flat) > 0.75
    assert [name for name, found in caught.items() if not any(found)] == []


def test_compositions_of_the_splits_are_disjoint() -> None:
    found = {s: {p.signature for p in islice(distinct_puzzles(PLAYGROUND, s, 3), 400)} for s in SPLITS}  # type: ignore[arg-type]
    assert all(not found[a] & found[b] for a, b in combinations(SPLITS, 2))
    assert all(split_of(signature) == split for split, ones in found.items() for signature in ones)


def test_tasks_are_the_same_every_time_and_grow_at_the_end() -> None:
    assert playground_tasks("train", 30, seed=1) == playground_tasks("train", 40, seed=1)[:30]
    assert playground_tasks("train", 30, seed=1) != playground_tasks("train", 30, seed=2)


def test_thousands_of_tasks_are_distinct() -> None:
    found = list(islice(distinct_puzzles(PLAYGROUND, "train", 0), 2000))
    assert len({puzzle.key for puzzle in found}) == 2000
    assert len({puzzle.signature for puzzle in found}) > 1500


def test_feedback_shows_the_frames_of_the_program() -> None:
    text = "def solve(xs):\n    return list(first(x) for x in xs)\n\ndef first(x):\n    return x[0]"
    expected, got = outcomes("def solve(xs):\n    return 1", [[[]]])[0], outcomes(text, [[[]]])[0]
    assert feedback(text, [[]], got, expected) == (
        "solve([[]]) raised IndexError: list index out of range\n"
        "  line 2, in solve: return list(first(x) for x in xs)\n"
        "  line 2, in <genexpr>: return list(first(x) for x in xs)\n"
        "  line 5, in first: return x[0]"
    )
