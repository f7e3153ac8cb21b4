"""The one rule by which rates and lengths are chosen."""

import pytest
from benchmarks.lab.tuning import Setting, choose, chosen_again, within_one_error

LOW, MIDDLE, HIGH = Setting(1e-4, 2), Setting(3e-4, 2), Setting(1e-3, 2)
LONG = Setting(1e-4, 4)


def passing(*numbers: int, of: int = 100) -> list[bool]:
    return [task in numbers for task in range(of)]


def test_the_best_wins_where_it_is_clearly_ahead() -> None:
    assert choose({LOW: passing(*range(20)), MIDDLE: passing(*range(40)), HIGH: passing(*range(10))}) == MIDDLE


def test_a_tie_goes_to_the_lower_rate_then_to_the_shorter_length() -> None:
    same = passing(*range(40))
    assert choose({HIGH: same, LONG: same, LOW: same, MIDDLE: same}) == LOW
    assert choose({HIGH: same, LONG: same, MIDDLE: passing()}) == LONG


@pytest.mark.parametrize(
    ("won", "lost", "tie"),
    [
        pytest.param(5, 4, True, id="a lead of 1 task, an error of 3"),
        pytest.param(1, 0, True, id="one task alone is one error"),
        pytest.param(8, 1, False, id="a lead of 7, an error of 3"),
    ],
)
def test_within_one_error_of_the_lead(won: int, lost: int, tie: bool) -> None:
    best, other = passing(*range(won)), passing(*range(50, 50 + lost))
    assert within_one_error(best, other) is tie


def test_agreement_makes_small_leads_certain() -> None:
    """Two settings that fail on the same tasks differ by what they differ in, not by how hard the tasks are."""
    assert not within_one_error(passing(*range(60), of=1000), passing(*range(50), of=1000))


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="the same tasks for each setting, got"):
        choose({LOW: [True], HIGH: [True, False]})


def test_a_choice_by_luck_is_told_from_one_that_is_clear() -> None:
    assert chosen_again({LOW: passing(*range(20)), MIDDLE: passing(*range(60))}) == 1.0
    near = {LOW: passing(*range(30)), MIDDLE: passing(*range(30, 68))}  # eight tasks ahead, which is one error
    assert 0.2 < chosen_again(near) < 0.8
    assert chosen_again(near) == chosen_again(near)
